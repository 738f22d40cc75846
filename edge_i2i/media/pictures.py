"""Picture files to arrays and back, with numpy and OpenCV; HEIC and AVIF with Pillow (``media.heif``).

Every picture becomes uint8 ``[H, W, 3]`` RGB, as a viewer would show it:

====================  =========================================================================================
grey                  the one channel is repeated three times
transparency          composited over white, with straight alpha: ``round((c * a + 255 * (255 - a)) / 255)``;
                      a shade or colour of a PNG that is transparent (tRNS) becomes white
16 bits a channel     divided by 257, rounded to nearest (65535 becomes 255, 257 becomes 1)
10 to 14 bits (TIFF)  spread over 16 bits, then as above
CMYK JPEG             to RGB without a colour profile; the channels are stored inverted, as Adobe's software does
palette PNG, BMP      the palette's colours, with their transparency
Exif orientation      applied, all eight values; of HEIC and AVIF the container's own
floating point        refused: which light is white is a choice that only the picture's maker can take
HDR (PQ, HLG)         refused, for the same reason
animation             refused: it is a film (``media.films``); one of a single frame is a picture
====================  =========================================================================================

Colour profiles are ignored: the numbers are taken to be sRGB, as the loaders of the networks' training code take them.
BMP's fourth channel is ignored (most writers leave it undefined). Of a TIFF with several pages, the first is read;
which layouts of TIFF are taken is told in ``media.tiff``. PNM (P4, P5, P6) has to have 255 or 65535 as its white. What
declares its size twice, is no ordinary file, or is longer than any picture within the limits is refused before it is
decoded.
"""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Picture
from edge_i2i.contract import LARGEST_SIDE, Size
from edge_i2i.errors import OutputError, PictureError, UsageError
from edge_i2i.files.whole import replacing
from edge_i2i.media.animations.canvas import DamagedAnimationError
from edge_i2i.media.animations.webp import AnimatedWebp, announces_animation
from edge_i2i.media.headers import (
    ANIMATION,
    SIGNATURE_BYTES,
    DamagedHeaderError,
    PictureFormat,
    PictureHeader,
    describe_unreadable,
    png_chunks,
    png_of,
    read_header,
    sniff,
)
from edge_i2i.media.heif import DamagedHeifError, HeifFormat, open_heif, sniff_heif
from edge_i2i.media.samples import decoded, orient, over_white, to_rgb, whiten
from edge_i2i.media.suffixes import RAW_SUFFIXES

LARGEST_AREA = 200_000_000  # pixels; 600 MB as RGB. The largest cameras on sale make 151 million.
LARGEST_FILE = 6 * LARGEST_AREA + (64 << 20)  # bytes: RGB of 16 bits as it is, and what a file holds besides
WRITABLE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
JPEG_QUALITY = 95
WEBP_QUALITY = 95

_ONE_FRAME = "Save one of its frames as a PNG. As a film, 'edge-i2i translate' takes it."

# Two letters begin a BMP or a PNM, and many a text.
_UNMISTAKABLE = frozenset({PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP, PictureFormat.TIFF})
_READS = "edge-i2i reads JPEG, PNG, WebP, HEIC, AVIF, BMP, PNM and TIFF pictures of 8 or 16 bits a channel."


def read_picture(path: Path | str) -> Picture:
    """Read a picture file as C-contiguous uint8 ``[H, W, 3]`` RGB (rules: this module's docstring).

    Raises:
        PictureError: the file is missing, empty, cut off, damaged, not a picture, too large, or of a kind that is
            refused; the message names the file.
        MissingDecoderError: it is a HEIC or AVIF picture, and the extra ``heif`` is not installed.

    Example:
        >>> import edge_i2i
        >>> edge_i2i.read_picture("photo.png").shape
        (90, 120, 3)
    """
    return decode_picture(_read_bytes(Path(path)), str(path))


