"""What a picture file says about itself before it is decoded: format, size, orientation, and whether it is whole.

Decoders differ in what they let pass: some fill the missing half of a cut-off JPEG with grey. Reading the header here
gives the same answer with every OpenCV version, and refuses a decompression bomb before it is decoded.

Sources: JPEG ITU-T T.81 annex B; PNG (Third Edition) sections 5 and 11; WebP container specification (RFC 9649);
TIFF 6.0 section 2; Exif 2.32 section 4.6.4 (orientation).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from edge_i2i.models.contract import Size


class PictureFormat(StrEnum):
    """The formats that edge-i2i reads."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    BMP = "BMP"
    TIFF = "TIFF"


class DamagedHeaderError(ValueError):
    """The header contradicts itself or ends too early; ``read_header`` only."""


@dataclass(frozen=True)
class PictureHeader:
    """A picture file's own description of itself.

    ``orientation``: the Exif value 1..8 that the reader still has to apply (TIFF decoders apply it themselves).
    ``damage``: why the file is not whole, or empty. ``unsupported``: why it is whole but not read, or empty.
    ``bit_depth`` and ``palette`` are filled in for PNG only.
    """

    format: PictureFormat
    size: Size
    orientation: int = 1
    damage: str = ""
    unsupported: str = ""
    bit_depth: int = 8
    palette: bool = False


_SIGNATURES: tuple[tuple[bytes, PictureFormat], ...] = (
    (b"\xff\xd8\xff", PictureFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", PictureFormat.PNG),
    (b"BM", PictureFormat.BMP),
    (b"II*\0", PictureFormat.TIFF),
    (b"MM\0*", PictureFormat.TIFF),
)
_KNOWN_BUT_NOT_READ: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", "a GIF"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture of floating-point light"),
    (0, b"#?", "a Radiance HDR picture of floating-point light"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF"),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000 picture"),
    (0, b"II+\0", "a BigTIFF"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyphei", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIC picture"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
)
SIGNATURE_BYTES = 16  # how much of a file `sniff` and `describe_unreadable` look at


def sniff(head: bytes) -> PictureFormat | None:
    """The format that a file's first ``SIGNATURE_BYTES`` bytes announce, or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return PictureFormat.WEBP
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)


def describe_unreadable(head: bytes) -> str:
    """What a file that ``sniff`` does not know seems to be: ``a GIF``, ``not a picture``."""
    matches = (name for offset, mark, name in _KNOWN_BUT_NOT_READ if head[offset:].startswith(mark))
    return next(matches, "not a picture")


def read_header(data: bytes, kind: PictureFormat) -> PictureHeader:
    """Read the header of a whole picture file.

    Raises:
        DamagedHeaderError: the header is cut off or contradicts itself.
    """
    readers = {
        PictureFormat.JPEG: _read_jpeg,
        PictureFormat.PNG: _read_png,
        PictureFormat.WEBP: _read_webp,
        PictureFormat.BMP: _read_bmp,
        PictureFormat.TIFF: _read_tiff,
    }
    try:
        header = readers[kind](data)
    except (struct.error, IndexError, KeyError) as error:
        raise DamagedHeaderError("its header is damaged or cut off") from error
    if header.size.height < 1 or header.size.width < 1:
        raise DamagedHeaderError(f"its header declares the size {header.size}")
    return header


# JPEG -----------------------------------------------------------------------------------------------------------

_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, b"\xff\xd9", 0xE1
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # C4, C8, CC: tables, reserved, arithmetic
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}  # restart markers, start of image, TEM: no length follows


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Every marker up to the first scan, with the offset of its segment's length field."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise DamagedHeaderError("its header is damaged")
        while data[at] == 0xFF:
            at += 1
        marker, at = data[at], at + 1
        yield marker, at
        if marker == _START_OF_SCAN:
            return
        if marker not in _STANDALONE:
            (length,) = struct.unpack_from(">H", data, at)
            at += max(2, length)


def _read_jpeg(data: bytes) -> PictureHeader:
    size, orientation, scan = Size(0, 0), 1, 0
    for marker, at in _jpeg_segments(data):
        if marker in _START_OF_FRAME:
            size = Size(*struct.unpack_from(">HH", data, at + 3))
        elif marker == _APP1 and data[at + 2 : at + 8] == b"Exif\0\0" and orientation == 1:
            (length,) = struct.unpack_from(">H", data, at)
            orientation = _exif_orientation(data[at + 8 : at + length])
        elif marker == _START_OF_SCAN:
            scan = at
    # Inside a scan every 0xFF is followed by 0 or a restart marker, so this pair can only be the end marker. What
    # follows it (the film of a "motion photo", a camera's preview) is none of our business.
    damage = "" if data.find(_END_OF_IMAGE, scan) >= 0 else "it ends before its end-of-image marker"
    return PictureHeader(PictureFormat.JPEG, size, orientation, damage)


# PNG ------------------------------------------------------------------------------------------------------------

PNG_SIGNATURE = _SIGNATURES[1][0]


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of every chunk up to and including ``IEND``.

    Raises:
        DamagedHeaderError: the file ends before ``IEND``, or a chunk's checksum is wrong.
    """
    at, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise DamagedHeaderError("it ends before its IEND chunk")
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        if at + 12 + length > len(data):
            raise DamagedHeaderError("it ends before its IEND chunk")
        if zlib.crc32(body, zlib.crc32(kind)) != struct.unpack_from(">I", data, at + 8 + length)[0]:
            raise DamagedHeaderError(f"the checksum of its {kind.decode('latin-1')} chunk is wrong")
        yield kind, body
        at += 12 + length


