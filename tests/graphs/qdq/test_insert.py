"""Q/DQ in front of convolutions, and nowhere else."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edge_i2i.errors import GraphError, UsageError
from edge_i2i.graphs.passes import keep_declared_outputs
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Range, Scheme, WeightMemo
from samples.graphs.residual import Residual
from samples.graphs.tiny import GraphMaker, check, operations, proto, random, run

SQUARE = random(4, 4, 3, 3)
X = {"x": np.clip(random(1, 4, 8, 8, seed=3), -2, 2)}
PARALLEL = "a = Conv <pads=[1,1,1,1]> (x, w) b = Conv <pads=[1,1,1,1]> (x, v) y = Add (a, b)"
WIDE = Range(-2.0, 2.0)
graph = GraphMaker("float[1,4,8,8] x", "float[1,4,8,8] y", w=SQUARE)


def _insert(model: ir.Model, scheme: Scheme = Scheme.ASYMMETRIC, **ranges: Range) -> int:
    names = [layer.name for layer in find_layers(model)]
    return insert_qdq(model, {name: WIDE for name in names} | ranges, scheme, names)


@pytest.mark.parametrize("scheme", Scheme)
def test_only_what_convolutions_read_is_quantized(residual: Residual, scheme: Scheme) -> None:
    model = residual.quantized(scheme, residual.names)
    check(model)
    for node in model.graph:
        if node.op_type == "QuantizeLinear":
            assert [use.node.op_type for use in node.outputs[0].uses()] == ["DequantizeLinear"]
        if node.op_type == "DequantizeLinear":
            assert {use.node.op_type for use in node.outputs[0].uses()} <= {"Conv", "ConvTranspose"}
            assert all(use.idx < 2 for use in node.outputs[0].uses())
    quantized = [node.op_type for node in residual.model().graph]
    rest = [kind for kind in operations(model) if not kind.endswith("Linear")]
    assert rest == quantized  # everything else is as it was


@pytest.mark.parametrize("scheme", Scheme)
def test_nothing_stands_between_a_convolution_and_its_norm_and_biases_stay_float(
    residual: Residual, scheme: Scheme
) -> None:
    model = residual.quantized(scheme, residual.names)
    for node in model.graph:
        if node.op_type == "InstanceNormalization":
            before = node.inputs[0].producer() if node.inputs[0] is not None else None
            assert before is not None and before.op_type in ("Conv", "ConvTranspose")
            bias = before.inputs[2] if len(before.inputs) > 2 else None
            assert bias is None or (bias.const_value is not None and bias.dtype == ir.DataType.FLOAT)


@pytest.mark.parametrize("scheme", Scheme)
def test_quantizing_before_pads_gives_the_same_numbers(residual: Residual, scheme: Scheme) -> None:
    after, before = (residual.quantized(scheme, residual.names, before_pads=early) for early in (False, True))
    check(before)
    padded = [node for node in before.graph if node.op_type == "Pad"]
    assert padded and all(_reads(node, "DequantizeLinear") for node in padded)
    assert residual.psnr(before) == pytest.approx(residual.psnr(after), abs=1e-4)


def _reads(node: ir.Node, operator: str) -> bool:
    before = node.inputs[0].producer() if node.inputs[0] is not None else None
    return before is not None and before.op_type == operator


def test_layers_that_are_not_named_stay_in_float(residual: Residual) -> None:
    model = residual.quantized(Scheme.SYMMETRIC, [residual.names[1]])
    assert operations(model).count("QuantizeLinear") == 1
    assert [layer.name for layer in find_layers(model)] == [n for n in residual.names if n != residual.names[1]]


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("convolution", ["Conv <pads=[1,1,1,1]>", "ConvTranspose <pads=[1,1,1,1]>"])
def test_the_result_is_within_what_half_a_step_of_inputs_and_weights_makes(scheme: Scheme, convolution: str) -> None:
    model = graph(f"y = {convolution} (x, w, b)", b=random(4, seed=8))
    before = run(model, X)["y"]
    assert _insert(model, scheme) == 1
    check(model)
    step = 4 / 255 if scheme is Scheme.ASYMMETRIC else 2 / 127  # over -2 to 2
    weight_step = np.abs(SQUARE).max() / 127
    bound = 36 * (step / 2 * np.abs(SQUARE).max() + 2 * weight_step)
    error = np.abs(run(model, X, optimise=False)["y"] - before)
    assert 0 < error.max() < bound / 4


@pytest.mark.parametrize("scheme", Scheme)
def test_on_the_grid_of_steps_nothing_is_lost(scheme: Scheme) -> None:
    weight = np.random.default_rng(0).integers(-127, 128, (4, 4, 3, 3)).astype(np.float32)
    weight[:, 0, 0, 0] = 127  # so that every channel's scale is 1
    values = {"x": np.random.default_rng(1).integers(-60, 61, (1, 4, 8, 8)).astype(np.float32)}
    model = graph("y = Conv <pads=[1,1,1,1]> (x, w)", w=weight)
    before = run(model, values)["y"]
    _insert(model, scheme, w=Range(-127.0, 128.0) if scheme is Scheme.ASYMMETRIC else Range(-127.0, 127.0))
    np.testing.assert_array_equal(run(model, values, optimise=False)["y"], before)


@pytest.mark.parametrize("transposed", [False, True])
def test_grouped_layers_are_quantized(transposed: bool) -> None:
    weight = random(4, 2, 3, 3)
    operator = "ConvTranspose" if transposed else "Conv"
    model = graph(f"y = {operator} <group=2,pads=[1,1,1,1]> (x, w)", w=weight)
    before = run(model, X)["y"]
    _insert(model)
    check(model)
    np.testing.assert_allclose(run(model, X, optimise=False)["y"], before, atol=0.35)


def test_two_layers_share_the_data_of_one_weight() -> None:
    model = graph("a = Conv <pads=[1,1,1,1]> (x, w) r = Relu (a) y = Conv <pads=[1,1,1,1]> (r, w)")
    assert _insert(model) == 2
    check(model)
    assert [name for name in model.graph.initializers if name.startswith("w_quantized")] == ["w_quantized"]
    assert "w" not in model.graph.initializers


def test_a_weight_of_both_directions_is_quantized_along_each() -> None:
    weight = SQUARE * np.array([1, 10, 100, 1000], np.float32).reshape(4, 1, 1, 1)
    model = graph(
        "a = Conv <pads=[1,1,1,1]> (x, w) y = ConvTranspose <pads=[1,1,1,1]> (x, w) z = Neg (a)",
        "float[1,4,8,8] y, float[1,4,8,8] z",
        w=weight,
    )
    before = run(model, X)
    _insert(model)
    after = run(model, X, optimise=False)
    for name, reference in before.items():
        np.testing.assert_allclose(after[name], reference, atol=0.02 * np.abs(reference).max())


def test_layers_that_read_one_tensor_share_its_quantizer() -> None:
    model = graph(
        "a = Conv <pads=[1,1,1,1]> (x, w) b = Conv <pads=[1,1,1,1]> (x, v) y = Add (a, b)", v=random(4, 4, 3, 3)
    )
    _insert(model)
    assert operations(model).count("QuantizeLinear") == 1


def test_layers_that_read_one_tensor_with_ranges_of_their_own_have_quantizers_of_their_own() -> None:
    model = graph(
        "a = Conv <pads=[1,1,1,1]> (x, w) b = Conv <pads=[1,1,1,1]> (x, v) y = Add (a, b)", v=random(4, 4, 3, 3)
    )
    _insert(model, w=Range(-1.0, 1.0))
    check(model)
    assert operations(model).count("QuantizeLinear") == 2


def test_a_second_call_quantizes_what_the_first_left() -> None:
    model = graph(
        "a = Conv <pads=[1,1,1,1]> (x, w) b = Conv <pads=[1,1,1,1]> (x, v) y = Add (a, b)", v=random(4, 4, 3, 3)
    )
    for name in ("v", "w"):
        assert insert_qdq(model, {name: WIDE}, Scheme.SYMMETRIC, [name]) == 1
    check(model)
    assert find_layers(model) == ()


def test_the_same_graph_gives_the_same_file(residual: Residual) -> None:
    first, second = (residual.quantized(Scheme.ASYMMETRIC, residual.names) for _ in range(2))
    assert proto(first).SerializeToString() == proto(second).SerializeToString()


def test_outputs_for_parity_alone_can_go_afterwards(residual: Residual) -> None:
    model = residual.quantized(Scheme.ASYMMETRIC, residual.names)
    assert keep_declared_outputs(model) == 1
    check(model)


def test_scales_that_were_learned_are_used() -> None:
    model = graph("y = Conv <pads=[1,1,1,1]> (x, w)")
    learned = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    insert_qdq(model, {"w": WIDE}, Scheme.SYMMETRIC, ["w"], {"w": learned})
    stored = model.graph.initializers["w_scale"].const_value
    assert stored is not None
    np.testing.assert_array_equal(stored.numpy(), learned)


def test_an_unknown_layer_is_named_with_those_that_there_are() -> None:
    model = graph("y = Conv <pads=[1,1,1,1]> (x, w)")
    with pytest.raises(UsageError, match="no layer v, z") as caught:
        insert_qdq(model, {}, Scheme.SYMMETRIC, ["z", "w", "v"])
    assert caught.value.remedy == "It has: w."


def test_a_layer_without_a_range_is_named() -> None:
    model = graph("y = Conv <pads=[1,1,1,1]> (x, w)")
    with pytest.raises(GraphError, match="No range is known for the input of w"):
        insert_qdq(model, {}, Scheme.SYMMETRIC, ["w"])


# Before pads -----------------------------------------------------------------------------------------------------

PADS = np.array([0, 0, 1, 1] * 2, np.int64)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("mode", ["reflect", "edge", "constant"])
def test_padding_integers_gives_the_same_numbers(mode: str, scheme: Scheme) -> None:
    body = f'f = Relu (x) p = Pad <mode="{mode}"> (f, pads) y = Conv (p, w)'
    results = []
    for before_pads in (False, True):
        model = graph(body, pads=PADS)
        insert_qdq(model, {"w": Range(0.0, 2.0)}, scheme, ["w"], before_pads=before_pads)
        check(model)
        results.append(run(model, X, optimise=False)["y"])
        quantize, pad = operations(model).index("QuantizeLinear"), operations(model).index("Pad")
        assert (quantize < pad) is before_pads
    np.testing.assert_array_equal(*results)


def test_a_padded_tensor_that_others_read_is_quantized_behind_its_pad() -> None:
    body = 'f = Relu (x) p = Pad <mode="reflect"> (f, pads) y = Conv (p, w) z = Conv (p, v)'
    model = graph(body, "float[1,4,8,8] y, float[1,4,8,8] z", pads=PADS, v=SQUARE)
    insert_qdq(model, {"w": Range(0.0, 2.0)}, Scheme.SYMMETRIC, ["w"], before_pads=True)
    check(model)
    assert operations(model)[:3] == ["Relu", "Pad", "QuantizeLinear"]
    other = next(node for node in model.graph if node.op_type == "Conv" and node.outputs[0].name == "z")
    assert other.inputs[0] is not None and other.inputs[0].name == "p"


def test_a_memo_saves_work_and_changes_nothing() -> None:
    memo, body = WeightMemo(), PARALLEL
    results = []
    for layers in (["w"], ["w", "v"], ["v"]):
        for known in (memo, None):
            model = graph(body, v=random(4, 4, 3, 3, seed=8))
            insert_qdq(model, dict.fromkeys(layers, WIDE), Scheme.SYMMETRIC, layers, memo=known)
            results.append(proto(model).SerializeToString())
    assert all(first == second for first, second in zip(results[::2], results[1::2], strict=True))
    changed = graph(body, v=random(4, 4, 3, 3, seed=9))
    insert_qdq(changed, {"v": WIDE}, Scheme.SYMMETRIC, ["v"], memo=memo)
    assert proto(changed).SerializeToString() != results[-1]
