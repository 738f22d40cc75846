"""Results for sinks, the colours that they must keep, and what may not be left behind."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.live.frame import Frame, Origin, Result
from edge_i2i.sources.coded import stamp

SIZE = Size(96, 128)
PRIMARIES = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0), (255,) * 3]


def primaries(size: Size = SIZE) -> Picture:
    """Eight bars of known colours."""
    columns = np.arange(size.width) * len(PRIMARIES) // size.width
    return np.ascontiguousarray(np.array(PRIMARIES, np.uint8)[columns][None].repeat(size.height, axis=0))


def colour_error(shown: Picture) -> int:
    """The largest deviation from the primaries in the middle of each bar, in levels."""
    wanted = primaries(Size(*shown.shape[:2]))
    width = shown.shape[1] // len(PRIMARIES)
    columns = [int((bar + 0.5) * width) + shift for bar in range(len(PRIMARIES)) for shift in (-1, 0, 1)]
    rows = slice(shown.shape[0] // 4, shown.shape[0] * 3 // 4)
    return int(np.abs(shown[rows, columns].astype(int) - wanted[rows, columns]).max())


def grey(level: int, size: Size = SIZE) -> Picture:
    return np.full((size.height, size.width, 3), level, np.uint8)


def coded(number: int, size: Size = SIZE) -> Picture:
    """A grey picture that carries a number."""
    picture = grey(128, size)
    stamp(picture, number)
    return picture


def passed_through(picture: Picture) -> Result:
    """A frame that came while the network was still loading."""
    return Result(picture, Frame(0, 0, 0.0, None, picture), 0.02, Origin.PASSED_THROUGH)


def result(picture: Picture, seq: int = 0, t_capture: float = 0.0, t_source: float | None = None) -> Result:
    frame = Frame(seq, 0, t_capture, t_source, picture)
    return Result(picture, frame, t_capture + 0.02)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that happens in another thread."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen")
        time.sleep(0.005)


@contextmanager
def no_thread_left() -> Iterator[None]:
    """All threads that were started in the block have ended soon after it."""
    before = set(threading.enumerate())
    yield
    assert left_since(before) == []


def left_since(before: set[threading.Thread]) -> list[threading.Thread]:
    """The threads that are not among those from before, and have not ended in three seconds."""
    begun = [thread for thread in threading.enumerate() if thread not in before]
    for thread in begun:
        thread.join(3.0)
    return [thread for thread in begun if thread.is_alive()]


def get(url: str, timeout: float = 5.0) -> bytes:
    with urllib.request.urlopen(url, timeout=timeout) as reply:
        return bytes(reply.read())


def decode_jpeg(data: bytes) -> Picture:
    return np.asarray(cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
