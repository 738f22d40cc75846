"""A residual network that several files quantize; traced once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # pytest's importlib mode puts no test folder on the path; the helpers are shared
    sys.path.append(str(HERE))

if TYPE_CHECKING:
    from residual_net import Residual


@pytest.fixture(scope="session")
def residual() -> Residual:
    """The network in float, what its layers reach, and reference results."""
    from residual_net import Residual

    return Residual()
