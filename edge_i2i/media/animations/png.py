"""Animated PNG (PNG, Third Edition): its outline by a walk over the chunks, its frames one at a time."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
from edge_i2i.media.headers import HDR_CURVES, PNG_SIGNATURE, clear_shade_of, png_of
from edge_i2i.media.samples import decoded, orient, oriented, to_rgba

_MOST_CHUNKS = 1_000_000
_IHDR_BYTES = 13
_LONGEST_NOTE = 65_536  # bytes of what is read of a chunk that holds no pixels
_KEPT = frozenset({b"IHDR", b"acTL", b"PLTE", b"tRNS", b"eXIf", b"cICP"})
_PALETTES = (b"PLTE", b"tRNS")


@dataclass
class _Stored:
    """A frame: how it is shown, for how long, and the chunks of its pixels."""

    placing: Placing
    seconds: Fraction
    chunks: list[Chunk] = field(default_factory=list)


def is_animated_png(file: BinaryIO) -> bool:
    """Whether a PNG announces more than one frame before its picture: an announcement behind it does not count."""
    try:
        for chunk in _chunks(file):
            if chunk.kind == b"acTL":
                return bool(struct.unpack(">I", _body(file, chunk)[:4])[0] > 1)
            if chunk.kind == b"IDAT":
                return False
    except (DamagedAnimationError, struct.error):
        pass
    return False


class AnimatedPng:
    """An ``Animation`` in a PNG file.

    The picture for viewers that know no animations is none of its frames, unless it says so.

    Raises:
        DamagedAnimationError: it contradicts itself before its first frame.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._notes: dict[bytes, bytes] = {}
        self._frames: list[_Stored] = []
        self._next = 0
        self.damage = ""
        try:
            for chunk in _chunks(file):
                self._take(chunk)
                if len(self._frames) > MOST_FRAMES:
                    break
        except DamagedAnimationError as error:
            del self._frames[-1:]  # nobody knows whether it is whole
            self.damage = str(error)
        except (struct.error, ValueError) as error:
            raise DamagedAnimationError("its header is damaged") from error
        if b"IHDR" not in self._notes or b"acTL" not in self._notes:
            raise DamagedAnimationError(self.damage or "its header is damaged")
        self._canvas = _size(self._notes[b"IHDR"])
        self._orientation = tiff.orientation_of(self._notes.get(b"eXIf", b""))
        self.size = oriented(self._canvas, self._orientation)
        self.durations: Sequence[Fraction] = [frame.seconds for frame in self._frames]
        self.unsupported = TOO_MANY if len(self._frames) > MOST_FRAMES else _why_not_read(self._notes)
        (declared,) = struct.unpack(">I", self._notes[b"acTL"][:4])
        if not self.damage and declared != len(self._frames):
            self.damage = f"it declares {declared}"

    def pictures(self) -> Iterator[Picture]:
        """See ``Animation.pictures``."""
        canvas = Canvas(self._canvas)
        for number, frame in enumerate(self._frames):
            placing = frame.placing
            if number == 0 and placing.disposal is Disposal.RESTORE:  # there is nothing to go back to
                placing = Placing(placing.left, placing.top, placing.size, placing.blends, Disposal.CLEAR)
            yield orient(canvas.show(self._decoded(frame), placing), self._orientation)

    def _take(self, chunk: Chunk) -> None:
        if (chunk.kind == b"IHDR") == bool(self._notes) or (chunk.kind == b"IHDR" and chunk.length != _IHDR_BYTES):
            raise DamagedAnimationError("its header is damaged")
        if chunk.kind == b"fcTL":
            self._count(chunk)
            stored = _stored(_body(self._file, chunk))
            stored.placing.check(_size(self._notes[b"IHDR"]))
            self._frames.append(stored)
        elif chunk.kind == b"fdAT":
            self._count(chunk)
            self._add(chunk)
        elif chunk.kind == b"IDAT" and self._frames:  # the picture is the first frame: all of the canvas
            if len(self._frames) > 1 or self._frames[0].placing.size != _size(self._notes[b"IHDR"]):
                raise DamagedAnimationError("its frames are out of order")
            self._add(chunk)
        elif chunk.kind in _KEPT and chunk.kind not in self._notes:
            self._notes[chunk.kind] = _body(self._file, chunk)

    def _add(self, chunk: Chunk) -> None:
        if not self._frames:
            raise DamagedAnimationError("its frames are out of order")
        self._frames[-1].chunks.append(chunk)

    def _count(self, chunk: Chunk) -> None:
        """The chunks of an animation are numbered, so that one that is missing is noticed."""
        self._file.seek(chunk.at)
        if self._file.read(4) != struct.pack(">I", self._next):
            raise DamagedAnimationError("a piece of it is missing")
        self._next += 1

    def _decoded(self, frame: _Stored) -> Picture:
        ihdr, size = self._notes[b"IHDR"], frame.placing.size
        shade = clear_shade_of(ihdr[9], self._notes.get(b"tRNS"))
        palettes = [(kind, self._notes[kind]) for kind in _PALETTES if kind in self._notes]
        if shade is not None:
            palettes = [each for each in palettes if each[0] != b"tRNS"]
        # Pixels have 8 bytes at most (RGBA of 16 bits), and deflate makes nothing much longer than it was.
        if sum(chunk.length for chunk in frame.chunks) > 9 * size.height * size.width + (1 << 20):
            raise DamagedAnimationError("a frame is longer than its pixels")
        pixels = b"".join(_checked(self._file, chunk)[4 if chunk.kind == b"fdAT" else 0 :] for chunk in frame.chunks)
        header = struct.pack(">II", size.width, size.height) + ihdr[8:]
        samples = decoded(png_of([(b"IHDR", header), *palettes, (b"IDAT", pixels), (b"IEND", b"")]))
        if samples is None or samples.shape[:2] != (size.height, size.width):
            raise DamagedAnimationError("its pixels are damaged")
        return to_rgba(samples, shade)


