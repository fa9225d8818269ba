"""Withdrawals: whom this house no longer gives out, and the feeds by which those who have copies are told."""
