#!/usr/bin/env python
"""The live demo: `edge-i2i live` under another name.

Example: python runtime/webcam.py city.i2i --source 0 --sink window --hud
"""

from edge_i2i.cli.live import live
from edge_i2i.cli.main import run_program

if __name__ == "__main__":
    run_program(live)