def _chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Every chunk that is whole, up to IEND; bodies are passed over."""
    end = file.seek(0, 2)
    at = len(PNG_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if at + 12 + length > end:
            break
        yield Chunk(kind, at + 8, length)
        if kind == b"IEND":
            return
        at += 12 + length
    raise DamagedAnimationError("the file ends before its IEND chunk")


def _body(file: BinaryIO, chunk: Chunk) -> bytes:
    """The body of a chunk that holds no pixels; of a very long one only its beginning, unchecked."""
    if chunk.length > _LONGEST_NOTE:
        file.seek(chunk.at)
        return file.read(_LONGEST_NOTE)
    return _checked(file, chunk)


def _checked(file: BinaryIO, chunk: Chunk) -> bytes:
    file.seek(chunk.at)
    body, sum_ = file.read(chunk.length), file.read(4)
    if struct.pack(">I", zlib.crc32(body, zlib.crc32(chunk.kind))) != sum_:
        raise DamagedAnimationError(f"the checksum of a {chunk.kind.decode('latin-1')} chunk is wrong")
    return body


def _size(ihdr: bytes) -> Size:
    width, height = struct.unpack(">II", ihdr[:8])
    return Size(height, width)


def _stored(body: bytes) -> _Stored:
    _, width, height, left, top, ticks, rate, disposal, blend = struct.unpack(">IIIIIHHBB", body)
    placing = Placing(left, top, Size(height, width), blend == 1, Disposal(disposal))
    return _Stored(placing, Fraction(ticks, rate or 100))


def _why_not_read(notes: dict[bytes, bytes]) -> str:
    curve = HDR_CURVES.get(notes.get(b"cICP", bytes(4))[1])
    return f"it has a high dynamic range ({curve})" if curve else ""
