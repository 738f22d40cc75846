"""Reads a source, watches it, and opens it anew when it is lost: a live one for ever, another never.

Each opening is read in a thread of its own (``reading.py``), because a driver that hangs cannot be interrupted: its
thread is given up, and closes its source if it ever returns. One more thread, the one here, watches and replaces them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from edge_i2i.clock import Clock, Task
from edge_i2i.errors import EdgeI2IError
from edge_i2i.live.capture.backoff import BackOff
from edge_i2i.live.capture.frame_maker import FrameMaker
from edge_i2i.live.capture.reading import Reading
from edge_i2i.live.capture.watchdog import Patience, Repeats
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.events import EventKind
from edge_i2i.live.figures.stats import LiveStats
from edge_i2i.live.frame import Frame
from edge_i2i.live.threads.ending import text_of
from edge_i2i.sources.source import Captured, SourceInfo, SourceLostError, SourceSpec

_LATE_S = 0.25
"""Who watches and wakes up so much too late was not let run, and the reading thread neither: a machine that was asleep,
an engine that was built without giving way. That is no stall."""


class Emit(Protocol):
    """Says what happened; never waits."""

    def __call__(self, kind: EventKind, message: str, **details: Any) -> None:
        """Tell what happened. ``message``: for people; ``details``: plain values, for programs."""
        ...


class Capture:
    """Delivers the frames of a source.

    A live source is given up and opened anew when it raises, ends, gives no new frame for a while or does not return
    at all; until its first opening has succeeded once, only with ``wait_for_source``. An ``EdgeI2IError`` that is no
    ``SourceLostError`` ends the capture always: the source said that another try would fail, too.

    Args:
        clock: what time is measured and waited by.
        spec: the source.
        deliver: takes a frame; called by the reading thread, one frame at a time. It may wait; the watchdog does not
            count that.
        ended: called once, at last: with what ended the capture, or None where the source was played to its end or the
            capture was closed.
        stats, emit: where it counts and tells what happened.
        wait_for_source: take a live source that is not there at first for one that will come.
        patience: how long a live source may take.
    """

    def __init__(
        self,
        clock: Clock,
        spec: SourceSpec,
        deliver: Callable[[Frame], object],
        ended: Callable[[Exception | None], None],
        *,
        stats: LiveStats,
        emit: Emit,
        wait_for_source: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self._clock, self._spec, self._deliver, self._ended = clock, spec, deliver, ended
        self._stats, self._emit = stats, emit
        self._wait_for_source, self._patience = wait_for_source, patience or Patience()
        self._condition = clock.condition()  # guards everything below, and what the reading knows about time
        self._frame_maker = FrameMaker(spec.live)
        self._back_off, self._repeats = BackOff(), Repeats()
        self._current: Reading | None = None
        self._last_reading: Reading | None = None
        self._closing = self._was_open = False
        self._lost_at: float | None = None
        self._stalls = 0
        self._task: Task | None = None

    def start(self) -> None:
        """Start the threads that watch and read."""
        self._task = self._clock.spawn(self._run, "edge-i2i capture")

    def close(self) -> None:
        """Deliver nothing more; does not wait."""
        with self._condition:
            self._closing, self._current = True, None
            self._condition.notify_all()

    def join(self, timeout: float) -> bool:
        """Wait until its threads have ended; False: one hangs in the source and stays behind."""
        until = self._clock.now() + timeout
        tasks = [self._task, self._last_reading.task if self._last_reading else None]
        return all([task is None or task.join(max(0.0, until - self._clock.now())) for task in tasks])

    # The watching thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            error = self._play_until_final()
        except Exception as raised:  # noqa: BLE001 (whatever it is, the session has to hear of it)
            error = raised
        self._ended(error)

    def _play_until_final(self) -> Exception | None:
        while True:
            error = self._play()
            if self._closing:
                return None
            if error is None:
                self._emit(EventKind.SOURCE_ENDED, f"{self._spec.uri} has ended")
                return None
            if self._is_final(error):
                return error
            if not self._wait_before_retrying(error):
                return None

    def _play(self) -> Exception | None:
        """Read one opening of the source to its end; returns the error that ended it, if any."""
        with self._condition:
            if self._closing:
                return None
            reading = Reading(self._clock, self._spec, self, self._patience, self._stalls)
            self._current = self._last_reading = reading
            is_stuck = self._watch(reading)
            self._current = None  # what it still delivers comes too late
            self._count_stalls(reading)
            if is_stuck:
                return self._lost(reading.stuck_because)
        if reading.error is None and self._spec.live:
            return self._lost("it ended")
        return reading.error

    def _watch(self, reading: Reading) -> bool:
        """Wait for the end of a reading; returns True where it is stuck instead."""
        while not (self._closing or reading.has_ended):
            now = self._clock.now()
            deadline = reading.deadline
            if self._spec.live and deadline is not None and now >= deadline:
                return True
            # A frame that comes now moves the deadline to `stall` from now at the earliest.
            rest = self._patience.stall if deadline is None else min(deadline - now, self._patience.stall)
            self._condition.wait_for(lambda: self._closing or reading.has_ended, rest if self._spec.live else None)
            if self._clock.now() - now - rest > _LATE_S:
                reading.excuse(self._clock.now())
        return False

    def _count_stalls(self, reading: Reading) -> None:
        if reading.watchdog is not None:
            self._stalls = 0 if reading.watchdog.knows_the_rate else self._stalls + (not reading.has_ended)

    def _lost(self, why: str) -> SourceLostError:
        return SourceLostError(
            f"{self._spec.uri} is lost: {why}.", remedy="Check the device, its cable or its network."
        )

    def _is_final(self, error: Exception) -> bool:
        if not self._spec.live:
            return True
        if isinstance(error, SourceLostError):
            return not (self._was_open or self._wait_for_source)
        return isinstance(error, EdgeI2IError) or not self._was_open

    def _wait_before_retrying(self, error: Exception) -> bool:
        """Says what was lost and when it will be tried again, and waits; False: closed meanwhile."""
        now = self._clock.now()
        delay = self._back_off.delay(now)
        reason = text_of(error)
        if self._lost_at is None:
            self._lost_at = now
            self._emit(EventKind.SOURCE_LOST, reason, uri=self._spec.uri)
        self._emit(EventKind.RETRYING, f"{reason} Opening it again in {delay:g} s.", seconds=delay, reason=reason)
        with self._condition:
            return not self._condition.wait_for(lambda: self._closing, delay)

    # Called by the reading threads ------------------------------------------------------------------------------------

    def opened(self, reading: Reading, info: SourceInfo) -> bool:
        """The source is open: watch it from now on, and begin a new epoch."""
        with self._condition:
            if reading is not self._current:
                return False
            reading.begin_watch(self._clock.now())
            self._was_open = True
            self._frame_maker.begin_anew()
        self._stats.set_source(info.label)
        self._emit(
            EventKind.SOURCE_OPENED, f"{info.label}, {info.size}", label=info.label, size=str(info.size), fps=info.fps
        )
        return True

    def arrived(self, reading: Reading, captured: Captured) -> bool:
        """Deliver a picture as a frame, unless it is the driver's last one once more or its reading was given up."""
        now = self._clock.now()
        with self._condition:
            if reading is not self._current:
                self._count_late()
                return False
            # A driver that hangs may hand out its last picture even after it was opened anew.
            if reading.repeats_mean_stall and self._repeats.is_repeat(captured.image):
                return True
            reading.begin_delivery(now)
            self._back_off.gives(now)
            frame, change = self._frame_maker.frame(captured, now)
            lost_at, self._lost_at = self._lost_at, None
        self._stats.add_captured()
        self._tell(change, lost_at, now)
        self._deliver(frame)
        with self._condition:
            reading.end_delivery(self._clock.now())
            return reading is self._current

    def over(self, reading: Reading) -> None:
        """The reading has ended: let the watching thread decide how to go on."""
        with self._condition:
            reading.has_ended = True
            self._condition.notify_all()

    def _count_late(self) -> None:
        self._frame_maker.skip()
        self._stats.add_captured()
        self._stats.add_drop(DropCause.STOPPED if self._closing else DropCause.ABANDONED)

    def _tell(self, change: str | None, lost_at: float | None, now: float) -> None:
        if change:
            self._emit(EventKind.SOURCE_CHANGED, f"{self._spec.uri}: {change}", reason=change)
        if lost_at is not None:
            self._stats.add_recovery()
            seconds = now - lost_at
            self._emit(EventKind.RECOVERED, f"{self._spec.uri} is back after {seconds:.3g} s", seconds=seconds)
