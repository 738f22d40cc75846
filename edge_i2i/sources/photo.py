"""A slow pan over one picture: something that moves, where there is no camera."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.media.pictures import read_picture
from edge_i2i.sources.pace import Pace
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceSpec
from edge_i2i.sources.uri import SourceRequest, path_of

DEFAULT_SIZE = Size(480, 640)
DEFAULT_FPS = 30.0

_ROOM = 1.25  # the picture is at least so many times as large as the window that moves over it
_PERIODS = (17.0, 11.0)  # seconds, down and across; without a common measure, so that the way hardly ever repeats


class PhotoSource(Source):
    """A window that wanders over a picture without end; as if by a camera.

    Args:
        path: the picture.
        clock: what the pace is kept by.
        size: of the window; None: 480x640 (height x width).
        fps: frames a second; None: 30.
    """

    live = True

    def __init__(self, path: Path, *, clock: Clock, size: Size | None = None, fps: float | None = None) -> None:
        self._path, self._size, self._fps = path, size or DEFAULT_SIZE, fps or DEFAULT_FPS
        self._pace = Pace(clock)
        self._ground: Picture = np.empty((0, 0, 3), np.uint8)
        self._index = 0

    def open(self) -> SourceInfo:
        """Read the picture, and scale it so that the window can move over it.

        Raises:
            PictureError: the picture cannot be read.
        """
        self._ground = _grown_to_cover(read_picture(self._path), self._size)
        return SourceInfo(self._path.name, self._size, self._fps)

    def read(self) -> Captured:
        """The next view. ``t_source``: seconds from the first."""
        moment = self._index / self._fps
        self._index += 1
        self._pace.wait_until(moment)
        return Captured(self._view(moment), moment)

    def close(self) -> None:
        """Nothing is held open."""

    def _view(self, moment: float) -> Picture:
        import cv2

        height, width = self._size.height, self._size.width
        down, across = (_swing(moment / period) for period in _PERIODS)
        y, x = down * (self._ground.shape[0] - height), across * (self._ground.shape[1] - width)
        centre = x + (width - 1) / 2, y + (height - 1) / 2
        return np.asarray(cv2.getRectSubPix(self._ground, (width, height), centre), np.uint8)


def _swing(turns: float) -> float:
    """From 0 to 1 and back in one turn, smoothly."""
    return (1 - math.cos(2 * math.pi * turns)) / 2


def _grown_to_cover(picture: Picture, size: Size) -> Picture:
    """The picture, scaled so that a window of ``size`` can move about in it."""
    import cv2

    height, width = picture.shape[:2]
    scale = _ROOM * max(size.height / height, size.width / width)
    target = math.ceil(width * scale), math.ceil(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, target, interpolation=how), np.uint8)


def photo_spec(request: SourceRequest) -> SourceSpec:
    """The source that ``photo:PATH`` names."""
    path = path_of(request, "a picture")
    return request.spec(
        lambda: PhotoSource(path, clock=request.clock, size=request.size, fps=request.fps), live=True, place=path
    )
