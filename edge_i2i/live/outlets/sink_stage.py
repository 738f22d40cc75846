"""Where results leave the session: each receiver has a hand-over of its own, so that none holds up another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.live.capture.capture import Emit
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.events import EventKind
from edge_i2i.live.figures.stats import LiveStats, StatsSnapshot
from edge_i2i.live.figures.trace import Trace
from edge_i2i.live.frame import Result
from edge_i2i.live.policy import Mode
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.threads.ending import text_of
from edge_i2i.live.threads.handover import Handover, HandoverClosedError, Lane, Slot
from edge_i2i.live.threads.worker import Worker

_ROOM = 8
"""Results that wait for a sink that wants every one: a quarter of a second at 30 fps, 50 MB at 1080p."""

_SNAPSHOT_S = 0.25  # how often the figures in a picture change: more cannot be read, and a snapshot takes a while


class Composes(Protocol):
    """Makes what is shown of a result; ``view.View`` does."""

    def compose(self, result: Result, snapshot: StatsSnapshot, *, for_display: bool) -> Picture:
        """The picture to show, RGB uint8 ``[H, W, 3]``.

        Args:
            result: what to show.
            snapshot: the session's figures, for the HUD.
            for_display: whether people look at it now; only then are figures drawn.
        """
        ...


def handover_of_results(clock: Clock, mode: Mode, wants_every: bool) -> Handover[Result]:
    """How results reach a receiver.

    Args:
        clock: measures how long is waited.
        mode: in live mode, results are dropped that the receiver is too slow for; offline, the model waits.
        wants_every: every result in order; otherwise the newest only, in either mode.
    """
    if not wants_every:
        return Slot(clock)
    return Lane(clock, _ROOM, patience=None if mode is Mode.OFFLINE else 0.0)


class SinkStage(Worker):
    """Opens, writes to and closes a sink in a thread of its own.

    Args:
        clock: measures how long writing takes.
        sink: what is written to.
        name: of the sink, unique in the session.
        results: where results are taken from; when it is closed and empty, the sink is closed.
        view: composes the picture of a result; None: the result's own.
        stats: counts what was written and dropped.
        emit: told that the sink failed.
        trace: records the time of each write.
        ended: called with this stage when the sink is closed; ``error`` holds what it raised.
    """

    def __init__(
        self,
        clock: Clock,
        sink: Sink,
        name: str,
        results: Handover[Result],
        *,
        view: Composes | None,
        stats: LiveStats,
        emit: Emit,
        trace: Trace,
        ended: Callable[[SinkStage], None],
    ) -> None:
        super().__init__(clock, self._work_off, f"sink {name}")
        self._sink, self._results, self._view = sink, results, view
        self.on_request = sink.on_request
        self._stats, self._emit, self._trace, self._ended = stats, emit, trace, ended
        self._snapshot, self._snapshot_until = StatsSnapshot(), -1.0
        self.name = name
        self.error: Exception | None = None
        self.has_ended = False

    def offer(self, result: Result) -> None:
        """Hand a result over; waits only where every result has to be taken."""
        try:
            missed = self._results.put(result)
        except HandoverClosedError:
            self._miss(1)
            return
        if missed is not None and self._sink.is_on:
            self._stats.add_sink_drop(self.name, DropCause.SLOW_SINK)

    def finish(self) -> None:
        """Accept no more results; those that wait are still written."""
        self._results.close()

    def give_up(self) -> None:
        """Drop the results that wait, and accept no more; a write under way goes on."""
        self._miss(len(self._results.close(discard=True)))

    def _work_off(self) -> None:
        try:
            self._write_all()
        except Exception as error:  # noqa: BLE001 (sinks raise anything: encoders, sockets, full disks)
            self._fail(error)
            self._miss(1)
        try:
            self._sink.close()
        except Exception as error:  # noqa: BLE001 (as above)
            self._fail(error)
        self.has_ended = True
        self._ended(self)

    def _write_all(self) -> None:
        is_open = False
        while True:
            try:
                result = self._results.take()
            except HandoverClosedError:
                return
            if result is None:
                continue
            began = self._clock.now()
            picture = self._compose(result)
            if not is_open:
                self._sink.open(Size(*picture.shape[:2]))
                is_open = True
            self._sink.write(picture, result)
            if self._sink.is_on:
                self._stats.add_written(self.name, result)
            self._trace.span(f"sink {self.name}", "write", began, self._clock.now(), seq=result.frame.seq)

    def _compose(self, result: Result) -> Picture:
        if self._view is None:
            return result.image
        now = self._clock.now()
        if now >= self._snapshot_until:
            self._snapshot, self._snapshot_until = self._stats.snapshot(), now + _SNAPSHOT_S
        return self._view.compose(result, self._snapshot, for_display=self._sink.for_display)

    def _fail(self, error: Exception) -> None:
        if self.error is not None:
            return
        self.error = error
        self._stats.set_sink_failed(self.name, text_of(error))
        self._miss(len(self._results.close(discard=True)))
        self._emit(EventKind.SINK_FAILED, f"{self.name}: {text_of(error)}", sink=self.name, error=type(error).__name__)

    def _miss(self, count: int) -> None:
        if count and self._sink.is_on:
            cause = DropCause.STOPPED if self.error is None else DropCause.SINK_FAILED
            self._stats.add_sink_drop(self.name, cause, count)
