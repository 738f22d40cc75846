"""What a session promises: the newest frame as soon as possible, or every frame in order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from edge_i2i.errors import UsageError


class Mode(StrEnum):
    """``live``: the newest frame wins, what the model cannot keep up with is dropped. ``offline``: every frame."""

    LIVE = "live"
    OFFLINE = "offline"


@dataclass(frozen=True)
class Policy:
    """How frames are handed over.

    ``fps``: translate at most so many frames a second (None: as many as the model can). ``max_age_ms``: a frame that
    waited longer is dropped instead of translated (None: never); only in live mode.

    Raises:
        UsageError: a number is out of range, or does not go with the mode.
    """

    mode: Mode = Mode.LIVE
    fps: float | None = None
    max_age_ms: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers, and that they go with the mode."""
        for name, value in (("fps", self.fps), ("max-age", self.max_age_ms)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{value:g} is no {name}.", remedy="Give a positive number.")
        if self.mode is Mode.OFFLINE and self.max_age_ms is not None:
            raise UsageError(
                "Every frame is translated offline, however old it is.", remedy="Leave --max-age out, or play as live."
            )

    @classmethod
    def live(cls, *, max_age_ms: float | None = None) -> Self:
        """A policy for the newest frame, as soon as possible."""
        return cls(Mode.LIVE, max_age_ms=max_age_ms)

    @classmethod
    def offline(cls) -> Self:
        """A policy for every frame, in order."""
        return cls(Mode.OFFLINE)

    @classmethod
    def paced(cls, fps: float, *, max_age_ms: float | None = None) -> Self:
        """A policy for the newest frame, at most ``fps`` times a second."""
        return cls(Mode.LIVE, fps, max_age_ms)
