"""A test picture that moves and carries its number: colour bars, a grid and a clock, with a code for programs."""

from __future__ import annotations

import re

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.sources.coded import stamp
from edge_i2i.sources.pace import Pace
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceSpec
from edge_i2i.sources.uri import SourceRequest, check_fps

DEFAULT_SIZE = Size(480, 640)
DEFAULT_FPS = 30.0

BARS = ((255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0))
"""The colours of the bars from left to right, as in the television's test picture but at full strength."""

_STEP = 2  # pixels a frame: of the bars to the left, and of the grid along its diagonal
_CELL = 32  # pixels, of the grid
_GROUND, _LINE = 64, 192  # grey levels
_NUMBERS = 2**32  # after which the code begins anew


class Pattern:
    """Draws the test picture; the upper half are the bars, the lower the grid with the clock.

    Raises:
        UsageError: ``size`` has no room for the code.
    """

    def __init__(self, size: Size, fps: float) -> None:
        self.size, self.fps = size, fps
        bars = np.array(BARS, np.uint8)[np.arange(size.width) * len(BARS) // size.width]
        self._bars = np.concatenate([bars, bars])
        grid = np.full((size.height + _CELL, size.width + _CELL, 3), _GROUND, np.uint8)
        grid[::_CELL] = grid[:, ::_CELL] = _LINE
        self._grid = grid
        self.draw(0)

    def draw(self, number: int) -> Picture:
        """Frame ``number``, from 0: a new picture, always the same for the same number."""
        height, width = self.size.height, self.size.width
        picture = np.empty((height, width, 3), np.uint8)
        middle, along, across = height // 2, number * _STEP % width, number * _STEP % _CELL
        picture[:middle] = self._bars[along : along + width]
        picture[middle:] = self._grid[across : across + height - middle, across : across + width]
        self._write_clock(picture, number / self.fps)
        stamp(picture, number % _NUMBERS)
        return picture

    def _write_clock(self, picture: Picture, seconds: float) -> None:
        import cv2

        minutes, milliseconds = divmod(round(seconds * 1e3), 60_000)
        text = f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds / 1e3:06.3f}"
        scale = min(self.size.width / 400, self.size.height / 130)
        where = self.size.width // 8, self.size.height * 3 // 4
        cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), max(1, round(2 * scale)))


class PatternSource(Source):
    """The test picture without end; as if by a camera.

    Args:
        size: of the picture; it has to have room for the code.
        fps: frames a second.
        clock: what the pace is kept by.
    """

    live = True

    def __init__(self, size: Size = DEFAULT_SIZE, fps: float = DEFAULT_FPS, *, clock: Clock) -> None:
        self._pattern = Pattern(size, fps)
        self._pace: Pace | None = Pace(clock)
        self._next = 0

    def open(self) -> SourceInfo:
        """Nothing to prepare; returns what the pattern was made with."""
        return SourceInfo("test pattern", self._pattern.size, self._pattern.fps)

    def read(self) -> Captured | None:
        """The next picture; its code is its number. ``t_source``: seconds from the first."""
        number = self._next
        self._next += 1
        moment = number / self._pattern.fps
        if self._pace is not None:
            self._pace.wait_until(moment)
        return Captured(self._pattern.draw(number), moment)

    def close(self) -> None:
        """Nothing is held open."""


class PatternClip(PatternSource):
    """A given number of test pictures; as if from a file.

    Args:
        frames: how many.
        size: of the picture; it has to have room for the code.
        fps: frames a second, from which pictures get their times.
        clock: what the pace is kept by.
        as_live: give them at that rate, otherwise as fast as they are taken.
    """

    live = False

    def __init__(
        self, frames: int, size: Size = DEFAULT_SIZE, fps: float = DEFAULT_FPS, *, clock: Clock, as_live: bool = False
    ) -> None:
        super().__init__(size, fps, clock=clock)
        self._frames = frames
        self._pace = self._pace if as_live else None

    def open(self) -> SourceInfo:
        """Nothing to prepare; returns what the clip was made with, and how many frames it has."""
        return SourceInfo("test pattern", self._pattern.size, self._pattern.fps, self._frames)

    def read(self) -> Captured | None:
        """The next picture, like that of ``PatternSource``; None after the last one."""
        return super().read() if self._next < self._frames else None


_FORM = re.compile(r"(?P<size>[0-9]+x[0-9]+)?(?:@(?P<fps>[0-9.]+))?(?:\?frames=(?P<frames>[0-9]{1,10}))?")


def pattern_spec(request: SourceRequest) -> SourceSpec:
    """``pattern:HxW@FPS?frames=N``, of which each part may be left out.

    Raises:
        UsageError: it is written in another way, says twice what there can be only one of, or has no room for the code.
    """
    match = _FORM.fullmatch(request.rest)
    if match is None:
        raise _bad(request.text, "is no test pattern")
    if (match["size"] and request.size) or (match["fps"] and request.fps):
        raise _bad(request.text, "and the options both give the size or the rate")
    size = Size.parse(match["size"]) if match["size"] else request.size or DEFAULT_SIZE
    fps = _rate(match["fps"], request) if match["fps"] else request.fps or DEFAULT_FPS
    PatternSource(size, fps, clock=request.clock)  # refuses what cannot be drawn, before anything is opened
    if not match["frames"]:
        return request.spec(lambda: PatternSource(size, fps, clock=request.clock), live=True)
    frames = int(match["frames"])
    return request.spec(
        lambda: PatternClip(frames, size, fps, clock=request.clock, as_live=request.as_live), live=False
    )


def _rate(text: str, request: SourceRequest) -> float:
    try:
        return check_fps(float(text))
    except ValueError:
        raise _bad(request.text, "has a rate that is no number") from None


def _bad(text: str, why: str) -> UsageError:
    return UsageError(f"'{text}' {why}.", remedy="Write, for example, pattern:480x640@30 or pattern:?frames=300.")
