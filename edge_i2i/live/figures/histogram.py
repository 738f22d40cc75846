"""Durations in fixed memory: log-linear buckets as in HDR histograms, 1 % off at most, for ever.

Each octave from 1 µs to 134 s is cut into 64 equal buckets, so that a bucket's middle is at most 1/128 of a value away
from anything in it. Recording is one increment.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_i2i.errors import UsageError

SMALLEST = 1e-6
"""Seconds. What took less is told apart from nothing else that did."""

LARGEST = 100.0
"""Seconds. What took longer counts as longer, and only the maximum tells how long."""

_PER_OCTAVE = 64
_OCTAVES = 27  # 2**27 µs = 134 s
_BUCKETS = 1 + _OCTAVES * _PER_OCTAVE  # the first holds what took less than SMALLEST


class Histogram:
    """How often each duration (seconds) occurred. Not thread-safe: who shares one guards it."""

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _BUCKETS))
        self.count = 0
        self.sum = 0.0
        self.min = math.inf
        self.max = 0.0

    def record(self, seconds: float) -> None:
        """Count a duration in seconds; a negative one counts as 0.

        Raises:
            ValueError: the duration is NaN.
        """
        self._counts[_bucket(seconds)] += 1
        seconds = max(seconds, 0.0)
        self.count += 1
        self.sum += seconds
        self.min, self.max = min(self.min, seconds), max(self.max, seconds)

    def quantile(self, share: float) -> float:
        """The duration in seconds that ``share`` (0 to 1) of all were not longer than; 0 where there is none.

        It is what ``numpy.quantile(…, method="inverted_cdf")`` gives, within 1 % between ``SMALLEST`` and ``LARGEST``.

        Raises:
            UsageError: the share is out of range.
        """
        return self.quantiles(share)[0]

    def quantiles(self, *shares: float) -> list[float]:
        """Several quantiles at once, each like ``quantile``; it takes little longer than one.

        Raises:
            UsageError: a share is out of range.
        """
        if odd := [share for share in shares if not 0.0 <= share <= 1.0]:
            raise UsageError(f"{odd[0]:g} is no quantile.", remedy="Give a number from 0 to 1.")
        if not self.count:
            return [0.0] * len(shares)
        ranks = [max(1, math.ceil(share * self.count)) for share in shares]
        reached = np.cumsum(np.frombuffer(self._counts, np.uint64))
        found = np.searchsorted(reached, np.array(ranks, np.uint64)).tolist()
        return [self._value(index, rank) for index, rank in zip(found, ranks, strict=True)]

    def _value(self, index: int, rank: int) -> float:
        low, high = _bounds(index)
        return self.max if rank == self.count else min(max((low + high) / 2, self.min), self.max)

    def merge(self, other: Histogram) -> None:
        """Add what another one has counted."""
        for index, count in enumerate(other._counts):
            self._counts[index] += count
        self.count += other.count
        self.sum += other.sum
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)

    def as_json(self) -> Mapping[str, Any]:
        """Everything it knows: ``buckets`` holds ``[from, below, count]`` for each that is not empty, in seconds."""
        buckets = [[*_bounds(index), count] for index, count in enumerate(self._counts) if count]
        least = self.min if self.count else 0.0
        return {"count": self.count, "sum_s": self.sum, "min_s": least, "max_s": self.max, "buckets": buckets}


def _bucket(seconds: float) -> int:
    if seconds < SMALLEST:
        return 0
    if seconds >= LARGEST:
        seconds = LARGEST
    fraction, exponent = math.frexp(seconds / SMALLEST)  # fraction · 2**exponent, the fraction from 0.5 to below 1
    return max(1, 1 + (exponent - 1) * _PER_OCTAVE + int((fraction * 2 - 1) * _PER_OCTAVE))


def _bounds(index: int) -> tuple[float, float]:
    """The durations of a bucket: from, and below, in seconds."""
    if index == 0:
        return 0.0, SMALLEST
    octave, part = divmod(index - 1, _PER_OCTAVE)
    step = SMALLEST * 2.0**octave / _PER_OCTAVE
    low = SMALLEST * 2.0**octave + part * step
    return low, low + step
