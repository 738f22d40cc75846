"""Flicker of a translated video, on clips whose motion is known exactly: a picture that pans by whole pixels.

No flow network and no interpolation comes into it: what the target shows at a place is what the frame before showed at
another whole pixel, so the panned picture itself has a warp error of exactly 0 and everything else is the network's.
A network flickers by itself (instance norm's statistics move with the crop,
strides alias on odd steps), so a variant is judged relative to FP32 on the same clip.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError, UsageError

BORDER = 4
"""Pixels of each frame's border that are not compared: padding reaches into them, and it does not move along."""


@dataclass(frozen=True, eq=False)
class PanningClip:
    """Frames of one shape, ``[H, W]`` or ``[H, W, C]``, that look at a still scene.

    The view moves by ``step`` = (down, right) whole pixels from each to the next.
    """

    frames: tuple[Array, ...]
    step: tuple[int, int]

    def through(self, translate: Callable[[Array], Array]) -> PanningClip:
        """The clip of the translated frames, which pans alike."""
        return PanningClip(tuple(translate(frame) for frame in self.frames), self.step)


def pan_clip(picture: Array, size: Size, step: tuple[int, int] = (2, 4), count: int = 5) -> PanningClip:
    """Pan over a picture: crops of one size, each shifted against the last.

    Works alike on pictures and on maps of ids, and takes the same places from all arrays of one height and width: no
    value is interpolated. The path lies in the middle; what is too small for it is enlarged by reflection on all
    sides. A large photograph should be resized first, so that a crop shows enough of it.

    Args:
        picture: ``[H, W]`` or ``[H, W, C]``.
        size: of every crop.
        step: by how many pixels each crop lies further than the last: (down, right), below 0 the other way.
        count: how many crops, two or more.

    >>> clip = pan_clip(np.arange(6).reshape(2, 3), Size(2, 2), (0, 1), 2)
    >>> [frame.tolist() for frame in clip.frames]
    [[[0, 1], [3, 4]], [[1, 2], [4, 5]]]

    Raises:
        UsageError: fewer than two frames.
        PictureError: ``picture`` is not ``[H, W]`` or ``[H, W, C]``, or is empty.
    """
    if count < 2:
        raise UsageError(f"A clip of {count} frames cannot flicker.", remedy="Take two frames or more.")
    if picture.ndim not in (2, 3) or picture.size == 0:
        raise PictureError(f"A picture is [H, W] or [H, W, C], not {list(picture.shape)}.")
    canvas = picture
    starts = []
    for axis, (side, move) in enumerate(zip((size.height, size.width), step, strict=True)):
        way = abs(move) * (count - 1)
        canvas = _at_least(canvas, axis, side + way)
        middle = (canvas.shape[axis] - side - way) // 2
        starts.append(middle if move >= 0 else middle + way)
    corners = [(starts[0] + step[0] * number, starts[1] + step[1] * number) for number in range(count)]
    frames = (canvas[top : top + size.height, left : left + size.width] for top, left in corners)
    return PanningClip(tuple(np.ascontiguousarray(frame) for frame in frames), step)


def _at_least(picture: Array, axis: int, side: int) -> Array:
    """The picture, reflected outwards at both ends of an axis where it is shorter than ``side``."""
    missing = max(0, side - picture.shape[axis])
    widths = [(missing // 2, missing - missing // 2) if i == axis else (0, 0) for i in range(picture.ndim)]
    return np.pad(picture, widths, mode="reflect") if missing else picture


def warp_error(clip: PanningClip, data_range: float = 255) -> float:
    """How much a panning clip flickers: the mean squared difference between each frame and the next, at the same place
    of the scene, 4 pixels inside both frames' borders; of pictures scaled to [0, 1].

    ``data_range``: the largest value less the smallest: 255 for uint8, 2 for a network's output in [-1, 1].

    >>> scene = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    >>> warp_error(pan_clip(scene, Size(24, 24)))
    0.0
    >>> still = PanningClip((np.zeros((9, 9), np.uint8), np.full((9, 9), 51, np.uint8)), (0, 0))
    >>> round(warp_error(still), 6)
    0.04

    Raises:
        PictureError: fewer than two frames, frames of different shapes, or too small to overlap inside the border.
    """
    _check_clip(clip)
    errors = [_squared_difference(before, after, clip.step) for before, after in pairwise(clip.frames)]
    return float(np.mean(errors)) / data_range**2


def warp_grey_levels(error: float) -> float:
    """A ``warp_error`` as people see it: its root, in grey levels of 255.

    >>> warp_grey_levels(0.04)
    51.0
    """
    return 255 * math.sqrt(error)


def flicker_ratio(clip: PanningClip, reference: PanningClip) -> float:
    """A variant's warp error relative to the reference's on the same clip: 1.05 means 5 % more flicker.

    Where the reference does not flicker at all it is 1 for a clip that does not either, and infinite for one that does.

    >>> rng = np.random.default_rng(0)
    >>> noise = PanningClip(tuple(rng.normal(size=(3, 20, 20))), (1, 0))
    >>> flicker_ratio(noise, noise)
    1.0
    >>> round(flicker_ratio(noise.through(lambda frame: frame * 2), noise), 6)
    4.0

    Raises:
        PictureError: the clips differ in step, number of frames or shape, or ``warp_error`` refuses them.
    """
    shapes = [([frame.shape for frame in item.frames], item.step) for item in (clip, reference)]
    if shapes[0] != shapes[1]:
        raise PictureError("Two clips of different steps, lengths or sizes cannot be compared.")
    error, expected = warp_error(clip), warp_error(reference)
    if expected == 0:
        return 1.0 if error == 0 else math.inf if error > 0 else math.nan
    return error / expected


def _check_clip(clip: PanningClip) -> None:
    shapes = {frame.shape for frame in clip.frames}
    if len(clip.frames) < 2 or len(shapes) != 1 or clip.frames[0].ndim not in (2, 3):
        raise PictureError(f"A clip is two frames or more of one size, not {[list(shape) for shape in shapes]}.")
    needed = [abs(move) + 2 * BORDER + 1 for move in clip.step]
    height, width = clip.frames[0].shape[:2]
    if height < needed[0] or width < needed[1]:
        raise PictureError(
            f"Frames of {height}x{width} that pan by {clip.step[0]} and {clip.step[1]} pixels do not overlap "
            f"{BORDER} pixels inside their borders; they must be {needed[0]}x{needed[1]} at least.",
            remedy="Take a smaller step or a larger size.",
        )


def _squared_difference(before: Array, after: Array, step: tuple[int, int]) -> float:
    old, new = zip(*(_overlap(side, move) for side, move in zip(before.shape, step, strict=False)), strict=True)
    return float(np.mean(np.square(before[old].astype(np.float64) - after[new].astype(np.float64))))


def _overlap(side: int, move: int) -> tuple[slice, slice]:
    """Along one axis: what both frames show, less the border, in the coordinates of the first and of the second."""
    first, last = max(move, 0) + BORDER, side + min(move, 0) - BORDER
    return slice(first, last), slice(first - move, last - move)
