#!/usr/bin/env python
"""Train a generator from a recipe: the same as ``edge-i2i train``.

Example: python training/train.py --recipe training/recipes/demo.yaml --output runs/demo
"""

from edge_i2i.cli.main import run_program
from edge_i2i.cli.train import train

if __name__ == "__main__":
    run_program(train)
