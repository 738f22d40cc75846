"""A number in the pixels of a picture, so that tests can tell which frame came out, whole, once, and in order.

The 32-bit counter, an 8-bit stream id and a 16-bit checksum of both are drawn as 8×8-pixel black and white cells in
the top rows, from left to right, as many rows as it takes (cells that are left begin it again). Where there is room,
the bottom rows hold it once more, so that a picture that is the upper part of one frame and the lower part of another
is known for what it is. Survives JPEG at quality 20. A picture that was scaled has to be scaled back to be read.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.errors import UsageError

_CELL = 8  # pixels; JPEG's block, so that a cell costs it one coefficient
_MARGIN = 2  # pixels at a cell's edges that are not read: neighbours bleed into them
_READ_VALUES = 3 * (_CELL - 2 * _MARGIN) ** 2  # of a cell
_BYTES = 7
_SURE = 64  # levels from black or white; what lies between was blended of two frames, or is no code
_CHECKSUM_START = 0xFFFF  # so that all black is no valid code


@dataclass(frozen=True)
class Code:
    """A frame's code, as it is drawn into the picture. ``number``: 0 to 2³² - 1. ``stream``: 0 to 255."""

    number: int
    stream: int


def stamp(image: Picture, number: int, stream: int = 0) -> None:
    """Draw a code into a picture, in place.

    Args:
        image: the picture, uint8 ``[H, W, 3]``; its top rows, and its bottom rows where there is room, are overwritten.
        number: the frame's counter, 0 to 2³² - 1.
        stream: tells the frames of several sources apart, 0 to 255.

    Raises:
        UsageError: the picture has no room for the code, or a number is out of range.
    """
    if not (0 <= number < 2**32 and 0 <= stream < 2**8):
        raise UsageError(f"Frame {number} of stream {stream} cannot be coded.", remedy="Count from 0, in 32 bits.")
    strips = _strips(image)
    if not strips:
        height, width = image.shape[:2]
        raise UsageError(f"A picture of {width}×{height} has no room for a code.", remedy="64×56 is large enough.")
    levels = _levels(number, stream)
    for strip in strips:
        cells = _as_cells(strip)
        rows, columns = cells.shape[0], cells.shape[2]
        cells[...] = np.resize(levels, (rows, 1, columns, 1, 1))


def read_code(image: Picture) -> Code | None:
    """The code of a picture (uint8 ``[H, W, 3]``); None: there is none, or it is damaged or torn."""
    codes = {_read(strip) for strip in _strips(image)}
    return codes.pop() if len(codes) == 1 else None


def _strips(image: Picture) -> list[Picture]:
    """The parts of the picture that hold the code: none, one or two."""
    height, width = image.shape[0], min(image.shape[1] // _CELL, 8 * _BYTES) * _CELL
    rows = -(-8 * _BYTES * _CELL // width) * _CELL if width else height + 1
    if rows > height:
        return []
    strips = [image[:rows, :width]]
    bottom = height // _CELL * _CELL  # cells stay on JPEG's grid
    return [*strips, image[bottom - rows : bottom, :width]] if 2 * rows <= bottom else strips


def _as_cells(strip: Picture) -> Picture:
    """The same pixels as ``[rows, 8, columns, 8, 3]``."""
    return strip.reshape(strip.shape[0] // _CELL, _CELL, strip.shape[1] // _CELL, _CELL, 3)


def _levels(number: int, stream: int) -> Picture:
    payload = struct.pack(">IB", number, stream)
    coded = payload + struct.pack(">H", binascii.crc_hqx(payload, _CHECKSUM_START))
    return np.unpackbits(np.frombuffer(coded, np.uint8)) * np.uint8(255)


def _read(strip: Picture) -> Code | None:
    inside = slice(_MARGIN, _CELL - _MARGIN)
    sums = _as_cells(strip)[:, inside, :, inside].sum(axis=(1, 3, 4), dtype=np.uint32).reshape(-1)[: 8 * _BYTES]
    white = sums >= (255 - _SURE) * _READ_VALUES
    if not np.all(white | (sums <= _SURE * _READ_VALUES)):
        return None
    coded = np.packbits(white).tobytes()
    number, stream, checksum = struct.unpack(">IBH", coded)
    return Code(number, stream) if checksum == binascii.crc_hqx(coded[:-2], _CHECKSUM_START) else None
