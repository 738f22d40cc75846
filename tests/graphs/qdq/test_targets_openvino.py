"""What OpenVINO runs on integers, read from the graph that it executes; and that it computes what is written."""

from __future__ import annotations

import numpy as np
import pytest
from residual_net import Residual
from tiny_graphs import parse

from edge_i2i.errors import GraphError
from edge_i2i.graphs.qdq.scheme import Scheme
from edge_i2i.graphs.qdq.targets.openvino import OpenVinoTarget

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


@pytest.mark.parametrize("preset", ["MIXED", "PERFORMANCE"])
def test_what_nncf_writes_is_legal(residual: Residual, preset: str) -> None:
    model = residual.by_nncf(preset)
    assert TARGET.legalise(model) == {}
    TARGET.check(model)


def test_a_computed_bias_is_refused() -> None:
    body = "q = Cast <to=6> (x) y = DequantizeLinear (q, s)"
    with pytest.raises(GraphError, match="INT32 is for biases"):
        TARGET.check(parse(f"g (float[4] x) => (float[4] y) {{ {body} }}", s=np.array(0.1, np.float32)))
