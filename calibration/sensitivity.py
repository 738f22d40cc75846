#!/usr/bin/env python
"""What each layer's INT8 does to the picture, as a table, a plot and a recipe: the same as ``edge-i2i sensitivity``.

Example: python calibration/sensitivity.py city.i2i --data photos --target openvino --plot sensitivity.png
"""

from edge_i2i.cli.main import run_program
from edge_i2i.cli.sensitivity import sensitivity

if __name__ == "__main__":
    run_program(sensitivity)
