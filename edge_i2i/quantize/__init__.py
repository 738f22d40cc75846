"""Quantization: calibration, sensitivity, mixed precision, QAT, and the road from a bundle to its INT8 variants."""
