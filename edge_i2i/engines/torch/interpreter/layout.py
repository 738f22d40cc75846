"""Operations that move values, pick some of them, or make new ones: shapes, slices, indices."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from onnx import numpy_helper
from torch import Tensor

from edge_i2i.engines.torch.interpreter.arguments import Attributes, Inputs, Operation, ints, need, optional, text
from edge_i2i.errors import GraphFileError


def _slice(inputs: Inputs, _: Attributes) -> Tensor:
    x = need(inputs[0])
    starts, ends = ints(inputs[1]), ints(inputs[2])
    named, stepped = optional(inputs, 3), optional(inputs, 4)
    axes = list(range(len(starts))) if named is None else ints(named)
    steps = [1] * len(starts) if stepped is None else ints(stepped)
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


def _reshape(inputs: Inputs, a: Attributes) -> Tensor:
    x, shape = need(inputs[0]), ints(inputs[1])
    if a.get("allowzero", 0):
        return x.reshape(shape)
    return x.reshape([x.shape[i] if side == 0 else side for i, side in enumerate(shape)])


def _flatten(inputs: Inputs, a: Attributes) -> Tensor:
    x = need(inputs[0])
    axis = a.get("axis", 1)
    rows = x.shape[: axis + x.dim() if axis < 0 else axis].numel()
    return x.reshape(rows, x.numel() // max(rows, 1))


def _unsqueeze(inputs: Inputs, _: Attributes) -> Tensor:
    x, axes = need(inputs[0]), ints(inputs[1])
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(inputs: Inputs, _: Attributes) -> Tensor:
    x, axes = need(inputs[0]), optional(inputs, 1)
    return x.squeeze() if axes is None else x.squeeze(tuple(ints(axes)))


def _split(inputs: Inputs, a: Attributes) -> tuple[Tensor, ...]:
    x, sizes, axis = need(inputs[0]), optional(inputs, 1), a.get("axis", 0)
    if sizes is not None:
        return torch.split(x, ints(sizes), axis)
    if "num_outputs" not in a:
        raise GraphFileError("The torch reference takes Split with sizes or num_outputs only.")
    return torch.split(x, -(-x.shape[axis] // a["num_outputs"]), axis)


def _from_front(index: Tensor, side: int) -> Tensor:
    """ONNX counts negative indices from the end; torch takes none."""
    return index.to(torch.int64) % side


def _gather(inputs: Inputs, a: Attributes) -> Tensor:
    x, index = need(inputs[0]), need(inputs[1])
    axis = a.get("axis", 0) % x.dim()
    picked = x.index_select(axis, _from_front(index, x.shape[axis]).reshape(-1))
    return picked.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _gather_elements(inputs: Inputs, a: Attributes) -> Tensor:
    x, index = need(inputs[0]), need(inputs[1])
    axis = a.get("axis", 0) % x.dim()
    return x.gather(axis, _from_front(index, x.shape[axis]))


def _gather_nd(inputs: Inputs, a: Attributes) -> Tensor:
    x, index = need(inputs[0]), need(inputs[1])
    if a.get("batch_dims", 0):
        raise GraphFileError("The torch reference takes GatherND without batch dimensions only.")
    places = [_from_front(part, x.shape[axis]) for axis, part in enumerate(index.unbind(-1))]
    return x[tuple(places)]


def _scatter_elements(inputs: Inputs, a: Attributes) -> Tensor:
    x, index, updates = (need(value) for value in inputs[:3])
    if text(a, "reduction", "none") != "add":
        raise GraphFileError("The torch reference takes ScatterElements with reduction 'add' only.")
    axis = a.get("axis", 0) % x.dim()
    return x.scatter_add(axis, _from_front(index, x.shape[axis]), updates)


def _depth_to_space(inputs: Inputs, a: Attributes) -> Tensor:
    x, block = need(inputs[0]), a["blocksize"]
    batch, channels, height, width = x.shape
    deep = channels // block**2
    if text(a, "mode", "DCR") == "CRD":
        parts, order = (batch, deep, block, block, height, width), (0, 1, 4, 2, 5, 3)
    else:
        parts, order = (batch, block, block, deep, height, width), (0, 3, 4, 1, 5, 2)
    return x.reshape(parts).permute(order).reshape(batch, deep, height * block, width * block)


def _space_to_depth(inputs: Inputs, a: Attributes) -> Tensor:
    x, block = need(inputs[0]), a["blocksize"]
    batch, channels, height, width = x.shape
    parts = x.reshape(batch, channels, height // block, block, width // block, block)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * block**2, height // block, width // block)


def _expand(inputs: Inputs, _: Attributes) -> Tensor:
    """Unlike in torch, both shapes may have sides of 1 that the other stretches."""
    x, shape = need(inputs[0]), ints(inputs[1])
    rank = max(x.dim(), len(shape))
    x = x.reshape([1] * (rank - x.dim()) + list(x.shape))
    wanted = [1] * (rank - len(shape)) + shape
    return x.expand([have if want == 1 else want for have, want in zip(x.shape, wanted, strict=True)])


def _transpose(inputs: Inputs, a: Attributes) -> Tensor:
    x = need(inputs[0])
    return x.permute(tuple(a.get("perm", reversed(range(x.dim())))))


def _constant_of_shape(inputs: Inputs, a: Attributes) -> Tensor:
    shape = need(inputs[0])
    value = torch.zeros(1) if "value" not in a else torch.from_numpy(numpy_helper.to_array(a["value"]).copy())
    return value.to(shape.device).reshape(()).expand(ints(shape))


def _range(inputs: Inputs, _: Attributes) -> Tensor:
    start, limit, step = (need(value) for value in inputs)
    bounds = [value.item() for value in (start, limit, step)]
    return torch.arange(*bounds, dtype=start.dtype, device=start.device)


def _shape(inputs: Inputs, a: Attributes) -> Tensor:
    x = need(inputs[0])
    return torch.tensor(x.shape[a.get("start", 0) : a.get("end")], dtype=torch.int64, device=x.device)


def _cumulative_sum(inputs: Inputs, a: Attributes) -> Tensor:
    x, (axis,) = need(inputs[0]), ints(inputs[1])
    if a.get("reverse", 0) or a.get("exclusive", 0):
        raise GraphFileError("The torch reference takes CumSum forwards and inclusive only.")
    return x.cumsum(axis, dtype=x.dtype)


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "Concat": lambda inputs, a: torch.cat([need(value) for value in inputs], dim=a["axis"]),
        "ConstantOfShape": _constant_of_shape,
        "CumSum": _cumulative_sum,
        "DepthToSpace": _depth_to_space,
        "Expand": _expand,
        "Flatten": _flatten,
        "Gather": _gather,
        "GatherElements": _gather_elements,
        "GatherND": _gather_nd,
        "Range": _range,
        "Reshape": _reshape,
        "ScatterElements": _scatter_elements,
        "Shape": _shape,
        "Slice": _slice,
        "SpaceToDepth": _space_to_depth,
        "Split": _split,
        "Squeeze": _squeeze,
        "Tile": lambda inputs, _: need(inputs[0]).tile(tuple(ints(inputs[1]))),
        "Transpose": _transpose,
        "Unsqueeze": _unsqueeze,
    }
)
