"""Animated AVIF, with Pillow (``media.heif``): its times from the container, its frames one at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.media.animations.canvas import MOST_FRAMES, TOO_MANY, DamagedAnimationError
from edge_i2i.media.heif import DECODER_ERRORS, avif_library, hdr_curve, samples_of
from edge_i2i.media.samples import over_white

_SEQUENCE = b"avis"  # the brand with which decoders play the frames, and do not show the picture beside them
_MOST_BOXES = 4096
_LARGEST_MOOV = 1 << 26
_LARGEST_FILE = 1 << 31
_HEAD = 1 << 16


def is_animated_avif(file: BinaryIO) -> bool:
    """Whether an AVIF is a sequence of more than one frame."""
    file.seek(0)
    if file.read(12)[8:] != _SEQUENCE:
        return False
    try:
        return len(_durations(file)) > 1
    except DamagedAnimationError:
        return True  # whoever reads it says so


class AnimatedAvif:
    """An ``Animation`` in an AVIF file.

    Raises:
        DamagedAnimationError: the file cannot be opened, or says nothing of its frames.
        MissingDecoderError: the extra ``heif`` is not installed.
    """

    def __init__(self, file: BinaryIO) -> None:
        library = avif_library()
        self.damage = ""
        self.durations: Sequence[Fraction] = _durations(file)
        if file.seek(0, 2) > _LARGEST_FILE:
            raise DamagedAnimationError("it is longer than any animation that is read")
        file.seek(0)
        curve = hdr_curve(file.read(_HEAD))
        self.unsupported = f"it has a high dynamic range ({curve})" if curve else ""
        file.seek(0)
        try:
            self._image = library.AvifImageFile(file)
            frames, (width, height) = self._image.n_frames, self._image.size
            turned = self._image.getexif().get(_ORIENTATION, 1) >= 5
        except DECODER_ERRORS as error:
            raise DamagedAnimationError(str(error) or "it cannot be opened") from error
        self.size = Size(width, height) if turned else Size(height, width)
        if frames != len(self.durations):
            raise DamagedAnimationError(f"it declares {len(self.durations)} frames, and {frames}")

    def pictures(self) -> Iterator[Picture]:
        """See ``Animation.pictures``."""
        for number in range(len(self.durations)):
            pixels = self._decoded(number)
            yield over_white(pixels) if pixels.shape[2] == 4 else np.ascontiguousarray(pixels)

    def _decoded(self, number: int) -> Picture:
        from PIL import ImageOps

        try:
            self._image.seek(number)
            # Pillow tells the container's turn as an Exif orientation.
            return samples_of(ImageOps.exif_transpose(self._image))
        except DECODER_ERRORS as error:
            raise DamagedAnimationError(str(error) or "it cannot be decoded") from error


_ORIENTATION = 0x0112


def _durations(file: BinaryIO) -> list[Fraction]:
    """Seconds of each frame, by the track that holds the pictures (ISO 14496-12, 8.4.2, 8.4.3, 8.6.1.2)."""
    moov = _moov(file)
    try:
        for kind, track in _boxes(moov):
            media = dict(_boxes(dict(_boxes(track)).get(b"mdia", b""))) if kind == b"trak" else {}
            if media.get(b"hdlr", b"")[8:12] == b"pict":
                table = dict(_boxes(dict(_boxes(media[b"minf"]))[b"stbl"]))
                return _times(media[b"mdhd"], table[b"stts"])
    except (struct.error, KeyError, ZeroDivisionError) as error:
        raise DamagedAnimationError("its description of its frames is damaged") from error
    raise DamagedAnimationError("it does not say where its frames are")


def _times(mdhd: bytes, stts: bytes) -> list[Fraction]:
    # Version 1 has dates of eight bytes, so that the ticks a second stand further back.
    (scale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)
    (entries,) = struct.unpack_from(">I", stts, 4)
    durations: list[Fraction] = []
    for entry in range(entries):
        count, ticks = struct.unpack_from(">II", stts, 8 + 8 * entry)
        if len(durations) + count > MOST_FRAMES:
            raise DamagedAnimationError(TOO_MANY)
        durations += [Fraction(ticks, scale)] * count
    return durations


def _moov(file: BinaryIO) -> bytes:
    end, at = file.seek(0, 2), 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        length, kind = struct.unpack_from(">I4s", head)
        # A length of 1 says that a longer one follows, 0 that the box goes to the end of the file.
        skip = 16 if length == 1 else 8
        if length == 1 and len(head) == skip:
            (length,) = struct.unpack_from(">Q", head, 8)
        length = end - at if length == 0 else length
        if length < skip or (kind == b"moov" and (at + length > end or length > _LARGEST_MOOV)):
            break
        if kind == b"moov":
            file.seek(at + skip)
            return file.read(length - skip)
        at += length
    raise DamagedAnimationError("the file ends before the description of its frames")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield kind, data[at + 8 : at + length]
        at += length
