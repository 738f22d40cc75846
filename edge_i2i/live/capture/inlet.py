"""Where frames come in: what is not wanted is dropped here, before anything was paid for it."""

from __future__ import annotations

from edge_i2i.clock import Clock
from edge_i2i.live.capture.frame_maker import FrameMaker
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import LiveStats
from edge_i2i.live.figures.trace import Trace
from edge_i2i.live.frame import Frame
from edge_i2i.live.policy import Mode, Policy
from edge_i2i.live.threads.handover import Handover, HandoverClosedError
from edge_i2i.live.threads.pacing import Pacer
from edge_i2i.live.threads.pause import PauseSwitch
from edge_i2i.sources.source import Captured


class Inlet:
    """Hands frames over to the model, newest wins or all in order; counts those that it drops.

    Args:
        clock: gives frames that a host pushes their time of capture.
        policy: live or offline, and the frame rate that is not exceeded in live mode.
        frames: where the model takes frames from.
        pause_switch: while the session is paused, live frames are dropped.
        stats: counts frames and drops.
        trace: records the arrival of each frame and each drop.
    """

    def __init__(
        self,
        clock: Clock,
        policy: Policy,
        frames: Handover[Frame],
        pause_switch: PauseSwitch,
        stats: LiveStats,
        trace: Trace,
    ) -> None:
        self._clock, self._frames, self._pause_switch = clock, frames, pause_switch
        self._stats, self._trace = stats, trace
        self._is_live = policy.mode is Mode.LIVE
        self._pacer = Pacer(policy.fps) if self._is_live and policy.fps is not None else None
        self._frame_maker = FrameMaker(live=True)
        self._pushing = clock.condition()  # hosts may push from several threads

    def deliver(self, frame: Frame) -> bool:
        """Take a frame that was captured, one at a time; False: it, or another for it, was dropped."""
        self._trace.instant("capture", "frame", seq=frame.seq)
        cause = self._unwanted(frame)
        if cause is None:
            try:
                cause = None if self._frames.put(frame) is None else DropCause.NEWER_FRAME
            except HandoverClosedError:
                cause = DropCause.STOPPED
        if cause is not None:
            self._stats.add_drop(cause)
            self._trace.instant("drops", cause.value)
        return cause is None

    def push(self, captured: Captured) -> bool:
        """Take a picture of a host that owns the camera, in any thread; returns what ``deliver`` returns."""
        with self._pushing:
            frame, _ = self._frame_maker.frame(captured, self._clock.now())
            self._stats.add_captured()
            return self.deliver(frame)

    def close(self, *, discard: bool) -> None:
        """Accept no more frames. Those that wait are dropped with ``discard``, otherwise they are still translated."""
        left = self._frames.close(discard=discard)
        if left:
            self._stats.add_drop(DropCause.STOPPED, len(left))

    def _unwanted(self, frame: Frame) -> DropCause | None:
        if not self._is_live:
            return None
        if self._pause_switch.is_paused:
            return DropCause.PAUSED
        if self._pacer is not None and not self._pacer.admits(frame.t_capture):
            return DropCause.PACED
        return None
