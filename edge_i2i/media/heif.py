"""HEIC and AVIF, which phones and browsers make: through pillow-heif and Pillow, the extra ``heif``.

The container's turn (``irot``, ``imir``) is applied, and an Exif orientation beside it is not. 10 and 12 bits become 8.
Pictures with the transfer curves of HDR (PQ, HLG) are refused; those of phones have an ordinary picture and a gain map
beside it, which is left out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.contract import Size
from edge_i2i.errors import MissingRequirementError
from edge_i2i.media.headers import ANIMATION, HDR_CURVES
from edge_i2i.requirements import require

if TYPE_CHECKING:
    from PIL.Image import Image

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"})
_NCLX = re.compile(rb"colrnclx..(..)", re.DOTALL)
_PROPERTIES = 1 << 16  # bytes in which the first picture's properties lie
DECODER_ERRORS = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, IndexError, TypeError, KeyError)


class HeifFormat(StrEnum):
    """The formats of pictures that come in a HEIF container."""

    HEIC = "HEIC"
    AVIF = "AVIF"


class MissingDecoderError(MissingRequirementError):
    """The package that reads such pictures is not installed."""


@dataclass(frozen=True)
class HeifPicture:
    """A picture that is opened and not yet decoded.

    ``size``: as it is stored. ``unsupported``: why it is not read, or empty. ``decode``: to uint8 ``[H, W, 3]`` RGB or
    ``[H, W, 4]`` RGBA with straight alpha, turned as it is shown; raises ``DamagedHeifError``.
    """

    size: Size
    unsupported: str
    decode: Callable[[], NDArray[np.uint8]]


class DamagedHeifError(ValueError):
    """The container or the picture in it is damaged."""


def sniff_heif(head: bytes) -> HeifFormat | None:
    """The format that a file's first bytes announce; None: it is no HEIC and no AVIF."""
    if head[4:8] != b"ftyp":
        return None
    box = head[: int.from_bytes(head[:4], "big")]
    brands = {box[8:12], *(box[at : at + 4] for at in range(16, len(box) - 3, 4))}
    if box[8:12] in _AVIF_BRANDS or (box[8:12] in _HEIC_BRANDS and brands & _AVIF_BRANDS):
        return HeifFormat.AVIF
    return HeifFormat.HEIC if box[8:12] in _HEIC_BRANDS else None


def open_heif(data: bytes, kind: HeifFormat) -> HeifPicture:
    """Open a HEIC or AVIF file, whose bytes are all in ``data``.

    Raises:
        DamagedHeifError: the container or its picture is damaged.
        MissingDecoderError: the extra ``heif`` is not installed.
    """
    opened = _open_avif(data) if kind is HeifFormat.AVIF else _open_heic(data)
    name = hdr_curve(data)
    return HeifPicture(opened.size, f"it is an HDR picture ({name})", opened.decode) if name else opened


def hdr_curve(data: bytes) -> str | None:
    """The curve of a high dynamic range that a file's properties name, or None."""
    curve = _NCLX.search(data[:_PROPERTIES])
    return HDR_CURVES.get(int.from_bytes(curve[1], "big")) if curve else None


def _require(module: str, kind: HeifFormat) -> Any:
    try:
        return require(module, extra="heif", purpose=f"Reading {kind} pictures")
    except MissingRequirementError as error:
        raise MissingDecoderError(error.what, remedy=error.remedy) from error


def _open_heic(data: bytes) -> HeifPicture:
    library = _require("pillow_heif", HeifFormat.HEIC)
    try:
        file = library.open_heif(data, convert_hdr_to_8bit=True)
        picture = file[file.primary_index]
        width, height = picture.size
    except DECODER_ERRORS as error:
        raise DamagedHeifError(str(error) or "it cannot be opened") from error
    return HeifPicture(Size(height, width), "", lambda: _decoded(picture.to_pillow))


def avif_library() -> Any:
    """Pillow's reader of AVIF.

    Raises:
        MissingDecoderError: the extra ``heif`` is not installed.
    """
    library = _require("PIL.AvifImagePlugin", HeifFormat.AVIF)
    if not library.SUPPORTED:
        raise MissingDecoderError(
            "This Pillow cannot read AVIF pictures.", remedy="pip install --upgrade 'pillow>=11.3'"
        )
    return library


def _open_avif(data: bytes) -> HeifPicture:
    library = avif_library()
    try:
        picture = library.AvifImageFile(io.BytesIO(data))
        width, height = picture.size
        frames = picture.n_frames
    except DECODER_ERRORS as error:
        raise DamagedHeifError(str(error) or "it cannot be opened") from error
    return HeifPicture(Size(height, width), ANIMATION if frames > 1 else "", lambda: _decoded(lambda: picture))


def _decoded(picture: Callable[[], Image]) -> NDArray[np.uint8]:
    from PIL import ImageOps

    try:
        image = picture()
        if image.format == "AVIF":  # there, Pillow tells the container's turn as an Exif orientation
            ImageOps.exif_transpose(image, in_place=True)
        return samples_of(image)
    except DECODER_ERRORS as error:
        raise DamagedHeifError(str(error) or "it cannot be decoded") from error


def samples_of(image: Image) -> NDArray[np.uint8]:
    """Pillow's picture as uint8 RGB, or RGBA where it has transparency."""
    return np.asarray(image.convert("RGBA" if image.mode in ("RGBA", "RGBa", "LA", "La") else "RGB"), np.uint8)
