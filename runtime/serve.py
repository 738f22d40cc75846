#!/usr/bin/env python
"""The web page: `edge-i2i serve` under another name.

Example: python runtime/serve.py city.i2i --open
"""

from edge_i2i.cli.main import run_program
from edge_i2i.cli.serve import serve

if __name__ == "__main__":
    run_program(serve)
