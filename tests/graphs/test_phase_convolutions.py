"""Upsampling and the convolution behind it, at the low resolution: exact on every padding, size and border."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edge_i2i.graphs.fp16 import emulate_fp16, to_fp16
from edge_i2i.graphs.passes import (
    reflect_pad_as_slices,
    upsample_after_pointwise_conv,
    upsample_conv_as_phases,
)
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.graphs.trace import trace
from edge_i2i.metrics.parity import NETWORK_OUTPUT, psnr
from samples.graphs.tiny import Array, check, operations, parse, picture_graph, random, run

NEAREST = 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"'
DOUBLE = np.array([1, 1, 2, 2], np.float32)
phases_of_any_width = partial(upsample_conv_as_phases, least_saving=0)
PADDINGS = ("zero", "zeros before", "edge", "reflect")


def _upsampled(
    side: int,
    padding: str,
    height: int = 4,
    width: int = 5,
    *,
    how: str = NEAREST,
    by: str = "scales",
    bias: bool = True,
) -> ir.Model:
    """Upsampling, padding that keeps the size, convolution from 3 to 4 channels."""
    rows, inputs = side // 2, "w, b" if bias else "w"
    weights: dict[str, Array] = {"w": random(4, 3, side, side), "pads": np.array([0, 0, rows, rows] * 2, np.int64)}
    weights |= {"b": random(4, seed=1)} if bias else {}
    if by == "scales":
        resize, weights = f"u = Resize <{how}> (x, , s)", weights | {"s": DOUBLE}
    else:
        resize = f"u = Resize <{how}> (x, , , s)"
        weights |= {"s": np.array([1, 3, 2 * height, 2 * width], np.int64)}
    if padding == "zero":
        body = f"{resize} y = Conv <pads=[{rows},{rows},{rows},{rows}]> (u, {inputs})"
        del weights["pads"]
    else:
        mode = {"zeros before": "constant"}.get(padding, padding)
        body = f'{resize} p = Pad <mode="{mode}"> (u, pads) y = Conv (p, {inputs})'
    shapes = f"(float[1,3,{height},{width}] x) => (float[1,4,{2 * height},{2 * width}] y)"
    return parse(f"g {shapes} {{ {body} }}", **weights)


def _kernels(model: ir.Model) -> list[tuple[int, ...]]:
    """The shapes of all kernels, the largest first."""
    convs = [node for node in model.graph if node.op_type == "Conv"]
    weights = [ir.convenience.get_const_tensor(node.inputs[1]) for node in convs if node.inputs[1] is not None]
    return sorted((tuple(w.shape.numpy()) for w in weights if w is not None), reverse=True)


def _same_result(model: ir.Model, rewrite: Any, shape: tuple[int, ...], count: int = 1) -> None:
    x = {"x": random(*shape, seed=7)}
    wanted = run(model, x)
    assert rewrite(model) == count
    check(model)
    got = run(model, x)
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, atol=2e-5)


# --- phases


@pytest.mark.parametrize(("side", "padding", "by"), [*product((3, 5), PADDINGS, ("scales", "sizes"))])
def test_the_phases_equal_the_upsampled_convolution(side: int, padding: str, by: str) -> None:
    model = _upsampled(side, padding, by=by)
    _same_result(model, phases_of_any_width, (1, 3, 4, 5))
    assert "Resize" not in operations(model)
    taps = {3: 2, 5: 3}[side]
    assert _kernels(model)[0] == (16, 3, taps, taps)


@given(
    side=st.sampled_from([3, 5]),
    padding=st.sampled_from(PADDINGS),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    bias=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_size_agrees(side: int, padding: str, height: int, width: int, bias: bool) -> None:
    if padding == "reflect" and min(height, width) == 1 and side == 5:
        return  # two doubled rows have no third to reflect
    _same_result(_upsampled(side, padding, height, width, bias=bias), phases_of_any_width, (1, 3, height, width))


def test_only_reflection_over_two_rows_needs_the_ring() -> None:
    for side, padding in product((3, 5), PADDINGS):
        model = _upsampled(side, padding)
        phases_of_any_width(model)
        ringed = "Concat" in operations(model)
        assert ringed == (side == 5 and padding == "reflect")


def test_the_ring_is_computed_by_the_original_weights() -> None:
    model = _upsampled(5, "reflect")
    phases_of_any_width(model)
    assert _kernels(model) == [(16, 3, 3, 3), (4, 3, 5, 5), (4, 3, 5, 5)]
    assert sorted(name for name in model.graph.initializers if name.startswith(("w", "b"))) == [
        *("b", "w", "w_phases", "w_phases_bias")
    ]


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil"])
def test_half_pixels_double_as_well(rounding: str) -> None:
    how = f'mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="{rounding}"'
    _same_result(_upsampled(3, "zero", how=how), phases_of_any_width, (1, 3, 4, 5))


@pytest.mark.parametrize(
    "how",
    [
        'mode="linear"',
        'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="ceil"',
        'mode="nearest", coordinate_transformation_mode="align_corners", nearest_mode="floor"',
        'mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="floor"',
    ],
)
def test_other_ways_to_resize_are_left(how: str) -> None:
    assert phases_of_any_width(_upsampled(5, "zero", how=how)) == 0


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("y = Conv <pads=[1,1,1,1], strides=[2,2]> (u, w)", "float[1,4,4,5] y"),
        ("y = Conv <pads=[2,2,2,2], dilations=[2,2]> (u, w)", "float[1,4,8,10] y"),
        ("y = Conv <pads=[1,1,1,1], group=3> (u, one)", "float[1,3,8,10] y"),
        ("y = Conv (u, w)", "float[1,4,6,8] y"),
        ("y = Conv <pads=[1,1,0,2]> (u, w)", "float[1,4,7,11] y"),
        ("y = Conv <pads=[3,3,3,3]> (u, seven)", "float[1,4,8,10] y"),
        ('y = Conv <auto_pad="SAME_UPPER"> (u, w)', "float[1,4,8,10] y"),
        ("y = Conv <pads=[0,1,0,1]> (u, flat)", "float[1,4,8,10] y"),
        ("p = Pad (u, pads, fill) y = Conv (p, w)", "float[1,4,8,10] y"),
        ('p = Pad <mode="edge"> (u, pads) y = Conv <pads=[1,1,1,1]> (p, w)', "float[1,4,10,12] y"),
        ('p = Pad <mode="wrap"> (u, pads) y = Conv (p, w)', "float[1,4,8,10] y"),
        ('p = Pad <mode="edge"> (u, deep) y = Conv (p, w)', "float[1,4,8,10] y"),
        ("r = Relu (u) y = Conv <pads=[1,1,1,1]> (r, w)", "float[1,4,8,10] y"),
        ("v = Mul (w, w) y = Conv <pads=[1,1,1,1]> (u, v)", "float[1,4,8,10] y"),
    ],
)
def test_what_is_no_doubled_convolution_is_left(body: str, output: str) -> None:
    weights: dict[str, Array] = {
        "w": random(4, 3, 3, 3),
        "one": random(3, 1, 3, 3),
        "seven": random(4, 3, 7, 7),
        "flat": random(4, 3, 1, 3),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
        "deep": np.array([0, 1, 1, 1, 0, -1, 1, 1], np.int64),
        "fill": np.array(0.5, np.float32),
    }
    used = {name: value for name, value in weights.items() if f" {name}" in body}
    text = f"g (float[1,3,4,5] x) => ({output}) {{ u = Resize <{NEAREST}> (x, , s) {body} }}"
    model = parse(text, s=DOUBLE, **used)
    assert phases_of_any_width(model) == 0
    assert "Resize" in operations(model)


@pytest.mark.parametrize("scales", [[1, 1, 3, 3], [1, 1, 2, 1], [1, 1, 4, 4]])
def test_other_factors_are_left(scales: list[int]) -> None:
    height, width = 4 * scales[2], 5 * scales[3]
    body = f"u = Resize <{NEAREST}> (x, , s) y = Conv <pads=[1,1,1,1]> (u, w)"
    text = f"g (float[1,3,4,5] x) => (float[1,4,{height},{width}] y) {{ {body} }}"
    assert phases_of_any_width(parse(text, s=np.array(scales, np.float32), w=random(4, 3, 3, 3))) == 0


def test_a_graph_of_no_fixed_size_is_left() -> None:
    body = f"u = Resize <{NEAREST}> (x, , s) y = Conv <pads=[1,1,1,1]> (u, w)"
    model = parse(f"g (float[1,3,h,w0] x) => (float[1,4,k,l] y) {{ {body} }}", s=DOUBLE, w=random(4, 3, 3, 3))
    assert phases_of_any_width(model) == 0


def test_what_else_reads_the_upsampled_tensor_keeps_it() -> None:
    body = f"u = Resize <{NEAREST}> (x, , s) y = Conv <pads=[1,1,1,1]> (u, w) z = Relu (u)"
    text = f"g (float[1,3,4,5] x) => (float[1,4,8,10] y, float[1,3,8,10] z) {{ {body} }}"
    model = parse(text, s=DOUBLE, w=random(4, 3, 3, 3))
    _same_result(model, phases_of_any_width, (1, 3, 4, 5))
    assert operations(model).count("Resize") == 1


def test_two_in_a_row_with_shared_weights() -> None:
    """Constants are shared between nodes by the exporter; each place gets names of its own."""
    weights = {"w": random(3, 3, 5, 5) / 5, "b": random(3), "pads": np.array([0, 0, 2, 2, 0, 0, 2, 2], np.int64)}
    body = f"""u = Resize <{NEAREST}> (x, , s) p = Pad <mode="reflect"> (u, pads) c = Conv (p, w, b) r = Relu (c)
        v = Resize <{NEAREST}> (r, , s) q = Pad <mode="reflect"> (v, pads) y = Conv (q, w, b)"""
    model = parse(f"g (float[1,3,3,4] x) => (float[1,3,12,16] y) {{ {body} }}", s=DOUBLE, **weights)
    _same_result(model, phases_of_any_width, (1, 3, 3, 4), count=2)


def test_pads_that_are_left_can_still_become_slices() -> None:
    model = _upsampled(5, "reflect")
    phases_of_any_width(model)
    assert reflect_pad_as_slices(model) == 0


@pytest.mark.parametrize(("side", "channels"), [(3, 128), (5, 40)])
def test_narrow_convolutions_are_left_because_phases_would_not_pay(side: int, channels: int) -> None:
    rows = side // 2
    body = f"u = Resize <{NEAREST}> (x, , s) y = Conv <pads=[{rows},{rows},{rows},{rows}]> (u, w)"
    for inputs, expected in ((channels, 1), (channels - 1, 0)):
        text = f"g (float[1,{inputs},2,3] x) => (float[1,1,4,6] y) {{ {body} }}"
        model = parse(text, s=DOUBLE, w=random(1, inputs, side, side) / 30)
        if expected:
            _same_result(model, upsample_conv_as_phases, (1, inputs, 2, 3))
        assert upsample_conv_as_phases(model) == 0


# --- 1x1 convolutions


@pytest.mark.parametrize("by", ["scales", "sizes"])
@pytest.mark.parametrize("how", [NEAREST, 'mode="nearest"'])
def test_a_pointwise_convolution_comes_before_the_upsampling(by: str, how: str) -> None:
    model = _upsampled(1, "zero", by=by, how=how)
    _same_result(model, upsample_after_pointwise_conv, (1, 3, 4, 5))
    assert operations(model) == ["Conv", "Resize"]


def test_each_pass_leaves_the_others_kernels() -> None:
    assert upsample_after_pointwise_conv(_upsampled(3, "zero")) == 0
    assert phases_of_any_width(_upsampled(1, "zero")) == 0


# --- on the road


class _UpPath(nn.Module):
    """MUNIT's way up, SPADE's way up and a shortcut, few channels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.InstanceNorm2d(8), nn.ReLU())
        self.first = nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(2), nn.Conv2d(8, 8, 5))
        self.second = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 3, padding=1))
        self.shortcut = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 1))
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(self.down(x)))
        return torch.tanh(self.second(x) + self.shortcut(x))


