"""Running an ONNX graph in torch, node by node, at the types that the graph declares.

This is the reference that every engine is held against, and the place where FP16 arithmetic is emulated on a CPU:
a FP16 convolution reads and writes FP16 values and accumulates in FP32, as tensor cores do, whereas ONNX Runtime's
CPU provider computes FP16 graphs in FP32 throughout (NVIDIA/TensorRT#4355).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from edge_i2i.engines.torch.interpreter import arithmetic, layers, layout
from edge_i2i.engines.torch.interpreter.arguments import Attributes, Operation
from edge_i2i.errors import GraphFileError

__all__ = ["OPERATIONS", "TorchGraph"]

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {**arithmetic.OPERATIONS, **layers.OPERATIONS, **layout.OPERATIONS}
)
"""Every ONNX operator that runs in torch, by name."""


@dataclass(frozen=True)
class _Node:
    operation: Operation
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes


class TorchGraph:
    """An ONNX model whose nodes run as torch operations. Weights live on ``device``; not thread-safe."""

    def __init__(self, model: onnx.ModelProto, device: str = "cpu") -> None:
        unknown = sorted({node.op_type for node in model.graph.node} - OPERATIONS.keys())
        if unknown:
            raise GraphFileError(
                f"The torch reference does not know the operations {', '.join(unknown)}.",
                remedy="Use another engine, or add them to edge_i2i/engines/torch/interpreter/.",
            )
        self.device = device
        self.input_names = [value.name for value in model.graph.input]
        self.output_names = [value.name for value in model.graph.output]
        self._weights = {item.name: _tensor(item).to(device) for item in model.graph.initializer}
        self._nodes = [_node(node) for node in model.graph.node]
        self._last_use = {name: i for i, node in enumerate(self._nodes) for name in (*node.outputs, *node.inputs)}

    @torch.no_grad()
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named tensors → named output tensors; a value is freed after its last use."""
        values = {name: inputs[name].to(self.device) for name in self.input_names}
        for i, node in enumerate(self._nodes):
            result = node.operation([self._lookup(values, name) for name in node.inputs], node.attributes)
            results = (result,) if isinstance(result, Tensor) else result
            values.update(zip(node.outputs, results, strict=True))
            for name in (*node.inputs, *node.outputs):
                if self._last_use[name] == i and name not in self.output_names:
                    values.pop(name, None)
        return {name: values[name] for name in self.output_names}

    def _lookup(self, values: Mapping[str, Tensor], name: str) -> Tensor | None:
        if not name:
            return None
        return values[name] if name in values else self._weights[name]


def _node(node: onnx.NodeProto) -> _Node:
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return _Node(OPERATIONS[node.op_type], tuple(node.input), tuple(node.output), attributes)


def _tensor(item: onnx.TensorProto) -> Tensor:
    array = numpy_helper.to_array(item)
    return torch.from_numpy(array.copy() if not array.flags.writeable else array)
