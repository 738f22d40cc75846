"""What all targets have in common: names, placement, legal graphs."""

from __future__ import annotations

import re

import numpy as np
import pytest

from edge_i2i.errors import GraphError, UsageError
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.targets import Target, get_target, target_names
from samples.graphs.residual import Residual
from samples.graphs.tiny import GraphMaker, check, parse, proto, random

TARGETS = [get_target(name) for name in target_names()]


@pytest.fixture(params=TARGETS, ids=target_names())
def target(request: pytest.FixtureRequest) -> Target:
    made: Target = request.param
    return made


def test_targets_come_by_name() -> None:
    assert target_names() == ("openvino", "onnxruntime", "tensorrt")
    assert [target.name for target in TARGETS] == list(target_names())
    assert all(target.title for target in TARGETS)
    assert all(item.name and item.summary for target in TARGETS for item in target.passes)


def test_an_unknown_target_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="no quantization target 'tensor-rt'") as caught:
        get_target("tensor-rt")
    assert caught.value.remedy == "Did you mean 'tensorrt'? Known targets: openvino, onnxruntime, tensorrt."
    with pytest.raises(UsageError) as caught:
        get_target("zzz")
    assert caught.value.remedy.startswith("Known targets")


def test_every_layer_is_quantized_or_has_a_reason(residual: Residual, target: Target) -> None:
    placement = target.placement(residual.layers)
    assert sorted([*placement.quantized, *placement.left_out]) == sorted(residual.names)
    assert list(placement.quantized) == [name for name in residual.names if name in placement.quantized]
    assert all(reason and not reason.endswith(".") for reason in placement.left_out.values())


def test_the_layer_that_makes_the_picture_stays_in_float(residual: Residual, target: Target) -> None:
    assert residual.names[-1] in target.placement(residual.layers).left_out


def test_graphs_that_were_quantized_for_a_target_are_legal(residual: Residual, target: Target) -> None:
    model = residual.quantized_for(target)
    target.legalise(model, residual.outputs)
    target.check(model)
    check(model)
    again = target.legalise(model, residual.outputs)
    assert not any(again.values()), "legalising twice changes something"


def test_what_the_target_computes_of_a_legal_graph_is_what_is_written(residual: Residual, target: Target) -> None:
    model = residual.quantized_for(target)
    target.legalise(model, residual.outputs)
    assert proto(target.emulate(model)).SerializeToString() == proto(model).SerializeToString()


def test_float_graphs_are_legal_everywhere(residual: Residual, target: Target) -> None:
    model = residual.model()
    assert not any(target.legalise(model, residual.outputs).values())
    target.check(model)


graph = GraphMaker("float[1,4,8,8] x", "float[1,4,8,8] y")


@pytest.mark.parametrize("target", [get_target(name) for name in ("openvino", "tensorrt")], ids=lambda it: it.name)
def test_scales_that_are_computed_are_refused(target: Target) -> None:
    body = "s = ReduceMax <keepdims=0> (x) q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)"
    with pytest.raises(GraphError, match="computed while the graph runs") as caught:
        target.check(graph(body, z=np.int8(0)))
    assert f"--target {target.name}" in caught.value.remedy


def test_an_error_names_every_node() -> None:
    pairs = [f"q{i} = QuantizeLinear (x{i}, s, z) x{i + 1} = DequantizeLinear (q{i}, s, z)" for i in range(12)]
    body = "x0 = Relu (x) " + " ".join(pairs) + " y = Relu (x12)"
    model = graph(body, s=np.float32(0.1), z=np.uint8(3))
    with pytest.raises(GraphError) as caught:
        get_target("tensorrt").check(model)
    found = get_target("tensorrt").faults(model)
    assert len(found) == 24 and "and 16 more" in caught.value.what
    assert len(re.findall("is refused", caught.value.what)) == 8


# --- placement, layer by layer


def _reasons(target: str, operator: str, attributes: str, weight: tuple[int, ...], rectified: bool = True) -> str:
    transposed = operator == "ConvTranspose"
    groups = int(found[1]) if (found := re.search(r"group=(\d+)", attributes)) else 1
    channels = weight[0] if transposed else weight[1] * groups
    into = "Relu (x)" if rectified else "LeakyRelu (x)"
    body = f"r = {into} c = {operator} <{attributes}> (r, w) n = Relu (c) y = Conv (n, last)"
    outputs = weight[1] * groups if transposed else weight[0]
    model = parse(
        f"g (float[1,{channels},8,8] x) => (float[1,3,a,b] y) {{ {body} }}",
        w=random(*weight),
        last=random(3, outputs, 1, 1),
    )
    return get_target(target).placement(find_layers(model)).left_out.get("w", "")


@pytest.mark.parametrize(
    ("target", "operator", "attributes", "weight", "rectified", "reason"),
    [
        ("tensorrt", "Conv", "group=1", (8, 8, 3, 3), True, ""),
        ("tensorrt", "Conv", "group=2", (8, 4, 3, 3), True, ""),
        ("tensorrt", "Conv", "group=8", (8, 1, 3, 3), True, "depthwise"),
        ("tensorrt", "Conv", "group=1", (8, 3, 3, 3), True, "3 channels"),
        ("tensorrt", "ConvTranspose", "group=1", (8, 8, 3, 3), True, "transposed"),
        ("openvino", "Conv", "group=1", (8, 3, 3, 3), True, ""),
        ("openvino", "Conv", "group=8", (8, 1, 3, 3), True, ""),
        ("openvino", "ConvTranspose", "group=1", (8, 8, 3, 3), True, ""),
        ("openvino", "ConvTranspose", "group=2", (8, 4, 3, 3), True, "no integer kernel"),
        ("onnxruntime", "Conv", "group=8", (8, 1, 3, 3), True, ""),
        ("onnxruntime", "ConvTranspose", "group=1", (8, 8, 3, 3), True, "no integer kernel"),
    ],
)
def test_layers_are_left_out_for_a_reason(
    target: str, operator: str, attributes: str, weight: tuple[int, ...], rectified: bool, reason: str
) -> None:
    found = _reasons(target, operator, attributes, weight, rectified)
    assert reason in found and bool(found) == bool(reason)
