"""Reading ONNX files: one reading or none, whatever the bytes are."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edge_i2i.errors import GraphFileError
from edge_i2i.gate import check_graph
from edge_i2i.gate.onnx_file import read_onnx
from edge_i2i.gate.wire import Budget, Field, Kind, WireError, read_message
from samples.graphs.hostile import DECLARATION, around, identity, model, node, weight

NUMBER = {1: Field("n", Kind.WHOLE), 2: Field("t", Kind.TEXT), 3: Field("many", Kind.WHOLES)}


def read(data: bytes, fields: int = 100) -> object:
    return read_message(memoryview(data), NUMBER, Budget(fields))


def test_fields_are_read_by_name() -> None:
    assert read(b"\x08\x96\x01\x12\x02hi") == {"n": 150, "t": "hi"}
    assert read(b"\x08" + b"\xff" * 9 + b"\x01") == {"n": -1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x08\x01\x08\x02", "there twice"),  # engines take the last
        (b"\x20\x01", "field 4"),  # engines skip what they do not know
        (b"\x08\x81\x00", "longer than it needs"),
        (b"\x88\x00\x01", "longer than it needs"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "no end"),
        (b"\x08" + b"\xff" * 9 + b"\x7f", "longer than it needs"),
        (b"\x0a\x01\x01", "another kind"),
        (b"\x0b", "another kind"),
        (b"\x1b", "another kind"),
        (b"\x12\x05hi", "cut short"),
        (b"\x12\xff\xff\xff\xff\x7f", "cut short"),
        (b"\x08", "cut short"),
        (b"\x12\x02\xff\xfe", "not text"),
        (b"\x18\x01" * 200, "more parts"),
    ],
)
def test_anything_that_could_be_read_in_two_ways_is_a_fault(data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        read(data)


def test_weights_are_views_of_the_file_in_every_plain_form() -> None:
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = [
        weight("raw", numbers, "float32"),
        helper.make_tensor("floats", TensorProto.FLOAT, [2, 3], numbers.reshape(-1).tolist()),
        helper.make_tensor("wholes", TensorProto.INT64, [2], [-7, 1 << 40]),
        helper.make_tensor("small", TensorProto.INT8, [2], [-7, 5]),
        helper.make_tensor("truth", TensorProto.BOOL, [2], [True, False]),
        helper.make_tensor("none", TensorProto.FLOAT, [0], []),
    ]
    read_back = {item.name: item.array for item in read_onnx(model([], weights).SerializeToString()).weights}
    np.testing.assert_array_equal(read_back["raw"], numbers)
    np.testing.assert_array_equal(read_back["floats"], numbers)
    assert not read_back["raw"].flags.owndata
    assert read_back["wholes"].tolist() == [-7, 1 << 40]
    assert read_back["small"].tolist() == [-7, 5]
    assert read_back["truth"].tolist() == [True, False]
    assert read_back["none"].shape == (0,)


@given(st.binary(max_size=300))
@example(b"")
@example(b"\x3a\x00")
def test_any_bytes_are_refused_in_plain_words(data: bytes) -> None:
    with pytest.raises(GraphFileError):
        check_graph(data, DECLARATION)


GOOD = around(
    [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("Slice", "c z e a", "s"),
        node("Pad", "s p", "y", mode="reflect"),
    ],
    [
        weight("w", np.ones((3, 3, 3, 3)), "float32"),
        weight("p", [0, 0, 1, 1, 0, 0, 1, 1]),
        weight("z", [1, 1]),
        weight("e", [-1, -1]),
        weight("a", [2, 3]),
    ],
)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, 12))
def test_a_damaged_graph_is_refused_in_plain_words_or_as_good(place: int, byte: int, cut: int) -> None:
    for data in (GOOD, identity()):
        damaged = bytearray(data)
        damaged[place % len(data)] = byte
        del damaged[place : place + cut]
        with contextlib.suppress(GraphFileError):
            check_graph(bytes(damaged), DECLARATION)
