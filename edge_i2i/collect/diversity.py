"""Choosing few points that stand for many: farthest-point sampling, and a bounded reservoir for endless streams."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")


def farthest_points(points: NDArray[Any], count: int) -> list[int]:
    """Indices of ``count`` points that cover all, best first: farthest-point sampling (Gonzalez 1985).

    The first is the point nearest to the mean, each following one is the farthest from all before it, so that every
    beginning of the list is itself a covering set. ``points`` is ``[N, D]``; ``count`` >= N gives every index. Ties go
    to the point whose coordinates come first in order: a permutation of the points gives the same choice of points.
    """
    order = np.lexsort(points.T[::-1])
    rows = points[order].astype(np.float64)
    chosen: list[int] = []
    gap = np.full(len(rows), np.inf)
    candidate = int(np.argmin(_distances(rows, rows.mean(axis=0)))) if len(rows) else 0
    for _ in range(min(count, len(rows))):
        chosen.append(candidate)
        gap = np.minimum(gap, _distances(rows, rows[candidate]))
        gap[candidate] = -np.inf
        candidate = int(np.argmax(gap))
    return [int(order[row]) for row in chosen]


def nearest_distances(points: NDArray[Any], centres: NDArray[Any]) -> NDArray[np.float64]:
    """For each of ``points`` ``[N, D]``, the distance ``[N]`` to the nearest one of ``centres`` ``[K, D]``."""
    rows = points.astype(np.float64)
    nearest = np.full(len(rows), np.inf)
    for centre in centres.astype(np.float64):
        nearest = np.minimum(nearest, _distances(rows, centre))
    return nearest


class Novelty(Enum):
    """What a reservoir says about a point: it adds something, or lies near a candidate, or very near to one."""

    NEW = auto()
    SIMILAR = auto()
    NEAR_DUPLICATE = auto()


class Reservoir(Generic[Item]):
    """At most ``capacity`` candidates that lie apart, for a stream of any length, with what belongs to each.

    A point within ``radius`` of a candidate is not taken. ``radius`` begins at ``duplicate_distance``. Whenever there
    is one candidate too many, the two nearest to each other become one, the older, and the radius widens to their
    distance. Not the doubling algorithm (Charikar, Chekuri, Feder and Motwani 1997): features of frames lie about
    equally far from each other, so that doubling the radius leaves one candidate where there were a hundred.

    Time a point: O(capacity x dimensions); memory: O(capacity²), whatever the length of the stream.

    Args:
        capacity: the most candidates that are kept, at least 1.
        dimensions: the length D of each point.
        duplicate_distance: how near to a candidate a point is a near-duplicate of it.
    """

    def __init__(self, capacity: int, dimensions: int, duplicate_distance: float) -> None:
        self.radius = duplicate_distance
        self._duplicate_distance = duplicate_distance
        self._points = np.zeros((capacity + 1, dimensions), np.float32)
        self._between = np.full((capacity + 1, capacity + 1), np.inf, np.float32)  # infinite to itself
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> Sequence[Item]:
        """The item that came with each candidate, in the order of ``points``."""
        return self._items

    @property
    def points(self) -> NDArray[np.float32]:
        """The candidates, float32 ``[N, D]``, in the order of ``items``."""
        return self._points[: len(self)]

    def judge(self, point: NDArray[np.float32]) -> Novelty:
        """Whether to ``add`` this point, ``[D]``; if not, how near the nearest candidate is."""
        if not self._items:
            return Novelty.NEW
        distance = _distances(self.points, point).min()
        if distance <= self._duplicate_distance:
            return Novelty.NEAR_DUPLICATE
        return Novelty.SIMILAR if distance <= self.radius else Novelty.NEW

    def add(self, point: NDArray[np.float32], item: Item) -> Item | None:
        """Take a new candidate; returns what belongs to the one that had to give way, perhaps the new one itself."""
        size = len(self)
        self._between[size, :size] = self._between[:size, size] = _distances(self.points, point)
        self._points[size] = point
        self._items.append(item)
        return self._merge_nearest() if len(self) == len(self._points) else None

    def _merge_nearest(self) -> Item:
        older, younger = divmod(int(np.argmin(self._between)), len(self._between))  # symmetric: the upper half is first
        self.radius = max(self.radius, float(self._between[older, younger]))
        kept = np.delete(np.arange(len(self)), younger)
        self._points[:-1] = self._points[kept]
        self._between[:-1, :-1] = self._between[np.ix_(kept, kept)]
        self._between[-1, :] = self._between[:, -1] = np.inf
        return self._items.pop(younger)


class EvenSample:
    """At most ``capacity`` points of a stream of any length, evenly spread over it; all of them while they fit."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._stride, self._seen = capacity, 1, 0
        self._kept: list[NDArray[np.float32]] = []

    @property
    def points(self) -> NDArray[np.float32]:
        """The sample, float32 ``[N, D]``."""
        return np.array(self._kept, np.float32)

    def add(self, point: NDArray[np.float32]) -> None:
        """The next point of the stream, ``[D]``."""
        if self._seen % self._stride == 0:
            if len(self._kept) == self._capacity:
                self._kept, self._stride = self._kept[::2], 2 * self._stride
            if self._seen % self._stride == 0:
                self._kept.append(point)
        self._seen += 1


def _distances(points: NDArray[Any], point: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.sqrt(np.square(points - point).sum(axis=1)))
