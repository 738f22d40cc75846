#!/usr/bin/env python
"""Add INT8 variants that keep the picture to a bundle: the same as ``edge-i2i quantize``.

Example: python calibration/quantize.py city.i2i --data photos --target openvino
"""

from edge_i2i.cli.main import run_program
from edge_i2i.cli.quantize import quantize

if __name__ == "__main__":
    run_program(quantize)
