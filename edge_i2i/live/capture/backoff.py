"""How long to wait before a lost source is opened again: a decision without clock or thread, so that it can be tested.

A device that comes back shall give a picture within 1.5 s, so the delay never exceeds 1 s in the first half minute,
which is how long a plug or a cable takes that somebody is putting back. Later it grows to 5 s.
"""

from __future__ import annotations

FIRST_S = 0.25
LONGEST_AT_FIRST_S = 1.0
AT_FIRST_S = 30.0
LONGEST_S = 5.0
STEADY_S = 2.0
"""A source that failed sooner than this after it came back was not back: the delays go on growing."""


class BackOff:
    """Delays that double, over one outage."""

    def __init__(self) -> None:
        self._began = 0.0
        self._delay = 0.0
        self._giving_since: float | None = None

    def gives(self, now: float) -> None:
        """Take note that a new frame came: when the source has given frames for a while, the delays begin anew."""
        if self._giving_since is None:
            self._giving_since = now

    def delay(self, now: float) -> float:
        """Seconds to wait before the next attempt, after the source was lost at ``now`` or another attempt failed."""
        is_new = self._giving_since is not None and now - self._giving_since >= STEADY_S
        if is_new or not self._delay:
            self._began, self._delay = now, FIRST_S
        else:
            longest = LONGEST_AT_FIRST_S if now - self._began < AT_FIRST_S else LONGEST_S
            self._delay = min(2 * self._delay, longest)
        self._giving_since = None
        return self._delay
