"""TIFF directories: what a TIFF says of its layout, whether decoders read that layout right, and Exif orientations.

A TIFF can hold numbers in hundreds of layouts, and decoders show many of them wrongly without a word: planes that are
mixed up, negatives, predictors that are skipped. So only layouts are taken that were held against an independent reader
(``tests/media/test_tiff.py``); every other one is refused with its reason.

Sources: TIFF 6.0 (sections 2, 8, 13 to 16, 21), TIFF Technical Notes 1 and 2, Exif 2.32 section 4.6.4 (orientation).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge_i2i.contract import Size

_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_FILL_ORDER, _ORIENTATION, _SAMPLES, _PLANES, _PREDICTOR = 266, 274, 277, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _SUBSAMPLING = 322, 323, 338, 339, 530
_DEPTH, _TILE_DEPTH, _DNG_VERSION = 32997, 32998, 50706

_NUMBERS = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG
_MOST_VALUES = 16  # of a field that is looked at: one for each channel is the most that any of them has
_LONGEST_DIRECTORY = 1000  # fields; TIFF knows some 300

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_NOT_READ = {5: "it is a CMYK TIFF", 8: "it is a CIELab TIFF", 9: "it is an ICCLab TIFF", 10: "it is an ITULab TIFF"}
_RAW = (32803, 34892)  # the mosaic of a sensor, and what is left when it is resolved

_PLAIN, _LZW, _JPEG, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 7, 8, 32946, 32773
_FAX = frozenset({2, 3, 4})
_PREDICTED = frozenset({_LZW, _DEFLATE, _OLD_DEFLATE})
_DEEP = (8, 10, 12, 14, 16)  # bits
_COMPRESSIONS = _PREDICTED | _FAX | {_PLAIN, _JPEG, _PACKBITS}
_SAFE_TILE = 1024  # pixels a side that a tile may have whatever the picture's size


class TiffError(ValueError):
    """A directory is cut off or contradicts itself."""


@dataclass(frozen=True)
class Directory:
    """The first directory of a TIFF: the whole numbers of its fields by tag; a field of anything else has none."""

    fields: Mapping[int, tuple[int, ...]]

    def one(self, tag: int, default: int | None = None) -> int:
        """The single number of a field.

        Raises:
            TiffError: it has none or several, or is missing without a default.
        """
        values = self.fields.get(tag, () if default is None else (default,))
        if len(values) != 1:
            raise TiffError(f"its field {tag} is missing or no single number")
        return values[0]

    def all(self, tag: int, default: int) -> tuple[int, ...]:
        """All numbers of the field ``tag``; ``default`` alone where the field is missing."""
        return self.fields.get(tag, (default,))


def read_directory(data: bytes) -> Directory:
    """Read the first directory of a TIFF file.

    Raises:
        TiffError: it is cut off, or names a field twice: readers differ in which one they believe.
    """
    fields: dict[int, tuple[int, ...]] = {}
    try:
        for tag, values in _entries(data):
            if tag in fields:
                raise TiffError(f"its header names field {tag} twice")
            fields[tag] = values
    except (struct.error, KeyError) as error:
        raise TiffError("its header is damaged or cut off") from error
    return Directory(fields)


def orientation_of(block: bytes) -> int:
    """The orientation in an Exif block, 1..8; 1 where it is absent or damaged, as viewers do."""
    try:
        values = next((values for tag, values in _entries(block) if tag == _ORIENTATION), (1,))
    except (struct.error, KeyError, TiffError):
        return 1
    return values[0] if len(values) == 1 and 1 <= values[0] <= 8 else 1


def size_of(directory: Directory) -> Size:
    """The height and width that the directory declares.

    Raises:
        TiffError: one of the two fields is missing, or holds several numbers.
    """
    return Size(directory.one(_HEIGHT), directory.one(_WIDTH))


def why_not_read(directory: Directory) -> str:
    """Why a layout is not taken, or an empty text where it is.

    Raises:
        TiffError: a field that decides is no single number.
    """
    checks = (_not_a_picture, _not_numbers, _not_colours, _not_packed, _not_laid_out)
    return next((reason for check in checks if (reason := check(directory))), "")


def _entries(data: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    if count > _LONGEST_DIRECTORY:
        raise TiffError(f"its header has {count} fields")
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, at)
        form = _NUMBERS.get(kind)
        if form is None or not 0 < values <= _MOST_VALUES:
            yield tag, ()
            continue
        form = f"{order}{values}{form}"
        inline = struct.calcsize(form) <= 4  # a longer value lies where the field points
        yield (
            tag,
            struct.unpack_from(form, data, at + 8 if inline else struct.unpack_from(f"{order}I", data, at + 8)[0]),
        )


# What is taken --------------------------------------------------------------------------------------------------


def _not_a_picture(directory: Directory) -> str:
    if _DNG_VERSION in directory.fields or directory.one(_PHOTOMETRIC, _RGB) in _RAW:
        return "it is a camera's raw file"
    if directory.one(_SUBFILE_TYPE, 0) & 0b101:
        return "its first page is a preview or a mask of another one, as in a camera's raw file"
    if directory.one(_DEPTH, 1) != 1 or directory.one(_TILE_DEPTH, 1) != 1:
        return "it is a TIFF of a volume"
    return ""


def _not_numbers(directory: Directory) -> str:
    formats = set(directory.all(_SAMPLE_FORMAT, 1))
    if 3 in formats:
        return "it holds floating-point values"
    if formats != {1}:
        return "it holds other values than whole numbers from 0 on"
    return ""


def _not_colours(directory: Directory) -> str:
    meaning, samples = directory.one(_PHOTOMETRIC), directory.one(_SAMPLES, 1)
    if meaning in _NOT_READ:
        return _NOT_READ[meaning]
    if _EXTRA_SAMPLES in directory.fields:
        # Decoders disagree on whether the colours are already multiplied with this channel.
        return "it is a TIFF with a transparency channel"
    bits = directory.all(_BITS, 1)
    depths = {
        _WHITE_IS_ZERO: (1, 8),
        _BLACK_IS_ZERO: (1, *_DEEP),
        _RGB: _DEEP,
        _PALETTE: (4, 8),
        _YCBCR: (8,),
    }.get(meaning, ())
    if samples != (3 if meaning in (_RGB, _YCBCR) else 1) or not depths:
        return f"it is a TIFF with {samples} channels of kind {meaning}"
    if len(set(bits)) != 1 or len(bits) not in (1, samples) or bits[0] not in depths:
        said = "white-is-zero TIFF" if meaning == _WHITE_IS_ZERO else "TIFF"
        return f"it is a {said} of {', '.join(map(str, bits))} bits a channel"
    return ""


def _not_packed(directory: Directory) -> str:
    packing, bits = directory.one(_COMPRESSION, _PLAIN), directory.all(_BITS, 1)[0]
    if packing not in _COMPRESSIONS:
        return f"it is compressed in a way (number {packing}) that is not read"
    if (packing in _FAX and bits != 1) or (packing == _JPEG and bits != 8):
        return f"its compression (number {packing}) is not meant for {bits} bits"
    if (predictor := directory.one(_PREDICTOR, 1)) != 1 and (
        packing not in _PREDICTED or predictor != 2 or bits not in (8, 16)
    ):
        return f"it names a predictor (number {predictor}) that is not read"
    if directory.one(_FILL_ORDER, 1) != 1 and bits != 1:
        return "its bits are stored in reversed order"
    return ""


def _not_laid_out(directory: Directory) -> str:
    bits, samples = directory.all(_BITS, 1)[0], directory.one(_SAMPLES, 1)
    if directory.one(_PLANES, 1) != 1 and samples > 1 and bits != 8:
        return f"its channels of {bits} bits lie in planes of their own"
    if directory.one(_PHOTOMETRIC) == _YCBCR and not _whole_chroma(directory):
        return "it is a YCbCr TIFF with fewer colours than pixels"
    size = size_of(directory)
    for tag, side in ((_TILE_WIDTH, size.width), (_TILE_HEIGHT, size.height)):
        if tag in directory.fields and directory.one(tag) > max(_SAFE_TILE, side + 15):
            return "its tiles are larger than the picture"
    return ""


def _whole_chroma(directory: Directory) -> bool:
    """Whether every pixel has its colour; inside JPEG, the decoder of JPEG sees to it."""
    return directory.one(_COMPRESSION, _PLAIN) == _JPEG or set(directory.all(_SUBSAMPLING, 2)) == {1}
