"""Biases that instance norm cancels."""

from __future__ import annotations

import onnx_ir as ir

from edge_i2i.graphs.passes.rewriting import optional, remove_unused


def drop_bias_before_instance_norm(model: ir.Model) -> int:
    """Remove the bias of every convolution that only feeds instance norms, which subtract the mean anyway."""
    count = 0
    for node in model.graph:
        if node.op_type not in ("Conv", "ConvTranspose") or optional(node, 2) is None:
            continue
        output = node.outputs[0]
        consumers = [use.node for use in output.uses()]
        if consumers and not output.is_graph_output() and all(c.op_type == "InstanceNormalization" for c in consumers):
            node.replace_input_with(2, None)
            count += 1
    remove_unused(model)
    return count