@pytest.fixture(scope="module")
def way_up() -> tuple[ir.Model, ir.Model, list[dict[str, Array]]]:
    """The traced network, the rewritten one, and inputs."""
    graph = picture_graph(_UpPath())
    model = trace(graph)
    rewritten = model.clone()
    assert phases_of_any_width(rewritten) == 2
    assert upsample_after_pointwise_conv(rewritten) == 1
    return model, rewritten, [sample_inputs(graph.declaration, seed) for seed in range(2)]


def test_what_the_exporter_writes_is_found(way_up: tuple[ir.Model, ir.Model, list[dict[str, Array]]]) -> None:
    model, rewritten, samples = way_up
    assert operations(model).count("Resize") >= 2
    assert operations(rewritten).count("Resize") == 1
    check(rewritten)
    for sample in samples:
        np.testing.assert_allclose(
            run(rewritten, sample)[NETWORK_OUTPUT], run(model, sample)[NETWORK_OUTPUT], atol=1e-5
        )


def test_the_rewritten_graph_converts_to_fp16(way_up: tuple[ir.Model, ir.Model, list[dict[str, Array]]]) -> None:
    model, rewritten, samples = way_up
    half = rewritten.clone()
    to_fp16(half)
    made = check(half)
    assert {node.op_type for node in made.graph.node} >= {"DepthToSpace", "Gather", "Split", "Slice"}
    emulate_fp16(half)
    wanted, got = run(model, samples[0])[NETWORK_OUTPUT], run(half, samples[0])[NETWORK_OUTPUT]
    assert psnr(wanted, got, data_range=2.0) > 60


