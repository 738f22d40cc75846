"""The frame and its translation in one picture, of whatever sizes the two are.

The translation sets the scale; the frame is brought to it. Both must show the same part of the scene.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.media.geometry import resized

LINE = 2
"""Pixels between the two of a split view or a pair; white."""


class Comparison(StrEnum):
    """How a frame and its translation are shown together. ``none``: the translation alone."""

    NONE = "none"
    SIDE = "side"
    SPLIT = "split"
    BLEND = "blend"


def side_by_side(before: Picture, after: Picture) -> Picture:
    """Two pictures side by side, RGB uint8 ``[H, W, 3]``, freshly allocated.

    ``before`` is on the left; it is scaled to the height of ``after`` and keeps its own proportions.
    """
    height = after.shape[0]
    width = max(1, round(before.shape[1] * height / before.shape[0]))
    pair = np.full((height, width + LINE + after.shape[1], 3), 255, np.uint8)
    pair[:, :width] = resized(before, Size(height, width))
    pair[:, width + LINE :] = after
    return pair


def split(before: Picture, after: Picture, position: float) -> Picture:
    """One picture, parted by a vertical line.

    Args:
        before: shown left of the line, RGB uint8; scaled to the size of ``after``.
        after: shown right of the line, RGB uint8 ``[H, W, 3]``.
        position: of the line, from 0 (left edge) to 1.

    Returns:
        RGB uint8 of the size of ``after``, freshly allocated.

    Raises:
        UsageError: the position is out of range.
    """
    check_share("position", position)
    height, width = after.shape[:2]
    edge = round(position * width)
    view = after.copy()
    if edge:
        view[:, :edge] = resized(before, Size(height, width))[:, :edge]
    if 0 < edge < width:
        view[:, max(0, edge - LINE // 2) : edge + LINE // 2] = 255
    return view


def blend(before: Picture, after: Picture, share: float) -> Picture:
    """Two pictures, one over the other.

    Args:
        before: RGB uint8; scaled to the size of ``after``.
        after: RGB uint8 ``[H, W, 3]``.
        share: of ``after`` in the sum, from 0 to 1; the rest is ``before``.

    Returns:
        RGB uint8 of the size of ``after``, freshly allocated.

    Raises:
        UsageError: the share is out of range.
    """
    import cv2

    check_share("share", share)
    other = resized(before, Size(*after.shape[:2]))
    return np.asarray(cv2.addWeighted(after, share, other, 1 - share, 0.0), np.uint8)


def check_share(name: str, value: float) -> None:
    """Check that a value lies within 0..1. ``name``: what the value is, for the error's text.

    Raises:
        UsageError: the value is out of range.
    """
    if not 0 <= value <= 1:
        raise UsageError(f"{value:g} is no {name}.", remedy="Give a number from 0 to 1.")
