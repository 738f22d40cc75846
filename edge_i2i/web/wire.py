"""Frames and requests as they travel over the WebSocket: PROTOCOL.md is the text, this is the code.

Nothing here trusts a byte: what does not parse is a ``BadInputError`` with a sentence for the person at the other end.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from edge_i2i.errors import BadInputError, EdgeI2IError
from edge_i2i.media.headers import PictureFormat
from edge_i2i.web.looks import LARGEST_SEED, Base, BaseKind, LookRequest

FRAME_HEADER = struct.Struct("<IdB")  # id, client's time in ms, format
ANSWER_HEADER = struct.Struct("<IdII")  # id, client's time as it came, µs in queue, µs in model

LARGEST_TEXT = 1 << 16  # characters of a request; the longest real one names forty attributes
_LARGEST_UINT32 = (1 << 32) - 1


class WireFormat(IntEnum):
    """How a frame and its answer are encoded."""

    JPEG = 0
    WEBP = 1

    @property
    def picture_format(self) -> PictureFormat:
        """What the first bytes of such a picture have to announce."""
        return PictureFormat.JPEG if self is WireFormat.JPEG else PictureFormat.WEBP


@dataclass(frozen=True)
class FrameMessage:
    """A frame from the page. ``client_time`` is only given back."""

    id: int
    client_time: float
    format: WireFormat
    picture: bytes


@dataclass(frozen=True)
class QualityRequest:
    """How well the pictures that come back are encoded, 1 to 100."""

    quality: int


def read_frame(message: bytes) -> FrameMessage:
    """Read a binary message.

    Raises:
        BadInputError: it is too short, or of an unknown format.
    """
    if len(message) <= FRAME_HEADER.size:
        raise BadInputError(
            f"A frame of {len(message)} bytes holds no picture.", remedy="Send the 13-byte header and a JPEG or WebP."
        )
    number, client_time, code = FRAME_HEADER.unpack_from(message)
    if code not in (WireFormat.JPEG, WireFormat.WEBP):
        raise BadInputError(f"There is no picture format {code}.", remedy="Send 0 (JPEG) or 1 (WebP).")
    return FrameMessage(number, client_time, WireFormat(code), message[FRAME_HEADER.size :])


def frame_id(message: bytes) -> int | None:
    """The id of a frame that ``read_frame`` refuses, as far as it has one: the answer names it."""
    return int(struct.unpack_from("<I", message)[0]) if len(message) >= 4 else None


def answer_bytes(frame: FrameMessage, queue_seconds: float, model_seconds: float, picture: bytes) -> bytes:
    """The answer to a frame, as it is sent. Durations are cut off at 71 minutes, the largest that its header holds.

    Args:
        frame: the frame that is answered; its id and time are given back.
        queue_seconds: how long it waited until the model took it.
        model_seconds: how long the model took.
        picture: the result, a file of the frame's format.
    """
    queue, model = (min(_LARGEST_UINT32, max(0, round(1e6 * value))) for value in (queue_seconds, model_seconds))
    return ANSWER_HEADER.pack(frame.id, frame.client_time, queue, model) + picture


def error_message(error: EdgeI2IError, number: int | None = None) -> dict[str, Any]:
    """An error as it is sent to the page; ``number``: the id of the frame that gets no picture, if it is about one."""
    about = {} if number is None else {"id": number}
    return {"type": "error", "what": error.what, "remedy": error.remedy, **about}


# Requests -------------------------------------------------------------------------------------------------------


def read_request(text: str) -> LookRequest | QualityRequest:
    """Read a text message.

    Raises:
        BadInputError: it is no request, or a value in it is of the wrong type or out of range.
    """
    message = _read_object(text)
    kind = message.pop("type", None)
    if kind == "look":
        return _read_look(message)
    if kind == "quality" and message.keys() == {"jpeg"}:
        return QualityRequest(_whole(message["jpeg"], "jpeg", 1, 100))
    raise BadInputError(f"There is no such request: {text[:80]!r}.", remedy="Send 'look' or 'quality' (PROTOCOL.md).")


def _read_object(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text) if len(text) <= LARGEST_TEXT else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise BadInputError("A text message must be a JSON object of at most 64 KiB.", remedy="See PROTOCOL.md.")
    return message


def _read_look(message: dict[str, Any]) -> LookRequest:
    attributes = _read_attributes(message.pop("attributes", None))
    mix = message.pop("mix", None)
    other = message.pop("from", None)
    if other is not None and not (isinstance(other, dict) and other):
        raise BadInputError("'from' must name a look.", remedy='Send {"style_seed": 7}, for example.')
    request = LookRequest(
        base=_read_base(message),
        attributes=attributes,
        mix=None if mix is None else _number(mix, "mix", 0, 1),
        other=None if other is None else _read_base(other),
    )
    if request == LookRequest():
        raise BadInputError("This look changes nothing.", remedy="Name a style, an exemplar, attributes or a mix.")
    return request


def _read_base(message: Mapping[str, Any]) -> Base | None:
    if not message:
        return None
    unknown = message.keys() - {kind.value for kind in BaseKind}
    if unknown or len(message) > 1:
        raise BadInputError(
            f"A look cannot be {', '.join(sorted(map(str, message)))[:80]} at once.",
            remedy=f"Give one of {', '.join(kind.value for kind in BaseKind)}.",
        )
    (name, value), kind = next(iter(message.items())), BaseKind(next(iter(message)))
    if kind is BaseKind.SEED:
        return Base(kind, str(_whole(value, name, 0, LARGEST_SEED)))
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise BadInputError(f"'{name}' must be an id.", remedy="Send what the server gave.")
    return Base(kind, value)


def _read_attributes(value: Any) -> tuple[tuple[str, float], ...] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadInputError("'attributes' must be an object.", remedy='Send {"Smiling": 1}, for example.')
    return tuple(sorted((name, _number(amount, name, 0, 1)) for name, amount in value.items()))


def _number(value: Any, name: str, low: float, high: float) -> float:
    if type(value) not in (int, float) or not low <= value <= high:  # False for NaN; whole numbers may be of any length
        raise BadInputError(f"{value!r:.40} is no {name[:40]}.", remedy=f"Send a number from {low:g} to {high:g}.")
    return float(value)


def _whole(value: Any, name: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise BadInputError(f"{value!r:.40} is no {name[:40]}.", remedy=f"Send a whole number from {low} to {high}.")
    return value
