"""Channels of one size: nothing changes in float, and quantization has an easier time."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edge_i2i.errors import GraphError
from edge_i2i.graphs.qdq.equalise import HEADROOM, LARGEST_GAIN, ChannelRanges, equalise_channels
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Scheme
from samples.graphs.tiny import Array, GraphMaker, check, operations, random, run

SPREAD = np.array([1.0, 0.5, 0.1, 0.02], np.float32)
X = {"x": random(1, 4, 8, 8, seed=3) * SPREAD.reshape(1, 4, 1, 1)}
REACHED = ChannelRanges(-3 * SPREAD, 3 * SPREAD)
WEIGHTS = {
    "w": random(4, 4, 3, 3),
    "v": random(4, 4, 3, 3, seed=1),
    "u": random(4, 2, 3, 3, seed=2),
    "scale": SPREAD,
    "shift": SPREAD / 2,
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
}
CONV = "Conv <pads=[1,1,1,1]>"
graph = GraphMaker("float[1,4,8,8] x", "float[1,4,8,8] y", **WEIGHTS)


def _assert_exact(model: ir.Model, reached: ChannelRanges = REACHED) -> None:
    """Equalise every layer, and compare all outputs with those of before."""
    before = run(model, X, optimise=False)
    names = [layer.name for layer in find_layers(model)]
    equalise_channels(model, {name: reached for name in names}, names)
    check(model)
    for name, result in run(model, X, optimise=False).items():
        np.testing.assert_allclose(result, before[name], rtol=1e-5, atol=1e-5)


def test_the_factors_go_into_an_instance_norm() -> None:
    model = graph(f"n = InstanceNormalization (x, scale, shift) r = Relu (n) y = {CONV} (r, w)")
    _assert_exact(model)
    assert operations(model) == ["InstanceNormalization", "Relu", "Conv"]


def test_they_go_through_a_pad_and_a_leaky_rectifier() -> None:
    body = "n = InstanceNormalization (x, scale, shift) r = LeakyRelu <alpha=0.2> (n)"
    model = graph(f'{body} p = Pad <mode="reflect"> (r, pads) y = Conv (p, w)')
    _assert_exact(model)
    assert "Mul" not in operations(model)


def test_a_residual_stream_gets_a_product_on_the_branch_only() -> None:
    model = graph(f"n = InstanceNormalization (x, scale, shift) b = {CONV} (n, w) y = Add (n, b)")
    _assert_exact(model)
    assert operations(model) == ["InstanceNormalization", "Mul", "Conv", "Add"]


def test_a_graphs_input_gets_a_product() -> None:
    model = graph(f"y = {CONV} (x, w)")
    _assert_exact(model)
    assert operations(model) == ["Mul", "Conv"]


def test_a_norm_whose_result_leaves_the_graph_stays() -> None:
    body = f"n = InstanceNormalization (x, scale, shift) r = Relu (n) y = {CONV} (r, w)"
    _assert_exact(graph(body, "float[1,4,8,8] y, float[1,4,8,8] n"))
    _assert_exact(graph(body, "float[1,4,8,8] y, float[1,4,8,8] r"))


def test_norms_may_share_their_scale_and_shift() -> None:
    norm = "InstanceNormalization ({}, scale, shift)"
    _assert_exact(graph(f"n = {norm.format('x')} c = {CONV} (n, w) m = {norm.format('c')} y = {CONV} (m, v)"))


def test_layers_that_read_one_tensor_share_its_factors() -> None:
    model = graph(f"n = InstanceNormalization (x, scale, shift) a = {CONV} (n, w) b = {CONV} (n, v) y = Add (a, b)")
    _assert_exact(model)
    assert "Mul" not in operations(model)


def test_layers_that_read_one_tensor_beside_others_share_one_product() -> None:
    body = f"a = {CONV} (x, w) b = {CONV} (x, v) c = Add (a, b) y = Add (c, x)"
    model = graph(body)
    _assert_exact(model)
    assert operations(model).count("Mul") == 1


def test_a_pad_that_others_read_too_hands_them_what_it_did() -> None:
    body = 'n = InstanceNormalization (x, scale, shift) p = Pad <mode="reflect"> (n, pads) y = Conv (p, w) z = Neg (p)'
    _assert_exact(graph(body, "float[1,4,8,8] y, float[1,4,10,10] z"))


@pytest.mark.parametrize("left", ["w", "v"])
def test_a_pad_of_two_layers_serves_one_that_stays_in_float(left: str) -> None:
    body = 'r = Relu (x) p = Pad <mode="reflect"> (r, pads) a = Conv (p, w) b = Conv (p, v) y = Add (a, b)'
    model = graph(body)
    before = run(model, X, optimise=False)["y"]
    chosen = [name for name in ("w", "v") if name != left]
    equalise_channels(model, {name: REACHED for name in ("w", "v")}, chosen)
    np.testing.assert_allclose(run(model, X, optimise=False)["y"], before, rtol=1e-5, atol=1e-5)


def test_transposed_convolutions_divide_along_their_own_axis() -> None:
    _assert_exact(graph("y = ConvTranspose <pads=[1,1,1,1]> (x, w)"))


def test_grouped_convolutions_and_shared_weights_stay_as_they_are() -> None:
    for body in ("y = Conv <pads=[1,1,1,1], group=2> (x, u)", f"a = {CONV} (x, w) y = {CONV} (a, w)"):
        model = graph(body)
        _assert_exact(model)
        assert "Mul" not in operations(model)


def test_a_grouped_convolution_beside_a_plain_one_reads_what_it_did() -> None:
    _assert_exact(graph(f"a = {CONV} (x, w) b = Conv <pads=[1,1,1,1], group=2> (x, u) y = Add (a, b)"))


def test_equal_channels_are_left_alone() -> None:
    model = graph(f"y = {CONV} (x, w)")
    _assert_exact(model, ChannelRanges(-np.ones(4, np.float32), np.ones(4, np.float32)))
    assert operations(model) == ["Conv"]


def test_the_ranges_that_come_back_are_those_of_the_widened_tensor() -> None:
    model = graph(f"n = InstanceNormalization (x, scale, shift) r = Relu (n) y = {CONV} (r, w)")
    seen = _tapped(model)
    reached = {"w": ChannelRanges(seen.min((0, 2, 3)), seen.max((0, 2, 3)))}
    ranges = equalise_channels(model, reached, ["w"], headroom=1.0)
    after = _tapped(model)
    assert ranges["w"].low == pytest.approx(after.min(), abs=1e-5)
    assert ranges["w"].high == pytest.approx(after.max(), rel=1e-5)
    before, tops = seen.max((0, 2, 3)), after.max((0, 2, 3))
    widened = np.minimum(before * LARGEST_GAIN, before.max())  # a channel that hardly moves stays behind
    np.testing.assert_allclose(tops, widened, rtol=1e-4)


def test_widened_channels_have_headroom_and_reach_no_farther_than_the_farthest() -> None:
    channels = ChannelRanges(np.float32([-4, -1, -0.1]), np.float32([2, 2, 0.2]))
    gains = channels.gains()
    assert gains.tolist() == pytest.approx([1, 4 / (2 * HEADROOM), LARGEST_GAIN])
    widened = channels.widened(gains)
    assert widened.low.tolist() == pytest.approx([-4, -2, -0.1 * LARGEST_GAIN * HEADROOM])
    assert widened.high.tolist() == pytest.approx([2, 4, 0.2 * LARGEST_GAIN * HEADROOM])


def _tapped(model: ir.Model) -> Array:
    copy = model.clone()
    source = find_layers(copy)[0].source
    copy.graph.outputs.append(source)
    return run(copy, X, optimise=False)[str(source.name)]


@pytest.mark.parametrize("scheme", Scheme)
def test_quantization_loses_less_afterwards(scheme: Scheme) -> None:
    weight = (random(4, 4, 3, 3) / SPREAD.reshape(1, 4, 1, 1)).astype(np.float32)  # every channel counts the same
    seen = X["x"]
    reached = {"w": ChannelRanges(seen.min((0, 2, 3)), seen.max((0, 2, 3)))}
    plain, equal = (graph(f"y = {CONV} (x, w)", w=weight) for _ in range(2))
    reference = run(plain, X, optimise=False)["y"]
    insert_qdq(plain, {"w": reached["w"].whole}, scheme, ["w"])
    insert_qdq(equal, equalise_channels(equal, reached, ["w"]), scheme, ["w"])
    errors = [np.square(run(model, X, optimise=False)["y"] - reference).mean() for model in (plain, equal)]
    assert errors[1] < errors[0] / 10


def test_a_channel_that_hardly_moves_is_not_blown_up() -> None:
    reach = np.array([1.0, 1e-9, 0.0], np.float32)
    gains = ChannelRanges(-reach, reach).gains()
    assert gains.tolist() == pytest.approx([1.0, LARGEST_GAIN, LARGEST_GAIN])
    assert ChannelRanges(np.zeros(2, np.float32), np.zeros(2, np.float32)).gains().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("shapes", [((2,), (3,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_ranges_that_do_not_belong_together_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(GraphError, match="do not fit"):
        ChannelRanges(*(np.zeros(shape, np.float32) for shape in shapes))
