"""The float output comes back where the exporter's scaling is found, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
from edge_i2i.graphs.passes.outputs import expose_network_output, keep_declared_outputs
from edge_i2i.metrics.parity import NETWORK_OUTPUT
from samples.sensitive import painter, scenes


def run(model: ir.Model) -> dict[str, np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    data = model_to_bytes(model)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    frame = session.get_inputs()[0].shape
    sample = scenes()[0]["frame"]
    given = sample if list(sample.shape) == frame else np.resize(sample, frame)
    return dict(zip(names, session.run(names, {"frame": given}), strict=True))


def test_it_is_what_the_picture_is_rounded_from() -> None:
    model = model_from_bytes(painter().data)
    before = run(model)
    assert expose_network_output(model) == 1
    after = run(model)
    assert list(after) == ["image", NETWORK_OUTPUT] and np.array_equal(before["image"], after["image"])
    assert after[NETWORK_OUTPUT].shape == (3, 40, 48) and np.abs(after[NETWORK_OUTPUT]).max() < 1.001
    rounded = np.rint((after[NETWORK_OUTPUT] + np.float32(1)) * np.float32(127.5))
    assert np.array_equal(rounded.transpose(1, 2, 0), after["image"])


def test_once_is_enough_and_it_can_be_dropped_again() -> None:
    model = model_from_bytes(painter().data)
    assert expose_network_output(model) == 1 and expose_network_output(model) == 0
    assert keep_declared_outputs(model) == 1
    assert [value.name for value in model.graph.outputs] == ["image"]
    assert len(model.graph) == len(model_from_bytes(painter().data).graph)


@pytest.mark.parametrize("variant", ["fp32", "fp16"])
def test_it_is_found_in_what_the_exporter_writes(rgb_bundle: object, variant: str) -> None:
    model = model_from_bytes(open_bundle(rgb_bundle).graph("frame", variant).read())
    assert expose_network_output(model) == 1
    found = run(model)
    assert found[NETWORK_OUTPUT].dtype == np.float32 and found[NETWORK_OUTPUT].shape == (3, 64, 96)
    grey = (found[NETWORK_OUTPUT].transpose(1, 2, 0) + 1) * 127.5
    assert np.abs(grey - found["image"]).max() < 0.6


@pytest.mark.parametrize(
    "tail",
    [
        "scaled = Mul(x, c255) kept = Clip(scaled) image = Cast<to=2>(kept)",
        "light = Add(x, half) grey = Mul(light, c127) image = Cast<to=2>(grey)",
        "light = Add(x, one) grey = Mul(light, c255) image = Cast<to=2>(grey)",
        "light = Add(x, x) grey = Mul(light, c127) image = Cast<to=2>(grey)",
        "image = Cast<to=2>(x)",
    ],
)
def test_another_scaling_is_left_alone(tail: str) -> None:
    lines = tail.replace(") ", ")\n").splitlines()
    text = f"""<ir_version: 10, opset_import: ["" : 18]>
    other (float[3,4,4] given) => (uint8[3,4,4] image)
    <float one = {{1}}, float half = {{0.5}}, float c127 = {{127.5}}, float c255 = {{255}}> {{
        x = Tanh(given)
        {" ".join(lines)}
    }}"""
    model = ir.from_proto(onnx.parser.parse_model(text))
    before = model_to_bytes(model)
    assert expose_network_output(model) == 0
    assert model_to_bytes(model) == before


def test_a_graph_that_hands_its_input_through_has_none() -> None:
    text = '<ir_version: 10, opset_import: ["" : 18]> a (uint8[3,4,4] x) => (uint8[3,4,4] y) { y = Identity(x) }'
    assert expose_network_output(ir.from_proto(onnx.parser.parse_model(text))) == 0
