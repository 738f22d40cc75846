"""Pictures from strangers: limits, checks before decoding, and the exemplars that were uploaded.

A picture's first bytes and its header are read before anything is decoded: a file of a few kilobytes can declare
pixels for gigabytes.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import BadInputError, PictureError
from edge_i2i.hosting.doors import Patience
from edge_i2i.hosting.refusals import TooLargeError, too_many_bytes
from edge_i2i.media.headers import (
    SIGNATURE_BYTES,
    DamagedHeaderError,
    PictureFormat,
    PictureHeader,
    describe_unreadable,
    read_header,
    sniff,
)
from edge_i2i.media.pictures import decode_picture
from edge_i2i.web.wire import FrameMessage

UPLOADABLE = (PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP)  # what browsers show themselves


@dataclass(frozen=True)
class Limits:
    """What one visitor, and all of them together, may ask of the server.

    Bytes are those of the encoded file, pixels those that its header declares. ``tabs``: WebSockets at a time.
    ``uncredited``: frames in a row without credit before a tab is shown out. ``upload_seconds``: to send an exemplar.
    ``exemplar_deep_pixels``: of formats that may be transparent or have 16 bits, which take some 40 bytes a pixel to
    decode. ``connections``: of browsers, at a time; ``patience``: with those that say nothing.
    ``exemplars_bytes``: of all exemplars together, decoded; the oldest goes first.
    """

    frame_bytes: int = 4 << 20
    frame_pixels: int = 4 << 20
    exemplar_bytes: int = 16 << 20
    exemplar_pixels: int = 50_000_000
    exemplar_deep_pixels: int = 16_000_000
    exemplars_bytes: int = 64 << 20
    tabs: int = 16
    uncredited: int = 100
    upload_seconds: float = 30.0
    connections: int = 256
    patience: Patience = field(default_factory=Patience)


class WrongFormatError(BadInputError):
    """Not a picture, or not of a kind that is taken here."""


def decode_frame(frame: FrameMessage, limits: Limits) -> Picture:
    """A frame's picture, RGB uint8 ``[H, W, 3]``, as stored: an orientation in it is not applied.

    Raises:
        WrongFormatError: it is not what its format says.
        TooLargeError: it declares too many pixels.
        PictureError: it is damaged.
    """
    header = checked_header(frame.picture, (frame.format.picture_format,), limits.frame_pixels)
    picture = _decoded(frame.picture)
    if picture is None or Size(*picture.shape[:2]) != header.size:
        raise PictureError("The frame is damaged: it cannot be decoded.", remedy="Send the next one.")
    return picture


def decode_exemplar(data: bytes, limits: Limits, wanted: Size) -> Picture:
    """An uploaded picture as ``read_picture`` reads it, shrunk where it is larger than the network can use.

    Args:
        data: the file.
        limits: its largest length in bytes, and the most pixels that it may declare.
        wanted: the size that the network looks at; a picture is shrunk to twice that.

    Raises:
        WrongFormatError: it is no picture, or not of a kind that may be uploaded.
        TooLargeError: it has too many bytes, or declares too many pixels.
        PictureError: it is damaged.
    """
    if len(data) > limits.exemplar_bytes:
        raise too_many_bytes(limits.exemplar_bytes)
    is_plain = sniff(data[:SIGNATURE_BYTES]) is PictureFormat.JPEG
    checked_header(data, UPLOADABLE, limits.exemplar_pixels if is_plain else limits.exemplar_deep_pixels)
    return _shrunk(decode_picture(data, "that was uploaded"), wanted)


def checked_header(data: bytes, formats: tuple[PictureFormat, ...], pixels: int) -> PictureHeader:
    """What the header of a picture file says; nothing is decoded.

    Args:
        data: the file.
        formats: which formats are accepted.
        pixels: how many the header may declare.

    Raises:
        WrongFormatError: it is no picture, or none of ``formats``.
        TooLargeError: it declares more than ``pixels``.
        PictureError: it is damaged, or of an unusual kind that cannot be read.
    """
    kind = sniff(data[:SIGNATURE_BYTES])
    if kind not in formats:
        found = describe_unreadable(data[:SIGNATURE_BYTES]) if kind is None else f"a {kind.value} picture"
        names = " or ".join(item.value for item in formats)
        raise WrongFormatError(f"{names} is needed, and this is {found}.", remedy=f"Save it as {names}.")
    try:
        header = read_header(data, kind)
    except DamagedHeaderError as error:
        raise PictureError(f"The picture is damaged: {error}.", remedy="Save or send it again.") from error
    if header.size.height * header.size.width > pixels:
        raise TooLargeError(
            f"The picture is too large: {header.size} pixels.", remedy=f"Make it smaller: up to {pixels:,} in all."
        )
    if header.damage or header.unsupported:
        raise PictureError(
            f"The picture cannot be used: {header.damage or header.unsupported}.", remedy="Save it as a plain JPEG."
        )
    return header


class Exemplars:
    """Uploaded pictures by id. Any thread may use it.

    ``room``: bytes of all pictures together, decoded; the oldest make room for new ones.
    """

    def __init__(self, room: int) -> None:
        self._room, self._lock = room, threading.Lock()  # held for a moment, never while anybody waits
        self._pictures: OrderedDict[str, Picture] = OrderedDict()

    def add(self, picture: Picture) -> str:
        """Keep a picture; returns its id, which other visitors cannot guess."""
        number = secrets.token_urlsafe(12)
        with self._lock:
            self._pictures[number] = picture
            while len(self._pictures) > 1 and sum(item.nbytes for item in self._pictures.values()) > self._room:
                self._pictures.popitem(last=False)
        return number

    def find(self, number: str) -> Picture:
        """The picture that ``add`` gave this id.

        Raises:
            BadInputError: there is no such picture (any more).
        """
        with self._lock:
            if number not in self._pictures:
                raise BadInputError("That exemplar is not kept any more.", remedy="Upload the picture again.")
            self._pictures.move_to_end(number)
            return self._pictures[number]


def _decoded(data: bytes) -> Picture | None:
    import cv2

    try:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if samples is None else np.asarray(cv2.cvtColor(samples, cv2.COLOR_BGR2RGB), np.uint8)


def _shrunk(picture: Picture, wanted: Size) -> Picture:
    """Down to twice the network's size: it sees no more detail, and smaller pictures stay as they are."""
    import cv2

    height, width = picture.shape[:2]
    scale = 2 * max(wanted.height / height, wanted.width / width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