def test_openvino_computes_the_same(way_up: tuple[ir.Model, ir.Model, list[dict[str, Array]]]) -> None:
    openvino = pytest.importorskip("openvino")
    model, rewritten, samples = way_up
    core = openvino.Core()
    settings_ = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(model=check(rewritten).SerializeToString()), "CPU", settings_)
    got = compiled(samples[0])[NETWORK_OUTPUT]
    np.testing.assert_allclose(got, run(model, samples[0])[NETWORK_OUTPUT], atol=1e-5)


def test_tensorrt_rtx_builds_it(way_up: tuple[ir.Model, ir.Model, list[dict[str, Array]]]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'edge-i2i[rtx]'")
    from edge_i2i.engines.tensorrt.adapter import load_adapter
    from edge_i2i.engines.tensorrt.builder import build_plan
    from edge_i2i.engines.tensorrt.flavour import TENSORRT_RTX
    from edge_i2i.engines.tensorrt.options import BuildOptions

    adapter = load_adapter(TENSORRT_RTX, TENSORRT_RTX.install_elsewhere)
    half = way_up[1].clone()
    to_fp16(half)
    for made in (check(way_up[1]), check(half)):
        assert isinstance(made, onnx.ModelProto)
        assert build_plan(adapter, made.SerializeToString(), BuildOptions().resolved(TENSORRT_RTX))
