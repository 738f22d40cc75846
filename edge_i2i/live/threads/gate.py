"""What ``pause`` shuts and ``resume`` opens."""

from __future__ import annotations

from edge_i2i.clock import Clock


class Gate:
    """Holds threads up while it is shut; it begins open."""

    def __init__(self, clock: Clock) -> None:
        self._condition = clock.condition()
        self._is_shut = self._is_for_good = False

    @property
    def is_shut(self) -> bool:
        """Whether it is shut now."""
        return self._is_shut

    def shut(self) -> None:
        """Let nobody through, unless it was opened for good."""
        with self._condition:
            self._is_shut = not self._is_for_good

    def open(self, *, for_good: bool = False) -> None:
        """Let everybody through; with ``for_good``, ``shut`` has no effect from then on."""
        with self._condition:
            self._is_shut, self._is_for_good = False, self._is_for_good or for_good
            self._condition.notify_all()

    def pass_through(self) -> None:
        """Wait until it is open."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_shut)
