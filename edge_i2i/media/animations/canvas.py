"""The canvas on which the frames of an animation are put together: PNG and WebP store what changes, and how.

Both have the same rules (PNG, Third Edition, 6.1; WebP, RFC 9649, 2.7.1): the canvas begins transparent, a frame's
rectangle replaces what is there or is composited over it, and after it was shown, the rectangle stays, becomes
transparent, or goes back to what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Protocol

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.media.samples import over_white, row_bands

MOST_FRAMES = 100_000  # about an hour
TOO_MANY = f"it has more than {MOST_FRAMES:,} frames"


class DamagedAnimationError(ValueError):
    """An animation contradicts itself, cannot be decoded, or ends too early."""


class Animation(Protocol):
    """An animation whose outline was read, and no pixels yet.

    ``size``: upright. ``durations``: seconds of each frame that is whole, as the file says. ``damage``: what is missing
    behind them, or empty. ``unsupported``: why it is not read, or empty.
    """

    size: Size
    durations: Sequence[Fraction]
    damage: str
    unsupported: str

    def pictures(self) -> Iterator[Picture]:
        """Every frame as it is shown, uint8 ``[H, W, 3]`` RGB, upright, over white; decoded one at a time.

        Raises:
            DamagedAnimationError: the next one cannot be decoded.
        """
        ...


@dataclass(frozen=True)
class Chunk:
    """A part of a file; ``at``: where its body begins."""

    kind: bytes
    at: int
    length: int


class Disposal(Enum):
    """What becomes of a frame's rectangle after it was shown."""

    KEEP = 0
    CLEAR = 1
    RESTORE = 2


@dataclass(frozen=True)
class Placing:
    """Where a frame lies on its canvas, whether it blends with what is there, and what becomes of it afterwards."""

    left: int
    top: int
    size: Size
    blends: bool
    disposal: Disposal

    def check(self, canvas: Size) -> None:
        """Refuse a place that is not on the canvas.

        Raises:
            DamagedAnimationError: it is empty or reaches beyond.
        """
        height, width = self.size.height, self.size.width
        if not (height and width) or self.top + height > canvas.height or self.left + width > canvas.width:
            raise DamagedAnimationError(f"a frame of {self.size} at ({self.left}, {self.top}) is not on its {canvas}")


class Canvas:
    """One canvas of a size; frames are shown on it in their order."""

    def __init__(self, size: Size) -> None:
        self._rgba = np.zeros((size.height, size.width, 4), np.uint8)

    def show(self, frame: Picture, placing: Placing) -> Picture:
        """The whole canvas with a frame (RGBA of the placing's size, straight alpha) on it, over white."""
        rows = slice(placing.top, placing.top + placing.size.height)
        part = self._rgba[rows, placing.left : placing.left + placing.size.width]
        before = part.copy() if placing.disposal is Disposal.RESTORE else None
        if placing.blends and not _is_opaque(frame):
            _blend(frame, part)
        else:
            part[...] = frame
        shown = np.ascontiguousarray(self._rgba[..., :3]) if _is_opaque(self._rgba) else over_white(self._rgba)
        if before is not None:
            part[...] = before
        elif placing.disposal is Disposal.CLEAR:
            part[...] = 0
        return shown


def _is_opaque(rgba: Picture) -> bool:
    return bool(rgba[..., 3].min() == 255)


def _blend(frame: Picture, ground: Picture) -> None:
    """Composite ``frame`` over ``ground``, in place: both have straight alpha."""
    for rows in row_bands(frame):
        over, under = frame[rows].astype(np.uint32), ground[rows].astype(np.uint32)
        near = over[..., 3:] * 255
        far = under[..., 3:] * (255 - over[..., 3:])
        weight = near + far
        colour = (over[..., :3] * near + under[..., :3] * far + weight // 2) // np.maximum(weight, 1)
        ground[rows] = np.concatenate([colour, (weight + 127) // 255], axis=2).astype(np.uint8)
