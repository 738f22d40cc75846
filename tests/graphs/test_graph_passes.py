"""Each exact rewrite on a tiny graph: what it must change, and what it must leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.errors import GraphError, UsageError
from edge_i2i.graphs.passes import (
    DEFAULT_PASSES,
    PASSES,
    drop_bias_before_instance_norm,
    get_passes,
    keep_declared_outputs,
    reflect_pad_as_slices,
)
from edge_i2i.metrics.parity import NETWORK_OUTPUT
from samples.graphs.tiny import GraphMaker, check, operations, parse, random, run

# --- bias in front of instance norm

WEIGHTS = {"w": random(4, 3, 3, 3), "b": 5 + random(4), "scale": random(4, seed=1), "shift": random(4, seed=2)}
X = {"x": random(1, 3, 8, 9, seed=3)}
conv_then_norm = GraphMaker("float[1,3,8,9] x", "float[1,4,8,9] y", **WEIGHTS)


def _biases(model: ir.Model) -> list[bool]:
    convs = [node for node in model.graph if node.op_type.startswith("Conv")]
    return [len(node.inputs) > 2 and node.inputs[2] is not None for node in convs]


CONV = "c = Conv <pads=[1,1,1,1]> (x, w, b)"
NORM = "y = InstanceNormalization (c, scale, shift)"


def test_the_bias_that_the_norm_cancels_is_dropped() -> None:
    model = conv_then_norm(f"{CONV} {NORM}")
    before = run(model, X)["y"]
    assert drop_bias_before_instance_norm(model) == 1
    assert _biases(model) == [False]
    assert "b" not in model.graph.initializers
    check(model)
    np.testing.assert_allclose(run(model, X)["y"], before, atol=1e-5)


def test_a_transposed_convolutions_bias_is_dropped() -> None:
    model = conv_then_norm(f"c = ConvTranspose <pads=[1,1,1,1]> (x, w, b) {NORM}", w=random(3, 4, 3, 3))
    before = run(model, X)["y"]
    assert drop_bias_before_instance_norm(model) == 1
    np.testing.assert_allclose(run(model, X)["y"], before, atol=1e-5)


def test_a_bias_that_two_norms_cancel_is_dropped() -> None:
    model = conv_then_norm(
        f"{CONV} p = InstanceNormalization (c, scale, shift) q = InstanceNormalization (c, shift, scale) y = Add (p, q)"
    )
    before = run(model, X)["y"]
    assert drop_bias_before_instance_norm(model) == 1
    np.testing.assert_allclose(run(model, X)["y"], before, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        (f"{CONV} n = InstanceNormalization (c, scale, shift) y = Add (n, c)", "float[1,4,8,9] y"),
        (f"{CONV} {NORM}", "float[1,4,8,9] y, float[1,4,8,9] c"),
        (f"{CONV} r = Relu (c) y = InstanceNormalization (r, scale, shift)", "float[1,4,8,9] y"),
        ("y = Conv <pads=[1,1,1,1]> (x, w, b)", "float[1,4,8,9] y"),
    ],
    ids=["feeds something else", "is a graph output", "an activation lies between", "no norm at all"],
)
def test_a_bias_that_counts_is_kept(body: str, outputs: str) -> None:
    model = conv_then_norm(body, outputs)
    before = run(model, X)
    assert drop_bias_before_instance_norm(model) == 0
    assert _biases(model) == [True]
    for name, value in run(model, X).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_shared_bias_stays_for_the_other_convolution() -> None:
    model = conv_then_norm(
        f"{CONV} n = InstanceNormalization (c, scale, shift) d = Conv <pads=[1,1,1,1]> (x, w, b) y = Add (n, d)"
    )
    before = run(model, X)["y"]
    assert drop_bias_before_instance_norm(model) == 1
    assert _biases(model) == [False, True]
    np.testing.assert_allclose(run(model, X)["y"], before, atol=1e-5)


def test_a_convolution_without_bias_is_left() -> None:
    model = conv_then_norm(f"c = Conv <pads=[1,1,1,1]> (x, w) {NORM}")
    assert drop_bias_before_instance_norm(model) == 0


# --- reflection pads as slices


def _padded(
    pads: list[int], shape: tuple[int, ...], body: str = 'y = Pad <mode="reflect"> (x, pads)', **weights: Any
) -> ir.Model:
    rank = len(shape)
    total = [side + pads[i] + pads[rank + i] for i, side in enumerate(shape)]
    text = f"g (float{list(shape)} x) => (float{total} y) {{ {body} }}"
    return parse(text, pads=np.array(pads, np.int64), **weights)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_slices_equal_onnx_runtimes_own_pad(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)))
    amounts = [data.draw(st.integers(0, side - 1)) for side in shape] + [
        data.draw(st.integers(0, s - 1)) for s in shape
    ]
    model = _padded(amounts, shape)
    x = {"x": random(*shape)}
    wanted = run(model, x)["y"]
    assert reflect_pad_as_slices(model) == 1
    assert "Pad" not in operations(model)
    check(model)
    np.testing.assert_array_equal(run(model, x)["y"], wanted)


def test_a_pad_between_two_operations_is_replaced() -> None:
    body = 'a = Relu (x) p = Pad <mode="reflect"> (a, pads) y = Neg (p)'
    model = _padded([0, 0, 2, 1, 0, 0, 0, 3], (1, 2, 5, 6), body)
    wanted = run(model, {"x": random(1, 2, 5, 6)})["y"]
    assert reflect_pad_as_slices(model) == 1
    assert set(operations(model)) == {"Relu", "Slice", "Concat", "Neg"}
    check(model)
    np.testing.assert_array_equal(run(model, {"x": random(1, 2, 5, 6)})["y"], wanted)


def test_a_pad_of_nothing_is_removed_without_renaming_the_input() -> None:
    model = _padded([0] * 8, (1, 2, 3, 4), 'p = Pad <mode="reflect"> (x, pads) y = Neg (p)')
    reflect_pad_as_slices(model)
    assert [value.name for value in model.graph.inputs] == ["x"]
    check(model)
    np.testing.assert_array_equal(run(model, {"x": random(1, 2, 3, 4)})["y"], -random(1, 2, 3, 4))


def test_the_input_may_be_used_elsewhere() -> None:
    body = 'p = Pad <mode="reflect"> (x, pads) q = Pad <mode="reflect"> (x, pads) y = Add (p, q)'
    model = _padded([0, 0, 1, 1, 0, 0, 1, 1], (1, 2, 5, 6), body)
    wanted = run(model, {"x": random(1, 2, 5, 6)})["y"]
    assert reflect_pad_as_slices(model) == 2
    np.testing.assert_array_equal(run(model, {"x": random(1, 2, 5, 6)})["y"], wanted)


def test_pads_on_named_axes_are_understood() -> None:
    """From opset 18 on, Pad may name the axes that its amounts are for."""
    text = 'g (float[1,2,5,6] x) => (float[1,2,8,6] y) { y = Pad <mode="reflect"> (x, pads, , axes) }'
    for axes in ([2], [-2]):
        model = parse(text, pads=np.array([1, 2], np.int64), axes=np.array(axes, np.int64))
        wanted = run(model, {"x": random(1, 2, 5, 6)})["y"]
        assert reflect_pad_as_slices(model) == 1
        np.testing.assert_array_equal(run(model, {"x": random(1, 2, 5, 6)})["y"], wanted)


@pytest.mark.parametrize("mode", ["constant", "edge"])
def test_other_pads_are_left(mode: str) -> None:
    model = _padded([0, 0, 1, 1, 0, 0, 1, 1], (1, 2, 5, 6), f'y = Pad <mode="{mode}"> (x, pads)')
    assert reflect_pad_as_slices(model) == 0
    assert operations(model) == ["Pad"]


def test_a_pad_without_a_mode_is_constant_and_left() -> None:
    model = _padded([0, 0, 1, 1, 0, 0, 1, 1], (1, 2, 5, 6), "y = Pad (x, pads)")
    assert reflect_pad_as_slices(model) == 0


def test_amounts_that_are_computed_are_our_own_error() -> None:
    text = 'g (float[1,2,5,6] x, int64[8] pads) => (float[1,2,n,m] y) { y = Pad <mode="reflect"> (x, pads) }'
    with pytest.raises(GraphError, match="Pad"):
        reflect_pad_as_slices(parse(text))


def test_negative_amounts_are_our_own_error() -> None:
    with pytest.raises(GraphError, match="Pad"):
        reflect_pad_as_slices(_padded([0, 0, -1, 0, 0, 0, 0, 0], (1, 2, 5, 6)))


def test_an_unknown_size_is_our_own_error() -> None:
    text = 'g (float[1,2,h,6] x) => (float[1,2,k,6] y) { y = Pad <mode="reflect"> (x, pads) }'
    with pytest.raises(GraphError, match="static"):
        reflect_pad_as_slices(parse(text, pads=np.array([0, 0, 1, 0, 0, 0, 1, 0], np.int64)))


# --- outputs


def test_only_the_declared_outputs_stay() -> None:
    text = f"g (float[3] x) => (float[3] y, float[3] {NETWORK_OUTPUT}) {{ y = Relu (x) {NETWORK_OUTPUT} = Neg (x) }}"
    model = parse(text)
    assert keep_declared_outputs(model) == 1
    assert [value.name for value in model.graph.outputs] == ["y"]
    assert operations(model) == ["Relu"]
    check(model)
    assert keep_declared_outputs(model) == 0


# --- by name


def test_passes_come_by_name_in_the_order_asked_for() -> None:
    names = tuple(reversed(tuple(PASSES)))
    assert tuple(item.name for item in get_passes(names)) == names
    assert set(DEFAULT_PASSES) <= PASSES.keys()
    assert all(item.summary for item in PASSES.values())


def test_an_unknown_pass_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="There is no graph pass 'reflect-pad-as-slice'") as caught:
        get_passes(["reflect-pad-as-slice"])
    assert "Did you mean 'reflect-pad-as-slices'?" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_a_name_like_no_other_lists_all_passes() -> None:
    with pytest.raises(UsageError) as caught:
        get_passes(["zzz"])
    assert caught.value.remedy == f"Known passes: {', '.join(PASSES)}."
