"""The frame and its translation in one picture, of whatever sizes the two are.

The translation sets the scale; the frame is brought to it. Both must show the same part of the scene.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from edge_i2i.errors import UsageError
from edge_i2i.live.frame import Picture
from edge_i2i.media.geometry import resized
from edge_i2i.models.contract import Size

LINE = 2
"""Pixels between the two of a split view or a pair; white."""


class Comparison(StrEnum):
    """How they are shown. ``none``: the translation alone."""

    NONE = "none"
    SIDE = "side"
    SPLIT = "split"
    BLEND = "blend"


def side_by_side(before: Picture, after: Picture) -> Picture:
    """``before`` left of ``after``, both as high as ``after``, each with its own proportions.

    Returns RGB uint8, freshly allocated.
    """
    height = after.shape[0]
    width = max(1, round(before.shape[1] * height / before.shape[0]))
    pair = np.full((height, width + LINE + after.shape[1], 3), 255, np.uint8)
    pair[:, :width] = resized(before, Size(height, width))
    pair[:, width + LINE :] = after
    return pair


def split(before: Picture, after: Picture, position: float) -> Picture:
    """``before`` left of a line at ``position`` (0..1 of the width), ``after`` right of it; of the size of ``after``.

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
    """``share`` (0..1) of ``after``, the rest of ``before``; of the size of ``after``.

    Raises:
        UsageError: the share is out of range.
    """
    import cv2

    check_share("share", share)
    other = resized(before, Size(*after.shape[:2]))
    return np.asarray(cv2.addWeighted(after, share, other, 1 - share, 0.0), np.uint8)


def check_share(name: str, value: float) -> None:
    """Refuse what is not within 0..1.

    Raises:
        UsageError: it is not.
    """
    if not 0 <= value <= 1:
        raise UsageError(f"{value:g} is no {name}.", remedy="Give a number from 0 to 1.")
