"""What OpenVINO runs on integers, read from the graph that it executes; and that it computes what is written."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edge_i2i.engines.openvino.engine import OVERFLOW_SAFE
from edge_i2i.errors import GraphError
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.scheme import Range, Scheme, WeightMemo
from edge_i2i.graphs.qdq.targets.openvino import OpenVinoTarget
from samples.graphs.residual import Residual
from samples.graphs.tiny import check, parse, proto, random, run

TARGET = OpenVinoTarget()


def test_every_layer_of_the_placement_runs_on_integers_and_no_other(residual: Residual) -> None:
    names = TARGET.placement(residual.layers).quantized
    _, precisions = residual.on_openvino(residual.quantized_for(TARGET))
    integers = [precision in ("u8", "i8") for precision in precisions.values()]
    assert integers == [name in names for name in residual.names]


def test_of_transposed_convolutions_those_in_groups_have_no_integer_kernel(residual: Residual) -> None:
    layers = [layer for layer in residual.layers if layer.operator == "ConvTranspose"]
    assert {layer.groups > 1 for layer in layers} == {False, True}
    for layer in layers:
        _, precisions = residual.on_openvino(residual.quantized(TARGET.scheme, [layer.name]))
        assert any(precision in ("u8", "i8") for precision in precisions.values()) is (layer.groups == 1)


def test_transposed_convolutions_are_the_first_to_go_back_to_float(residual: Residual) -> None:
    placement = TARGET.placement(residual.layers)
    (transposed,) = (it.name for it in residual.layers if it.operator == "ConvTranspose" and it.groups == 1)
    assert placement.delicate == (transposed,) and transposed in placement.quantized


@pytest.mark.parametrize("scheme", Scheme)
def test_layer_by_layer_it_computes_what_is_written(residual: Residual, scheme: Scheme) -> None:
    """All layers at once would show nothing: a rounding tie in one of them moves every number behind it."""
    for name in residual.names[1:-1:2]:
        model = residual.quantized(scheme, [name])
        results, _ = residual.on_openvino(model)
        assert residual.psnr_of(results) == pytest.approx(residual.psnr(model), abs=0.1)


def test_all_layers_together_have_the_quality_that_the_emulation_states(residual: Residual) -> None:
    model = residual.quantized_for(TARGET)
    results, _ = residual.on_openvino(model)
    assert residual.psnr_of(results) == pytest.approx(residual.psnr(TARGET.emulate(model)), abs=0.5)


# Where OpenVINO takes INT8 for UINT8 -----------------------------------------------------------------------------

X, MORE = (np.clip(random(1, 4, 8, 8, seed=seed), -2, 2) for seed in (3, 4))
REPEATED = np.array([0, 0, 1, 1] * 2, np.int64)
FACTORS = np.linspace(0.5, 1, 8, dtype=np.float32).reshape(1, 8, 1, 1)
ELSEWHERE = "c = Concat <axis=1> (x, more) m = ReduceMean <keepdims=0> (c) y = Add (z, m)"

MISREAD = {
    "before a reflecting pad": (4, f'f = LeakyRelu (x) p = Pad <mode="reflect"> (f, pads) z = Conv (p, w) {ELSEWHERE}'),
    "before a repeating pad": (4, f'f = LeakyRelu (x) p = Pad <mode="edge"> (f, pads) z = Conv (p, w) {ELSEWHERE}'),
    "behind a concat": (8, "c = Concat <axis=1> (x, more) y = Conv <pads=[1,1,1,1]> (c, w)"),
    "behind a concat and a product": (
        8,
        "c = Concat <axis=1> (x, more) f = Mul (c, factors) y = Conv <pads=[1,1,1,1]> (f, w)",
    ),
}


def _signed(channels: int, body: str) -> ir.Model:
    model = parse(
        f"g (float[1,4,8,8] x, float[1,4,8,8] more) => (float[1,4,8,8] y) {{ {body} }}",
        w=random(4, channels, 3, 3),
        pads=REPEATED,
        factors=FACTORS,
    )
    memo = WeightMemo(OVERFLOW_SAFE)
    insert_qdq(model, {"w": Range(-2.0, 2.0)}, TARGET.scheme, ["w"], before_pads=TARGET.before_pads, memo=memo)
    return model


def _off_by(model: ir.Model) -> float:
    """How far OpenVINO is from what is written."""
    import openvino

    core, sample = openvino.Core(), {"x": X, "more": MORE}
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(proto(model).SerializeToString()), "CPU", settings)
    return float(np.abs(compiled(sample)["y"] - run(model, sample, optimise=False)["y"]).max())


@pytest.mark.parametrize(("channels", "body"), MISREAD.values(), ids=MISREAD)
def test_int8_in_a_graph_with_a_concat_is_written_as_uint8(channels: int, body: str) -> None:
    model = _signed(channels, body)
    as_int8 = run(model, {"x": X, "more": MORE}, optimise=False)["y"]
    with pytest.raises(GraphError, match="taken for UINT8"):
        TARGET.check(model)
    assert TARGET.legalise(model) == {"int8-to-uint8": 1}
    check(model)
    TARGET.check(model)
    np.testing.assert_array_equal(run(model, {"x": X, "more": MORE}, optimise=False)["y"], as_int8)
    assert _off_by(model) < 1e-3


def test_without_a_concat_int8_stays() -> None:
    model = _signed(4, 'f = LeakyRelu (x) p = Pad <mode="reflect"> (f, pads) z = Conv (p, w) y = Add (z, more)')
    assert TARGET.legalise(model) == {"int8-to-uint8": 0}
    TARGET.check(model)
    assert _off_by(model) < 1e-3


@pytest.mark.parametrize("preset", ["MIXED", "PERFORMANCE"])
def test_what_nncf_writes_is_legal(residual: Residual, preset: str) -> None:
    model = residual.by_nncf(preset)
    assert TARGET.legalise(model) == {"int8-to-uint8": 0}
    TARGET.check(model)


def test_a_computed_bias_is_refused() -> None:
    body = "q = Cast <to=6> (x) y = DequantizeLinear (q, s)"
    with pytest.raises(GraphError, match="INT32 is for biases"):
        TARGET.check(parse(f"g (float[4] x) => (float[4] y) {{ {body} }}", s=np.array(0.1, np.float32)))