def decode_picture(data: bytes, name: str) -> Picture:
    """Decode a picture file that is in memory, to the same as ``read_picture``; ``name`` is what messages call it.

    Raises:
        PictureError: the file is cut off, damaged, not a picture, too large, or of a kind that is refused.
        MissingDecoderError: it is a HEIC or AVIF picture, and the extra ``heif`` is not installed.
    """
    path = Path(name)
    if kind := sniff_heif(data[:SIGNATURE_BYTES]):
        return _decode_heif(data, kind, path)
    header = _checked_header(data, _known_format(data, path), path)
    if header.format is PictureFormat.WEBP and announces_animation(data):
        return _only_frame(data, path)
    if header.format is PictureFormat.PNG:
        data = _essence(data, header)
    # Unchanged gives alpha and 16 bits as stored, and leaves orientation to us; a BMP's fourth channel is not alpha.
    samples = _decode(data, path, as_stored=header.format is not PictureFormat.BMP)
    if samples.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"The picture '{path}' holds {samples.dtype} values.", remedy=_READS)
    if header.clear_shade is not None and samples.ndim == 2:
        samples = whiten(
            samples, header.clear_shade * (255 // (2**header.bit_depth - 1) if header.bit_depth < 8 else 1)
        )
    return orient(to_rgb(samples), header.orientation)


def holds_picture(path: Path) -> bool:
    """Whether a file begins as a picture that is read, whatever it is called; its name is not looked at."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(SIGNATURE_BYTES)
    except OSError:
        return False
    return sniff(head) in _UNMISTAKABLE or sniff_heif(head) is not None


def write_picture(path: Path | str, rgb: Picture) -> None:
    """Write uint8 ``[H, W, 3]`` RGB as PNG, JPEG (quality 95, full-resolution colour) or WebP (quality 95).

    The suffix chooses the format. The file appears under its name only when it is complete.

    Raises:
        UsageError: the suffix is none of ``.png``, ``.jpg``, ``.jpeg``, ``.webp``.
        PictureError: the array is no picture, or too large for the format.
        OutputError: the file cannot be written (no such folder, no space, no permission).

    Example:
        >>> import edge_i2i
        >>> edge_i2i.write_picture("copy.jpg", edge_i2i.read_picture("photo.png"))
    """
    path = Path(path)
    encoded = _encode(path, rgb)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(encoded)
    except OSError as error:
        raise OutputError(
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


def _checked_header(data: bytes, kind: PictureFormat, path: Path) -> PictureHeader:
    try:
        header = read_header(data, kind)
    except DamagedHeaderError as error:
        raise _damaged(path, str(error)) from error
    _check_size(header.size, path)
    if header.damage:
        raise _damaged(path, header.damage)
    if header.unsupported:
        raise _not_taken(path, header.unsupported)
    return header


def _check_size(size: Size, path: Path) -> None:
    if max(size.height, size.width) > LARGEST_SIDE or size.height * size.width > LARGEST_AREA:
        raise PictureError(
            f"The picture '{path}' is too large: {size} pixels.",
            remedy=f"Make it smaller: up to {LARGEST_SIDE} pixels a side and {LARGEST_AREA:,} in all.",
        )


def _read_bytes(path: Path) -> bytes:
    """The file's content, once its first bytes promise a picture (so that a film is not read into memory)."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise PictureError(f"'{path}' is no file: a pipe or a device.", remedy="Save the picture in a file first.")
        with path.open("rb") as file:
            head = file.read(SIGNATURE_BYTES)
            if not (sniff(head) or sniff_heif(head)):
                return head
            file.seek(0)
            data = file.read(LARGEST_FILE + 1) if about.st_size <= LARGEST_FILE else None
    except FileNotFoundError as error:
        raise PictureError(f"There is no picture '{path}'.", remedy="Check the path.") from error
    except (OSError, ValueError) as error:
        raise PictureError(
            f"The picture '{path}' cannot be opened: {getattr(error, 'strerror', None) or error}.",
            remedy="Name a file that you may read.",
        ) from error
    if data is None or len(data) > LARGEST_FILE:
        raise PictureError(
            f"The picture '{path}' is too large: more than {LARGEST_FILE:,} bytes.",
            remedy=f"No picture of {LARGEST_AREA:,} pixels, the most that is read, is that long: check what it is.",
        )
    if path.suffix.lower() in RAW_SUFFIXES:
        raise PictureError(
            f"The picture '{path}' cannot be read: it is a camera's raw file, and what it holds beside that a preview.",
            remedy="Develop it to a PNG or JPEG.",
        )
    return data


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


def _undecodable(path: Path) -> PictureError:
    return PictureError(
        f"The picture '{path}' cannot be decoded: it is damaged, or stored in a way that is not read.",
        remedy="Fetch it again, or save it as a PNG.",
    )


def _not_taken(path: Path, why: str) -> PictureError:
    remedy = "Save it as a PNG." if why != ANIMATION else _ONE_FRAME
    return PictureError(f"The picture '{path}' cannot be read: {why}.", remedy=remedy)


# Samples --------------------------------------------------------------------------------------------------------


def _decode(data: bytes, path: Path, *, as_stored: bool) -> NDArray[Any]:
    """The stored samples in OpenCV's order (grey, BGR or BGRA), not oriented."""
    import cv2

    samples = decoded(data, None if as_stored else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if samples is None:
        raise _undecodable(path)
    return samples


def _decode_heif(data: bytes, kind: HeifFormat, path: Path) -> Picture:
    try:
        opened = open_heif(data, kind)
        _check_size(opened.size, path)
        if opened.unsupported:
            raise _not_taken(path, opened.unsupported)
        pixels = opened.decode()
    except DamagedHeifError as error:
        raise _damaged(path, f"it cannot be decoded ({error})") from error
    return over_white(pixels) if pixels.shape[2] == 4 else np.ascontiguousarray(pixels)


def _only_frame(data: bytes, path: Path) -> Picture:
    """The picture of an animation that has no second frame."""
    try:
        animation = AnimatedWebp(io.BytesIO(data))
        shown = next(animation.pictures(), None)
    except DamagedAnimationError as error:
        raise _damaged(path, str(error)) from error
    if shown is None or animation.damage:
        raise _damaged(path, animation.damage or "it holds no frame")
    return shown


def _essence(data: bytes, header: PictureHeader) -> bytes:
    """The chunks of a PNG that make its pixels: decoders spend memory on texts and profiles, and play animations."""
    kept = (b"IHDR", b"IDAT", b"IEND", b"PLTE", *(() if header.clear_shade is not None else (b"tRNS",)))
    return png_of((kind, body) for kind, body in png_chunks(data) if kind in kept)


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
    data = _read_bytes(path)
    header = _checked_header(data, _known_format(data, path), path)
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
    kept = ((kind, bytes(body)) for kind, body in png_chunks(data) if kind in (b"IHDR", b"IDAT", b"IEND"))
    # The colour type: palette (3) becomes grey (0).
    return png_of((kind, body[:9] + b"\0" + body[10:] if kind == b"IHDR" else body) for kind, body in kept)
