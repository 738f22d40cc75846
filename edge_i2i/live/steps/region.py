"""Translate a part of the frame only, and paste it back with a soft edge.

The network gets fewer pixels to invent, and what is around stays as the camera saw it. The edge is a raised cosine, so
that neither the picture nor its slope jumps. A side of the region that is a side of the frame stays hard: there is
nothing to fade into.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, Stopwatch
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Process, Processed
from edge_i2i.live.steps.step import Decorator, with_seconds
from edge_i2i.media.geometry import Rectangle

FEATHER = 0.08
"""Width of the soft edge, as a share of the region's shorter side."""

_NUMBER = r"\s*(\d+(?:\.\d*)?|\.\d+)\s*"


@dataclass(frozen=True)
class Region:
    """A rectangle of the frame: in pixels, or in fractions of its width and height (``relative``).

    Raises:
        UsageError: it is empty, or begins outside of any frame.
    """

    left: float
    top: float
    width: float
    height: float
    relative: bool = False

    def __post_init__(self) -> None:
        values = (self.left, self.top, self.width, self.height)
        if not (all(math.isfinite(value) and value >= 0 for value in values) and self.width and self.height):
            raise UsageError(f"{self} is no region.", remedy="Give x,y,w,h; width and height above 0.")

    def __str__(self) -> str:
        return f"{self.left:g},{self.top:g},{self.width:g},{self.height:g}"

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read ``x,y,w,h``: fractions where none is above 1 (``0.25,0,0.5,1``), else whole pixels (``320,0,640,720``).

        >>> Region.parse("320,0,640,720")
        Region(left=320.0, top=0.0, width=640.0, height=720.0, relative=False)

        Raises:
            UsageError: the text is not of this form, or mixes pixels and fractions.
        """
        match = re.fullmatch(",".join([_NUMBER] * 4), text)
        values = [float(group) for group in match.groups()] if match else []
        relative = all(value <= 1 for value in values)
        if not match or not (relative or all(value.is_integer() for value in values)):
            raise UsageError(
                f"'{text}' is not a region.",
                remedy="Write x,y,w,h, all in pixels (320,0,640,720) or all in fractions (0.25,0,0.5,1).",
            )
        left, top, width, height = values
        return cls(left, top, width, height, relative)

    def within(self, size: Size) -> Rectangle:
        """The part of the region that lies in a frame of this size, in whole pixels.

        Raises:
            PictureError: no part of it lies in the frame.
        """
        across, down = (size.width, size.height) if self.relative else (1, 1)
        left, right = (_clipped(x * across, size.width) for x in (self.left, self.left + self.width))
        top, bottom = (_clipped(y * down, size.height) for y in (self.top, self.top + self.height))
        if left >= right or top >= bottom:
            raise PictureError(
                f"Nothing of the region {self} lies in a frame of {size}.", remedy="Give a region inside of the frame."
            )
        return Rectangle(top, left, Size(bottom - top, right - left))


def _clipped(value: float, limit: int) -> int:
    return min(round(min(value, float(limit))), limit)


class RegionProcess(Decorator):
    """Has the region translated and pastes it into a copy of the frame.

    Args:
        inner: translates the region, cut out of the frame.
        region: the part of the frame.
        feather: width of the soft edge, as a share of the region's shorter side; 0: a hard edge.
        clock: measures the time that pasting takes; None: the machine's own.

    Raises (when called):
        PictureError: nothing of the region lies in the frame.
        UsageError: the inner process gives results of another size than the region's.
    """

    def __init__(self, inner: Process, region: Region, *, feather: float = FEATHER, clock: Clock | None = None) -> None:
        super().__init__(inner, clock)
        self._region, self._feather = region, feather

    def __call__(self, frame: Frame) -> Processed:
        """Translate the region of a frame; the result has the size of the whole frame."""
        size = Size(*frame.image.shape[:2])
        place = self._region.within(size)
        done = self._inner(replace(frame, image=np.ascontiguousarray(place.of(frame.image))))
        watch = Stopwatch(self._clock)
        image = pasted(done.image, frame.image, place, self._feather)
        return with_seconds(replace(done, image=image), watch.lap("finish").seconds)


def pasted(patch: Picture, frame: Picture, place: Rectangle, feather: float = FEATHER) -> Picture:
    """A copy of a frame with a patch in it, whose edges fade into the frame.

    Args:
        patch: what is pasted, RGB uint8 of the size of ``place``.
        frame: what it is pasted into, RGB uint8 ``[H, W, 3]``; it is not changed.
        place: where in the frame, in whole pixels.
        feather: width of the soft edge, as a share of the shorter side of ``place``.

    Raises:
        UsageError: the patch has another size than ``place``.
    """
    import cv2

    if patch.shape[:2] != (place.size.height, place.size.width):
        raise UsageError(
            f"A result of {Size(*patch.shape[:2])} cannot be pasted back into a region of {place.size}.",
            remedy="Have results in the camera's size (linear, cubic or guided), laid in by letterbox or stretch.",
        )
    inside, outside = _masks(place, Size(*frame.shape[:2]), feather)
    image = frame.copy()
    around = cv2.multiply(place.of(frame), outside, scale=1 / 255)
    place.of(image)[:] = cv2.add(cv2.multiply(patch, inside, scale=1 / 255), around)
    return image


@lru_cache(maxsize=4)  # one region stays for the whole session; a few frame sizes come and go
def _masks(place: Rectangle, frame: Size, feather: float) -> tuple[Picture, Picture]:
    """How much of the patch, and of the frame, in 255ths; uint8 ``[H, W, 3]``, which multiplies fastest."""
    width = feather * min(place.size.height, place.size.width)
    down = _ramp(place.size.height, width, place.top > 0, place.top + place.size.height < frame.height)
    across = _ramp(place.size.width, width, place.left > 0, place.left + place.size.width < frame.width)
    inside = np.rint(255 * np.outer(down, across)).astype(np.uint8)[..., None].repeat(3, axis=2)
    return inside, 255 - inside


def _ramp(length: int, width: float, first: bool, last: bool) -> NDArray[np.float64]:
    """Raised cosines at the ends that are to be soft, 1 between; pixel centres are half a pixel inside."""
    at = np.arange(length) + 0.5
    ramp = np.ones(length)
    for soft, distance in ((first, at), (last, length - at)):
        if soft and width > 0:
            ramp *= 0.5 - 0.5 * np.cos(np.pi * np.minimum(distance / width, 1.0))
    return ramp
