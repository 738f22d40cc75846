"""How a picture of any size is laid into a network's size, and how the result is taken back out.

Three fits:

- ``stretch``: the whole picture, each side scaled on its own; shapes are distorted.
- ``letterbox``: the whole picture, scaled evenly and centred. What is left over is filled with the picture's own
  mirror image, not with black or an edge's colour: networks with instance norm divide by the mean and deviation of the
  whole frame, which a flat bar would shift and shrink for every pixel, while a mirrored border keeps them about as
  they are (and it continues what the reflection padding inside such networks does).
- ``crop``: the largest centred part of the picture that has the network's proportions; the rest is not translated.

Scaling down averages areas (no aliasing), scaling up is bilinear (or cubic, where asked for), and maps of ids
(two-dimensional arrays) take the nearest id in both directions. Pixel centres stay where they are in all of them, so
nothing shifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.models.contract import Size

Array = NDArray[Any]


class Fit(StrEnum):
    """What gives when a picture and a network differ in proportions; see this module's docstring."""

    STRETCH = "stretch"
    LETTERBOX = "letterbox"
    CROP = "crop"


class Enlarging(StrEnum):
    """How pictures are scaled up. ``cubic`` is sharper, and may overshoot at edges."""

    LINEAR = "linear"
    CUBIC = "cubic"


