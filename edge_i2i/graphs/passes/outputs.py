"""The outputs that a finished file keeps."""

from __future__ import annotations

import onnx_ir as ir

from edge_i2i.graphs.parity import NETWORK_OUTPUT
from edge_i2i.graphs.passes.rewriting import remove_unused


def keep_declared_outputs(model: ir.Model) -> int:
    """Drop the float output that only parity needs."""
    kept = [value for value in model.graph.outputs if value.name != NETWORK_OUTPUT]
    dropped = len(model.graph.outputs) - len(kept)
    model.graph.outputs[:] = kept
    remove_unused(model)
    return dropped
