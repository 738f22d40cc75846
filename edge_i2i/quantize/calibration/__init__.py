"""Calibration sets: frames, looks and maps, and the ranges that are taken over them."""
