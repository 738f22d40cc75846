"""Time, waiting and threads, so that tests can run hours of a session in seconds, the same every time.

Everything in ``live`` that waits does it through a ``Clock``: no ``time.sleep``, no ``threading.Event``.
"""

from __future__ import annotations

import atexit
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self


class Condition(Protocol):
    """A lock that can be waited on, as ``threading.Condition``; hold it (``with``) while waiting and notifying."""

    def __enter__(self) -> bool:
        """Acquire the lock."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Release the lock."""
        ...

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until ``predicate()`` holds, at most ``timeout`` seconds; returns what it gives at last."""
        ...

    def notify_all(self) -> None:
        """Wake every thread in ``wait_for``, so that it checks its predicate again."""
        ...


class Clock(ABC):
    """A monotonic clock, and the threads and conditions that wait by it."""

    @abstractmethod
    def now(self) -> float:
        """Seconds since some moment; never goes back."""

    @abstractmethod
    def condition(self) -> Condition:
        """A new condition, whose timeouts this clock measures."""

    @abstractmethod
    def start_thread(self, run: Callable[[], None], name: str) -> None:
        """Run something beside the caller, in a thread that does not keep the process alive."""

    def spawn(self, run: Callable[[], None], name: str) -> Task:
        """Start a thread, like ``start_thread``, and return a task that can be joined."""
        return Task(self, run, name)

    def sleep(self, seconds: float) -> None:
        """Wait. Where it may have to end early, wait on a ``Signal``."""
        condition = self.condition()
        with condition:
            condition.wait_for(lambda: False, seconds)


class SystemClock(Clock):
    """The machine's own clock and threads."""

    def now(self) -> float:
        """Seconds of ``time.perf_counter``."""
        return time.perf_counter()

    def condition(self) -> threading.Condition:
        """A new ``threading.Condition``."""
        return threading.Condition()

    def start_thread(self, run: Callable[[], None], name: str) -> None:
        """Start a daemon thread; the program's end waits for it a little (see ``AT_EXIT_S``)."""
        _StageThread(target=run, name=name, daemon=True).start()


AT_EXIT_S = 5.0
"""A thread that returns from C++ (an engine that loads, a slow network) into an interpreter that is being taken down
aborts the process before Python 3.14: ``terminate called without an active exception``, exit code 134. So the end of a
program gives such threads time to come back. One that hangs for good does no harm, and costs these seconds."""


class _StageThread(threading.Thread):
    """A thread of a ``SystemClock``; the class of its own tells it from other threads of the program."""


def wait_for_threads(seconds: float = AT_EXIT_S) -> bool:
    """Wait for all threads that system clocks have started; returns whether they have ended."""
    until = time.monotonic() + seconds
    threads = [thread for thread in threading.enumerate() if isinstance(thread, _StageThread)]
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


atexit.register(wait_for_threads)


class Signal:
    """A flag that is set once and can be waited for."""

    def __init__(self, clock: Clock) -> None:
        self._condition = clock.condition()
        self._is_set = False

    def set(self) -> None:
        """Set it; twice is harmless."""
        with self._condition:
            self._is_set = True
            self._condition.notify_all()

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most ``timeout`` seconds; returns whether it is."""
        with self._condition:
            return self._condition.wait_for(self.is_set, timeout)


class Task:
    """A thread that was started through a clock.

    Args:
        clock: starts the thread and measures the timeouts of ``join``.
        run: what the thread does; it is called at once.
        name: the thread's name, for debuggers and logs.
    """

    def __init__(self, clock: Clock, run: Callable[[], None], name: str) -> None:
        self._ended = Signal(clock)
        self._run = run
        self.name = name
        clock.start_thread(self._work, name)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end, at most ``timeout`` seconds; returns whether it has ended."""
        return self._ended.wait(timeout)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def _work(self) -> None:
        try:
            self._run()
        finally:
            self._ended.set()


class Stopwatch:
    """Seconds by stage, measured on a clock: ``watch.lap("model")`` closes the stage that runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.now()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> Self:
        """What passed since the last lap belongs to ``stage``."""
        now = self._clock.now()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
        return self
