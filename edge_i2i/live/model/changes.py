"""What is changed between two frames, by the thread that translates: the look, or the whole network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_i2i.clock import Clock, Signal
from edge_i2i.live.model.process import Process


class Change:
    """A change that was asked for; it may be waited for."""

    def __init__(self, clock: Clock) -> None:
        self._settled = Signal(clock)
        self._error: Exception | None = None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the change is made, at most ``timeout`` seconds; returns whether it is.

        False also where the session ended before, or another change overtook it.

        Raises:
            EdgeI2IError: it was refused, and what was before goes on; the error of the network or its loader.
        """
        settled = self._settled.wait(timeout)
        if self._error is not None:
            raise self._error
        return settled and self._holds

    _holds = False

    def succeed(self) -> None:
        """The change is made: let those who wait go on."""
        self._holds = True
        self._settled.set()

    def lapse(self) -> None:
        """The change will never be made: let those who wait go on."""
        self._settled.set()

    def fail(self, error: Exception) -> None:
        """The change was refused: those who wait get the error raised."""
        self._error = error
        self._settled.set()


@dataclass(frozen=True, eq=False)
class LookChange:
    """What ``Process.condition`` is to be called with."""

    inputs: Mapping[str, Any]
    change: Change


@dataclass(frozen=True, eq=False)
class Replacement:
    """Another process. ``number``: of the request; an older one than what runs is not used any more.

    ``memory_before``: resident bytes when it was asked for, if known.
    """

    process: Process
    number: int
    memory_before: int | None
    change: Change
