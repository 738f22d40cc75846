"""The virtual clock, coded frames and other samples of this folder can be imported by name from the tests below it."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # pytest's importlib mode puts no test folder on the path
    sys.path.append(str(HERE))
