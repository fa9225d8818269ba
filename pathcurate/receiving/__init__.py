"""Stage: what a recipient does with a delivery, without workspace, registry or vault."""
