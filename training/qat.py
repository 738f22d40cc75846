#!/usr/bin/env python
"""Fine-tune a network under INT8 rounding: the same as ``edge-i2i qat``.

Example: python training/qat.py city.i2i --data photos --target tensorrt --steps 500 --output city-qat.i2i
"""

from edge_i2i.cli.main import run_program
from edge_i2i.cli.qat import qat

if __name__ == "__main__":
    run_program(qat)
