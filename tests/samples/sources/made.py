"""A picture of known colours, and what stands in for devices that a test machine lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.media.films.video_writer import VideoWriter
from edge_i2i.sources.source import Source

PRIMARIES = (
    ((255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0)),
    ((255, 0, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0)),
)
ODD, EVEN = Size(97, 131), Size(98, 132)


def primaries(size: Size = ODD) -> np.ndarray:
    """Eight blocks of primaries, RGB."""
    rows = np.arange(size.height) * 2 // size.height
    columns = np.arange(size.width) * 4 // size.width
    return np.array(PRIMARIES, np.uint8)[rows[:, None], columns]


def worst_colour(picture: np.ndarray) -> int:
    """By how many levels the middles of the eight blocks differ from the primaries, at most."""
    height, width = picture.shape[:2]
    middles = picture[[height // 4, height * 3 // 4]][:, [width * (2 * block + 1) // 8 for block in range(4)]]
    return int(np.abs(middles.astype(int) - np.array(PRIMARIES)).max())


def film_of_primaries(path: Path, times: Sequence[Fraction], size: Size = EVEN, *, marks: bool = False) -> Path:
    """A lossless film of the primaries, a frame at each of the times; with ``marks``, each shows its number in grey."""
    with VideoWriter(path, Fraction(25), size, quality=0, preset="ultrafast") as writer:
        for number, moment in enumerate(times):
            picture = primaries(size)
            if marks:
                picture[size.height // 2 - 8 : size.height // 2 + 8, :16] = 10 * number
            writer.write(picture, moment)
    return path


def mark(picture: np.ndarray) -> int:
    """What ``film_of_primaries`` wrote."""
    return round(float(picture[picture.shape[0] // 2 - 4 : picture.shape[0] // 2 + 4, 4:12].mean()) / 10)


@dataclass
class FakeCapture:
    """``cv2.VideoCapture``, with one buffer that every picture is written to, as some drivers do.

    ``formats``: the sizes that it gives in each pixel format; the first is its usual one. ``pictures``: how many, until
    ``read`` returns false.
    """

    where: str | int
    backend: int
    samples: np.ndarray
    formats: dict[str, list[Size]] = field(default_factory=lambda: {"YUYV": [ODD]})
    pictures: int | None = None
    opens: bool = True
    asked: list[tuple[int, float]] = field(default_factory=list)
    released: bool = False

    def __post_init__(self) -> None:
        self.format, (self.size, *_) = next(iter(self.formats.items()))
        self.width = self.size.width
        self.count = 0
        self.buffer = self.samples.copy()

    def isOpened(self) -> bool:
        return self.opens

    def set(self, prop: int, value: float) -> bool:
        self.asked.append((prop, value))
        if prop == cv2.CAP_PROP_FOURCC:
            named = {_fourcc(name): name for name in self.formats}
            self.format = named.get(value, self.format)
            self.size = self._nearest(self.size)
            return value in named
        if prop == cv2.CAP_PROP_FRAME_WIDTH:
            self.width = int(value)
        if prop == cv2.CAP_PROP_FRAME_HEIGHT:
            self.size = self._nearest(Size(int(value), self.width))
        return True

    def get(self, prop: int) -> float:
        return {
            cv2.CAP_PROP_FOURCC: _fourcc(self.format),
            cv2.CAP_PROP_FRAME_WIDTH: self.size.width,
            cv2.CAP_PROP_FRAME_HEIGHT: self.size.height,
            cv2.CAP_PROP_FPS: 30.0,
            cv2.CAP_PROP_POS_MSEC: 1000.0 + 40.0 * self.count,
        }[prop]

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.opens or self.released or self.count == self.pictures:
            return False, None
        self.count += 1
        if self.size != Size(*self.buffer.shape[:2]):
            self.buffer = cv2.resize(self.samples, (self.size.width, self.size.height))
        self.buffer[:2] = self.count
        return True, self.buffer

    def release(self) -> None:
        self.released = True

    def _nearest(self, size: Size) -> Size:
        return min(self.formats[self.format], key=lambda s: abs(s.height - size.height) + abs(s.width - size.width))


def _fourcc(name: str) -> float:
    return float(cv2.VideoWriter.fourcc(*name))


class FakeScreens:
    """The module ``mss``, for a machine with two monitors that show the scene."""

    class ScreenShotError(Exception):
        """As ``mss.ScreenShotError``."""

    def __init__(self, shown: Callable[[], np.ndarray] = primaries) -> None:
        self._shown = shown
        self.is_closed = False

    def MSS(self) -> FakeScreens:
        return self

    @property
    def monitors(self) -> list[dict[str, int]]:
        return [{"left": 0}, {"left": 0}, {"left": 131}]

    def grab(self, monitor: dict[str, int]) -> SimpleNamespace:
        shown = self._shown()
        bgra = cv2.cvtColor(shown, cv2.COLOR_RGB2BGRA)
        return SimpleNamespace(raw=bytearray(bgra.tobytes()), height=shown.shape[0], width=shown.shape[1])

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Case:
    """One kind of source for the conformance suite.

    ``levels``: by how much a primary may be off; None: it does not show the scene. ``count``: how many pictures there
    are; None: no end.
    """

    make: Callable[[Clock], Source]
    size: Size
    live: bool
    levels: int | None = 0
    repeats_mean_stall: bool = False
    count: int | None = None
