"""The arithmetic of INT8: ranges of activations, scales and zero points."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import LARGEST_WEIGHT
from edge_i2i.errors import UsageError

_LARGEST = LARGEST_WEIGHT  # -128 stays unused, so that a range reaches as far below zero as above
_STEPS = 255
_TINY = float(np.finfo(np.float32).tiny)

_CLIPPED_SHARES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""Where a weight scale may lie, as shares of what covers the channel's largest weight."""

_ENOUGH_WEIGHTS = 2048
"""How many of a channel's weights the best scale is looked for on: full-size networks have ten thousand a channel."""


class Scheme(StrEnum):
    """How activations are written. Weights are signed, symmetric, one scale an output channel, in both.

    ``asymmetric``: uint8 with a zero point, all 256 levels for what the tensor reaches.
    ``zero-based``: uint8 from zero for what is never negative, int8 around zero for the rest; never a zero point, which
    integer kernels would have to take off again.
    ``symmetric``: int8 around zero, whatever the tensor holds.
    """

    ASYMMETRIC = "asymmetric"
    ZERO_BASED = "zero-based"
    SYMMETRIC = "symmetric"


@dataclass(frozen=True)
class Range:
    """The lowest and the highest value of a tensor."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse what is no range (NaN among it)."""
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise UsageError(f"{self.low:g} to {self.high:g} is no range.")

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Quantizer:
    """An activation's scale and zero point. ``dtype``: ``uint8`` or ``int8``."""

    scale: float
    zero_point: int
    dtype: str


def quantizer_for(reached: Range, scheme: Scheme) -> Quantizer:
    """The quantizer that covers a range; 0 is always a value of its own, because convolutions pad with it.

    >>> quantizer_for(Range(0.0, 2.55), Scheme.ASYMMETRIC)
    Quantizer(scale=0.01, zero_point=0, dtype='uint8')
    >>> quantizer_for(Range(-1.27, 0.5), Scheme.SYMMETRIC)
    Quantizer(scale=0.01, zero_point=0, dtype='int8')
    >>> [quantizer_for(reached, Scheme.ZERO_BASED).dtype for reached in (Range(0.0, 1.0), Range(-0.1, 1.0))]
    ['uint8', 'int8']
    """
    if is_signed(reached, scheme):
        return Quantizer(_as_float32(reached.largest / _LARGEST), 0, "int8")
    low, high = min(reached.low, 0.0), max(reached.high, 0.0)
    point = round(-low / max(high - low, _TINY) * _STEPS)
    # The zero point is rounded, so that one end would be cut off: both are covered instead.
    scale = max(-low / point if point else 0.0, high / (_STEPS - point) if point < _STEPS else 0.0)
    return Quantizer(_as_float32(scale), point, "uint8")


def is_signed(reached: Range, scheme: Scheme) -> bool:
    """Whether a tensor of that range is written as int8 around zero."""
    return scheme is Scheme.SYMMETRIC or (scheme is Scheme.ZERO_BASED and reached.low < 0)


def _as_float32(scale: float) -> float:
    """A scale as the file will hold it: shortest decimal form, never zero (a tensor that is zero everywhere)."""
    return float(str(np.float32(max(scale, _TINY))))


def weight_scales(weight: Array, axis: int, largest_step: int = LARGEST_WEIGHT) -> Array:
    """One scale for each output channel: that of the least squared error, never more than covers the largest weight.

    Args:
        weight: a convolution's weights.
        axis: the axis of output channels: 0 for Conv, 1 for ConvTranspose.
        largest_step: the largest integer that a weight may become.

    Returns:
        float32 ``[channels]``, positive.
    """
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1).astype(np.float32)
    largest = np.abs(rows).max(axis=1)
    rows = rows[:, :: -(-rows.shape[1] // _ENOUGH_WEIGHTS)]
    best = np.maximum(largest / largest_step, np.finfo(np.float32).tiny)
    least = _squared_error(rows, best, largest_step)
    for share in _CLIPPED_SHARES:
        scales = np.maximum(largest * share / largest_step, np.finfo(np.float32).tiny)
        error = _squared_error(rows, scales, largest_step)
        best, least = np.where(error < least, scales, best), np.minimum(error, least)
    return np.asarray(best, np.float32)


def quantize_weights(weight: Array, scales: Array, axis: int, largest_step: int = LARGEST_WEIGHT) -> Array:
    """The int8 weights of a convolution, of the same shape.

    Args:
        weight: a convolution's weights, float.
        scales: one for each output channel, ``[channels]``, positive.
        axis: the axis of output channels: 0 for Conv, 1 for ConvTranspose.
        largest_step: the largest integer that a weight may become, on either side of zero.
    """
    shape = [1] * weight.ndim
    shape[axis] = -1
    steps = np.rint(weight / scales.reshape(shape))
    return np.asarray(np.clip(steps, -largest_step, largest_step), np.int8)


class WeightMemo:
    """Weights that were quantized before, by content: variants of one graph differ in few of them.

    ``largest_step``: the largest integer that a weight may become.
    """

    def __init__(self, largest_step: int = LARGEST_WEIGHT) -> None:
        self.largest_step = largest_step
        self._known: dict[tuple[bytes, int], tuple[Array, Array]] = {}

    def quantize(self, weight: Array, axis: int) -> tuple[Array, Array]:
        """The int8 weights, and their scales of the least squared error."""
        key = hashlib.blake2b(np.ascontiguousarray(weight).data, digest_size=20).digest(), axis
        if key not in self._known:
            scales = weight_scales(weight, axis, self.largest_step)
            self._known[key] = quantize_weights(weight, scales, axis, self.largest_step), scales
        return self._known[key]


def _squared_error(rows: Array, scales: Array, largest_step: int) -> Array:
    steps = np.clip(np.rint(rows / scales[:, None]), -largest_step, largest_step)
    return np.asarray(np.square(rows - steps * scales[:, None]).sum(axis=1))
