"""What a picture file says about itself before it is decoded: format, size, orientation, and whether it is whole.

Decoders differ in what they let pass: some fill the missing half of a cut-off JPEG with grey. Reading the header here
gives the same answer with every OpenCV version, and refuses a decompression bomb before it is decoded. Whatever is said
twice is refused: a decoder may believe the other one.

Sources: JPEG ITU-T T.81 annex B; PNG (Third Edition) sections 5 and 11; WebP container specification (RFC 9649);
Netpbm's ppm(5), pgm(5) and pbm(5); TIFF: ``media.tiff``.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from edge_i2i.contract import Size
from edge_i2i.media import tiff
from edge_i2i.media.tiff import TiffError


class PictureFormat(StrEnum):
    """The formats that edge-i2i reads."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    BMP = "BMP"
    TIFF = "TIFF"
    PNM = "PNM"


class DamagedHeaderError(ValueError):
    """The header contradicts itself or ends too early; ``read_header`` only."""


@dataclass(frozen=True)
class PictureHeader:
    """A picture file's own description of itself.

    ``orientation``: the Exif value 1..8 that the reader still has to apply (TIFF decoders apply it themselves).
    ``damage``: why the file is not whole, or empty. ``unsupported``: why it is whole but not read, or empty.
    ``bit_depth``, ``palette`` and ``clear_shade`` (the stored grey that is transparent) are filled in for PNG only.
    """

    format: PictureFormat
    size: Size
    orientation: int = 1
    damage: str = ""
    unsupported: str = ""
    bit_depth: int = 8
    palette: bool = False
    clear_shade: int | None = None


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
    (0, b"PF\n", "a PFM picture of floating-point light"),
    (0, b"Pf\n", "a PFM picture of floating-point light"),
    (0, b"P7\n", "a PAM picture"),
    (0, b"P1", "a PBM picture in plain text"),
    (0, b"P2", "a PGM picture in plain text"),
    (0, b"P3", "a PPM picture in plain text"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF"),
    (0, b"<svg", "a drawing (SVG)"),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"II\xbc\x01", "a JPEG XR picture"),
    (0, b"II+\0", "a BigTIFF"),
    (0, b"MM\0+", "a BigTIFF"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (0, b"IIRO", "a camera's raw file"),
    (0, b"IIRS", "a camera's raw file"),
    (0, b"IIU\0", "a camera's raw file"),
    (0, b"FOVb", "a camera's raw file"),
    (4, b"ftypcrx", "a camera's raw file"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftypavis", "an AVIF picture"),
    (4, b"ftyphei", "a HEIC picture"),
    (4, b"ftyphev", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIC picture"),
    (4, b"ftypmsf1", "a HEIC picture"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
)
_PNM = re.compile(rb"P[456][ \t\r\n#]")
ANIMATION = "it is an animation"  # which is not read as a picture
SIGNATURE_BYTES = 64  # how much of a file `sniff` and `describe_unreadable` look at


def sniff(head: bytes) -> PictureFormat | None:
    """The format that a file's first ``SIGNATURE_BYTES`` bytes announce, or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return PictureFormat.WEBP
    if _PNM.match(head):
        return PictureFormat.PNM
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
        PictureFormat.PNM: _read_pnm,
    }
    try:
        header = readers[kind](data)
    except (struct.error, IndexError, KeyError) as error:
        raise DamagedHeaderError("its header is damaged or cut off") from error
    except TiffError as error:
        raise DamagedHeaderError(str(error)) from error
    if header.size.height < 1 or header.size.width < 1:
        raise DamagedHeaderError(f"its header declares the size {header.size}")
    return header


# JPEG -----------------------------------------------------------------------------------------------------------

_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, b"\xff\xd9", 0xE1
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # C4, C8, CC: tables, reserved, arithmetic
_FRAMES_READ = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})  # the others: without loss, or in layers of several sizes
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}  # restart markers, start of image, TEM: no length follows
_NO_FILL = re.compile(rb"[^\xff]")
_MOST_SEGMENTS, _LONGEST_FILL = 100_000, 65_536
_MOST_SCANNED = 3_200_000_000  # pixels in all scans: a scan of nothing costs a few bytes, and a walk over the picture


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Every marker up to the first scan, with the offset of its segment's length field."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        filled = _NO_FILL.search(data, at, at + _LONGEST_FILL)
        if data[at] != 0xFF or filled is None:
            raise DamagedHeaderError("its header is damaged")
        at = filled.end()
        marker = data[at - 1]
        yield marker, at
        if marker == _START_OF_SCAN:
            return
        if marker not in _STANDALONE:
            (length,) = struct.unpack_from(">H", data, at)
            at += max(2, length)
    raise DamagedHeaderError("its header never ends")


def _read_jpeg(data: bytes) -> PictureHeader:
    frame, orientation, scan = None, 1, 0
    for marker, at in _jpeg_segments(data):
        if marker in _START_OF_FRAME:
            if frame is not None:
                raise DamagedHeaderError("its header declares the size twice")
            frame = (marker, *struct.unpack_from(">BHHB", data, at + 2))
        elif marker == _APP1 and data[at + 2 : at + 8] == b"Exif\0\0" and orientation == 1:
            (length,) = struct.unpack_from(">H", data, at)
            orientation = tiff.orientation_of(data[at + 8 : at + length])
        elif marker == _START_OF_SCAN:
            scan = at
    if frame is None:
        raise DamagedHeaderError("its header declares no size")
    marker, bits, height, width, channels = frame
    # Inside a scan every 0xFF is followed by 0 or a restart marker, so this pair can only be the end marker. What
    # follows it (the film of a "motion photo", a camera's preview) is none of our business.
    end = data.find(_END_OF_IMAGE, scan)
    if (1 + data.count(b"\xff\xda", scan, max(end, 0))) * height * width > _MOST_SCANNED:
        raise DamagedHeaderError("it walks over its pixels more often than any real picture")
    damage = "" if end >= 0 else "it ends before its end-of-image marker"
    return PictureHeader(
        PictureFormat.JPEG, Size(height, width), orientation, damage, _jpeg_not_read(marker, bits, channels)
    )


def _jpeg_not_read(marker: int, bits: int, channels: int) -> str:
    if marker not in _FRAMES_READ:
        return "it is a lossless or layered JPEG"
    if bits != 8 or channels not in (1, 3, 4):
        return f"it is a JPEG of {channels} channels of {bits} bits"
    return ""


# PNG ------------------------------------------------------------------------------------------------------------

PNG_SIGNATURE = _SIGNATURES[1][0]
_MOST_CHUNKS = 500_000
_NOTED = frozenset({b"IHDR", b"eXIf", b"acTL", b"cICP", b"tRNS", b"IDAT"})
HDR_CURVES = {16: "PQ", 18: "HLG"}  # ITU-T H.273, transfer characteristics


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Type and body of every chunk up to and including ``IEND``.

    Raises:
        DamagedHeaderError: the file ends before ``IEND``, or a chunk's checksum is wrong.
    """
    at, view = len(PNG_SIGNATURE), memoryview(data)
    for _ in range(_MOST_CHUNKS):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        body = view[at + 8 : at + 8 + length]
        if at + 12 + length > len(data):
            break
        if zlib.crc32(body, zlib.crc32(kind)) != struct.unpack_from(">I", data, at + 8 + length)[0]:
            raise DamagedHeaderError(f"the checksum of its {kind.decode('latin-1')} chunk is wrong")
        yield kind, body
        if kind == b"IEND":
            return
        at += 12 + length
    raise DamagedHeaderError("it ends before its IEND chunk")


def png_of(chunks: Iterable[tuple[bytes, bytes | memoryview]]) -> bytes:
    """The bytes of a PNG file that holds these chunks (type, body), each with its checksum."""
    parts: list[bytes | memoryview] = [PNG_SIGNATURE]
    for kind, body in chunks:
        parts += [struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))]
    return b"".join(parts)


def _read_png(data: bytes) -> PictureHeader:
    if data[8:16] != b"\0\0\0\x0dIHDR":
        raise DamagedHeaderError("its IHDR chunk is missing")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    seen: dict[bytes, bytes] = {}
    damage = ""
    try:
        for kind, body in png_chunks(data):
            if kind in seen and kind == b"IHDR":
                raise DamagedHeaderError("its header declares the size twice")
            if kind in _NOTED and not (kind == b"acTL" and b"IDAT" in seen):  # there, it announces nothing
                seen.setdefault(kind, bytes(body[:65536]) if kind != b"IDAT" else b"")
    except DamagedHeaderError as error:
        damage = str(error)
    return PictureHeader(
        PictureFormat.PNG,
        Size(height, width),
        tiff.orientation_of(seen.get(b"eXIf", b"")),
        damage,
        _png_not_read(seen),
        depth,
        palette=colour == 3,
        clear_shade=clear_shade_of(colour, seen.get(b"tRNS")),
    )


def clear_shade_of(colour: int, transparency: bytes | None) -> int | None:
    """The stored grey that is transparent, by the colour type and the body of tRNS; None: there is none."""
    return struct.unpack_from(">H", transparency)[0] if colour == 0 and transparency is not None else None


def _png_not_read(seen: dict[bytes, bytes]) -> str:
    if b"acTL" in seen and struct.unpack_from(">I", seen[b"acTL"])[0] > 1:
        return ANIMATION
    if (curve := seen.get(b"cICP", bytes(4))[1]) in HDR_CURVES:
        return f"it is an HDR picture ({HDR_CURVES[curve]})"
    return ""


# WebP, BMP, PNM, TIFF ---------------------------------------------------------------------------------------------


def webp_size(kind: bytes, data: bytes, at: int) -> Size:
    """The size that a WebP's first chunk, or a frame's chunk, declares.

    Args:
        kind: the chunk's four letters: ``VP8X``, ``VP8L`` or ``VP8`` and a blank.
        data: bytes that hold the chunk's body: the file, its head, or the body alone.
        at: where the chunk's body begins in ``data``, in bytes.

    Raises:
        DamagedHeaderError, struct.error: it tells none.
    """
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
    size = webp_size(first, data, 20)
    extended = first == b"VP8X"
    return PictureHeader(
        PictureFormat.WEBP,
        size,
        orientation=_webp_orientation(data) if extended else 1,
        # The declared length begins to count behind itself, at byte 8.
        damage="" if len(data) >= declared + 8 else "it is shorter than its header declares",
        unsupported=ANIMATION if extended and data[20] & 0x02 and data.count(b"ANMF") > 1 else "",
    )


def _webp_orientation(data: bytes) -> int:
    at = 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return tiff.orientation_of(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2  # chunks of odd length have a byte of padding
    return 1


def _read_bmp(data: bytes) -> PictureHeader:
    (header_length,) = struct.unpack_from("<I", data, 14)
    width, height, _, bits = struct.unpack_from("<HHHH" if header_length == 12 else "<iiHH", data, 18)
    # A negative height says that the rows run from the top. Completeness is left to the decoder, which refuses a
    # short BMP: the file-size field cannot be trusted, many writers leave it 0.
    unsupported = "it is a BMP of 16 bits a pixel, whose white decoders show as grey" if bits == 16 else ""
    return PictureHeader(PictureFormat.BMP, Size(abs(height), width), unsupported=unsupported)


_PNM_SPACE = rb"(?:[ \t\r\n]|#[^\r\n]*[\r\n])+"
_PNM_SIZE = re.compile(rb"P([456])" + _PNM_SPACE + rb"([0-9]{1,9})" + _PNM_SPACE + rb"([0-9]{1,9})")
_PNM_DEPTH = re.compile(_PNM_SPACE + rb"([0-9]{1,5})[ \t\r\n]")
_PNM_HEADER = 4096  # bytes, comments and all


def _read_pnm(data: bytes) -> PictureHeader:
    if (match := _PNM_SIZE.match(data[:_PNM_HEADER])) is None:
        raise DamagedHeaderError("its header is damaged or cut off")
    kind, width, height = (int(number) for number in match.groups())
    if kind == 4:  # a bitmap: eight pixels a byte, and no depth in its header
        begins, row, unsupported = match.end() + 1, (width + 7) // 8, ""
    elif depth := _PNM_DEPTH.match(data[:_PNM_HEADER], match.end()):
        highest, begins = int(depth[1]), depth.end()
        row = width * (3 if kind == 6 else 1) * (1 if highest < 256 else 2)  # samples above 255 take two bytes
        unsupported = "" if highest in (255, 65535) else f"its white is {highest}, not 255 or 65535"
    else:
        raise DamagedHeaderError("its header is damaged or cut off")
    damage = "" if len(data) - begins >= row * height else "it ends before its last row"
    return PictureHeader(PictureFormat.PNM, Size(height, width), damage=damage, unsupported=unsupported)


def _read_tiff(data: bytes) -> PictureHeader:
    if data[8:10] == b"CR":
        return PictureHeader(PictureFormat.TIFF, Size(1, 1), unsupported="it is a camera's raw file")
    directory = tiff.read_directory(data)
    return PictureHeader(PictureFormat.TIFF, tiff.size_of(directory), unsupported=tiff.why_not_read(directory))
