"""The made-up hospital: makers of slides, laboratory exports and permission lists, each with its answer key."""
