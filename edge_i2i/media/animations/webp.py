"""Animated WebP (RFC 9649): its outline by a walk over the chunks, its frames one at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.media import tiff
from edge_i2i.media.animations.canvas import (
    MOST_FRAMES,
    TOO_MANY,
    Canvas,
    Chunk,
    DamagedAnimationError,
    Disposal,
    Placing,
)
from edge_i2i.media.headers import DamagedHeaderError, webp_size
from edge_i2i.media.samples import decoded, orient, oriented, to_rgba

_MOST_CHUNKS = 1_000_000
_ANIMATION, _ALPHA = 0x02, 0x10  # flags of VP8X
_LONGEST_NOTE = 65_536
_FRAME_HEADER = 16


@dataclass(frozen=True)
class _Stored:
    """A frame: how it is shown, for how long, and where its pixels lie."""

    placing: Placing
    seconds: Fraction
    at: int
    length: int


def announces_animation(head: bytes) -> bool:
    """Whether the beginning of a WebP says that it is an animation, be it of a single frame."""
    return head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & _ANIMATION)


def is_animated_webp(file: BinaryIO) -> bool:
    """Whether a WebP is an animation of more than one frame."""
    file.seek(0)
    if not announces_animation(file.read(21)):
        return False
    found = 0
    try:
        for chunk in _chunks(file):
            found += chunk.kind == b"ANMF"
            if found > 1:
                return True
    except DamagedAnimationError:
        return True  # it ends in its frames: whoever reads it says so
    return False


class AnimatedWebp:
    """An ``Animation`` in a WebP file.

    Its background colour is a hint to viewers, which none follows: what is clear is white here.

    Raises:
        DamagedAnimationError: it contradicts itself before its first frame.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frames: list[_Stored] = []
        self._orientation = 1
        self.damage = self.unsupported = ""
        file.seek(12)  # behind RIFF, the length and WEBP
        head = file.read(18)
        if head[:4] != b"VP8X" or len(head) < 18:
            raise DamagedAnimationError("its header is damaged")
        self._canvas = webp_size(b"VP8X", head, 8)
        try:
            for chunk in _chunks(file):
                self._take(chunk)
                if len(self._frames) > MOST_FRAMES:
                    self.unsupported = TOO_MANY
                    break
        except DamagedAnimationError as error:
            self.damage = str(error)
        self.size = oriented(self._canvas, self._orientation)
        self.durations: Sequence[Fraction] = [frame.seconds for frame in self._frames]

    def pictures(self) -> Iterator[Picture]:
        """See ``Animation.pictures``."""
        canvas = Canvas(self._canvas)
        for frame in self._frames:
            yield orient(canvas.show(self._decoded(frame), frame.placing), self._orientation)

    def _take(self, chunk: Chunk) -> None:
        if chunk.kind == b"ANMF":
            if chunk.length < _FRAME_HEADER:
                raise DamagedAnimationError("its frames are damaged")
            stored = _stored(self._read(chunk.at, _FRAME_HEADER), chunk)
            stored.placing.check(self._canvas)
            self._frames.append(stored)
        elif chunk.kind == b"EXIF":
            note = self._read(chunk.at, min(chunk.length, _LONGEST_NOTE))
            self._orientation = tiff.orientation_of(note.removeprefix(b"Exif\0\0"))

    def _read(self, at: int, length: int) -> bytes:
        self._file.seek(at)
        return self._file.read(length)

    def _decoded(self, frame: _Stored) -> Picture:
        size = frame.placing.size
        if frame.length > 9 * size.height * size.width + (1 << 20):
            raise DamagedAnimationError("a frame is longer than its pixels")
        samples = decoded(_still(self._read(frame.at, frame.length), size))
        if samples is None or samples.shape[:2] != (size.height, size.width):
            raise DamagedAnimationError("its pixels are damaged")
        return to_rgba(samples)


def _chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Every chunk that is whole; bodies are passed over."""
    there = file.seek(0, 2)
    file.seek(4)
    (declared,) = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
    at, end = 12, declared + 8
    for _ in range(_MOST_CHUNKS):
        if at + 8 > min(there, end):
            break
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if at + 8 + length > min(there, end):
            break
        yield Chunk(kind, at + 8, length)
        at += 8 + length + length % 2
    if at < end:
        raise DamagedAnimationError("the file is shorter than its header declares")


def _stored(head: bytes, chunk: Chunk) -> _Stored:
    left, top, width, height, milliseconds = (int.from_bytes(head[at : at + 3], "little") for at in range(0, 15, 3))
    disposal = Disposal.CLEAR if head[15] & 1 else Disposal.KEEP
    placing = Placing(2 * left, 2 * top, Size(height + 1, width + 1), not head[15] & 2, disposal)
    return _Stored(placing, Fraction(milliseconds, 1000), chunk.at + _FRAME_HEADER, chunk.length - _FRAME_HEADER)


def _still(pixels: bytes, size: Size) -> bytes:
    """A WebP picture of a frame's chunks, which have to be of the size that the frame declares."""
    chunks: dict[bytes, bytes] = {}
    at = 0
    while at + 8 <= len(pixels):
        kind, length = struct.unpack_from("<4sI", pixels, at)
        chunks.setdefault(kind, pixels[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    picture = next((kind for kind in (b"VP8 ", b"VP8L") if kind in chunks), None)
    try:
        fits = picture is not None and webp_size(picture, chunks[picture], 0) == size
    except (struct.error, DamagedHeaderError):
        fits = False
    if picture is None or not fits:
        raise DamagedAnimationError("a frame's pixels are not of the size that it declares")
    kept: list[tuple[bytes, bytes]] = [(picture, chunks[picture])]
    if picture == b"VP8 " and b"ALPH" in chunks:
        sides = b"".join((side - 1).to_bytes(3, "little") for side in (size.width, size.height))
        kept = [(b"VP8X", bytes([_ALPHA, 0, 0, 0]) + sides), (b"ALPH", chunks[b"ALPH"]), *kept]
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in kept)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
