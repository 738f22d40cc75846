"""When a source is taken to be stuck: decisions on the times of new frames, without clock or thread.

What ``read`` returns proves nothing: drivers go on handing out their last buffer after the device was unplugged, or
never return.
"""

from __future__ import annotations

import statistics
import zlib
from collections import deque
from dataclasses import dataclass

from edge_i2i.arrays import Picture


@dataclass(frozen=True)
class Patience:
    """How long a live source may take, in seconds.

    ``opening``: network cameras take some seconds. ``first_frame``: until the frame interval is known. ``stall``: no
    new frame for so long, or for ``intervals`` recent frame intervals, whichever is longer, is a stall.
    """

    opening: float = 10.0
    first_frame: float = 5.0
    stall: float = 0.5
    intervals: float = 5.0


_RECENT = 8  # frame intervals that tell the present rate


class Watchdog:
    """Watches one opening of a source, from the moment that it was opened.

    Args:
        patience: how long the source may take.
        now: when it was opened, in seconds of the session's clock.
        stalls: how many openings before this one stalled after a few frames. Each doubles the patience, for a source
            that gives some buffered frames at once and then one a second would else be opened anew for ever.
    """

    def __init__(self, patience: Patience, now: float, stalls: int = 0) -> None:
        self._patience = patience
        self._floor = min(patience.stall * 2.0**stalls, patience.first_frame)
        self._intervals: deque[float] = deque(maxlen=_RECENT)
        self._last_frame: float | None = None
        self._since = now

    def new_frame(self, now: float) -> None:
        """A frame came at ``now`` that differs from the one before."""
        if self._last_frame is not None:
            self._intervals.append(now - self._last_frame)
        self._last_frame = self._since = now

    def reads_again(self, now: float) -> None:
        """Begin to wait anew at ``now``: delivering a frame may have taken long, which is not the source's fault."""
        self._since = now

    @property
    def knows_the_rate(self) -> bool:
        """Whether enough frames came to tell their rate."""
        return len(self._intervals) == _RECENT

    @property
    def limit(self) -> float:
        """How many seconds without a new frame are a stall."""
        if not self._intervals:
            return self._patience.first_frame
        return max(self._floor, self._patience.intervals * statistics.median(self._intervals))

    @property
    def deadline(self) -> float:
        """From when on it is a stall, in seconds of the clock, if no new frame comes before."""
        return self._since + self.limit


_SAMPLES = 64  # rows and columns that are compared


class Repeats:
    """Tells a picture that came again, by a sample of 64 x 64 pixels: a sensor's noise differs in every one of them.

    A picture of a single colour is no evidence: a covered lens gives the same black again and again.
    """

    def __init__(self) -> None:
        self._last: tuple[tuple[int, ...], int] | None = None

    def is_repeat(self, image: Picture) -> bool:
        """Whether a picture (uint8 ``[H, W, 3]``) equals the one of the call before."""
        rows, columns = (max(1, side // _SAMPLES) for side in image.shape[:2])
        sample = image[::rows, ::columns]
        mark = (image.shape, zlib.crc32(sample.tobytes()))
        again = mark == self._last and sample.min() != sample.max()
        self._last = mark
        return bool(again)
