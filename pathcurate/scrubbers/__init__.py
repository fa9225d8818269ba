"""What removes identifiers from each kind of thing. A scrubber explains, plans, applies and verifies."""
