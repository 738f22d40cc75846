"""Nowhere: for measuring, and for programs that only want the figures."""

from __future__ import annotations

from typing import ClassVar

from edge_i2i.arrays import Picture
from edge_i2i.live.frame import Result
from edge_i2i.live.sinks.sink import Sink


class NullSink(Sink):
    """Counts what it is given. ``frames``: how many; ``last``: the newest picture."""

    name: ClassVar[str] = "null"

    def __init__(self) -> None:
        self.frames = 0
        self.last: Picture | None = None

    def write(self, picture: Picture, result: Result) -> None:
        """Count the picture, and keep it as ``last``."""
        self.frames += 1
        self.last = picture

    def close(self) -> None:
        """Nothing to do."""
