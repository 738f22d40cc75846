"""Running an ONNX graph in torch, node by node, at the types that the graph declares.

This is the reference that every engine is held against, and the place where FP16 arithmetic is emulated on a CPU:
a FP16 convolution reads and writes FP16 values and accumulates in FP32, as tensor cores do, whereas ONNX Runtime's
CPU provider computes FP16 graphs in FP32 throughout (NVIDIA/TensorRT#4355).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from edge_i2i.errors import GraphError

Attributes = Mapping[str, Any]
Operation = Callable[[list[Tensor | None], Attributes], Tensor]


class TorchGraph:
    """An ONNX model whose nodes run as torch operations. Weights live on ``device``; not thread-safe."""

    def __init__(self, model: onnx.ModelProto, device: str = "cpu") -> None:
        unknown = sorted({node.op_type for node in model.graph.node} - OPERATIONS.keys())
        if unknown:
            raise GraphError(
                f"The torch reference does not know the operations {', '.join(unknown)}.",
                remedy="Use another engine, or add them to graphs/interpreter.py.",
            )
        self.device = device
        self.input_names = [value.name for value in model.graph.input]
        self.output_names = [value.name for value in model.graph.output]
        self._weights = {item.name: _tensor(item).to(device) for item in model.graph.initializer}
        self._nodes = [
            (OPERATIONS[n.op_type], list(n.input), n.output[0], _attributes(n), n.op_type) for n in model.graph.node
        ]
        self._last_use = {name: i for i, (_, inputs, *_rest) in enumerate(self._nodes) for name in inputs}

    @torch.no_grad()
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named tensors → named output tensors; a value is freed after its last use."""
        values = {name: inputs[name].to(self.device) for name in self.input_names}
        for i, (operation, names, output, attributes, _) in enumerate(self._nodes):
            arguments = [self._lookup(values, name) for name in names]
            values[output] = operation(arguments, attributes)
            for name in names:
                if self._last_use[name] == i and name not in self.output_names:
                    values.pop(name, None)
        return {name: values[name] for name in self.output_names}

    def _lookup(self, values: Mapping[str, Tensor], name: str) -> Tensor | None:
        if not name:
            return None
        return values[name] if name in values else self._weights[name]


def _tensor(item: onnx.TensorProto) -> Tensor:
    array = numpy_helper.to_array(item)
    return torch.from_numpy(array.copy() if not array.flags.writeable else array)


def _attributes(node: onnx.NodeProto) -> Attributes:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _need(value: Tensor | None) -> Tensor:
    if value is None:
        raise GraphError("A required input of an ONNX node is missing.")
    return value


def _ints(value: Tensor | None) -> list[int]:
    return [int(number) for number in _need(value).reshape(-1).tolist()]


def _wide(x: Tensor) -> Tensor:
    """FP16 operands on a CPU are computed with in FP32: the accumulation that tensor cores do."""
    return x.float() if x.dtype is torch.float16 and x.device.type == "cpu" else x


def _explicit_pads(a: Attributes, spatial: int = 2) -> list[int]:
    """The declared padding; padding that follows from the size is refused rather than taken for none."""
    if a.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in a:
        raise GraphError("The torch reference takes explicit padding only, no auto_pad and no output_shape.")
    return list(a.get("pads", [0] * 2 * spatial))


def _symmetric(pads: list[int]) -> tuple[int, ...] | None:
    half = len(pads) // 2
    return tuple(pads[:half]) if pads[:half] == pads[half:] else None