def _read_png(data: bytes) -> PictureHeader:
    if data[12:16] != b"IHDR":
        raise DamagedHeaderError("its IHDR chunk is missing")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    orientation, damage, unsupported = 1, "", ""
    try:
        for kind, body in png_chunks(data):
            if kind == b"eXIf":
                orientation = _exif_orientation(body)
            elif kind == b"acTL" and struct.unpack_from(">I", body)[0] > 1:
                unsupported = "it is an animation"
    except DamagedHeaderError as error:
        damage = str(error)
    return PictureHeader(
        PictureFormat.PNG, Size(height, width), orientation, damage, unsupported, depth, palette=colour == 3
    )


# WebP, BMP ------------------------------------------------------------------------------------------------------


def _webp_size(kind: bytes, data: bytes, at: int) -> Size:
    """The size in the first chunk, whose body is at ``at``."""
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at + offset : at + offset + 3], "little") + 1 for offset in (4, 7))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, at + 1)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, at + 6))
    else:
        raise DamagedHeaderError("its header is damaged")
    return Size(height, width)


def _read_webp(data: bytes) -> PictureHeader:
    declared, first = struct.unpack_from("<I", data, 4)[0], data[12:16]
    size = _webp_size(first, data, 20)
    extended = first == b"VP8X"
    return PictureHeader(
        PictureFormat.WEBP,
        size,
        orientation=_webp_orientation(data) if extended else 1,
        damage="" if len(data) >= declared + 8 else "it is shorter than its header declares",
        unsupported="it is an animation" if extended and data[20] & 0x02 else "",
    )


def _webp_orientation(data: bytes) -> int:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return _exif_orientation(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2
    return 1


def _read_bmp(data: bytes) -> PictureHeader:
    (header_length,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_length == 12 else "<ii", data, 18)
    # A negative height says that the rows run from the top. Completeness is left to the decoder, which refuses a
    # short BMP: the file-size field cannot be trusted, many writers leave it 0.
    return PictureHeader(PictureFormat.BMP, Size(abs(height), width))


# TIFF and Exif, which is a TIFF header in another file ----------------------------------------------------------

_ORIENTATION, _WIDTH, _HEIGHT, _PHOTOMETRIC, _EXTRA_SAMPLES = 274, 256, 257, 262, 338
_PHOTOMETRIC_NOT_READ = {5: "it is a CMYK TIFF", 8: "it is a CIELab TIFF", 9: "it is an ICCLab TIFF"}


def _read_directory(data: bytes) -> dict[int, int]:
    """The first directory's single-valued SHORT and LONG fields, by tag; other fields map to 0."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    fields: dict[int, int] = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, at)
        form = {3: "H", 4: "I"}.get(kind)
        single = form is not None and values == 1
        fields[tag] = struct.unpack_from(f"{order}{form}", data, at + 8)[0] if single else 0
    return fields


def _exif_orientation(block: bytes) -> int:
    """The orientation in an Exif block; 1 where it is absent or damaged, as viewers do."""
    try:
        value = _read_directory(block).get(_ORIENTATION, 1)
    except (struct.error, KeyError):
        return 1
    return value if 1 <= value <= 8 else 1


def _read_tiff(data: bytes) -> PictureHeader:
    fields = _read_directory(data)
    unsupported = _PHOTOMETRIC_NOT_READ.get(fields.get(_PHOTOMETRIC, 2), "")
    if not unsupported and _EXTRA_SAMPLES in fields:
        # Decoders disagree on whether the colours are already multiplied with this channel.
        unsupported = "it is a TIFF with a transparency channel"
    return PictureHeader(PictureFormat.TIFF, Size(fields[_HEIGHT], fields[_WIDTH]), unsupported=unsupported)
