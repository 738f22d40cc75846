"""Weights files: reading them without executing anything, recognising what they hold, loading networks from them."""
