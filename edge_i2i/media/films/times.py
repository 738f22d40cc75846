"""The time of each frame, in the order in which frames are shown, also where a container does not know it."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

_MOST_HELD = 16  # frames; no codec holds more of them back
_HELD_BYTES = 2**28

WITHOUT_DISPLAY_TIMES = "avi"
"""The container that knows the order of its packets only; what the library gives as times of its frames are guesses."""


def timed(frames: Iterable[av.VideoFrame], *, guessed: bool) -> Iterator[tuple[av.VideoFrame, Fraction | None]]:
    """Frames as they were decoded, each with its time in seconds; None: it has none.

    A decoder gives frames in the order in which they are shown, but the times beside them may be those of decoding.
    The same times in their own order are right: the first frame has the earliest. For that, frames are held back from
    the moment that a time goes back; with ``guessed`` times, from the beginning.
    """
    held: deque[av.VideoFrame] = deque()
    times: list[Fraction] = []
    last: Fraction | None = None
    holds_back = guessed
    for frame in frames:
        if frame.pts is None:
            yield from _in_order(held, times, 0)
            yield frame, None
            continue
        at = frame.pts * (frame.time_base or Fraction(1))
        held.append(frame)
        heapq.heappush(times, at)
        holds_back |= last is not None and at <= last
        for shown, last in _in_order(held, times, _room(frame) if holds_back else 0):
            yield shown, last
    yield from _in_order(held, times, 0)


def _in_order(held: deque[av.VideoFrame], times: list[Fraction], keep: int) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    while len(held) > keep:
        yield held.popleft(), heapq.heappop(times)


def _room(frame: av.VideoFrame) -> int:
    """How many frames like this one may be held."""
    size = sum(plane.buffer_size for plane in frame.planes)
    return min(_MOST_HELD, _HELD_BYTES // max(size, 1))
