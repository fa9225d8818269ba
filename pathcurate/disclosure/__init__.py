"""What may be shown at all."""
