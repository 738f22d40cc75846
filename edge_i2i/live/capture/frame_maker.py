"""Where pictures become frames: numbered over the whole session, and marked where the source began anew."""

from __future__ import annotations

import statistics
from collections import deque

from edge_i2i.live.frame import Frame
from edge_i2i.sources.source import Captured

_RECENT = 8  # intervals of source time that tell the present rate
_JUMP_S = 0.25
_JUMP_INTERVALS = 8.0
"""Source time that runs ahead of the clock by more than the longer of these two jumped."""


class Continuity:
    """Tells where a source's pictures do not go on from the one before.

    ``live``: its frames come as fast as its time passes, so that a jump forward can be told from a pause. The time of
    a file says nothing about how fast it is read, and a long gap in it is a long frame.
    """

    def __init__(self, live: bool) -> None:
        self._live = live
        self._last: tuple[tuple[int, ...], float | None, float] | None = None
        self._intervals: deque[float] = deque(maxlen=_RECENT)

    def forget(self) -> None:
        """Begin anew: the next picture is the first of another opening."""
        self._last = None
        self._intervals.clear()

    def break_before(self, captured: Captured, now: float) -> str | None:
        """Why a picture that arrived at ``now`` does not go on from the last one, for people; None: it does."""
        last, self._last = self._last, (captured.image.shape, captured.t_source, now)
        if last is None:
            return None
        shape, t_source, arrived = last
        if captured.image.shape != shape:
            return f"its pictures are {_size(captured.image.shape)} now, and were {_size(shape)}"
        if captured.t_source is None or t_source is None:
            return None
        return self._jump(captured.t_source - t_source, now - arrived)

    def _jump(self, step: float, passed: float) -> str | None:
        if step < 0:
            self._intervals.clear()
            return f"its time went back by {-step:.3g} s"
        usual = statistics.median(self._intervals) if self._intervals else step
        self._intervals.append(step)
        if self._live and step - passed > max(_JUMP_S, _JUMP_INTERVALS * usual):
            return f"its time jumped ahead by {step - passed:.3g} s"
        return None


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape[:2])


class FrameMaker:
    """Makes frames of pictures; used under one lock."""

    def __init__(self, live: bool) -> None:
        self._continuity = Continuity(live)
        self._seq = 0
        self._epoch = -1
        self._is_new = True

    def begin_anew(self) -> None:
        """Begin a new epoch with the next picture, because the source was opened (again)."""
        self._is_new = True
        self._continuity.forget()

    def skip(self) -> None:
        """Give a number to a picture that becomes no frame, so that results tell that one is missing."""
        self._seq += 1

    def frame(self, captured: Captured, now: float) -> tuple[Frame, str | None]:
        """The next frame, of a picture that arrived at ``now``.

        Returns also why it begins an epoch, where it does although the source was not opened anew; otherwise None.
        """
        reason = self._continuity.break_before(captured, now)
        self._epoch += self._is_new or reason is not None
        self._is_new = False
        frame = Frame(self._seq, self._epoch, now, captured.t_source, captured.image)
        self._seq += 1
        return frame, reason
