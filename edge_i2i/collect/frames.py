"""Frames to calibrate on, as a stream: what a source of them gives, and which moments are looked at."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from edge_i2i.arrays import Picture
from edge_i2i.errors import UsageError

CAMERA_SECONDS = 30.0
EVERY_SECONDS = 0.2  # neighbours at 25 frames a second are near-duplicates: looking at each of them costs time only


@dataclass(frozen=True)
class SourcePosition:
    """Where a frame was: its file (below the source's folder; empty where there is none), its number there, its time.

    ``seconds`` is None for a picture, and counts from the start of the video or of the recording otherwise.
    """

    file: str
    frame: int = 0
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """``image``: uint8 ``[H, W, 3]`` RGB. ``picture``: the file that it can be read from again, if it is one."""

    image: Picture
    position: SourcePosition
    picture: Path | None = None


@dataclass(frozen=True)
class Unreadable:
    """A file of a folder that was passed over, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Sampling:
    """Which moments of a video, a camera or a stream are looked at.

    ``every``: seconds from one to the next; 0: every frame. ``seconds``: how long; None: what has an end until there,
    all else for ``CAMERA_SECONDS``.
    """

    seconds: float | None = None
    every: float = EVERY_SECONDS

    def __post_init__(self) -> None:
        if not (math.isfinite(self.every) and self.every >= 0):
            raise UsageError(f"Frames cannot be taken every {self.every} seconds.", remedy="Give 0 or more seconds.")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise UsageError(f"Nothing can be taken from {self.seconds} seconds.", remedy="Give more than 0 seconds.")


class FrameSource(Protocol):
    """A stream of frames that is gone through once.

    ``kind`` is ``picture``, ``folder``, ``pattern`` (of files' names), ``video``, ``camera``, ``stream``, ``screen``,
    ``pipeline``, ``photo`` or ``test pattern``; ``total`` the number of frames, where it is known beforehand;
    ``unreadable`` what was passed over so far.
    """

    @property
    def kind(self) -> str:
        """What kind of source it is, in a word (see the class)."""
        ...

    @property
    def name(self) -> str:
        """The name of the source without the folders above it."""
        ...

    @property
    def total(self) -> int | None:
        """How many frames to expect; None: not known beforehand."""
        ...

    @property
    def unreadable(self) -> list[Unreadable]:
        """The files that could not be read so far, and why."""
        ...

    def frames(self) -> Generator[SourceFrame, None, None]:
        """The frames, in order; closing the generator lets go of files and devices.

        Raises:
            PictureError: the one file that the source consists of cannot be read (one of many is ``unreadable``).
            SourceLostError: the camera or stream is not there, or gives nothing.
            MissingRequirementError: a package is missing that the source needs.
        """
        ...


class Ticks:
    """Says which of many moments to take so that on average one is taken ``every`` so many seconds."""

    def __init__(self, every: float) -> None:
        self._every = Fraction(every)
        self._next: Fraction | None = None

    def due(self, at: Fraction) -> bool:
        """Whether the moment ``at``, in seconds, is taken; moments are asked for in order."""
        if not self._every:
            return True
        if self._next is None:
            self._next = at
        if at < self._next:
            return False
        self._next += self._every * (1 + (at - self._next) // self._every)
        return True
