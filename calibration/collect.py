#!/usr/bin/env python
"""Choose calibration frames from a camera, a video or a folder: the same as ``edge-i2i collect``.

Example: python calibration/collect.py drive.mp4 --output frames --count 32
"""

from edge_i2i.cli.collect import collect
from edge_i2i.cli.main import run_program

if __name__ == "__main__":
    run_program(collect)
