"""Which layers there are, what they are called, and what is known of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edge_i2i.graphs.qdq.layers import Layer, find_layers
from samples.graphs.tiny import Array, parse, random

W = random(4, 3, 3, 3)


def test_every_kind_of_convolution_is_found_in_graph_order(traced: ir.Model) -> None:
    layers = find_layers(traced)
    assert [layer.name for layer in layers] == ["1", "4", "7", "11"]
    assert [layer.operator for layer in layers] == ["Conv", "Conv", "ConvTranspose", "Conv"]
    assert [layer.last for layer in layers] == [False, False, False, True]
    assert [(layer.input_channels, layer.output_channels) for layer in layers] == [(3, 8), (8, 8), (8, 8), (8, 3)]


def test_multiplications_are_counted_once_an_output_or_once_a_transposed_ones_input(traced: ir.Model) -> None:
    first, strided, transposed, last = (layer.macs for layer in find_layers(traced))
    assert first == 16 * 24 * 8 * 3 * 49
    assert strided == transposed == 8 * 12 * 8 * 8 * 9
    assert last == 16 * 24 * 3 * 8 * 9


def test_reflection_pads_belong_to_the_layer(traced: ir.Model) -> None:
    for layer in find_layers(traced):
        if layer.pad is not None:
            assert layer.pad.op_type == "Pad"
            assert layer.source is layer.pad.inputs[0]


RIM = [0, 0, 1, 1, 0, 0, 1, 1]


def _padded(amounts: list[int], extra: str = "", **weights: Array) -> Layer:
    fill = ", fill" if "fill" in weights else ""
    outputs = "float[1,4,n,m] y" + (", float[1,k,h,i] z" if extra else "")
    body = f'r = Relu (x) p = Pad <mode="constant"> (r, pads{fill}) {extra} y = Conv (p, w)'
    given = {"w": W, "pads": np.array(amounts, np.int64)} | weights
    return find_layers(parse(f"g (float[1,3,8,8] x) => ({outputs}) {{ {body} }}", **given))[0]


def test_a_pad_of_zeros_is_looked_through_and_one_of_other_numbers_is_not() -> None:
    assert _padded(RIM).pad is not None
    assert _padded(RIM, fill=np.zeros((), np.float32)).pad is not None
    assert _padded(RIM, fill=np.ones((), np.float32)).pad is None


def test_a_pad_that_others_read_too_is_no_part_of_the_layer() -> None:
    layer = _padded(RIM, extra="z = Neg (p)")
    assert layer.pad is None
    assert layer.source.producer() is not None and layer.source is layer.node.inputs[0]


def test_a_pad_that_adds_channels_is_no_part_of_the_layer() -> None:
    assert _padded([0, 1, 1, 1, 0, 0, 1, 1], w=random(4, 4, 3, 3)).pad is None


def test_grouped_layers_know_their_channels() -> None:
    wide = parse("g (float[1,6,8,8] x) => (float[1,4,8,8] y) { y = Conv <group=2,pads=[1,1,1,1]> (x, w) }", w=W)
    layer = find_layers(wide)[0]
    assert (layer.groups, layer.input_channels, layer.output_channels) == (2, 6, 4)
    text = "g (float[1,4,8,8] x) => (float[1,6,10,10] y) { y = ConvTranspose <group=2> (x, w) }"
    layer = find_layers(parse(text, w=W))[0]
    assert (layer.groups, layer.input_channels, layer.output_channels, layer.output_axis) == (2, 4, 6, 1)


def test_weights_that_two_layers_share_give_two_names() -> None:
    square = random(3, 3, 3, 3)
    body = "a = Conv <pads=[1,1,1,1]> (x, w) y = Conv <pads=[1,1,1,1]> (a, w)"
    layers = find_layers(parse(f"g (float[1,3,8,8] x) => (float[1,3,8,8] y) {{ {body} }}", w=square))
    assert [(layer.name, layer.last) for layer in layers] == [("w", False), ("w#2", True)]


@pytest.mark.parametrize(
    "text",
    [
        "g (float[1,3,8,8] x, float[4,3,3,3] k) => (float[1,4,6,6] y) { y = Conv (x, k) }",
        "g (float[1,3,n,8] x) => (float[1,4,m,6] y) { y = Conv (x, w) }",
        "g (float[1,3,8] x) => (float[1,4,6] y) { y = Conv (x, line) }",
    ],
    ids=["computed weights", "unknown size", "one dimension"],
)
def test_what_cannot_be_quantized_is_no_layer(text: str) -> None:
    assert find_layers(parse(text, w=W, line=random(4, 3, 3))) == ()
