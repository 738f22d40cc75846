"""Signed INT8 around zero: what other tools write, made legal; what the real parser and builder say of it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.engines.tensorrt.adapter import Adapter, load_adapter
from edge_i2i.engines.tensorrt.builder import build_plan
from edge_i2i.engines.tensorrt.flavour import TENSORRT_RTX
from edge_i2i.engines.tensorrt.options import BuildOptions
from edge_i2i.errors import GraphError
from edge_i2i.graphs.qdq.scheme import Scheme
from edge_i2i.graphs.qdq.targets.signed import drop_quantized_biases, fold_other_constants, signed_activations
from edge_i2i.graphs.qdq.targets.tensorrt import TensorRtTarget
from samples.graphs.residual import Residual
from samples.graphs.tiny import Array, GraphMaker, check, operations, proto, random, run

TARGET = TensorRtTarget()
PAIR = "q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)"
graph = GraphMaker("float[1,4,8,8] x", "float[1,4,8,8] y")


@pytest.fixture(scope="module")
def rtx() -> Adapter:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'edge-i2i[rtx]'")
    return load_adapter(TENSORRT_RTX, TENSORRT_RTX.install_elsewhere)


def build(rtx: Adapter, model: ir.Model) -> bytes:
    return build_plan(rtx, proto(model).SerializeToString(), BuildOptions().resolved(TENSORRT_RTX))


def _faults(model: ir.Model) -> str:
    return "\n".join(map(str, TARGET.faults(model)))


# --- uint8-to-int8


@given(
    zero=st.integers(0, 255),
    scale=st.floats(2**-10, 8, width=32),
    signed=st.booleans(),
    values=st.lists(st.floats(-4000, 4000, width=32), min_size=1, max_size=20),
)
@settings(max_examples=40, deadline=None)
def test_the_new_quantizer_covers_the_old_range_with_half_a_wider_step(
    zero: int, scale: float, signed: bool, values: list[float]
) -> None:
    point = np.int8(zero - 128) if signed else np.uint8(zero)
    shape = f"float[{len(values)}]"
    model = graph(PAIR, f"{shape} y", f"{shape} x", s=np.float32(scale), z=point)
    x = {"x": np.clip(np.array(values, np.float32), -zero * scale, (255 - zero) * scale).astype(np.float32)}
    before = run(model, x, optimise=False)["y"]
    changed = signed_activations(model)
    assert changed == (not (signed and zero == 128))
    check(model)
    TARGET.check(model)
    wider = max(zero, 255 - zero) * scale / 127
    assert np.abs(run(model, x, optimise=False)["y"] - x["x"]).max() <= wider * 0.501 + 1e-4
    assert np.abs(run(model, x, optimise=False)["y"] - before).max() <= (wider + scale) * 0.501 + 1e-4


def test_a_range_from_zero_gets_255_127ths_of_the_scale() -> None:
    model = graph(f"r = Relu (x) {PAIR.replace('(x', '(r')}", s=np.float32(0.127), z=np.uint8(0))
    assert signed_activations(model) == 1
    quantize = next(node for node in model.graph if node.op_type == "QuantizeLinear")
    scale = quantize.inputs[1]
    assert scale is not None and scale.const_value is not None
    assert float(scale.const_value.numpy()) == pytest.approx(0.255)
    assert operations(model).count("Relu") == 1


@pytest.mark.parametrize("point", [np.uint8(0), np.int8(-128)])
def test_a_quantizer_that_stood_for_a_rectifier_gets_it_back(point: Any) -> None:
    model = graph(PAIR, s=np.float32(0.02), z=point)
    x = {"x": random(1, 4, 8, 8)}
    before = run(model, x, optimise=False)["y"]
    assert signed_activations(model) == 1
    assert operations(model) == ["Relu", "QuantizeLinear", "DequantizeLinear"]
    np.testing.assert_allclose(run(model, x, optimise=False)["y"], before, atol=0.04)


def test_a_quantizer_without_a_zero_point_is_uint8_to_onnx() -> None:
    model = graph("q = QuantizeLinear (x, s) y = DequantizeLinear (q, s)", s=np.float32(0.02))
    assert "one without a zero point" in _faults(model)
    assert signed_activations(model) == 1
    check(model)
    TARGET.check(model)


def test_the_parser_says_nothing_of_a_missing_zero_point_but_the_check_does(rtx: Adapter) -> None:
    constants = {"w": np.ones((4, 4, 3, 3), np.int8), "ws": np.full(4, 0.1, np.float32), "wz": np.zeros(4, np.int8)}
    weights = "wd = DequantizeLinear <axis=0> (w, ws, wz) y = Conv <pads=[1,1,1,1]> (d, wd)"
    body = f"q = QuantizeLinear (x, s) d = DequantizeLinear (q, s) {weights}"
    model = graph(body, s=np.float32(0.02), **constants)
    assert build(rtx, model)
    with pytest.raises(GraphError, match="UINT8, as one without a zero point is, is re-read as INT8"):
        TARGET.check(model)


def test_several_readers_of_the_integers_follow() -> None:
    body = "q = QuantizeLinear (x, s, z) a = DequantizeLinear (q, s, z) b = DequantizeLinear (q, s, z) y = Add (a, b)"
    model = graph(body, s=np.float32(0.02), z=np.uint8(128))
    assert signed_activations(model) == 1
    check(model)
    TARGET.check(model)


def test_integers_that_something_else_reads_are_left_and_refused() -> None:
    body = "q = QuantizeLinear (x, s, z) t = Transpose <perm=[0,1,3,2]> (q) y = DequantizeLinear (t, s, z)"
    model = graph(body, s=np.float32(0.02), z=np.uint8(0))
    assert signed_activations(model) == 0
    with pytest.raises(GraphError, match="it is UINT8, not INT8"):
        TARGET.check(model)


# --- constants

BIASED = "b = DequantizeLinear (bq, bs, bz) y = Conv <pads=[1,1,1,1]> (x, w, b)"
BIAS = {"bq": np.arange(4, dtype=np.int32) * 100, "bs": np.full(4, 0.01, np.float32), "bz": np.zeros(4, np.int32)}


def test_a_quantized_bias_becomes_the_floats_that_it_stands_for() -> None:
    model = graph(BIASED.replace("(bq", "<axis=0> (bq"), w=random(4, 4, 3, 3), **BIAS)
    x = {"x": random(1, 4, 8, 8)}
    before = run(model, x, optimise=False)["y"]
    assert "a bias is not quantized" in _faults(model)
    assert drop_quantized_biases(model) == 1
    assert operations(model) == ["Conv"]
    TARGET.check(model)
    np.testing.assert_array_equal(run(model, x, optimise=False)["y"], before)


@pytest.mark.parametrize(
    ("stored", "scale", "zero"),
    [
        (np.array(100, np.uint8), np.float32(0.01), np.uint8(7)),
        (np.array([[[1]], [[-2]], [[3]], [[4]]], np.int8), np.float32(0.5), np.int8(0)),
    ],
)
def test_other_stored_integers_become_floats(stored: Array, scale: Any, zero: Any) -> None:
    model = graph("c = DequantizeLinear (k, s, z) y = Mul (x, c)", k=stored, s=scale, z=zero)
    x = {"x": random(1, 4, 8, 8)}
    before = run(model, x, optimise=False)["y"]
    assert _faults(model)
    assert fold_other_constants(model) == 1
    check(model)
    TARGET.check(model)
    np.testing.assert_array_equal(run(model, x, optimise=False)["y"], before)


def test_signed_weights_stay_integers_along_their_axis(residual: Residual) -> None:
    model = residual.quantized(Scheme.SYMMETRIC, residual.names)
    assert TARGET.legalise(model) == {"drop-quantized-bias": 0, "fold-quantized-constants": 0, "uint8-to-int8": 0}


# --- what is refused


@pytest.mark.parametrize(
    ("body", "constants", "reason"),
    [
        (PAIR, {"s": np.float32(0.1), "z": np.uint8(0)}, "re-read as INT8"),
        (PAIR, {"s": np.float32(0.1), "z": np.int8(-5)}, "its zero point is -5, and must be 0"),
        (
            PAIR.replace("Linear (", "Linear <axis=1> ("),
            {"s": np.full(4, 0.1, np.float32), "z": np.zeros(4, np.int8)},
            "one scale for all",
        ),
        ("q, s, z = DynamicQuantizeLinear (x) y = DequantizeLinear (q, s, z)", {}, "Q/DQ around float operators only"),
    ],
)
def test_what_the_parser_would_misread_is_refused(body: str, constants: dict[str, Any], reason: str) -> None:
    model = graph(body, **constants)
    with pytest.raises(GraphError, match=reason) as caught:
        TARGET.check(model)
    assert "TensorRT would not compute this quantized graph as it is written" in caught.value.what


# --- graphs that other tools quantized


@pytest.mark.parametrize("preset", ["MIXED", "PERFORMANCE"])
def test_what_nncf_writes_is_refused_then_legalised_then_built(
    residual: Residual, rtx: Adapter, preset: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = residual.by_nncf(preset)
    assert caplog.handler.level == logging.NOTSET  # the log of later tests is heard
    with pytest.raises(GraphError, match="would not compute"):
        TARGET.check(model)
    with pytest.raises(GraphError, match="edge-i2i quantize BUNDLE"):
        build(rtx, model)
    as_written = residual.psnr(model)
    TARGET.legalise(model)
    TARGET.check(model)
    check(model)
    assert build(rtx, model)
    assert residual.psnr(TARGET.emulate(model)) > as_written - 5  # the price of symmetry


@pytest.mark.parametrize("options", [{}, {"per_channel": True, "op_types_to_quantize": ["Conv"]}], ids=["all", "convs"])
def test_what_onnxruntime_writes_is_refused_then_legalised_then_built(
    residual: Residual, rtx: Adapter, options: dict[str, Any], tmp_path: Path
) -> None:
    model = residual.by_onnxruntime(tmp_path, **options)
    with pytest.raises(GraphError, match="a bias is not quantized"):
        TARGET.check(model)
    with pytest.raises(GraphError, match="cannot read the graph"):
        build(rtx, model)
    as_written = residual.psnr(model)
    counts = TARGET.legalise(model)
    assert counts["drop-quantized-bias"] and counts["uint8-to-int8"]
    TARGET.check(model)
    check(model)
    assert build(rtx, model)
    assert residual.psnr(TARGET.emulate(model)) > as_written - 5


# --- emulation


def test_emulation_shows_what_re_reading_costs(residual: Residual, rtx: Adapter) -> None:
    """UINT8 behind rectifiers only: that much the parser takes, with warnings that our builder makes errors."""
    names = [name for name in residual.names[:-1] if residual.inputs[name].low >= 0]
    model = residual.quantized(Scheme.ASYMMETRIC, names)
    written, emulated = residual.psnr(model), residual.psnr(TARGET.emulate(model))
    with pytest.raises(GraphError, match="would compute other numbers than the graph says"):
        build(rtx, model)
    assert TARGET.legalise(model)["uint8-to-int8"] == len(names)
    legal = residual.psnr(TARGET.emulate(model))
    assert build(rtx, model)
    assert emulated < written - 10
    assert legal > written - 7
    assert legal == residual.psnr(model)


def test_emulating_what_the_parser_refuses_is_an_error(residual: Residual) -> None:
    model = residual.quantized(Scheme.ASYMMETRIC, residual.names)
    with pytest.raises(GraphError, match=r"TensorRT computes nothing here: QuantizeLinear .* zero point"):
        TARGET.emulate(model)


def test_our_placement_beats_what_the_tools_place(residual: Residual) -> None:
    ours = residual.quantized(Scheme.SYMMETRIC, TARGET.placement(residual.layers).quantized)
    theirs = residual.by_nncf("PERFORMANCE")
    TARGET.legalise(theirs)
    assert residual.psnr(ours) > residual.psnr(theirs) + 1


# --- notes


def test_channels_that_do_not_fill_tensor_cores_are_noted(residual: Residual) -> None:
    odd, thin = TARGET.notes(residual.layers)
    assert odd.startswith("1 of 5 quantized layers have channels that are no multiple of 16")
    assert "fewer than 32 channels" in thin and residual.names[1] in thin
    assert TARGET.notes(()) == ()
