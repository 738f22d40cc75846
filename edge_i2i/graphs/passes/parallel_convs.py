"""Convolutions side by side as one: SPADE's γ and β read the same tensor with kernels of the same shape."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.graphs.passes.convolutions import Convolution, read_convolution
from edge_i2i.graphs.passes.rewriting import (
    graph_of,
    initializer,
    insert,
    insert_several,
    integers,
    remove_unused,
    replace,
    required,
    static_shape,
)


def merge_parallel_convs(model: ir.Model) -> int:
    """Merge convolutions that read the same tensor in the same way into one, whose result is split by channels."""
    alike: dict[object, list[Convolution]] = defaultdict(list)
    for node in model.graph:
        conv = read_convolution(node)
        if conv is not None and conv.groups == 1:
            alike[id(node.inputs[0]), conv.kernel, conv.pads, conv.strides, conv.dilations].append(conv)
    groups = [convs for convs in alike.values() if len(convs) > 1]
    for convs in groups:
        _merge(convs)
    remove_unused(model)
    return len(groups)


def _merge(convs: list[Convolution]) -> None:
    first = convs[0]
    at, graph = first.node, graph_of(first.node)
    name = f"{required(at, 1).name}_merged"
    inputs = [required(at, 0), initializer(graph, np.concatenate([conv.weight for conv in convs]), name)]
    if any(conv.bias is not None for conv in convs):
        inputs.append(initializer(graph, np.concatenate([_bias(conv) for conv in convs]), f"{name}_bias"))
    shapes = [static_shape(conv.node.outputs[0]) or [] for conv in convs]
    channels = [len(conv.weight) for conv in convs]
    whole = [shapes[0][0], sum(channels), *shapes[0][2:]]
    merged = insert(at, "Conv", inputs, whole, pads=first.pads, strides=first.strides, dilations=first.dilations)
    parts = insert_several(at, "Split", [merged, integers(graph, channels)], shapes, axis=1)
    for conv, part in zip(convs, parts, strict=True):
        replace(conv.node, [part])


def _bias(conv: Convolution) -> Array:
    return np.zeros(len(conv.weight), conv.weight.dtype) if conv.bias is None else conv.bias
