"""The stages of a session, how they are joined, and how they come to an end: together, and in bounded time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

from edge_i2i.clock import Clock, Signal
from edge_i2i.live.capture.capture import Capture
from edge_i2i.live.capture.inlet import Inlet
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.event_thread import EventThread
from edge_i2i.live.figures.events import EventKind, OnEvent
from edge_i2i.live.figures.stats import LiveStats
from edge_i2i.live.figures.trace import Trace
from edge_i2i.live.frame import Frame, Result
from edge_i2i.live.model.changes import Change, Replacement
from edge_i2i.live.model.loading import Loading
from edge_i2i.live.model.process import Loader, Process
from edge_i2i.live.model.stage import ModelStage
from edge_i2i.live.outlets.outlets import Outlets
from edge_i2i.live.outlets.sink_stage import Composes, SinkStage, handover_of_results
from edge_i2i.live.policy import Mode, Policy
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.threads.ending import Ending, LiveError, text_of
from edge_i2i.live.threads.handover import Handover, Lane, Slot
from edge_i2i.live.threads.pause import PauseSwitch
from edge_i2i.machine import resident_bytes
from edge_i2i.sources.source import SourceSpec

_FOR_STAGES = 0.9  # of the time that stopping may take; the rest is for telling about it
_FOR_SOURCE_S = 2.0  # seconds at most: nobody needs it any more, and one that nobody answers cannot be interrupted


def _ready(process: Process | Loader) -> Process | None:
    """The process itself where one is given; None: it is a loader, which has to run first."""
    is_process = all(hasattr(process, name) for name in ("condition", "close"))
    return cast(Process, process) if is_process else None


class Pipeline:
    """Capture, inlet, model and outlets of one session. Nothing here waits, except ``shut_down``.

    Args:
        clock: what time is measured and waited by.
        source: where frames come from; None: the host pushes them into ``inlet``.
        process: what is done to a frame; or a loader, that is run when the pipeline starts.
        policy: the newest frame, or every frame in order.
        view: composes what sinks are given of a result; None: its picture.
        on_event: told what happens, by a thread of its own; None: nobody is told.
        trace: collects what every stage did when; None: nothing is collected.
        wait_for_source: take a live source that is not there at first for one that will come.
    """

    def __init__(
        self,
        clock: Clock,
        source: SourceSpec | None,
        process: Process | Loader,
        policy: Policy,
        *,
        view: Composes | None,
        on_event: OnEvent | None,
        trace: Trace | None,
        wait_for_source: bool,
    ) -> None:
        self.clock, self._policy, self._view = clock, policy, view
        self._trace = trace or Trace(clock, 0)
        self.stats = LiveStats(clock, source.uri if source else "")
        self.pause_switch, self.ending, self.outlets = PauseSwitch(clock), Ending(clock), Outlets(clock)
        self.events = EventThread(clock, on_event, self._look_after, lambda error: self.fail("on_event", error))
        frames: Handover[Frame] = Lane(clock) if policy.mode is Mode.OFFLINE else Slot(clock)
        self.inlet = Inlet(clock, policy, frames, self.pause_switch, self.stats, self._trace)
        self.model = self._make_model(frames, _ready(process))
        self._loader = None if self.model.has_process else process
        self._capture = self._make_capture(source, wait_for_source) if source else None
        self._lock = threading.Lock()  # held for assignments; nobody waits under it
        self._loadings: tuple[Loading, ...] = ()
        self._requests = 0
        self._is_stopping = self._is_given_up = False
        self._stopped = Signal(clock)
        self.has_started = False

    def _make_model(self, frames: Handover[Frame], process: Process | None) -> ModelStage:
        return ModelStage(
            self.clock,
            frames,
            self._policy,
            process,
            pause_switch=self.pause_switch,
            give=self._give,
            ended=self._model_ended,
            stats=self.stats,
            emit=self.events.emit,
            trace=self._trace,
        )

    def _make_capture(self, source: SourceSpec, wait_for_source: bool) -> Capture:
        return Capture(
            self.clock,
            source,
            self.inlet.deliver,
            self._source_ended,
            stats=self.stats,
            emit=self.events.emit,
            wait_for_source=wait_for_source,
        )

    def add_sinks(self, sinks: Sequence[Sink]) -> None:
        """Add sinks, each with the pipeline's view; of two with one name, the second is called ``NAME 2``."""
        for sink in sinks:
            self.add_sink(sink, sink.wants_every, self._view)

    def add_sink(self, sink: Sink, wants_every: bool, view: Composes | None) -> None:
        """Add a sink, which gets results in a thread of its own.

        Args:
            sink: takes results; it is closed by that thread.
            wants_every: give it every result in order, as far as it keeps up; otherwise the newest only.
            view: composes what it is given; None: the result's picture.
        """
        same = sum(other.name.partition(" ")[0] == sink.name for other in self.outlets.sinks)
        name = f"{sink.name} {same + 1}" if same else sink.name
        if not sink.on_request:
            self.stats.add_sink(name)
        stage = SinkStage(
            self.clock,
            sink,
            name,
            handover_of_results(self.clock, self._policy.mode, wants_every),
            view=view,
            stats=self.stats,
            emit=self.events.emit,
            trace=self._trace,
            ended=self._sink_ended,
        )
        self.outlets.add_sink(stage)

    # Running ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every stage."""
        self._start_stages()
        if self._loader is not None:
            self.load(self._loader, Change(self.clock))
        if self._capture is not None:
            self._capture.start()

    def _start_stages(self) -> None:
        self.has_started = True
        self.events.emit(EventKind.STARTED, f"{self._policy.mode.value} session")
        self.events.start()
        self.outlets.start()
        self.model.start()

    def load(self, process: Process | Loader, change: Change) -> None:
        """Change to another process between two frames; a loader is run first, beside the process that goes on.

        ``change`` is told when the other process runs, or why it does not.
        """
        with self._lock:
            self._requests += 1
            number = self._requests
        if (ready := _ready(process)) is not None:
            self.model.offer(Replacement(ready, number, resident_bytes(), change))
            return
        loading = Loading(
            self.clock,
            cast(Loader, process),
            number,
            change,
            emit=self.events.emit,
            loaded=self.model.offer,
            failed=self._loading_failed,
        )
        with self._lock:
            self._loadings = (*(other for other in self._loadings if other.is_under_way), loading)
        loading.start()

    def _loading_failed(self, loading: Loading, error: Exception) -> None:
        loading.change.fail(error)
        if self.model.has_process or any(other.is_under_way for other in self._loadings):
            message = f"another network was not loaded: {text_of(error)}"
            self.events.emit(EventKind.MODEL_FAILED, message, error=type(error).__name__)
        else:
            self.fail("loading", error)

    def _look_after(self, now: float) -> None:
        self.model.look_after(now)
        for loading in self._loadings:
            loading.say()

    def _give(self, result: Result) -> None:
        if self._is_given_up:
            self.stats.add_drop(DropCause.STOPPED)
            return
        self.stats.add_result(result)
        self.outlets.offer(result)

    # Ending -----------------------------------------------------------------------------------------------------------

    def _source_ended(self, error: Exception | None) -> None:
        if error is not None:
            self.fail("source", error)
        self.inlet.close(discard=False)

    def _model_ended(self, error: Exception | None) -> None:
        if error is not None:
            self.fail("model", error)
        self.outlets.finish()
        self._finish_if_done()

    def _sink_ended(self, stage: SinkStage) -> None:
        if stage.error is not None and self.outlets.have_failed:
            self.fail(f"sink {stage.name}", stage.error)
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self.outlets.have_ended and not self.ending.is_over:
            self.stats.finish()
            self.ending.finish()

    def fail(self, stage: str, cause: Exception) -> None:
        """End the session with an error, without waiting. ``stage``: the stage's name, as in ``LiveError``."""
        if not self.ending.fail(LiveError(stage, cause)):
            return
        self._is_given_up = True  # what the model still makes comes too late
        self.stats.finish()
        self._take_nothing_in()
        self.outlets.finish()

    def _take_nothing_in(self) -> None:
        if self._capture is not None:
            self._capture.close()
        self.inlet.close(discard=True)
        self.pause_switch.resume(for_good=True)
        self.model.close()

    def shut_down(self, timeout: float) -> None:
        """Stop every stage, in ``timeout`` seconds at most; whoever hangs by then stays behind, and is named."""
        with self._lock:
            is_first, self._is_stopping = not self._is_stopping, True
        if not is_first:
            if not self._called_from_a_stage():
                self._stopped.wait(timeout)
            return
        until = self.clock.now() + timeout
        if not self.has_started:  # what was handed over is closed by the thread that would have used it
            self._start_stages()
        hung = self._stop_stages(until - (1 - _FOR_STAGES) * timeout)
        if not self.ending.is_over:
            self.stats.finish()
        self.ending.finish()
        text = f"without {', '.join(hung)}: not ended in time" if hung else "all stages have ended"
        self.events.emit(EventKind.STOPPED, text, hung=hung)
        self.events.close()
        self.events.join(until - self.clock.now())
        self._stopped.set()

    def _stop_stages(self, until: float) -> list[str]:
        """Stop all stages; returns the names of those that have not ended at ``until``."""
        self._take_nothing_in()
        self.outlets.release()
        if not self.model.join((until - self.clock.now()) / 2):  # else its last result is still given
            self._is_given_up = True
        self.outlets.finish()
        hung = self.outlets.join(until)
        if not self.model.join(until - self.clock.now()):
            hung.append("model")
        if self._capture is not None and not self._capture.join(min(until - self.clock.now(), _FOR_SOURCE_S)):
            hung.append("source")
        for loading in self._loadings:
            if loading.is_under_way:  # no use in waiting: it cannot be interrupted
                hung.append("loading")
            else:
                loading.join(until - self.clock.now())
        return hung

    def _called_from_a_stage(self) -> bool:
        return any(worker.is_me for worker in (self.events, self.model, *self.outlets.sinks, *self._loadings))
