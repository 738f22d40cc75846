#!/usr/bin/env python
"""Export a network to a bundle and a TensorRT engine: the same as ``edge-i2i export trt``.

Example: python export/to_trt.py --model pix2pixhd --checkpoint latest_net_G.pth --size 512x1024 --precision fp16
"""

from edge_i2i.cli.export.trt import trt
from edge_i2i.cli.main import run_program

if __name__ == "__main__":
    run_program(trt)
