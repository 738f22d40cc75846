"""Threads and what they hand over to each other."""
