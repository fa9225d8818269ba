"""Words of the domain: vocabularies, known column heads, numbers found in texts."""
