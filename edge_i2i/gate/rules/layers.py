"""Convolutions, products of matrices, norms, pools, reductions and quantizers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from edge_i2i.gate.facts import (
    BYTES,
    FLOATS,
    NUMBERS,
    Fact,
    Given,
    Outcome,
    Rule,
    RuleError,
    Rules,
    an_axis,
    axes_of,
    broadcast,
    gives,
)

_LONGEST_STEP = 64  # of kernels; OpenVINO ends the process at steps of some ten thousands
_AXES = 2  # of a picture: not every engine takes lines and volumes
_COLUMN_BYTES = 4  # they compute in FP32
_INTEGER_WEIGHTS = BYTES | {"int32"}
_SCALES = frozenset({"float32"})  # others are of later operator sets


def _conv(given: Given) -> Outcome:
    x, weight = given.same(2, FLOATS)
    window = _Window(given, x, weight.shape[2:])
    groups = given.whole("group", 1, range(1, 1 << 16))
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise RuleError(f"reads {x.shape[1]} channels with weights {list(weight.shape)} in {groups} groups")
    _per_channel(given, 2, weight.shape[0], x.dtype)
    shape = (x.shape[0], weight.shape[0], *window.shrunk())
    return gives(x.dtype, shape, math.prod(shape) * math.prod(weight.shape[1:]))


def _conv_transpose(given: Given) -> Outcome:
    x, weight = given.same(2, FLOATS)
    window = _Window(given, x, weight.shape[2:])
    groups = given.whole("group", 1, range(1, 1 << 16))
    if x.shape[1] != weight.shape[0] or weight.shape[0] % groups:
        raise RuleError(f"reads {x.shape[1]} channels with weights {list(weight.shape)} in {groups} groups")
    channels = weight.shape[1] * groups
    _per_channel(given, 2, channels, x.dtype)
    products = x.size * math.prod(weight.shape[1:])
    columns = products // x.shape[1] * groups  # what ONNX Runtime and torch keep before they add it up
    fact = Fact(x.dtype, (x.shape[0], channels, *window.grown()))
    return Outcome((fact,), products, columns // x.shape[0] * _COLUMN_BYTES)


class _Window:
    """How a kernel goes over a picture; everything about it is checked when it is read."""

    def __init__(self, given: Given, x: Fact, kernel: Sequence[int]) -> None:
        self._sides = x.shape[2:]
        count = len(self._sides)
        if count != _AXES or len(kernel) != count or min(kernel) < 1:
            raise RuleError(f"moves a kernel of {list(kernel)} over {list(x.shape)}")
        if "kernel_shape" in given.node.attributes and given.wholes("kernel_shape", count, 1) != tuple(kernel):
            raise RuleError("says another kernel than its weights have")
        self._strides = given.wholes("strides", count, 1, low=1, high=_LONGEST_STEP)
        self._dilations = given.wholes("dilations", count, 1, low=1, high=_LONGEST_STEP)
        self._added = given.wholes("output_padding", count, 0)
        pads = given.wholes("pads", 2 * count, 0)
        self._reach = [dilation * (side - 1) + 1 for dilation, side in zip(self._dilations, kernel, strict=True)]
        self._pads = list(zip(pads[:count], pads[count:], strict=True))
        if any(max(both) >= reach for both, reach in zip(self._pads, self._reach, strict=True) if max(both)):
            raise RuleError(f"pads by {list(pads)}, as much as its kernel reaches")

    def shrunk(self) -> list[int]:
        """The sides behind a convolution or a pool."""
        columns = zip(self._sides, self._pads, self._reach, self._strides, strict=True)
        return [(side + sum(pads) - reach) // stride + 1 for side, pads, reach, stride in columns]

    def grown(self) -> list[int]:
        """The sides behind a transposed convolution."""
        if any(added >= max(s, d) for added, s, d in zip(self._added, self._strides, self._dilations, strict=True)):
            raise RuleError(f"adds {list(self._added)} to its output")
        columns = zip(self._sides, self._pads, self._reach, self._strides, self._added, strict=True)
        return [stride * (side - 1) + reach + added - sum(pads) for side, pads, reach, stride, added in columns]


def _pool(given: Given) -> Outcome:
    x = given.input(0, FLOATS)
    attribute = given.node.attributes.get("kernel_shape")
    kernel = tuple(attribute.value) if attribute is not None else ()
    given.whole("ceil_mode", 0, (0,))
    given.whole("storage_order", 0, (0,))
    given.whole("count_include_pad", 0, (0, 1))
    shape = (*x.shape[:2], *_Window(given, x, kernel).shrunk())
    return gives(x.dtype, shape, math.prod(shape) * math.prod(kernel))


def _global_pool(given: Given) -> Outcome:
    x = given.input(0, FLOATS)
    if len(x.shape) < 3:
        raise RuleError(f"pools {list(x.shape)}")
    return gives(x.dtype, (*x.shape[:2], *(1 for _ in x.shape[2:])), x.size)


def _channel_norm(extra: int) -> Rule:
    """A norm of ``[N, C, …]`` with one number a channel in each of its further inputs."""

    def rule(given: Given) -> Outcome:
        x = given.input(0, FLOATS)
        if len(x.shape) < 3:
            raise RuleError(f"normalises {list(x.shape)}")
        for index in range(1, 1 + extra):
            given.input(index)
            _per_channel(given, index, x.shape[1], x.dtype)
        given.whole("training_mode", 0, (0,))
        _check_epsilon(given)
        return gives(x.dtype, x.shape, 4 * x.size)

    return rule


def _layer_norm(given: Given) -> Outcome:
    x, scale = given.same(2, FLOATS)
    axis = given.axis(len(x.shape), -1)
    for fact in (scale, given.optional(2, FLOATS)):
        if fact is not None and (fact.dtype != x.dtype or fact.shape != x.shape[axis:]):
            raise RuleError("has a scale of another shape than what it normalises")
    _check_epsilon(given)
    return gives(x.dtype, x.shape, 4 * x.size)


def _check_epsilon(given: Given) -> None:
    epsilon = given.node.attributes.get("epsilon")
    if epsilon is not None and not 0 <= epsilon.value <= 1:
        raise RuleError(f"has epsilon = {epsilon.value:g}")


def _per_channel(given: Given, index: int, channels: int, dtype: str) -> None:
    fact = given.optional(index)
    if fact is not None and (fact.shape != (channels,) or fact.dtype != dtype):
        raise RuleError(
            f"has {fact.dtype}{list(fact.shape)} where it needs one {dtype} for each of {channels} channels"
        )


def _gemm(given: Given) -> Outcome:
    a, b = given.same(2, FLOATS)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise RuleError(f"multiplies {list(a.shape)} by {list(b.shape)}")
    rows, inner = a.shape[::-1] if given.whole("transA", 0, (0, 1)) else a.shape
    other, columns = b.shape[::-1] if given.whole("transB", 0, (0, 1)) else b.shape
    bias = given.optional(2)
    if inner != other:
        raise RuleError(f"multiplies {list(a.shape)} by {list(b.shape)}")
    if bias is not None and (bias.dtype != a.dtype or broadcast(bias.shape, (rows, columns)) != (rows, columns)):
        raise RuleError("adds what does not fit its product")
    return gives(a.dtype, (rows, columns), rows * columns * inner)


def _matmul(given: Given) -> Outcome:
    a, b = given.same(2, FLOATS)
    if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
        raise RuleError(f"multiplies {list(a.shape)} by {list(b.shape)}")
    shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return gives(a.dtype, shape, math.prod(shape) * a.shape[-1])


def _mean(given: Given) -> Outcome:
    given.input(0, FLOATS)
    return _reduction(given)


def _reduction(given: Given) -> Outcome:
    x = given.input(0, NUMBERS)
    rank = len(x.shape)
    named = given.known(1) if given.given(1) else []
    if not named and given.whole("noop_with_empty_axes", 0, (0, 1)):
        return gives(x.dtype, x.shape)
    axes = axes_of(named, rank) or list(range(rank))
    keeps = given.whole("keepdims", 1, (0, 1))
    shape = [1 if axis in axes else side for axis, side in enumerate(x.shape) if keeps or axis not in axes]
    return gives(x.dtype, shape, x.size)


def _softmax(given: Given) -> Outcome:
    x = given.input(0, FLOATS)
    given.axis(len(x.shape), -1)
    return gives(x.dtype, x.shape, 4 * x.size)


def _quantize(given: Given) -> Outcome:
    x, scale = given.same(2, _SCALES)
    zero = given.optional(2, BYTES)
    _check_quantizer(given, x, scale, zero)
    return gives("uint8" if zero is None else zero.dtype, x.shape)


def _dequantize(given: Given) -> Outcome:
    x, scale = given.input(0, _INTEGER_WEIGHTS), given.input(1, _SCALES)
    zero = given.optional(2, _INTEGER_WEIGHTS)
    if zero is not None and zero.dtype != x.dtype:
        raise RuleError("has a zero point of another type than its integers")
    _check_quantizer(given, x, scale, zero)
    return gives(scale.dtype, x.shape)


def _check_quantizer(given: Given, x: Fact, scale: Fact, zero: Fact | None) -> None:
    """One scale, or one for each row of an axis; written in the file and above zero."""
    axis = given.whole("axis", 1)
    if scale.shape not in ((), (1,)) and scale.shape != (x.shape[an_axis(axis, len(x.shape))],):
        raise RuleError(f"has scales of the shape {list(scale.shape)} for {list(x.shape)}")
    if zero is not None and (zero.shape != scale.shape or zero.known is None):
        raise RuleError("has zero points that do not fit its scales")
    if scale.known is None or not bool(np.all(np.isfinite(scale.known) & (scale.known > 0))):
        raise RuleError("has scales that are computed, or not above zero")


RULES: Rules = MappingProxyType(
    {
        "AveragePool": _pool,
        "BatchNormalization": _channel_norm(4),
        "Conv": _conv,
        "ConvTranspose": _conv_transpose,
        "DequantizeLinear": _dequantize,
        "Gemm": _gemm,
        "GlobalAveragePool": _global_pool,
        "InstanceNormalization": _channel_norm(2),
        "LayerNormalization": _layer_norm,
        "MatMul": _matmul,
        "MaxPool": _pool,
        "QuantizeLinear": _quantize,
        "Softmax": _softmax,
        **dict.fromkeys(("ReduceL2", "ReduceMean"), _mean),
        **dict.fromkeys(("ReduceMax", "ReduceMin", "ReduceSum"), _reduction),
    }
)
"""The rules by operator."""
