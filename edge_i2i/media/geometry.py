"""How a picture of any size is laid into a network's size, and how the result is taken back out.

Three fits:

- ``stretch``: the whole picture, each side scaled on its own; shapes are distorted.
- ``letterbox``: the whole picture, scaled evenly and centred. What is left over is filled with the picture's own
  mirror image, not with black or an edge's colour: networks with instance norm divide by the mean and deviation of the
  whole frame, which a flat bar would shift and shrink for every pixel, while a mirrored border keeps them about as
  they are (and it continues what the reflection padding inside such networks does).
- ``crop``: the largest centred part of the picture that has the network's proportions; the rest is not translated.

Scaling down averages neighbours, halving as often as it takes (no aliasing), scaling up is bilinear (or cubic, where
asked for), and maps of ids (two-dimensional arrays) take the nearest id in both directions. Pixel centres stay where
they are in all of them, so nothing shifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import Size


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
        """The pixels of ``picture`` inside this rectangle, as a view."""
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
        """The height and width of what ``take_back`` returns with the same ``keep_size``."""
        return self.taken.size if keep_size else self.held.size


def place(source: Size, model: Size, fit: Fit) -> Placement:
    """Plan how a picture is laid into a network's size.

    >>> place(Size(100, 200), Size(64, 64), Fit.LETTERBOX).held
    Rectangle(top=16, left=0, size=Size(height=32, width=64))

    Args:
        source: the picture's height and width.
        model: the network's.
        fit: what gives where their proportions differ.
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

    Args:
        image: the network's picture or map, of the size ``placement.model``.
        placement: where the source lies in it.
        keep_size: whether to scale the part to the source's scale.
        enlarging: how pictures are scaled up for that.

    Raises:
        ValueError: ``image`` does not have the size ``placement.model``.
    """
    _check(image, placement.model)
    part = placement.held.of(image)
    return resized(part, placement.result_size(keep_size=keep_size), enlarging)


def resized(picture: Array, size: Size, enlarging: Enlarging = Enlarging.LINEAR) -> Array:
    """A picture or map scaled to a size, each side on its own; ``picture`` itself where it has that size.

    Args:
        picture: uint8 ``[H, W, 3]``, or an id map ``[H, W]``.
        size: the height and width to give it.
        enlarging: how pictures are scaled up; maps take the nearest id in any case.
    """
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
    near = _brought_near(source, Size(target_height, target_width))
    grows = target_width > width or target_height > height
    how = cv2.INTER_CUBIC if grows and enlarging is Enlarging.CUBIC else cv2.INTER_LINEAR
    written = cv2.resize(near, (target_width, target_height), dst=target, interpolation=how)
    _ensure_written(written, target)


_HALVED_ABOVE = 3.0
"""Sides that are more than this many times too long are halved."""

_BY_NEIGHBOURS = 1.5
"""Sides that are no more than this many times too long take two neighbours a pixel, which leave nothing out yet: a
fifth of the time of areas, and 2 dB farther from a Gaussian (``benchmarks/live/scaling.py``)."""


def _brought_near(source: Array, target: Size) -> Array:
    """``source`` with each side as long as ``target``'s, twice that, or within ``_BY_NEIGHBOURS`` of it.

    OpenCV averages areas slowly, unless they are 2x2 pixels. So a side is halved until it is at most three times too
    long, then brought to exactly two times by its neighbours, and halved a last time. ``benchmarks/live/scaling.py``
    holds that against areas: faster at every factor but 2, where it is the same; as close to a Gaussian or closer
    from a factor of five on, up to 3 dB farther below that (6 on a zone plate).
    """
    import cv2

    while (half := _halved(source, target)) != Size(*source.shape[:2]):
        source = cv2.resize(source, (half.width, half.height), interpolation=cv2.INTER_LINEAR)
    height, width = (_twice(*sides) for sides in zip(source.shape, (target.height, target.width), strict=False))
    if (height, width) != source.shape[:2]:
        source = cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR)
    return source


def _halved(source: Array, target: Size) -> Size:
    """The sides of ``source``, halved where they are far too long."""
    height, width = source.shape[:2]
    return Size(
        height // 2 if height > _HALVED_ABOVE * target.height else height,
        width // 2 if width > _HALVED_ABOVE * target.width else width,
    )


def _twice(length: int, wanted: int) -> int:
    """The length from which the last step leads to the one that is wanted: two times that, or ``length`` as it is."""
    return 2 * wanted if length > _BY_NEIGHBOURS * wanted else length


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
