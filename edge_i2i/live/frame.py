"""What travels through a live session: a captured frame, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edge_i2i.arrays import Picture


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture that entered the session.

    ``seq``: 0, 1, 2, … over the whole session, without gaps; what is missing behind the session was dropped in it.
    ``t_capture``: when the picture arrived, in seconds of the session's clock. ``t_source``: as in ``Captured``; only a
    label, never used for control. ``epoch``: one more whenever the source began anew (reconnected, its times jumped
    back, its size changed), so that nothing is smoothed or compared across.
    """

    seq: int
    epoch: int
    t_capture: float
    t_source: float | None
    image: Picture


class Origin(StrEnum):
    """How a result's picture came about."""

    TRANSLATED = "translated"
    REUSED = "reused"  # an earlier translation of a nearly identical frame
    PASSED_THROUGH = "passed through"  # the frame itself: the network is still loading


@dataclass(frozen=True, eq=False)
class Result:
    """What became of a frame.

    ``image``: without HUD or comparison, of the size that the picture path was told to give; not to be written to, for
    several receivers hold it. ``t_done``: when it was ready, in seconds of the session's clock. ``seconds``: what its
    stages took, by name (``wait``, ``prepare``, ``model``, ``finish``). ``dropped_before``: frames that were dropped
    between the result before and this one.
    """

    image: Picture
    frame: Frame
    t_done: float
    origin: Origin = Origin.TRANSLATED
    seconds: Mapping[str, float] = field(default_factory=dict)
    dropped_before: int = 0

    @property
    def age_ms(self) -> float:
        """From the frame's arrival until the result was ready, in milliseconds."""
        return (self.t_done - self.frame.t_capture) * 1e3
