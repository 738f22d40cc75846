"""Small networks and graphs for the tests of tracing, rewriting and parity."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx_ir as ir
import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # pytest's importlib mode puts no test folder on the path; the helpers are shared
    sys.path.append(str(HERE))


@pytest.fixture(scope="session")
def traced_once() -> ir.Model:
    """The small network, traced; clone it before changing it."""
    from tiny_graphs import picture_graph, small_network

    from edge_i2i.graphs.trace import trace

    return trace(picture_graph(small_network()))


@pytest.fixture
def traced(traced_once: ir.Model) -> ir.Model:
    """A copy of the traced small network."""
    return traced_once.clone()
