"""Puts the helpers of this folder on the path; a server for network sources."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # pytest's importlib mode puts no test folder on the path; the helpers are shared
    sys.path.append(str(HERE))


@pytest.fixture
def stream_server() -> Iterator[object]:
    """A server of streams on loopback."""
    from stream_server import StreamServer

    with StreamServer() as server:
        yield server
