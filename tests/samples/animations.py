"""Animations as files, made by Pillow, and put together by hand where Pillow's writer has no choice."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (24, 32)  # height, width
SUFFIXES = ("webp", "png", "avif")


def frames(count: int = 5, *, clear: bool = False, size: tuple[int, int] = SIZE) -> list[Image.Image]:
    """A square that moves over a ground that changes; ``clear``: the uppermost rows are transparent."""
    made = []
    for index in range(count):
        pixels = np.full((*size, 4), (40 * index, 100, 50, 255), np.uint8)
        pixels[8:16, 4 * index : 4 * index + 8, :3] = (255, 255 - 20 * index, 0)
        if clear:
            pixels[:4] = (9, 9, 9, 0)
        made.append(Image.fromarray(pixels if clear else pixels[..., :3].copy()))
    return made


def save(path: Path, made: Sequence[Image.Image], duration: int | list[int] = 40, **options: object) -> Path:
    """With no loss where the format knows that."""
    if path.suffix == ".avif":
        options = {"quality": 95, "subsampling": "4:4:4"} | options
    elif path.suffix == ".webp":
        options = {"lossless": True, "exact": True} | options
    form = {".avif": "AVIF", ".webp": "WEBP", ".gif": "GIF"}.get(path.suffix, "PNG")
    made[0].save(path, form, save_all=True, append_images=made[1:], duration=duration, **options)
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    """Of a WebP."""
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def webp(size: tuple[int, int], pieces: Sequence[bytes], *, flags: int = 0x12) -> bytes:
    """A WebP of a canvas (height, width) and the bodies of its ANMF chunks."""
    height, width = size
    head = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    parts = [chunk(b"VP8X", head), chunk(b"ANIM", bytes(6)), *(chunk(b"ANMF", piece) for piece in pieces)]
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_piece(
    image: Image.Image, left: int = 0, top: int = 0, *, ms: int = 40, blends: bool = True, clears: bool = False
) -> bytes:
    """The body of an ANMF chunk; ``left`` and ``top`` are even."""
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, exact=True)
    stored = file.getvalue()[12:]
    if stored[:4] == b"VP8X":
        stored = stored[18:]
    places = (left // 2, top // 2, image.width - 1, image.height - 1, ms)
    head = b"".join(place.to_bytes(3, "little") for place in places)
    return head + bytes([(0 if blends else 2) | (1 if clears else 0)]) + stored


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """With its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and body of every chunk."""
    at, found = 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A file of chunks."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)


def random_pictures(random: np.random.Generator, count: int) -> list[Image.Image]:
    """Pictures with clear, opaque and half-transparent parts."""
    made = []
    for _ in range(count):
        pixels = np.zeros((*SIZE, 4), np.uint8)
        pixels[..., 3] = random.choice([0, 255])
        top, left = random.integers(0, SIZE[0] // 2), random.integers(0, SIZE[1] // 2)
        pixels[top : top + 10, left : left + 14] = random.integers(0, 256, 4)
        pixels[top : top + 10, left : left + 14, 3] = random.choice([0, 128, 255])
        made.append(Image.fromarray(pixels))
    return made
