"""Calibration frames that differ, from whatever shows pictures."""
