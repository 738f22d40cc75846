"""Animated pictures, frame by frame."""
