"""Results for programs that embed a session: by callback, by iteration, and on request."""

from __future__ import annotations

from collections.abc import Callable

from edge_i2i.arrays import Picture
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import LiveStats
from edge_i2i.live.frame import Result
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.threads.handover import Handover, HandoverClosedError

ITERATION = "iteration"
"""What iterating programs are called in the statistics."""


class Callback(Sink):
    """A sink that calls a function."""

    name = "callback"

    def __init__(self, function: Callable[[Result], None]) -> None:
        self._function = function

    def write(self, picture: Picture, result: Result) -> None:
        """Call the function with the result; it may take its time."""
        self._function(result)

    def close(self) -> None:
        """Nothing to do."""


class Receiver:
    """Results that somebody takes one by one.

    ``stats``: counts what was taken and what was missed; None where missing some is how it is meant. ``on_result``:
    called when there is something to take, or nothing will come any more; by any thread, and must not wait.
    """

    def __init__(self, results: Handover[Result], stats: LiveStats | None = None) -> None:
        self._results, self._stats = results, stats
        self.on_result: Callable[[], None] | None = None

    def offer(self, result: Result) -> None:
        """Hand a result over."""
        try:
            missed = self._results.put(result)
        except HandoverClosedError:
            return
        if missed is not None and self._stats is not None:
            self._stats.add_sink_drop(ITERATION, DropCause.SLOW_SINK)
        self._call()

    def finish(self) -> None:
        """Accept no more results; those that wait can still be taken."""
        self._results.close()
        self._call()

    def leave(self) -> None:
        """Drop the results that wait, because nobody takes any more."""
        self._results.close(discard=True)

    def take(self, timeout: float | None = None) -> Result | None:
        """Wait for the next result, at most ``timeout`` seconds; None: none came in time.

        Raises:
            HandoverClosedError: no more results come, and every one was taken.
        """
        result = self._results.take(timeout)
        if result is not None and self._stats is not None:
            self._stats.add_written(ITERATION, result)
        return result

    def _call(self) -> None:
        if self.on_result is not None:
            self.on_result()
