"""What mean errors hide: how much fine texture a picture kept, and whether it bands.

Every function is pure. Pictures are ``[H, W]`` or ``[H, W, C]``: integers (grey levels, uint8 as a rule), or floats as
the network gives them, in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.errors import PictureError

TEXTURE_WINDOW = 5
"""Side of the box blur that texture is what remains of, that is, of its high frequencies."""

NO_TEXTURE = 1e-9
"""Texture of less than this share of a picture's largest value is the rounding of the blur, not texture."""

FLOAT_LEVELS = 1024
"""Levels a unit that floats are counted in: 8 to a grey level. Fine enough to show that an INT8 tensor lies behind a
picture that is dithered or stretched afterwards, and coarse enough that FP16, which steps by 1/2048 below 1, loses
none. BF16 steps by 1/256 there, half a grey level, and does lose them: judge BF16 by its uint8 pictures.
"""


def texture_energy(picture: Array) -> float:
    """The high-frequency energy: mean square of the picture less its 5x5 box blur, where the box lies wholly inside.

    0 for a picture of one colour or an even ramp; NaN where the picture holds NaN or infinity.

    >>> texture_energy(np.full((8, 8), 200, np.uint8))
    0.0
    >>> board = np.indices((9, 9)).sum(0) % 2 * 255
    >>> round(texture_energy(board) / 127.5**2, 2)
    0.92

    Raises:
        PictureError: a side is shorter than 5 pixels, or this is no picture.
    """
    import cv2

    if picture.ndim not in (2, 3) or picture.size == 0 or min(picture.shape[:2]) < TEXTURE_WINDOW:
        raise PictureError(
            f"Texture needs pictures [H, W] or [H, W, C] of at least {TEXTURE_WINDOW}x{TEXTURE_WINDOW}, "
            f"not {list(picture.shape)}."
        )
    values, edge = picture.astype(np.float64), TEXTURE_WINDOW // 2
    largest = float(np.abs(values).max())
    if not math.isfinite(largest):
        return math.nan
    blurred = cv2.blur(values, (TEXTURE_WINDOW, TEXTURE_WINDOW)).reshape(values.shape)
    energy = float(np.mean(np.square(values - blurred)[edge:-edge, edge:-edge]))
    return energy if energy > (NO_TEXTURE * largest) ** 2 else 0.0


def texture_ratio(picture: Array, reference: Array) -> float:
    """High-frequency energy of a picture relative to the reference's: 1 with the same texture, below 1 when smoother.

    Above 1 it has more: noise counts as texture. Where the reference has none it is 1 for a picture that has none
    either, and infinite for one that has.

    >>> board = np.indices((9, 9)).sum(0) % 2 * 200
    >>> round(texture_ratio(board // 2, board), 6)
    0.25
    >>> flat = np.full((9, 9), 100)
    >>> texture_ratio(flat, flat), texture_ratio(board, flat)
    (1.0, inf)

    Raises:
        PictureError: the shapes differ, or a side is shorter than 5 pixels.
    """
    return texture_ratio_of_all((picture,), (reference,))


def texture_ratio_of_all(pictures: Sequence[Array], references: Sequence[Array]) -> float:
    """The energy of all pictures relative to that of all references, so that a flat one among them decides nothing.

    Raises:
        PictureError: there is not one picture for each reference, their shapes or kinds of values differ, or a side is
            shorter than 5 pixels.
    """
    check_pairs(pictures, references)
    energy, expected = (sum(map(texture_energy, group)) for group in (pictures, references))
    if expected == 0:
        return 1.0 if energy == 0 else math.inf if energy > 0 else math.nan
    return energy / expected


def grey_levels(picture: Array) -> int:
    """How many distinct levels the channels of a picture have, added up over the channels.

    At most 256 a channel for uint8. Floats are counted in steps of 1/1024, an eighth of a grey level. NaN and infinity
    are no level. Channels are counted apart because the eye sees bands in each, and pooled ones fill each other's gaps;
    distinct *colours* are not counted because noise makes new ones from the same few levels.

    >>> grey_levels(np.uint8([[0, 7, 7], [9, 0, 9]]))
    3
    >>> grey_levels(np.uint8([[[0, 7], [1, 7], [2, 7]]]))
    4
    >>> grey_levels(np.float32([[0.5, 0.5001, 0.501]]))
    2

    Raises:
        PictureError: this is no picture.
    """
    if picture.ndim not in (2, 3) or picture.size == 0:
        raise PictureError(f"A picture is [H, W] or [H, W, C], not {list(picture.shape)}.")
    channels = picture.reshape(picture.shape[0] * picture.shape[1], -1).T
    return sum(np.unique(_levels(channel)).size for channel in channels)


def _levels(values: Array) -> Array:
    if not np.issubdtype(values.dtype, np.floating):
        return values
    return np.round(values[np.isfinite(values)].astype(np.float64) * FLOAT_LEVELS)


def grey_level_ratio(picture: Array, reference: Array) -> float:
    """The picture's grey levels relative to the reference's: 1 for the same number, well below 1 for a banded picture.

    Of one dtype, because a uint8 picture has fewer levels than a float one for being uint8 alone. Above 1 where the
    picture has levels that the reference lacks. NaN where either holds NaN or infinity.

    >>> ramp = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(64, 64)
    >>> grey_level_ratio(ramp, ramp)
    1.0
    >>> round(grey_level_ratio(np.round(ramp * 101) / np.float32(101), ramp), 2)  # 203 levels
    0.1

    Raises:
        PictureError: the shapes or the kinds of values differ.
    """
    return grey_level_ratio_of_all((picture,), (reference,))


def grey_level_ratio_of_all(pictures: Sequence[Array], references: Sequence[Array]) -> float:
    """The levels of all pictures, counted in each and added up, relative to those of all references.

    Raises:
        PictureError: there is not one picture for each reference, or their shapes or kinds of values differ.
    """
    check_pairs(pictures, references)
    if not all(np.isfinite(array).all() for array in (*pictures, *references)):
        return math.nan
    return sum(map(grey_levels, pictures)) / sum(map(grey_levels, references))


def check_pairs(pictures: Sequence[Array], references: Sequence[Array]) -> None:
    """Accept pictures that can be held against those references, one by one.

    Raises:
        PictureError: there is none, there are not as many of both, or a pair differs in shape or in kind of value
            (grey levels or floats).
    """
    if not pictures or len(pictures) != len(references):
        raise PictureError(f"{len(pictures)} pictures cannot be compared with {len(references)} references.")
    for picture, reference in zip(pictures, references, strict=True):
        if picture.shape != reference.shape:
            raise PictureError(
                f"Pictures of different shapes cannot be compared: {list(picture.shape)} and {list(reference.shape)}."
            )
        if _is_float(picture) != _is_float(reference):
            raise PictureError(
                f"A picture of {picture.dtype} cannot be compared with one of {reference.dtype}.",
                remedy="Compare grey levels with grey levels, or the network's float output with float output.",
            )


def _is_float(picture: Array) -> bool:
    return bool(np.issubdtype(picture.dtype, np.floating))
