"""Temporal smoothing against flicker: where the *input* stands still, the output is blended with the one before.

A network answers a camera's noise with flicker of its own, far stronger than the noise. Averaging over time takes it
away, and smears whatever moves. So the average is gated: cells of 8x8 pixels of the input are compared with what the
output still remembers of them (an average that is gated alike, so that slow motion adds up until it is seen), and
where they differ, or a neighbour does, the new output is taken as it is. The gate is hard: what it parts differs by
the flicker only, else it would be open.

Nothing is remembered across a new epoch, another size, another look, or a cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, Stopwatch
from edge_i2i.errors import UsageError
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Process, Processed
from edge_i2i.live.steps.step import Decorator, with_seconds

CELL = 8
"""Pixels. The mean of a cell has an eighth of a pixel's noise, and a cell is smaller than what people see move."""

Map = NDArray[np.float32]


@dataclass(frozen=True)
class SmoothingOptions:
    """How much is smoothed.

    ``share``: of the output before, where nothing moves; flicker falls to sqrt((1 - share) / (1 + share)) of what it
    was: 0.7 to 42 %. ``moved``: difference of a cell's mean, in grey levels of any channel, from which it counts as
    moved; a camera's noise (3 to 8 levels a pixel) makes 1 to 4 of them, at most. ``cut``: share of moved cells from
    which everything is forgotten.

    Raises:
        UsageError: a number is out of range.
    """

    share: float = 0.7
    moved: float = 5.0
    cut: float = 0.6

    def __post_init__(self) -> None:
        if not (0 < self.share < 1 and self.moved > 0 and 0 < self.cut <= 1):
            raise UsageError("Smoothing is out of range.", remedy="0 < share < 1, moved > 0 grey levels, 0 < cut <= 1.")


@dataclass(frozen=True, eq=False)
class _Memory:
    """The output before, and what it remembers of the input: cells, float32 ``[h, w, 3]``."""

    epoch: int
    size: tuple[int, ...]
    cells: Map
    output: Picture


class SmoothedProcess(Decorator):
    """Smooths what the inner process gives.

    Args:
        inner: translates every frame.
        options: how much is smoothed; None: the defaults.
        clock: measures the time that smoothing takes; None: the machine's own.
    """

    def __init__(self, inner: Process, options: SmoothingOptions | None = None, clock: Clock | None = None) -> None:
        super().__init__(inner, clock)
        self._options = options or SmoothingOptions()
        self._memory: _Memory | None = None

    def __call__(self, frame: Frame) -> Processed:
        """Translate a frame, and blend it with the output before where the input stands still."""
        done = self._inner(frame)
        watch = Stopwatch(self._clock)
        self._memory = self._next(frame, done.image)
        return with_seconds(replace(done, image=self._memory.output), watch.lap("finish").seconds)

    def condition(self, **inputs: Any) -> None:
        """Set a look, and forget the outputs of the old one."""
        super().condition(**inputs)
        self._memory = None

    def _next(self, frame: Frame, output: Picture) -> _Memory:
        cells, before = cells_of(frame.image), self._memory
        fresh = _Memory(frame.epoch, frame.image.shape, cells, output)
        if before is None or (before.epoch, before.size) != (fresh.epoch, fresh.size):
            return fresh
        if before.output.shape != output.shape:
            return fresh
        share, moved = self._options.share, _moved(cells, before.cells, self._options.moved)
        if moved.mean() >= self._options.cut:
            return fresh
        cells = np.where(moved[..., None], cells, cells + np.float32(share) * (before.cells - cells))
        return replace(fresh, cells=cells, output=_blended(output, before.output, share, moved))


def cells_of(picture: Picture) -> Map:
    """The means of a picture's cells, float32 ``[h, w, 3]``."""
    import cv2

    height, width = picture.shape[:2]
    size = max(1, round(width / CELL)), max(1, round(height / CELL))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _moved(cells: Map, before: Map, threshold: float) -> NDArray[np.bool_]:
    """Which cells have moved, or have a neighbour that has: bool ``[h, w]``."""
    import cv2

    moved = (cv2.absdiff(cells, before).max(axis=2) >= threshold).astype(np.uint8)
    return np.asarray(cv2.dilate(moved, np.ones((3, 3), np.uint8)), np.bool_)


def _blended(output: Picture, before: Picture, share: float, moved: NDArray[np.bool_]) -> Picture:
    import cv2

    blended = np.asarray(cv2.addWeighted(before, share, output, 1 - share, 0.0), np.uint8)
    if moved.any():
        # Linear is faster than nearest here, and what it mixes at the borders of cells counts as moved.
        size = output.shape[1], output.shape[0]
        mask = cv2.resize(moved.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
        cv2.copyTo(output, mask, blended)
    return blended
