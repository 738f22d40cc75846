"""How a build tells where it is, and how it is stopped."""

from __future__ import annotations

import _thread
import math
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Result = TypeVar("Result")

_POLL = 0.01  # seconds between looks at a build, which takes a hundred times as long at least
_GRACE = 1.0  # seconds for a thread that is being started to begin


class ProgressListener(Protocol):
    """Hears of a build's phases, which nest; one of the same name can come again.

    Called from TensorRT's threads, one call at a time or several; an exception stops the build.
    """

    def phase_started(self, phase: str, parent: str | None, steps: int) -> None:
        """The phase ``phase`` of ``steps`` steps begins, inside the phase ``parent`` unless that is None."""
        ...

    def step_completed(self, phase: str, step: int) -> None:
        """Step number ``step`` of a phase is done, counted from 0."""
        ...

    def phase_finished(self, phase: str) -> None:
        """A phase ends, perhaps before all its steps."""
        ...


class BuildProgress:
    """Passes progress on and answers whether to continue.

    No exception may cross TensorRT's own frames, so the listener's first one is kept, stops the build, and is raised
    by ``raise_failure`` afterwards.
    """

    def __init__(self, listener: ProgressListener | None) -> None:
        self._listener = listener
        self._cancelled = False
        self._failure: Exception | None = None

    def cancel(self) -> None:
        """Stop the build at its next step."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        """Whether the build was asked to stop."""
        return self._cancelled

    def phase_started(self, phase: str, parent: str | None, steps: int) -> None:
        """Tell that the phase ``phase`` of ``steps`` steps begins, inside ``parent`` unless that is None."""
        self._tell(lambda listener: listener.phase_started(phase, parent, steps))

    def step_completed(self, phase: str, step: int) -> None:
        """Step number ``step`` (from 0) of a phase is done."""
        self._tell(lambda listener: listener.step_completed(phase, step))

    def phase_finished(self, phase: str) -> None:
        """A phase ends, perhaps before all its steps."""
        self._tell(lambda listener: listener.phase_finished(phase))

    def raise_failure(self) -> None:
        """Raise what the listener raised, if it did."""
        if self._failure is not None:
            raise self._failure

    def _tell(self, event: Callable[[ProgressListener], None]) -> None:
        if self._listener is None or self._failure is not None:
            return
        try:
            event(self._listener)
        except Exception as error:  # noqa: BLE001 (whatever the listener raises; see the class)
            self._failure = error
            self.cancel()


def run_interruptible(work: Callable[[], Result], progress: BuildProgress) -> Result:
    """Run ``work`` in a thread of its own, so that Ctrl-C reaches this one while TensorRT holds the other.

    Raises:
        KeyboardInterrupt: after the work has stopped at its next step, or at once at the second Ctrl-C.
    """
    worker = _Worker(work, progress)
    try:
        # Not threading.Thread: an interrupt can leave the Python-level locks of its `start` locked for ever.
        _thread.start_new_thread(worker.run, ())
        _wait_until(lambda: worker.finished)
    except KeyboardInterrupt:
        progress.cancel()
        # The interrupt can come before the thread runs; one that begins after this finds the build cancelled.
        if _wait_until(lambda: worker.begun, _GRACE):
            _wait_until(lambda: worker.finished)
        raise
    return worker.result()


class _Worker(Generic[Result]):
    """Does the work, unless it was cancelled before it began, and keeps its outcome; the flags are set once."""

    def __init__(self, work: Callable[[], Result], progress: BuildProgress) -> None:
        self.begun = False
        self.finished = False
        self._work = work
        self._progress = progress
        self._results: list[Result] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do the work and keep its outcome; the thread's main function."""
        self.begun = True
        try:
            if not self._progress.cancelled:
                self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 (raised again in `result`)
            self._error = error
        finally:
            self.finished = True

    def result(self) -> Result:
        """What the work returned; raises what it raised, or KeyboardInterrupt where it was cancelled before."""
        if self._error is not None:
            raise self._error
        if not self._results:
            raise KeyboardInterrupt
        return self._results[0]


def _wait_until(condition: Callable[[], bool], limit: float = math.inf) -> bool:
    """Poll, because sleeping is the one wait that Ctrl-C ends on every system; False after ``limit`` seconds."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    return True
