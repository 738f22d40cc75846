"""LOMIT."""
