"""A thread of a session, started once, that others wait for and that may be asked to wait for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge_i2i.clock import Clock, Task


class Worker:
    """Runs something in a thread of its own.

    Args:
        clock: starts the thread and measures the timeouts of ``join``.
        run: what the thread does; called once, after ``start``.
        name: of the thread, behind ``edge-i2i``.
    """

    def __init__(self, clock: Clock, run: Callable[[], None], name: str) -> None:
        self._clock, self._run, self._name = clock, run, name
        self._task: Task | None = None
        self._thread: int | None = None

    def start(self) -> None:
        """Start the thread; to be called once."""
        self._task = self._clock.spawn(self._work, f"edge-i2i {self._name}")

    def join(self, timeout: float) -> bool:
        """Wait for its end, at most ``timeout`` seconds; True also where it never began, and where it is the caller."""
        return self._task is None or self.is_me or self._task.join(max(0.0, timeout))

    @property
    def is_me(self) -> bool:
        """Whether the caller runs in this thread (a user's callback)."""
        return self._thread == threading.get_ident()

    def _work(self) -> None:
        self._thread = threading.get_ident()
        try:
            self._run()
        finally:
            self._thread = None  # numbers are given to new threads again
