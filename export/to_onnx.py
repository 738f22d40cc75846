#!/usr/bin/env python
"""Export a network to a bundle of checked ONNX graphs: the same as ``edge-i2i export onnx``.

Example: python export/to_onnx.py --model pix2pixhd --checkpoint latest_net_G.pth --size 512x1024
"""

from edge_i2i.cli.export.onnx import onnx
from edge_i2i.cli.main import run_program

if __name__ == "__main__":
    run_program(onnx)
