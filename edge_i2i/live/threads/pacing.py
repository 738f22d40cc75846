"""At most so many frames a second, without drift: a decision on times, without clock or thread."""

from __future__ import annotations


class Pacer:
    """Keeps a schedule of one frame every ``1 / fps`` seconds.

    Frames that come a little early or late do not move the schedule, so that the rate holds over any time. What is
    more than one frame behind is not made up for.
    """

    def __init__(self, fps: float) -> None:
        self._period = 1.0 / fps
        self._due: float | None = None

    def wait(self, now: float) -> float:
        """Seconds from ``now`` until the next frame is due; 0: it is due already."""
        return 0.0 if self._due is None else max(0.0, self._due - now)

    def take(self, now: float) -> None:
        """Take note that a frame is taken at ``now``, and move the schedule on by one."""
        due = now if self._due is None else self._due
        self._due = max(due + self._period, now)

    def admits(self, now: float) -> bool:
        """Whether a frame that came at ``now`` is due; if so, it counts as taken."""
        if self.wait(now) > 0.0:
            return False
        self.take(now)
        return True
