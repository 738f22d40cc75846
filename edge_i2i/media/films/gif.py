"""Whether a GIF is whole (GIF89a, sections 18 to 27): FFmpeg ends without a word where the file ends."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_TRAILER, _EXTENSION, _IMAGE, _NOTHING = b"\x3b", b"\x21", b"\x2c", b"\0"
_HEADER = 13


def gif_shortfall(path: Path, frames: int) -> str:
    """What is missing behind so many frames that were read, as the end of a sentence; empty if nothing is."""
    with path.open("rb") as file:
        images = _images(file)
    if images is None:
        return "the file ends before its end mark"
    return f"it holds {images}" if frames < images else ""


def _images(file: BinaryIO) -> int | None:
    """How many images lie before the end mark; None: there is none."""
    header = file.read(_HEADER)
    _skip_colours(file, header[10:11])
    images = 0
    while (kind := file.read(1)) != _TRAILER:
        if kind == _EXTENSION:
            file.read(1)
        elif kind == _IMAGE:
            images += 1
            _skip_colours(file, file.read(9)[8:])
            file.read(1)
        elif kind == _NOTHING:  # some writers leave one behind a block
            continue
        else:
            return None
        if not _skip_blocks(file):
            return None
    return images


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        file.read(3 << ((flags[0] & 7) + 1))


def _skip_blocks(file: BinaryIO) -> bool:
    """Move behind the empty block that ends a row of blocks; False where the file ends before."""
    while length := file.read(1):
        if length == _NOTHING:
            return True
        if len(file.read(length[0])) < length[0]:
            return False
    return False
