"""Fast mode, checked on the graph that ONNX Runtime's optimizer really makes; and accurate mode."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edge_i2i.errors import GraphError
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Range, Scheme
from edge_i2i.graphs.qdq.targets.onnxruntime import Mode, OnnxRuntimeTarget, integer_convolutions, quantize_outputs
from samples.graphs.residual import Residual
from samples.graphs.tiny import check, operations, parse, proto, random, run

FAST, ACCURATE = OnnxRuntimeTarget(), OnnxRuntimeTarget(Mode.ACCURATE)


def _fused(model: ir.Model) -> tuple[int, int]:
    return integer_convolutions(proto(model).SerializeToString())


def test_in_fast_mode_every_quantized_convolution_runs_on_integers(residual: Residual) -> None:
    names = FAST.placement(residual.layers).quantized
    model = residual.quantized(FAST.scheme, names)
    assert FAST.needs_outputs
    assert FAST.legalise(model, residual.outputs) == {"quantize-conv-outputs": len(names)}
    FAST.check(model)
    check(model)
    assert _fused(model) == (len(names), len(residual.names))
    assert FAST.notes(residual.layers)


def test_in_accurate_mode_none_does_and_quality_is_better(residual: Residual) -> None:
    names = ACCURATE.placement(residual.layers).quantized
    assert not ACCURATE.needs_outputs
    assert list(names) == residual.names[:-1]
    model = residual.quantized(ACCURATE.scheme, FAST.placement(residual.layers).quantized)
    assert ACCURATE.legalise(model) == {}
    ACCURATE.check(model)
    assert _fused(model) == (0, len(residual.names))
    fast = model.clone()
    FAST.legalise(fast, residual.outputs)
    assert residual.psnr(model) > residual.psnr(fast) + 2
    assert "float" in ACCURATE.notes(residual.layers)[0]


def test_a_float_graph_has_no_integer_convolutions(residual: Residual) -> None:
    assert _fused(residual.model()) == (0, len(residual.names))


def test_fast_mode_without_the_ranges_of_results_is_an_error_that_names_the_layers(residual: Residual) -> None:
    names = FAST.placement(residual.layers).quantized
    model = residual.quantized(FAST.scheme, names)
    with pytest.raises(GraphError, match="its result is not quantized, so that it runs in float"):
        FAST.check(model)
    with pytest.raises(GraphError, match=f"range is known for the result of {names[0]}"):
        FAST.legalise(model, {name: reach for name, reach in residual.outputs.items() if name != names[0]})
    with pytest.raises(GraphError, match="No range is known"):
        FAST.legalise(model)


def test_transposed_convolutions_have_no_integer_kernel(residual: Residual) -> None:
    transposed = [layer.name for layer in residual.layers if layer.operator == "ConvTranspose"]
    model = residual.quantized(FAST.scheme, transposed)
    with pytest.raises(GraphError, match="no integer kernel"):
        FAST.check(model)
    ACCURATE.check(model)


def test_pads_between_quantizer_and_convolution_prevent_fusion(residual: Residual) -> None:
    padded = [layer.name for layer in residual.layers[:-1] if layer.pad is not None]
    model = residual.quantized(FAST.scheme, padded, before_pads=True)
    FAST.legalise(model, residual.outputs)
    assert _fused(model) == (0, len(residual.names))
    with pytest.raises(GraphError, match="a Pad lies between"):
        FAST.check(model)


W = random(4, 4, 3, 3)
CONV = "Conv <pads=[1,1,1,1]>"


def _two(between: str) -> ir.Model:
    body = f"a = {CONV} (x, w, b) {between} c = {CONV} (m, v) y = Neg (c)"
    model = parse(f"g (float[1,4,8,8] x) => (float[1,4,8,8] y) {{ {body} }}", w=W, v=W[::-1].copy(), b=random(4))
    names = [layer.name for layer in find_layers(model)]
    ranges = {"w": Range(-3.0, 3.0), "v": Range(0.0, 20.0) if "Relu" in between else Range(-20.0, 20.0)}
    insert_qdq(model, ranges, Scheme.ASYMMETRIC, names)
    return model


@pytest.mark.parametrize(
    ("between", "outputs"),
    [("m = Relu (a)", 1), ("m = Identity (a)", 2), ("m = LeakyRelu (a)", 2), ("r = Relu (a) m = Add (r, x)", 2)],
)
def test_results_that_the_next_quantizer_takes_are_not_quantized_twice(between: str, outputs: int) -> None:
    model = _two(between)
    assert quantize_outputs(model, {"w": Range(-20.0, 20.0), "v": Range(-90.0, 90.0)}) == outputs
    FAST.check(model)
    check(model)
    assert _fused(model) == (2, 2)


def test_the_result_is_that_of_float_within_the_steps() -> None:
    model = _two("m = Relu (a)")
    x = {"x": np.clip(random(1, 4, 8, 8), -3, 3)}
    before = run(model, x, optimise=False)["y"]
    quantize_outputs(model, {"v": Range(-90.0, 90.0)})
    np.testing.assert_allclose(run(model, x)["y"], before, atol=2 * 180 / 255)


def test_ranges_of_layers_that_stay_in_float_do_no_harm(residual: Residual) -> None:
    model = residual.quantized(FAST.scheme, residual.names[1:2])
    assert quantize_outputs(model, residual.outputs) == 1
    assert operations(model).count("QuantizeLinear") == 2


def test_what_there_is_no_kernel_for_is_refused() -> None:
    body = "q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)"
    model = parse(f"g (float[4] x) => (float[4] y) {{ {body} }}", s=np.array(0.1, np.float32), z=np.zeros((), np.uint8))
    FAST.check(model)
    for node in model.graph:
        point = node.inputs[2]
        assert point is not None
        point.type = ir.TensorType(ir.DataType.UINT16)
    with pytest.raises(GraphError, match="it is UINT16, not UINT8 or INT8"):
        FAST.check(model)
