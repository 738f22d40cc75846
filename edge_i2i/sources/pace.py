"""When the next picture is due, for sources that could give one at any time."""

from __future__ import annotations

import logging
import math

from edge_i2i.clock import Clock

_log = logging.getLogger(__name__)

_HOPELESSLY_LATE = 1.0  # seconds; who is held up for longer goes on from there instead of racing after the schedule


class Pace:
    """Plays a time line on a clock: the first moment is now, and the others keep their distance from it.

    A picture that is late for its moment is given at once, and those after it catch up. ``longest_wait``: in seconds; a
    time that lies further ahead is taken for a jump, and the time line begins anew there.
    """

    def __init__(self, clock: Clock, longest_wait: float = math.inf) -> None:
        self._clock, self._longest_wait = clock, longest_wait
        self._start: float | None = None

    def wait_until(self, moment: float) -> None:
        """Wait until ``moment`` (seconds on the time line) has come."""
        now = self._clock.now()
        start = now - moment if self._start is None else self._start
        wait = start + moment - now
        if wait > self._longest_wait:
            _log.warning("The time stamps jump ahead by %.0f s: it goes on at once.", wait)
        if not -_HOPELESSLY_LATE <= wait <= self._longest_wait:
            start, wait = now - moment, 0.0
        self._start = start
        if wait > 0:
            self._clock.sleep(wait)
