"""A source whose frames say which they are, and a sink that checks what arrives: torn, twice, out of order, missing.

spec = coded_spec(clock, fps=30, frames=900)
sink = CodedSink(fps=30)
...
assert sink.faults == 0 and sink.missing == dropped
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.live.frame import Result
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.sources.coded import Code, read_code, stamp
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceSpec

DEFAULT_SIZE = Size(64, 64)


@lru_cache(maxsize=8)
def _background(size: Size) -> Picture:
    rows, columns = np.mgrid[: size.height, : size.width]
    ramps = (rows * 255 // size.height, columns * 255 // size.width, (rows + columns) % 256)
    return np.stack(ramps, axis=-1).astype(np.uint8)


def coded_picture(number: int, stream: int = 0, size: Size = DEFAULT_SIZE) -> Picture:
    """A colour ramp with a code; freshly allocated."""
    image = _background(size).copy()
    stamp(image, number, stream)
    return image


class PlayedCodes(Source):
    """Coded frames as fast as they are read: ``frames`` of them, or without end. ``t_source`` is the number / fps."""

    def __init__(
        self, clock: Clock, numbers: Iterator[int], fps: float, size: Size, stream: int, frames: int | None
    ) -> None:
        self._clock, self._numbers, self._fps, self._size, self._stream = clock, numbers, fps, size, stream
        self._frames = frames
        self._due = 0.0

    def open(self) -> SourceInfo:
        self._due = self._clock.now()
        return SourceInfo(f"codes of stream {self._stream}", self._size, self._fps, self._frames)

    def read(self) -> Captured | None:
        number = next(self._numbers, None)
        if number is None:
            return None
        self._await_frame()
        return Captured(coded_picture(number, self._stream, self._size), number / self._fps)

    def close(self) -> None:
        pass

    def _await_frame(self) -> None:
        pass


class LiveCodes(PlayedCodes):
    """The same at its frame rate, on the clock; the first frame comes one interval after opening."""

    live = True

    def _await_frame(self) -> None:
        self._due += 1 / self._fps
        if (wait := self._due - self._clock.now()) > 0:
            self._clock.sleep(wait)


def coded_spec(
    clock: Clock,
    *,
    fps: float = 30.0,
    frames: int | None = None,
    size: Size = DEFAULT_SIZE,
    stream: int = 0,
    live: bool = True,
) -> SourceSpec:
    """A source of coded frames; numbers go on where the one before it stopped when it is opened anew."""
    numbers = itertools.count() if frames is None else iter(range(frames))
    kind = LiveCodes if live else PlayedCodes
    return SourceSpec(f"codes:{stream}", live, lambda: kind(clock, numbers, fps, size, stream, frames))


def coded_clip(clock: Clock, frames: int) -> SourceSpec:
    """A source that plays at 30 fps and ends, as a file that is played as if live."""
    return replace(coded_spec(clock, fps=30, frames=frames), live=False)


class CodedSink(Sink):
    """Reads the code of every picture, and keeps count in fixed memory.

    ``torn``: no valid code. ``foreign``: another stream. ``duplicates``, ``reordered``: a number again, or one smaller
    than before. ``mixed``: pixels and ``t_source`` do not tell the same frame (where ``fps`` is given). ``missing``:
    numbers that were skipped, from 0 on. ``oldest_ms``: the largest age.
    """

    name = "codes"
    wants_every = True

    def __init__(self, *, fps: float | None = None, stream: int = 0) -> None:
        self._fps, self._stream = fps, stream
        self.received = self.torn = self.foreign = self.duplicates = self.reordered = self.mixed = self.missing = 0
        self.last = -1
        self.oldest_ms = 0.0
        self.closed = 0

    @property
    def faults(self) -> int:
        """Everything that must never happen; missing frames may be drops."""
        return self.torn + self.foreign + self.duplicates + self.reordered + self.mixed

    def write(self, picture: Picture, result: Result) -> None:
        self.received += 1
        self.oldest_ms = max(self.oldest_ms, result.age_ms)
        code = read_code(picture)
        if code is None:
            self.torn += 1
        elif code.stream != self._stream:
            self.foreign += 1
        else:
            self._follow(code, result.frame.t_source)

    def close(self) -> None:
        self.closed += 1

    def _follow(self, code: Code, t_source: float | None) -> None:
        if self._fps is not None and (t_source is None or round(t_source * self._fps) != code.number):
            self.mixed += 1
        if code.number == self.last:
            self.duplicates += 1
        elif code.number < self.last:
            self.reordered += 1
        else:
            self.missing += code.number - self.last - 1
            self.last = code.number