@dataclass(frozen=True)
class Rectangle:
    """A part of a picture, in whole pixels."""

    top: int
    left: int
    size: Size

    def of(self, picture: Array) -> Array:
        """That part of ``picture``, as a view."""
        return picture[self.top : self.top + self.size.height, self.left : self.left + self.size.width]

    @classmethod
    def centred(cls, inner: Size, outer: Size) -> Rectangle:
        """``inner`` in the middle of ``outer``; an odd remainder goes below and to the right."""
        return cls((outer.height - inner.height) // 2, (outer.width - inner.width) // 2, inner)


@dataclass(frozen=True)
class Placement:
    """Where a picture of size ``source`` lies in a network's picture of size ``model``.

    ``taken`` is the part of the source that is translated, and ``held`` is where it lies in the network's picture.
    """

    source: Size
    model: Size
    taken: Rectangle
    held: Rectangle

    def result_size(self, *, keep_size: bool) -> Size:
        """The size of what ``take_back`` returns."""
        return self.taken.size if keep_size else self.held.size


def place(source: Size, model: Size, fit: Fit) -> Placement:
    """Plan how a picture is laid into a network's size.

    >>> place(Size(100, 200), Size(64, 64), Fit.LETTERBOX).held
    Rectangle(top=16, left=0, size=Size(height=32, width=64))
    """
    taken, held = source, model
    if fit is Fit.LETTERBOX:
        held = _inside(source, model)
    elif fit is Fit.CROP:
        taken = _inside(model, source)
    return Placement(source, model, Rectangle.centred(taken, source), Rectangle.centred(held, model))


def _inside(shape: Size, frame: Size) -> Size:
    """The largest size of ``shape``'s proportions within ``frame``, to the nearest pixel; it fills one side exactly."""
    if shape.height * frame.width >= shape.width * frame.height:
        return Size(frame.height, max(1, _rounded(shape.width * frame.height, shape.height)))
    return Size(max(1, _rounded(shape.height * frame.width, shape.width)), frame.width)


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def place_into(source: Array, placement: Placement, target: Array) -> None:
    """Write the network's picture into ``target``, every pixel of it.

    ``source``: uint8 ``[H, W, 3]``, or an id map ``[H, W]`` uint8 or int32, of size ``placement.source``. ``target``:
    the same dtype and channels, of size ``placement.model``, C-contiguous. Where the two sizes are equal this is one
    memory copy.

    Raises:
        ValueError: an array does not have the size, dtype or layout that the placement calls for.
    """
    _check(source, placement.source)
    _check(target, placement.model)
    if target.dtype != source.dtype or target.ndim != source.ndim or not target.flags.c_contiguous:
        raise ValueError("the target must be C-contiguous and of the source's dtype and channels")
    if placement.source == placement.model:
        np.copyto(target, source)
        return
    _resize(placement.taken.of(source), placement.held.of(target))
    _mirror_border(target, placement.held)


def place_boxes(boxes: Array, placement: Placement) -> Array:
    """Boxes ``[n, 4]`` (left, top, right, bottom in pixels of the source) in pixels of the network's picture.

    What lies outside the part that is translated is cut off; a box that is left with nothing becomes all zero, as
    unused rows are.

    >>> place_boxes(np.array([[0.0, 0.0, 100.0, 50.0]]), place(Size(100, 200), Size(64, 64), Fit.LETTERBOX)).tolist()
    [[0.0, 16.0, 32.0, 32.0]]
    """
    taken, held = placement.taken, placement.held
    scale = np.array([held.size.width / taken.size.width, held.size.height / taken.size.height] * 2)
    moved = (boxes - np.array([taken.left, taken.top] * 2)) * scale
    moved = np.clip(moved, 0.0, np.array([held.size.width, held.size.height] * 2)) + np.array([held.left, held.top] * 2)
    used = (moved[:, 0] < moved[:, 2]) & (moved[:, 1] < moved[:, 3])
    result: Array = np.where(used[:, None], moved, 0.0)
    return result


def take_back(
    image: Array, placement: Placement, *, keep_size: bool = True, enlarging: Enlarging = Enlarging.LINEAR
) -> Array:
    """Cut the translated part out of a network's picture and, with ``keep_size``, scale it back.

    With ``keep_size`` the result has the scale of the source: its whole size for ``stretch`` and ``letterbox``, the
    cropped part's size for ``crop`` (the rest was not translated and is not pasted in). Without, it has the network's
    scale, less the letterbox's borders. Where nothing has to be scaled the result is a view of ``image``.

    Raises:
        ValueError: ``image`` does not have the size ``placement.model``.
    """
    _check(image, placement.model)
    part = placement.held.of(image)
    return resized(part, placement.result_size(keep_size=keep_size), enlarging)


def resized(picture: Array, size: Size, enlarging: Enlarging = Enlarging.LINEAR) -> Array:
    """The picture or map scaled to ``size``, each side on its own; ``picture`` itself where it has that size."""
    if picture.shape[:2] == (size.height, size.width):
        return picture
    result = np.empty((size.height, size.width, *picture.shape[2:]), picture.dtype)
    _resize(picture, result, enlarging)
    return result


def _check(picture: Array, size: Size) -> None:
    if picture.shape[:2] != (size.height, size.width):
        raise ValueError(f"expected a picture of {size}, not {list(picture.shape)}")


def _resize(source: Array, target: Array, enlarging: Enlarging = Enlarging.LINEAR) -> None:
    """Scale ``source`` into ``target``, which may be a part of a larger array."""
    import cv2

    (height, width), (target_height, target_width) = source.shape[:2], target.shape[:2]
    if (height, width) == (target_height, target_width):
        np.copyto(target, source)
        return
    if source.ndim == 2:
        written = cv2.resize(source, (target_width, target_height), dst=target, interpolation=cv2.INTER_NEAREST_EXACT)
        _ensure_written(written, target)
        return
    # OpenCV's area averaging becomes something else as soon as one side grows, hence one step for the sides that
    # shrink and one for those that grow.
    smaller = (min(width, target_width), min(height, target_height))
    if smaller == (target_width, target_height):
        written = cv2.resize(_brought_near(source, smaller), smaller, dst=target, interpolation=cv2.INTER_AREA)
    else:
        if smaller != (width, height):
            source = cv2.resize(_brought_near(source, smaller), smaller, interpolation=cv2.INTER_AREA)
        filter_up = cv2.INTER_CUBIC if enlarging is Enlarging.CUBIC else cv2.INTER_LINEAR
        written = cv2.resize(source, (target_width, target_height), dst=target, interpolation=filter_up)
    _ensure_written(written, target)


def _brought_near(source: Array, smaller: tuple[int, int]) -> Array:
    """``source`` at twice ``smaller`` (width, height) where it is more than four times as large; else as it is.

    Averaging over areas is slow in OpenCV but for 2x2 pixels. Halved so until less than a factor of four is left, and
    then, with less than two to go, by its four neighbours, a pixel stands for as many as with areas; on photographs the
    result is as close to a Gaussian of that width (2 dB closer or farther), in two thirds of the time.
    """
    import cv2

    if min(_factors(source, smaller)) <= _FAR:
        return source
    while min(_factors(source, smaller)) > _FAR:
        half = (source.shape[1] // 2, source.shape[0] // 2)
        source = cv2.resize(source, half, interpolation=cv2.INTER_LINEAR)  # of exactly two: the mean of 2x2
    return cv2.resize(source, (2 * smaller[0], 2 * smaller[1]), interpolation=cv2.INTER_LINEAR)


_FAR = 4.0


def _factors(source: Array, smaller: tuple[int, int]) -> tuple[float, float]:
    return source.shape[1] / smaller[0], source.shape[0] / smaller[1]


def _ensure_written(written: Array, target: Array) -> None:
    """OpenCV writes into the array it is given, unless it finds that unsuitable: then it allocates without a word."""
    if not np.shares_memory(written, target):
        np.copyto(target, written)


def _mirror_border(picture: Array, held: Rectangle) -> None:
    """Fill what lies around ``held`` with its mirror image, bouncing as often as needed."""
    import cv2

    below = picture.shape[0] - held.top - held.size.height
    right = picture.shape[1] - held.left - held.size.width
    if held.top or held.left or below or right:
        # Source and target are the same memory: OpenCV skips copying the inside when it is already in place.
        bordered = cv2.copyMakeBorder(
            held.of(picture), held.top, below, held.left, right, cv2.BORDER_REFLECT_101, dst=picture
        )
        _ensure_written(bordered, picture)
