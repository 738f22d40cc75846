"""Small networks and graphs for the tests of tracing, rewriting and parity."""

from __future__ import annotations

import onnx_ir as ir
import pytest


@pytest.fixture(scope="session")
def traced_once() -> ir.Model:
    """The small network, traced; clone it before changing it."""
    from edge_i2i.graphs.trace import trace
    from samples.graphs.tiny import picture_graph, small_network

    return trace(picture_graph(small_network()))


@pytest.fixture
def traced(traced_once: ir.Model) -> ir.Model:
    """A copy of the traced small network."""
    return traced_once.clone()
