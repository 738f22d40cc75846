"""Frames into a session: reading a source, watching it, opening it anew, and what may enter."""
