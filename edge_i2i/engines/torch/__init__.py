"""torch, the reference."""
