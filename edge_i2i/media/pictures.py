"""Picture files to arrays and back, with numpy and OpenCV only.

Every picture becomes uint8 ``[H, W, 3]`` RGB, as a viewer would show it:

====================  =========================================================================================
grey                  the one channel is repeated three times
transparency          composited over white, with straight alpha: ``round((c * a + 255 * (255 - a)) / 255)``
16 bits a channel     divided by 257, rounded to nearest (65535 becomes 255, 257 becomes 1)
CMYK JPEG             to RGB without a colour profile; the channels are stored inverted, as Adobe's software does
palette PNG           the palette's colours, with its transparency
Exif orientation      applied, all eight values
floating point        refused: which light is white is a choice that only the picture's maker can take
animation             refused: it is a video
====================  =========================================================================================

Colour profiles are ignored: the numbers are taken to be sRGB. BMP's fourth channel is ignored (most writers leave it
undefined); a grey PNG's single transparent shade is shown as that shade. Of a TIFF with several pages, the first is
read.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.errors import EdgeI2IError, PictureError, UsageError
from edge_i2i.media.atomic import replacing
from edge_i2i.media.headers import (
    PNG_SIGNATURE,
    SIGNATURE_BYTES,
    DamagedHeaderError,
    PictureFormat,
    PictureHeader,
    describe_unreadable,
    png_chunks,
    read_header,
    sniff,
)
from edge_i2i.models.contract import LARGEST_SIDE

Picture = NDArray[np.uint8]

LARGEST_AREA = 200_000_000  # pixels; 600 MB as RGB. The largest cameras on sale make 151 million.
READABLE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"})
WRITABLE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
JPEG_QUALITY = 95
WEBP_QUALITY = 95

_READS = "edge-i2i reads JPEG, PNG, WebP, BMP and TIFF pictures of 8 or 16 bits a channel."


def read_picture(path: Path | str) -> Picture:
    """Read a picture file as C-contiguous uint8 ``[H, W, 3]`` RGB (rules: this module's docstring).

    Raises:
        PictureError: the file is missing, empty, cut off, damaged, not a picture, too large, or of a kind that is
            refused; the message names the file.
    """
    data, header = _read_file(Path(path))
    return _to_picture(data, header, Path(path))


def decode_picture(data: bytes, name: str) -> Picture:
    """As ``read_picture``, of a file that is in memory already; ``name`` is what messages call it.

    Raises:
        PictureError: as ``read_picture``.
    """
    header = _checked_header(data, _known_format(data, Path(name)), Path(name))
    return _to_picture(data, header, Path(name))


def write_picture(path: Path | str, rgb: Picture) -> None:
    """Write uint8 ``[H, W, 3]`` RGB as PNG, JPEG (quality 95, full-resolution colour) or WebP (quality 95).

    The suffix chooses the format. The file appears under its name only when it is complete.

    Raises:
        UsageError: the suffix is none of ``.png``, ``.jpg``, ``.jpeg``, ``.webp``.
        PictureError: the array is no picture, or too large for the format.
        EdgeI2IError: the file cannot be written (no such folder, no space, no permission).
    """
    path = Path(path)
    encoded = _encode(path, rgb)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(encoded)
    except OSError as error:
        raise EdgeI2IError(
            f"The picture '{path}' cannot be written: {error.strerror or error}.",
            remedy="Check that the folder exists, that you may write to it, and that the disk has room.",
        ) from error


def read_label_map(path: Path | str) -> NDArray[np.uint8]:
    """Read a map of class ids: uint8 ``[H, W]`` from a one-channel PNG of up to 8 bits.

    A palette PNG gives its indices, which are the ids; its colours are only for looking at. An orientation in the
    file is not applied.

    Raises:
        PictureError: as ``read_picture``, and where the file holds colours, 16-bit values or no PNG.
    """
    ids = _read_ids(Path(path), "label map", deepest=8)
    return ids.astype(np.uint8, copy=False)


def read_instance_map(path: Path | str) -> NDArray[np.int32]:
    """Read a map of instance ids: int32 ``[H, W]`` from a one-channel PNG of up to 16 bits.

    Cityscapes' ``*_instanceIds.png`` is such a file. A palette PNG gives its indices.

    Raises:
        PictureError: as ``read_picture``, and where the file holds colours or no PNG.
    """
    return _read_ids(Path(path), "instance map", deepest=16).astype(np.int32)


# Files ----------------------------------------------------------------------------------------------------------


def _read_file(path: Path) -> tuple[bytes, PictureHeader]:
    """A whole, supported picture file's bytes and header."""
    data, kind = _read_bytes(path)
    return data, _checked_header(data, kind, path)


def _checked_header(data: bytes, kind: PictureFormat, path: Path) -> PictureHeader:
    try:
        header = read_header(data, kind)
    except DamagedHeaderError as error:
        raise _damaged(path, str(error)) from error
    height, width = header.size.height, header.size.width
    if max(height, width) > LARGEST_SIDE or height * width > LARGEST_AREA:
        raise PictureError(
            f"The picture '{path}' is too large: {header.size} pixels.",
            remedy=f"Make it smaller: up to {LARGEST_SIDE} pixels a side and {LARGEST_AREA:,} in all.",
        )
    if header.damage:
        raise _damaged(path, header.damage)
    if header.unsupported:
        raise PictureError(f"The picture '{path}' cannot be read: {header.unsupported}.", remedy="Save it as a PNG.")
    return header


def _read_bytes(path: Path) -> tuple[bytes, PictureFormat]:
    """The file's content, once its first bytes promise a picture (so that a film is not read into memory)."""
    try:
        with path.open("rb") as file:
            head = file.read(SIGNATURE_BYTES)
            data = head + file.read() if sniff(head) else head
    except FileNotFoundError as error:
        raise PictureError(f"There is no picture '{path}'.", remedy="Check the path.") from error
    except OSError as error:
        raise PictureError(
            f"The picture '{path}' cannot be opened: {error.strerror or error}.",
            remedy="Name a file that you may read.",
        ) from error
    return data, _known_format(data, path)


def _known_format(data: bytes, path: Path) -> PictureFormat:
    if not data:
        raise PictureError(f"The picture '{path}' is empty: 0 bytes.", remedy="Fetch or save it again.")
    head = data[:SIGNATURE_BYTES]
    if (kind := sniff(head)) is None:
        raise PictureError(f"The file '{path}' cannot be read: it is {describe_unreadable(head)}.", remedy=_READS)
    return kind


def _damaged(path: Path, why: str) -> PictureError:
    return PictureError(
        f"The picture '{path}' is damaged: {why}.",
        remedy="Fetch it again; a copy or a download was probably cut short.",
    )


def _to_picture(data: bytes, header: PictureHeader, path: Path) -> Picture:
    # Unchanged gives alpha and 16 bits as stored, and leaves orientation to us; a BMP's fourth channel is not alpha.
    samples = _decode(data, path, as_stored=header.format is not PictureFormat.BMP)
    return np.ascontiguousarray(_orient(_to_rgb(samples, path), header.orientation))


# Samples --------------------------------------------------------------------------------------------------------


def _decode(data: bytes, path: Path, *, as_stored: bool) -> NDArray[Any]:
    """The stored samples in OpenCV's order (grey, BGR or BGRA), not oriented."""
    import cv2

    flags = cv2.IMREAD_UNCHANGED if as_stored else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise _damaged(path, f"it cannot be decoded ({error.err})") from error
    if samples is None:
        raise _damaged(path, "it cannot be decoded")
    return samples


def _to_rgb(samples: NDArray[Any], path: Path) -> Picture:
    """OpenCV's grey, BGR or BGRA samples of 8 or 16 bits as RGB of 8."""
    import cv2

    if samples.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"The picture '{path}' holds {samples.dtype} values.", remedy=_READS)
    if samples.dtype == np.uint16:
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if samples.ndim == 2:
        return np.asarray(cv2.cvtColor(samples, cv2.COLOR_GRAY2RGB), np.uint8)
    if samples.shape[2] == 4:
        return _over_white(np.asarray(cv2.cvtColor(samples, cv2.COLOR_BGRA2RGBA), np.uint8))
    return np.asarray(cv2.cvtColor(samples, cv2.COLOR_BGR2RGB), np.uint8)


