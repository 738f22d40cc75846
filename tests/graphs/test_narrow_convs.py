"""Convolutions of few output channels, four pixels at a time: the same sums, with zeros between."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.graphs.passes import narrow_conv_as_phases
from edge_i2i.graphs.passes.narrow_convs import square_weights
from samples.graphs.tiny import Array, check, operations, parse, random, run


def _convolution(
    out: int, side: int, height: int, width: int, *, pad: int = 0, bias: bool = True, more: str = ""
) -> ir.Model:
    given_height, given_width = height + side - 1 - 2 * pad, width + side - 1 - 2 * pad
    weights: dict[str, Array] = {"w": random(out, 5, side, side)} | ({"b": random(out, seed=1)} if bias else {})
    inputs = "x, w, b" if bias else "x, w"
    shapes = f"(float[1,5,{given_height},{given_width}] x) => (float[1,{out},{height},{width}] y)"
    return parse(f"g {shapes} {{ y = Conv <pads=[{pad},{pad},{pad},{pad}]{more}> ({inputs}) }}", **weights)


@settings(max_examples=25, deadline=None)
@given(
    out=st.integers(1, 4),
    side=st.sampled_from([3, 5, 7]),
    height=st.integers(4, 7).map(lambda half: 2 * half),
    width=st.integers(4, 7).map(lambda half: 2 * half),
    padded=st.booleans(),
    bias=st.booleans(),
)
def test_it_is_exact(out: int, side: int, height: int, width: int, padded: bool, bias: bool) -> None:
    model = _convolution(out, side, height, width, pad=side // 2 if padded else 0, bias=bias)
    shape = tuple(model.graph.inputs[0].shape or ())
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    expected = run(model, {"x": x})["y"]
    assert narrow_conv_as_phases(model) == 1
    check(model)
    assert operations(model) == ["Conv", "DepthToSpace"]
    np.testing.assert_allclose(run(model, {"x": x})["y"], expected, atol=2e-5)


@pytest.mark.parametrize(
    ("out", "side", "height", "width", "more"),
    [
        (5, 7, 8, 8, ""),  # enough channels
        (3, 1, 8, 8, ""),  # no neighbours to share
        (3, 7, 9, 8, ""),  # an odd number of rows
        (3, 7, 8, 9, ""),
        (3, 3, 8, 8, ", dilations=[1,1], strides=[1,1], group=1"),
    ],
)
def test_it_leaves_alone_what_does_not_pay(out: int, side: int, height: int, width: int, more: str) -> None:
    model = _convolution(out, side, height, width, more=more)
    assert narrow_conv_as_phases(model) == int(bool(more))


def test_a_second_run_changes_nothing_more() -> None:
    model = _convolution(3, 7, 8, 8)
    assert narrow_conv_as_phases(model) == 1
    assert narrow_conv_as_phases(model) == 0


def test_each_kernel_lies_at_its_place_of_the_square() -> None:
    placed = square_weights(np.ones((1, 1, 3, 3), np.float32))
    assert placed.shape == (4, 1, 4, 4)
    assert [kernel[0].nonzero()[0].min() for kernel in placed] == [0, 0, 1, 1]
    assert [kernel[0].nonzero()[1].min() for kernel in placed] == [0, 1, 0, 1]
    assert placed.sum(axis=(1, 2, 3)).tolist() == [9, 9, 9, 9]
