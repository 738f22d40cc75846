"""Leave the network out while nothing changes: a frame that is nearly identical to the one translated last gets its
result again.

Frames are compared by thumbnails, before anything else is paid for, and always with the frame that the result was made
from, never with one that was skipped: what changes slowly adds up. A result is not reused beyond a given age, so that
what thumbnails cannot show comes through as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, Stopwatch
from edge_i2i.errors import UsageError
from edge_i2i.live.frame import Frame, Origin
from edge_i2i.live.model.process import Process, Processed
from edge_i2i.live.steps.step import Decorator, with_seconds
from edge_i2i.metrics.decibels import psnr_of_error

THUMBNAIL = (64, 36)
"""Width and height."""


@dataclass(frozen=True)
class SimilarityOptions:
    """When a result is reused.

    ``psnr_db``: from which PSNR of two thumbnails the frames count as identical. A camera's noise (3 to 8 levels a
    pixel at 720p) makes 50 dB or more of it; something that moves by its own width and covers a fiftieth of the
    picture makes less than 40. ``max_age_ms``: the oldest frame whose result is reused, counted by arrival.

    Raises:
        UsageError: a number is out of range.
    """

    psnr_db: float = 42.0
    max_age_ms: float = 250.0

    def __post_init__(self) -> None:
        for name, value in (("PSNR", self.psnr_db), ("age", self.max_age_ms)):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{value:g} is no {name}.", remedy="Give a positive number.")


@dataclass(frozen=True, eq=False)
class _Translated:
    frame: Frame
    thumbnail: Picture
    done: Processed


class SimilarityProcess(Decorator):
    """Reuses results; those are the same array again, and of origin ``reused``.

    Args:
        inner: translates what has changed.
        options: which frames count as identical; None: the defaults.
        clock: measures the time that comparing takes; None: the machine's own.
    """

    def __init__(self, inner: Process, options: SimilarityOptions | None = None, clock: Clock | None = None) -> None:
        super().__init__(inner, clock)
        self._options = options or SimilarityOptions()
        self._last: _Translated | None = None

    def __call__(self, frame: Frame) -> Processed:
        """Give the last result again where the frame is nearly identical; otherwise translate it."""
        watch = Stopwatch(self._clock)
        thumbnail = thumbnail_of(frame.image)
        last = self._last if self._may_reuse(frame, thumbnail) else None
        watch.lap("prepare")
        if last is not None:
            return Processed(last.done.image, Origin.REUSED, watch.seconds)
        self._last = None  # also where the inner process fails
        done = self._inner(frame)
        self._last = _Translated(frame, thumbnail, done)
        return with_seconds(done, watch.seconds)

    def condition(self, **inputs: Any) -> None:
        """Set a look, and forget the last result, which had the old one."""
        super().condition(**inputs)
        self._last = None

    def _may_reuse(self, frame: Frame, thumbnail: Picture) -> bool:
        last = self._last
        return (
            last is not None
            and last.frame.epoch == frame.epoch
            and last.frame.image.shape == frame.image.shape
            and 0 <= (frame.t_capture - last.frame.t_capture) * 1e3 <= self._options.max_age_ms
            and psnr(last.thumbnail, thumbnail) >= self._options.psnr_db
        )


def thumbnail_of(picture: Picture) -> Picture:
    """The picture at 64x36, whatever its proportions."""
    import cv2

    return np.asarray(cv2.resize(picture, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


def psnr(first: Picture, second: Picture) -> float:
    """The PSNR of two uint8 pictures of one shape, in decibels; infinite for identical ones."""
    import cv2

    squares = cv2.norm(first, second, cv2.NORM_L2SQR) / first.size
    return psnr_of_error(squares, 255)