def _over_white(rgba: Picture) -> Picture:
    alpha = rgba[..., 3:].astype(np.uint32)
    blended = rgba[..., :3] * alpha + 255 * (255 - alpha)
    return ((blended + 127) // 255).astype(np.uint8)


def _orient(picture: Picture, orientation: int) -> Picture:
    """Apply an Exif orientation. 5..8 are 1..4 of the transposed picture, up to the order of the flips."""
    if orientation >= 5:
        picture = picture.transpose(1, 0, 2)
    upside_down = orientation in (3, 4, 7, 8)
    mirrored = orientation in (2, 3, 6, 7)
    return picture[:: -1 if upside_down else 1, :: -1 if mirrored else 1]


def _encode(path: Path, rgb: Picture) -> bytes:
    import cv2

    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise UsageError(
            f"'{path}' does not name a picture that can be written.",
            remedy=f"Use one of {', '.join(sorted(WRITABLE_SUFFIXES))}.",
        )
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise PictureError(f"A picture is uint8 [H, W, 3], not {rgb.dtype}{list(rgb.shape)}: '{path}' is not written.")
    options = {
        ".png": [],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY],
    }.get(
        path.suffix.lower(),
        [
            cv2.IMWRITE_JPEG_QUALITY,
            JPEG_QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
    )
    try:
        done, encoded = cv2.imencode(path.suffix.lower(), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    except cv2.error as error:
        raise PictureError(f"The picture '{path}' cannot be encoded: {error.err}.") from error
    if not done:
        raise PictureError(f"A picture of {rgb.shape[0]}x{rgb.shape[1]} does not fit the format of '{path}'.")
    return encoded.tobytes()


# Maps -----------------------------------------------------------------------------------------------------------


def _read_ids(path: Path, what: str, *, deepest: int) -> NDArray[Any]:
    """The stored numbers of a one-channel PNG, ``[H, W]`` uint8 or uint16."""
    data, header = _read_file(path)
    if header.format is not PictureFormat.PNG:
        raise PictureError(
            f"The {what} '{path}' is a {header.format} file.",
            remedy="Ids must be stored exactly: save it as a one-channel PNG.",
        )
    ids = _decode(_without_palette(data) if header.palette else data, path, as_stored=True)
    if ids.ndim != 2:
        raise PictureError(
            f"The {what} '{path}' holds {ids.shape[2]} channels: colours for looking at, not ids.",
            remedy="Use the one-channel PNG of ids (in Cityscapes: *_labelIds.png and *_instanceIds.png).",
        )
    if header.bit_depth > deepest:
        raise PictureError(
            f"The {what} '{path}' holds {header.bit_depth}-bit values.",
            remedy=f"A {what} has up to {deepest} bits: is this an instance map, or a depth map?",
        )
    # Decoders spread the values of 1, 2 and 4 bits over 0..255, which is right for shades and wrong for ids.
    return ids // (255 // (2**header.bit_depth - 1)) if header.bit_depth < 8 else ids


def _without_palette(data: bytes) -> bytes:
    """The same PNG with its indices declared as shades of grey: both are stored alike, so a decoder hands them over."""
    kept = [PNG_SIGNATURE]
    for kind, body in png_chunks(data):
        if kind == b"IHDR":
            body = body[:9] + b"\0" + body[10:]  # the colour type: palette (3) becomes grey (0)
        if kind not in (b"PLTE", b"tRNS"):
            checksum = zlib.crc32(body, zlib.crc32(kind))
            kept.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum))
    return b"".join(kept)