def _conv(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x, weight = _need(inputs[0]), _need(inputs[1])
    bias = inputs[2] if len(inputs) > 2 else None
    spatial = weight.dim() - 2
    pads = _explicit_pads(a, spatial)
    padding = _symmetric(pads)
    data = _wide(x)
    if padding is None:
        data, padding = functional.pad(data, _torch_pads(pads, spatial)), (0,) * spatial
    result = functional.conv2d(
        data,
        _wide(weight),
        _wide(bias) if bias is not None else None,
        stride=tuple(a.get("strides", [1] * spatial)),
        padding=padding,
        dilation=tuple(a.get("dilations", [1] * spatial)),
        groups=a.get("group", 1),
    )
    return result.to(x.dtype)


def _conv_transpose(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x, weight = _need(inputs[0]), _need(inputs[1])
    bias = inputs[2] if len(inputs) > 2 else None
    padding = _symmetric(_explicit_pads(a))
    if padding is None:
        raise GraphError("The torch reference takes transposed convolutions with symmetric padding only.")
    result = functional.conv_transpose2d(
        _wide(x),
        _wide(weight),
        _wide(bias) if bias is not None else None,
        stride=tuple(a.get("strides", [1, 1])),
        padding=padding,
        output_padding=tuple(a.get("output_padding", [0, 0])),
        groups=a.get("group", 1),
        dilation=tuple(a.get("dilations", [1, 1])),
    )
    return result.to(x.dtype)


def _instance_norm(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x = _need(inputs[0])
    return functional.instance_norm(x, weight=inputs[1], bias=inputs[2], eps=a.get("epsilon", 1e-5))


def _torch_pads(pads: list[int], rank: int) -> list[int]:
    """ONNX order (all begins, all ends) → torch order (last axis first, begin and end together)."""
    return [pads[side * rank + axis] for axis in reversed(range(rank)) for side in (0, 1)]


def _pad(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x = _need(inputs[0])
    pads = _torch_pads(_pad_amounts(inputs, x.dim()), x.dim())
    while len(pads) > 2 and pads[-2:] == [0, 0]:
        pads = pads[:-2]
    mode = a.get("mode", b"constant").decode()
    if mode == "constant":
        fill = float(_need(inputs[2])) if len(inputs) > 2 and inputs[2] is not None else 0.0
        return functional.pad(x, pads, value=fill)
    return functional.pad(x, pads, mode={"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[mode])


def _pad_amounts(inputs: list[Tensor | None], rank: int) -> list[int]:
    """ONNX order for all axes, also where the amounts are given for some axes only."""
    given = _ints(inputs[1])
    if len(inputs) < 4 or inputs[3] is None:
        return given
    axes = [axis % rank for axis in _ints(inputs[3])]
    amounts = [0] * 2 * rank
    for i, axis in enumerate(axes):
        amounts[axis], amounts[rank + axis] = given[i], given[len(axes) + i]
    return amounts


def _average_pool(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x = _need(inputs[0])
    padding = _symmetric(_explicit_pads(a))
    if padding is None:
        raise GraphError("The torch reference takes average pools with symmetric padding only.")
    result = functional.avg_pool2d(
        _wide(x),
        tuple(a["kernel_shape"]),
        stride=tuple(a.get("strides", [1, 1])),
        padding=padding,
        ceil_mode=bool(a.get("ceil_mode", 0)),
        count_include_pad=bool(a.get("count_include_pad", 0)),
    )
    return result.to(x.dtype)


def _slice(inputs: list[Tensor | None], _: Attributes) -> Tensor:
    x = _need(inputs[0])
    starts, ends = _ints(inputs[1]), _ints(inputs[2])
    axes = _ints(inputs[3]) if len(inputs) > 3 and inputs[3] is not None else list(range(len(starts)))
    steps = _ints(inputs[4]) if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        positions = list(_positions(x.shape[axis], start, end, step))
        x = x.index_select(axis, torch.tensor(positions, device=x.device, dtype=torch.int64))
    return x


def _positions(side: int, start: int, end: int, step: int) -> range:
    """What a Slice takes of an axis. Unlike Python, ONNX clamps a start below the axis to its first element."""
    start, end = (bound + side if bound < 0 else bound for bound in (start, end))
    if step > 0:
        return range(min(max(start, 0), side), min(max(end, 0), side), step)
    return range(min(max(start, 0), side - 1), min(max(end, -1), side - 1), step)


def _reshape(inputs: list[Tensor | None], _: Attributes) -> Tensor:
    x, shape = _need(inputs[0]), _ints(inputs[1])
    return x.reshape([x.shape[i] if side == 0 else side for i, side in enumerate(shape)])


def _unsqueeze(inputs: list[Tensor | None], _: Attributes) -> Tensor:
    x, axes = _need(inputs[0]), _ints(inputs[1])
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(inputs: list[Tensor | None], _: Attributes) -> Tensor:
    x = _need(inputs[0])
    return x.squeeze(tuple(_ints(inputs[1]))) if len(inputs) > 1 else x.squeeze()


def _gather(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x, index = _need(inputs[0]), _need(inputs[1])
    axis = a.get("axis", 0) % x.dim()
    picked = x.index_select(axis, _from_front(index, x.shape[axis]).reshape(-1))
    return picked.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _from_front(index: Tensor, side: int) -> Tensor:
    """ONNX counts negative indices from the end; torch takes none."""
    return index.to(torch.int64) % side


def _gather_elements(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x, index = _need(inputs[0]), _need(inputs[1])
    axis = a.get("axis", 0) % x.dim()
    return x.gather(axis, _from_front(index, x.shape[axis]))


def _scatter_elements(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x, index, updates = (_need(value) for value in inputs[:3])
    if a.get("reduction", b"none") != b"add":
        raise GraphError("The torch reference takes ScatterElements with reduction 'add' only.")
    axis = a.get("axis", 0) % x.dim()
    return x.scatter_add(axis, _from_front(index, x.shape[axis]), updates)


def _clip(inputs: list[Tensor | None], _: Attributes) -> Tensor:
    low = inputs[1] if len(inputs) > 1 else None
    high = inputs[2] if len(inputs) > 2 else None
    x = _need(inputs[0])
    return x if low is None and high is None else torch.clamp(x, min=low, max=high)


_DTYPES: Mapping[int, torch.dtype] = MappingProxyType(
    {
        onnx.TensorProto.FLOAT: torch.float32,
        onnx.TensorProto.FLOAT16: torch.float16,
        onnx.TensorProto.DOUBLE: torch.float64,
        onnx.TensorProto.UINT8: torch.uint8,
        onnx.TensorProto.INT8: torch.int8,
        onnx.TensorProto.INT32: torch.int32,
        onnx.TensorProto.INT64: torch.int64,
        onnx.TensorProto.BOOL: torch.bool,
    }
)


def _cast(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    if a["to"] not in _DTYPES:
        raise GraphError(f"The torch reference has no type {onnx.TensorProto.DataType.Name(a['to'])}.")
    return _need(inputs[0]).to(_DTYPES[a["to"]])


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def _expand(inputs: list[Tensor | None], _: Attributes) -> Tensor:
    x = _need(inputs[0])
    return x.expand_as(x + x.new_zeros(_ints(inputs[1])))


def _transpose(inputs: list[Tensor | None], a: Attributes) -> Tensor:
    x = _need(inputs[0])
    return x.permute(tuple(a.get("perm", reversed(range(x.dim())))))


def _variadic(operation: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda inputs, _: functools.reduce(operation, (_need(value) for value in inputs))


def _binary(operation: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda inputs, _: operation(_need(inputs[0]), _need(inputs[1]))


def _unary(operation: Callable[[Tensor], Tensor]) -> Operation:
    return lambda inputs, _: operation(_need(inputs[0]))


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "Add": _binary(torch.add),
        "AveragePool": _average_pool,
        "Cast": _cast,
        "Clip": _clip,
        "Concat": lambda inputs, a: torch.cat([_need(value) for value in inputs], dim=a["axis"]),
        "Conv": _conv,
        "ConvTranspose": _conv_transpose,
        "Div": _binary(_divide),
        "Equal": _binary(torch.eq),
        "Expand": _expand,
        "Gather": _gather,
        "GatherElements": _gather_elements,
        "Identity": _unary(lambda x: x),
        "InstanceNormalization": _instance_norm,
        "LeakyRelu": lambda inputs, a: functional.leaky_relu(_need(inputs[0]), a.get("alpha", 0.01)),
        "MatMul": _binary(torch.matmul),
        "Max": _variadic(torch.maximum),
        "Min": _variadic(torch.minimum),
        "Mul": _binary(torch.mul),
        "Not": _unary(torch.logical_not),
        "Pad": _pad,
        "Relu": _unary(torch.relu),
        "Reshape": _reshape,
        "Round": _unary(torch.round),
        "ScatterElements": _scatter_elements,
        "Slice": _slice,
        "Squeeze": _squeeze,
        "Sub": _binary(torch.sub),
        "Tanh": _unary(torch.tanh),
        "Transpose": _transpose,
        "Unsqueeze": _unsqueeze,
    }
)
