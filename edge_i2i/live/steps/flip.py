"""Mirroring: of what is shown, or of a camera that is mounted upside down."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, Stopwatch
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Process, Processed
from edge_i2i.live.steps.step import Decorator, with_seconds


class Flip(StrEnum):
    """How a picture is mirrored. ``horizontal``: as in a mirror. ``both``: turned by half a turn."""

    NONE = "none"
    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"
    BOTH = "both"


def flipped(picture: Picture, flip: Flip) -> Picture:
    """A mirrored picture; the picture itself with ``Flip.NONE``. Flipping twice gives the picture again."""
    import cv2

    if flip is Flip.NONE:
        return picture
    code = {Flip.HORIZONTAL: 1, Flip.VERTICAL: 0, Flip.BOTH: -1}[flip]
    return np.asarray(cv2.flip(picture, code), np.uint8)


class FlippedProcess(Decorator):
    """Shows the network flipped frames and flips its results back, so that they still lie over the frames.

    For cameras that are mounted upside down: networks that learnt upright faces translate only those well. What people
    see is turned by the ``View``.

    Args:
        inner: translates the flipped frames.
        flip: how the camera is mounted.
        clock: measures the time that flipping takes; None: the machine's own.
    """

    def __init__(self, inner: Process, flip: Flip, clock: Clock | None = None) -> None:
        super().__init__(inner, clock)
        self._flip = flip

    def __call__(self, frame: Frame) -> Processed:
        """Flip the frame, translate it, and flip the result back."""
        watch = Stopwatch(self._clock)
        turned = replace(frame, image=flipped(frame.image, self._flip))
        watch.lap("prepare")
        done = self._inner(turned)
        watch.lap("model")
        done = replace(done, image=flipped(done.image, self._flip))
        watch.lap("finish")
        return with_seconds(done, {name: watch.seconds[name] for name in ("prepare", "finish")})
