"""A camera that fails as cameras do, when it is told to; its frames are coded, so that what comes out can be followed.

    camera = FaultyCamera(clock, Trouble("hang", 1.0))
    session = LiveSession(camera.spec(), ...)

Kinds of ``Trouble``, from ``begin`` for ``seconds``:

- ``nothing``: read returns None. ``stale``: the same picture again and again. ``raises``: read raises what drivers
  raise. ``gone``: reading and opening raise SourceLostError. ``unusable``: opening raises a final error.
- ``blocks``: read returns only when the trouble is over. ``hang``: read never returns. ``hang in open``: opening never.
- ``other size``: pictures are twice as high. ``other format``: four channels, until it is opened again.
- ``time jumps``: ``t_source`` is ``by`` seconds off from then on. ``slow``: at ``by`` frames a second.
- ``moves``: gone, and then there again as device 1 instead of 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.errors import BadInputError
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceLostError, SourceSpec

from .coded_frames import coded_picture

SIZE, OTHER_SIZE = Size(64, 64), Size(128, 64)


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong with a camera for a while."""

    kind: str
    begin: float
    seconds: float = 1e9
    by: float = 0.0

    def holds(self, now: float) -> bool:
        return self.begin <= now < self.begin + self.seconds

    @property
    def end(self) -> float:
        return self.begin + self.seconds


class FaultyCamera:
    """The device behind the sources: its frame counter runs on whoever opens it."""

    def __init__(self, clock: Clock, *troubles: Trouble, fps: float = 30.0, repeats_mean_stall: bool = True) -> None:
        self.clock, self.troubles, self.fps = clock, troubles, fps
        self.repeats_mean_stall = repeats_mean_stall
        self.number = 0
        self.last: Picture | None = None
        self.opened = self.closed = 0
        self.opened_at: list[float] = []
        self.indexes: list[int] = []

    def spec(self, uri: str = "camera:0", live: bool = True) -> SourceSpec:
        return SourceSpec(uri, live, lambda: FaultySource(self))

    def trouble(self, *kinds: str) -> Trouble | None:
        now = self.clock.now()
        return next((trouble for trouble in self.troubles if trouble.kind in kinds and trouble.holds(now)), None)

    def began(self, *kinds: str) -> Trouble | None:
        """As ``trouble``; what has begun holds for ever."""
        now = self.clock.now()
        return next((trouble for trouble in self.troubles if trouble.kind in kinds and now >= trouble.begin), None)

    def index(self) -> int:
        """Which number the system has given to the device of this name."""
        moved = self.began("moves")
        return 0 if moved is None or moved.holds(self.clock.now()) else 1

    def block(self, seconds: float | None = None) -> None:
        condition = self.clock.condition()
        with condition:
            condition.wait_for(lambda: False, seconds)


class FaultySource(Source):
    """One opening of the camera."""

    live = True

    def __init__(self, camera: FaultyCamera) -> None:
        self._camera = camera
        self.repeats_mean_stall = camera.repeats_mean_stall  # of the class, elsewhere
        self._due = 0.0
        self._format_changes_after = camera.clock.now()

    def open(self) -> SourceInfo:
        camera = self._camera
        camera.opened += 1
        camera.opened_at.append(camera.clock.now())
        if camera.trouble("hang in open"):
            camera.block()
        self._refuse_if_gone()
        if camera.trouble("unusable"):
            raise BadInputError("the camera has no colours", remedy="Buy another.")
        self._index = camera.index()
        camera.indexes.append(self._index)
        self._due = self._format_changes_after = camera.clock.now()
        return SourceInfo("a camera", SIZE, camera.fps)

    def read(self) -> Captured | None:
        camera = self._camera
        slow = camera.trouble("slow")
        self._due = max(self._due + 1 / (slow.by if slow else camera.fps), camera.clock.now())
        if (wait := self._due - camera.clock.now()) > 0:
            camera.clock.sleep(wait)
        if camera.trouble("hang"):
            camera.block()
        if blocks := camera.trouble("blocks"):
            camera.block(blocks.end - camera.clock.now())
        self._refuse_if_gone()
        if camera.trouble("raises"):
            raise RuntimeError("V4L2: VIDIOC_DQBUF failed")
        if camera.trouble("nothing"):
            return None
        return Captured(self._picture(), self._time())

    def close(self) -> None:
        self._camera.closed += 1

    def _refuse_if_gone(self) -> None:
        camera = self._camera
        if camera.trouble("gone", "moves") or getattr(self, "_index", camera.index()) != camera.index():
            raise SourceLostError("the camera is not there", remedy="Plug it in.")

    def _picture(self) -> Picture:
        camera = self._camera
        if camera.last is not None and camera.trouble("stale"):
            return camera.last.copy()
        camera.last = coded_picture(camera.number, size=OTHER_SIZE if camera.trouble("other size") else SIZE)
        camera.number += 1
        changed = camera.began("other format")
        if changed is not None and self._format_changes_after < changed.begin:
            return np.concatenate([camera.last, camera.last[..., :1]], axis=2)
        return camera.last

    def _time(self) -> float:
        jumped = self._camera.began("time jumps")
        return self._camera.clock.now() + (jumped.by if jumped else 0.0)
