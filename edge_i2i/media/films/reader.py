"""What every reader of a film offers, whatever decodes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size

FINE_TICK = Fraction(1, 90_000)  # the clock of MPEG and RTP: whole ticks a frame at 24, 25, 30, 30000/1001, 50, 60


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame: ``image`` is uint8 ``[H, W, 3]`` RGB, upright, and the caller's to keep.

    ``pts_seconds`` is exact, and counted from the earliest moment in the file (of picture or sound).
    ``duration_seconds`` is None where the file does not say.
    """

    index: int
    pts_seconds: Fraction
    image: Picture
    duration_seconds: Fraction | None = None


class FilmReader(ABC):
    """A film's frames, once, in display order. A context manager.

    ``fps`` (average frames a second), ``size`` (upright), ``frame_count`` (declared, or None), ``time_base`` (seconds
    a tick), ``sample_aspect_ratio`` (width : height of a pixel, upright), ``origin`` (the file's own time, in seconds,
    that ``pts_seconds`` counts from), ``sound_path`` (the file that holds its sound; None: such files hold none).
    """

    path: Path
    fps: Fraction
    size: Size
    frame_count: int | None
    time_base: Fraction
    sample_aspect_ratio: Fraction
    origin: Fraction
    sound_path: Path | None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def __iter__(self) -> Iterator[VideoFrame]:
        """The film's frames in display order; they can be gone through once.

        Raises:
            PictureError: the file is cut off or damaged, with the number of frames that were read.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""
