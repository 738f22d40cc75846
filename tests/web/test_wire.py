"""What travels over the WebSocket: everything legal comes through, nothing illegal breaks the reader."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.errors import BadInputError
from edge_i2i.web.looks import Base, BaseKind, ChosenLook, LookRequest
from edge_i2i.web.wire import (
    FrameMessage,
    QualityRequest,
    WireFormat,
    answer_bytes,
    error_message,
    frame_id,
    read_frame,
    read_request,
)

UINT32 = st.integers(0, 2**32 - 1)
TIMES = st.floats(allow_nan=False)
PICTURES = st.binary(min_size=1, max_size=64)


@given(UINT32, TIMES, st.sampled_from(list(WireFormat)), PICTURES)
def test_a_frame_comes_through(number: int, time: float, form: WireFormat, picture: bytes) -> None:
    message = struct.pack("<IdB", number, time, form) + picture
    assert read_frame(message) == FrameMessage(number, time, form, picture)
    assert frame_id(message) == number


@given(st.binary(max_size=64))
def test_any_bytes_are_a_frame_or_refused(message: bytes) -> None:
    try:
        frame = read_frame(message)
    except BadInputError as error:
        assert error.remedy
    else:
        assert len(frame.picture) == len(message) - 13 > 0
    number = frame_id(message)
    assert (number is None) == (len(message) < 4)


@given(UINT32, TIMES, PICTURES, st.floats(-1, 1e6), st.floats(-1, 1e6))
def test_an_answer_says_what_the_frame_said(
    number: int, time: float, picture: bytes, queue: float, model: float
) -> None:
    message = answer_bytes(FrameMessage(number, time, WireFormat.JPEG, b"x"), queue, model, picture)
    found = struct.unpack_from("<IdII", message)
    assert found[:2] == (number, time)
    assert found[2:] == tuple(min(2**32 - 1, max(0, round(1e6 * value))) for value in (queue, model))
    assert message[20:] == picture


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["type", "exemplar", "style_seed", "style", "attributes", "mix", "from", "jpeg", "other"])


@given(st.dictionaries(NAMES, JSON | st.sampled_from(["look", "quality"]), max_size=5))
def test_any_object_is_a_request_or_refused(message: dict[str, Any]) -> None:
    try:
        request = read_request(json.dumps(message))
    except BadInputError as error:
        assert error.remedy and len(error.what) < 400
    else:
        assert isinstance(request, LookRequest | QualityRequest)
        hash(request)


@given(st.text(max_size=40))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadInputError):
        read_request(text)


def test_what_nests_too_deeply_or_is_too_long_is_refused() -> None:
    for text in ("[" * 60_000, '{"type": "look", "style": "' + "x" * 70_000 + '"}'):
        with pytest.raises(BadInputError):
            read_request(text)


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        ({"style_seed": 7}, LookRequest(Base(BaseKind.SEED, "7"))),
        ({"style": "seed-1"}, LookRequest(Base(BaseKind.STYLE, "seed-1"))),
        ({"exemplar": "abc", "mix": 0.25}, LookRequest(Base(BaseKind.EXEMPLAR, "abc"), mix=0.25)),
        ({"mix": 1}, LookRequest(mix=1.0)),
        ({"mix": 0.5, "from": {"style_seed": 3}}, LookRequest(mix=0.5, other=Base(BaseKind.SEED, "3"))),
        ({"attributes": {"b": 1, "a": 0.5}}, LookRequest(attributes=(("a", 0.5), ("b", 1.0)))),
    ],
)
def test_looks(message: dict[str, Any], request_: LookRequest) -> None:
    assert read_request(json.dumps({"type": "look", **message})) == request_


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"style_seed": -1},
        {"style_seed": 1.5},
        {"style_seed": True},
        {"style_seed": 2**53},
        {"style": 3},
        {"style": "x" * 65},
        {"style": "a", "exemplar": "b"},
        {"mix": 1.01},
        {"mix": math.nan},
        {"mix": "1"},
        {"from": {}},
        {"from": 3},
        {"attributes": [1]},
        {"attributes": {"a": 2}},
        {"unknown": 1},
    ],
)
def test_looks_that_are_none(message: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        read_request(json.dumps({"type": "look", **message}))


def test_quality() -> None:
    assert read_request('{"type": "quality", "jpeg": 55}') == QualityRequest(55)
    for value in (0, 101, 50.5, "50", None):
        with pytest.raises(BadInputError):
            read_request(json.dumps({"type": "quality", "jpeg": value}))


def test_an_error_names_the_frame_that_it_is_about() -> None:
    error = BadInputError("It is green.", remedy="Paint it.")
    assert error_message(error) == {"type": "error", "what": "It is green.", "remedy": "Paint it."}
    assert error_message(error, 0)["id"] == 0


# Looks ----------------------------------------------------------------------------------------------------------

FIRST, SECOND = Base(BaseKind.SEED, "1"), Base(BaseKind.SEED, "2")


def test_a_new_style_may_be_mixed_with_the_one_before() -> None:
    chosen = ChosenLook().changed(LookRequest(FIRST)).changed(LookRequest(SECOND))
    assert (chosen.base, chosen.other, chosen.mix) == (SECOND, FIRST, 1.0)
    halfway = chosen.changed(LookRequest(mix=0.5))
    assert (halfway.base, halfway.other, halfway.mix) == (SECOND, FIRST, 0.5)
    assert halfway.changed(LookRequest(SECOND, mix=0.75)).other == FIRST  # a slider that names the style each time
    assert halfway.changed(LookRequest(FIRST)).mix == 1.0


def test_attributes_are_changed_one_by_one_and_stay() -> None:
    chosen = ChosenLook().changed(LookRequest(attributes=(("a", 1.0),))).changed(LookRequest(attributes=(("b", 0.5),)))
    assert chosen.changed(LookRequest(FIRST)).attributes == (("a", 1.0), ("b", 0.5))
