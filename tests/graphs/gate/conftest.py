"""The hostile graphs are shared."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # pytest's importlib mode puts no test folder on the path; the helpers are shared
    sys.path.append(str(HERE))
