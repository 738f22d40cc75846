"""The thread that translates: takes frames, runs the process, and changes it between two frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edge_i2i.clock import Clock, Signal
from edge_i2i.errors import BadInputError
from edge_i2i.live.capture.capture import Emit
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.events import EventKind
from edge_i2i.live.figures.stats import LiveStats
from edge_i2i.live.figures.trace import Trace
from edge_i2i.live.frame import Frame, Origin, Result
from edge_i2i.live.model.changes import LookChange, Replacement
from edge_i2i.live.model.process import Process, Processed
from edge_i2i.live.policy import Mode, Policy
from edge_i2i.live.threads.ending import text_of
from edge_i2i.live.threads.handover import Handover, HandoverClosedError, Lane
from edge_i2i.live.threads.pacing import Pacer
from edge_i2i.live.threads.pause import PauseSwitch
from edge_i2i.live.threads.worker import Worker
from edge_i2i.machine import resident_bytes

FAILURES_IN_A_ROW = 10
"""So many frames that fail one after the other are no accident: at 30 fps a third of a second without a picture."""

STALLED_S = 5.0
"""After so long in one frame it is said that the model hangs. The first one may compile for some seconds."""

_IDLE_S = 0.25  # how often changes are looked for while no frames come
_CHANGES = 1000  # that may wait for a process that is still loading


class ModelStage(Worker):
    """Translates frames one after the other.

    Without a process, live frames are passed through, and offline ones wait for it. Owns the process: it is used,
    changed and closed by this thread only.

    Args:
        clock: measures the age of frames and the time of each stage.
        frames: where frames are taken from; when it is closed and empty, the stage ends.
        policy: live or offline, the largest age of a frame, and the pace of an offline session.
        process: what translates; None: it comes later, by ``offer``.
        pause_switch: an offline stage waits here while the session is paused.
        give: takes each result; may wait.
        ended: called once, at last, with what ended the stage; None: the frames have ended.
        stats: counts drops, and is told which engine runs.
        emit: told of failures, swaps and frames that take too long.
        trace: records the time of every stage of a frame.
    """

    def __init__(
        self,
        clock: Clock,
        frames: Handover[Frame],
        policy: Policy,
        process: Process | None,
        *,
        pause_switch: PauseSwitch,
        give: Callable[[Result], None],
        ended: Callable[[Exception | None], None],
        stats: LiveStats,
        emit: Emit,
        trace: Trace,
    ) -> None:
        super().__init__(clock, self._translate_all, "translate")
        self._frames, self._policy, self._process = frames, policy, process
        self._pause_switch, self._give, self._ended = pause_switch, give, ended
        self._stats, self._emit, self._trace = stats, emit, trace
        self._changes: Lane[LookChange | Replacement] = Lane(clock, _CHANGES, patience=0.0)
        self._waiting_looks: list[LookChange] = []
        self._closing = Signal(clock)
        self._is_offline = policy.mode is Mode.OFFLINE
        self._pacer = Pacer(policy.fps) if self._is_offline and policy.fps is not None else None
        self._failures = 0
        self._newest = 0  # number of the replacement that runs
        self._last_seq = -1
        self._busy_since: float | None = None
        self._said_stalled = False

    # For other threads ------------------------------------------------------------------------------------------------

    def offer(self, change: LookChange | Replacement) -> None:
        """Queue a change that is made between two frames; a change that comes after ``close`` lapses and is freed."""
        try:
            refused = self._changes.put(change)
        except HandoverClosedError:
            refused = change
        if refused is not None:
            self._free(refused)

    @property
    def has_process(self) -> bool:
        """Whether there is something to translate with."""
        return self._process is not None

    def close(self) -> None:
        """Make no more changes, and do not wait for a process; the thread ends when the frames have ended."""
        self._closing.set()
        for change in self._changes.close(discard=True):
            self._free(change)

    def look_after(self, now: float) -> None:
        """Emit an event, once a frame, if at ``now`` the process has worked on it for ``STALLED_S`` seconds."""
        since = self._busy_since
        if since is None or now - since < STALLED_S or self._said_stalled:
            return
        self._said_stalled = True
        seconds = now - since
        self._emit(EventKind.STALLED, f"the model has worked on one frame for {seconds:.0f} s", seconds=seconds)

    # Its thread -------------------------------------------------------------------------------------------------------

    def _translate_all(self) -> None:
        error: Exception | None = None
        try:
            self._tell_engine()
            while True:
                self._step()
        except HandoverClosedError:
            pass
        except Exception as raised:  # noqa: BLE001 (whatever it is, the session has to hear of it)
            error = raised
        self.close()
        for look in self._waiting_looks:
            look.change.lapse()
        self._close_process()
        self._ended(error)

    def _step(self) -> None:
        self._make_changes()
        if self._is_offline:
            self._pause_switch.wait()
            if self._process is None:
                self._change(self._changes.take())
                return
        frame = self._frames.take(_IDLE_S)
        if frame is None:
            return
        self._make_changes()  # what was changed before a frame came holds for it
        if self._is_too_old(frame):
            self._stats.add_drop(DropCause.TOO_OLD)
            return
        self._keep_pace()
        self._translate(frame)

    def _is_too_old(self, frame: Frame) -> bool:
        limit = self._policy.max_age_ms
        return limit is not None and (self._clock.now() - frame.t_capture) * 1e3 > limit

    def _keep_pace(self) -> None:
        if self._pacer is not None:
            self._closing.wait(self._pacer.wait(self._clock.now()))
            self._pacer.take(self._clock.now())

    def _translate(self, frame: Frame) -> None:
        began = self._clock.now()
        self._said_stalled, self._busy_since = False, began
        try:
            processed = self._processed(frame)
        except Exception as error:  # noqa: BLE001 (networks raise anything)
            self._count_failure(frame, error)
            return
        finally:
            self._busy_since = None
        self._failures = 0
        self._tell_engine()  # a ladder changes it from frame to frame
        now = self._clock.now()
        laps = processed.seconds or {"model": now - began}
        self._trace_frame(frame, began, laps)
        seconds = {"wait": began - frame.t_capture, **laps}
        dropped = frame.seq - self._last_seq - 1
        self._last_seq = frame.seq
        self._give(Result(processed.image, frame, now, processed.origin, seconds, dropped))

    def _trace_frame(self, frame: Frame, began: float, laps: Mapping[str, float]) -> None:
        self._trace.span("slot", "wait", frame.t_capture, began, seq=frame.seq)
        for name, seconds in laps.items():
            self._trace.span("translate", name, began, began + seconds, seq=frame.seq)
            began += seconds

    def _processed(self, frame: Frame) -> Processed:
        if self._process is None:
            return Processed(frame.image, Origin.PASSED_THROUGH)
        processed = self._process(frame)
        _refuse_no_picture(processed.image)
        return processed

    def _count_failure(self, frame: Frame, error: Exception) -> None:
        self._stats.add_drop(DropCause.MODEL_FAILED)
        self._failures += 1
        self._emit(
            EventKind.MODEL_FAILED, text_of(error), seq=frame.seq, error=type(error).__name__, in_a_row=self._failures
        )
        if self._failures >= FAILURES_IN_A_ROW:
            raise error

    # Changes ----------------------------------------------------------------------------------------------------------

    def _make_changes(self) -> None:
        while True:
            try:
                change = self._changes.take(0.0)
            except HandoverClosedError:
                return  # whether the frames have ended, too, is another question
            if change is None:
                return
            self._change(change)

    def _change(self, change: LookChange | Replacement | None) -> None:
        if isinstance(change, Replacement):
            self._replace(change)
        elif isinstance(change, LookChange) and self._process is None:
            self._waiting_looks.append(change)
        elif isinstance(change, LookChange):
            self._set_look(self._process, change)

    def _set_look(self, process: Process | None, look: LookChange) -> None:
        if process is None:
            return
        try:
            process.condition(**look.inputs)
        except Exception as error:  # noqa: BLE001 (as for frames; the look before holds on)
            look.change.fail(error)
            self._emit(EventKind.MODEL_FAILED, f"the look was not set: {text_of(error)}", error=type(error).__name__)
        else:
            look.change.succeed()

    def _replace(self, replacement: Replacement) -> None:
        if replacement.number < self._newest:
            self._free(replacement)
            return
        had_one = self._process is not None
        self._close_process()
        self._process, self._newest, self._failures = replacement.process, replacement.number, 0
        self._tell_engine()
        looks, self._waiting_looks = self._waiting_looks, []
        for look in looks:
            self._set_look(self._process, look)
        if had_one:
            self._tell_swapped(replacement)
        replacement.change.succeed()

    def _tell_engine(self) -> None:
        if self._process is not None:
            self._stats.set_engine(self._process.engine, self._process.effective_precision)

    def _tell_swapped(self, replacement: Replacement) -> None:
        self._emit(
            EventKind.SWAPPED,
            replacement.process.engine or "another network",
            engine=replacement.process.engine,
            effective_precision=replacement.process.effective_precision,
            memory_before=replacement.memory_before,
            memory_after=resident_bytes(),
        )

    def _close_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._close(process)

    def _close(self, process: Process) -> None:
        try:
            process.close()
        except Exception as error:  # noqa: BLE001 (engines raise anything; there is nothing left to lose)
            self._emit(EventKind.MODEL_FAILED, f"it was not closed: {text_of(error)}", error=type(error).__name__)

    def _free(self, change: LookChange | Replacement) -> None:
        if isinstance(change, Replacement):
            self._close(change.process)
        change.change.lapse()


def _refuse_no_picture(image: object) -> None:
    """Raise an error for what is no RGB picture. NaN cannot be told here: uint8 has none."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise BadInputError(
            f"The model gave {found} instead of an RGB picture, uint8 [H, W, 3].",
            remedy="Check what the process makes of a frame.",
        )
