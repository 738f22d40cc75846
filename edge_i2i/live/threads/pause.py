"""What ``pause`` and ``resume`` switch."""

from __future__ import annotations

from edge_i2i.clock import Clock


class PauseSwitch:
    """Holds threads up while it says pause; at first it does not."""

    def __init__(self, clock: Clock) -> None:
        self._condition = clock.condition()
        self._is_paused = self._is_resumed_for_good = False

    @property
    def is_paused(self) -> bool:
        """Whether threads are held up now."""
        return self._is_paused

    def pause(self) -> None:
        """Let nobody go on, unless it was resumed for good."""
        with self._condition:
            self._is_paused = not self._is_resumed_for_good

    def resume(self, *, for_good: bool = False) -> None:
        """Let everybody go on; with ``for_good``, ``pause`` has no effect from then on."""
        with self._condition:
            self._is_paused, self._is_resumed_for_good = False, self._is_resumed_for_good or for_good
            self._condition.notify_all()

    def wait(self) -> None:
        """Wait until nobody is held up."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_paused)
