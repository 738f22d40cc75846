"""What a file is: a harmless graph passes, and one that is no plain graph with the declared border is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edge_i2i.errors import GraphFileError
from edge_i2i.gate import check_graph
from samples.graphs.hostile import DECLARATION, around, assert_refused, border, identity, model, node, weight

HUGE = 1 << 20
FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


def changed(change: Any, nodes: Any = None, weights: Any = ()) -> bytes:
    made = model(nodes or [node("Identity", "frame", "image")], weights)
    change(made)
    data: bytes = made.SerializeToString()
    return data


def test_a_harmless_graph_passes() -> None:
    check_graph(identity(), DECLARATION)
    check_graph(around([node("Relu", "x", "y")]), DECLARATION)


def test_messages_say_where_the_graph_lies() -> None:
    with pytest.raises(GraphFileError, match=r"'frame' \(fp32\) in the bundle 'a.i2i' is refused: it holds no graph"):
        check_graph(b"", DECLARATION, where=" (fp32) in the bundle 'a.i2i'")


@pytest.mark.parametrize(
    "location",
    ["secret.bin", "../secret.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", "_openvino_mem_address_", ""],
)
def test_weights_outside_the_file_are_refused(location: str) -> None:
    tensor = TensorProto(name="w", data_type=UINT8, dims=[16, 16, 3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "140000000"), ("length", "768")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    nodes = [node("Max", "frame w", "image")]
    assert_refused(changed(lambda made: None, nodes, [tensor]), "external data")
    constant = helper.make_node("Constant", [], ["image"], value=tensor)
    assert_refused(changed(lambda made: None, [constant]), "external data")


def test_data_said_to_lie_elsewhere_without_a_place_is_refused() -> None:
    tensor = TensorProto(name="w", data_type=UINT8, dims=[16, 16, 3], data_location=TensorProto.EXTERNAL)
    assert_refused(changed(lambda made: None, [node("Max", "frame w", "image")], [tensor]), "external data")


def _with_subgraph(operator: str) -> bytes:
    body = helper.make_graph([node("Identity", "frame", "b")], "body", [], [border("b")])
    names = ("then_branch", "else_branch") if operator == "If" else ("body",)
    inside = helper.make_node(operator, ["frame"], ["image"], **dict.fromkeys(names, body))
    data: bytes = model([inside]).SerializeToString()
    return data


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "SequenceMap"])
def test_graphs_inside_nodes_are_refused(operator: str) -> None:
    assert_refused(_with_subgraph(operator), "a loop or a branch")


def _function(made: onnx.ModelProto) -> None:
    made.functions.append(
        helper.make_function("own", "f", ["x"], ["y"], [node("Identity", "x", "y")], [helper.make_opsetid("", 18)])
    )


def _second_graph(made: onnx.ModelProto) -> None:
    made.training_info.add().algorithm.CopyFrom(made.graph)


def _sparse(made: onnx.ModelProto) -> None:
    made.graph.sparse_initializer.add().dims.append(1 << 40)


def _annotation(made: onnx.ModelProto) -> None:
    made.graph.quantization_annotation.add().tensor_name = "image"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_function, "functions of its own"),
        (_second_graph, "training"),
        (_sparse, "sparse"),
        (_annotation, "a part that is not allowed"),
        (lambda made: made.opset_import.append(helper.make_opsetid("com.microsoft", 1)), "domain 'com.microsoft'"),
        (lambda made: made.opset_import.append(helper.make_opsetid("", 18)), "operator sets"),
        (lambda made: made.opset_import.pop(), "operator sets"),
        (lambda made: setattr(made.opset_import[0], "version", 7), "operator sets"),
        (lambda made: setattr(made.opset_import[0], "version", 1 << 40), "operator sets"),
        (lambda made: setattr(made, "ir_version", 3), "version 3"),
        (lambda made: setattr(made.graph.node[0], "domain", "com.microsoft"), "not allowed"),
        (lambda made: setattr(made.graph.node[0], "op_type", "Unheard"), "not allowed"),
        (lambda made: setattr(made.graph.node[0], "overload", "x"), "a part that is not allowed"),
        (lambda made: made.graph.node[0].output.append("more"), "2 outputs"),
        (lambda made: made.graph.node[0].input.append("frame"), "2 inputs"),
        (lambda made: made.graph.node[0].attribute.append(helper.make_attribute("n", 1)), "attribute 'n'"),
    ],
)
def test_what_our_graphs_never_have_is_refused(change: Any, reason: str) -> None:
    assert_refused(changed(change), reason)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([node("Max", "frame b", "a"), node("Max", "a a", "b"), node("Identity", "b", "image")], "nothing before"),
        ([node("Max", "frame image", "image")], "nothing before"),
        ([node("Identity", "frame", "frame"), node("Identity", "frame", "image")], "two values called"),
        ([node("Identity", "frame", "image"), node("Identity", "frame", "image")], "two values called"),
        ([node("Identity", "elsewhere", "image")], "nothing before"),
        ([node("Identity", "frame", "other")], "no node gives"),
    ],
)
def test_every_value_comes_from_before_and_once(nodes: list[Any], reason: str) -> None:
    assert_refused(model(nodes).SerializeToString(), reason)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([border("x")], [border("image")]),
        ([border("frame")], [border("other")]),
        ([border("frame"), border("more")], [border("image")]),
        ([border("frame"), border("frame")], [border("image")]),
        ([border("frame")], [border("image"), border("image")]),
        ([border("frame", FLOAT)], [border("image")]),
        ([border("frame", shape=[32, 32, 3])], [border("image")]),
        ([border("frame", shape=["H", "W", 3])], [border("image")]),
        ([border("frame", shape=None)], [border("image")]),
        ([border("frame", shape=[16, 16])], [border("image")]),
        ([border("frame", shape=[16, 16, -1])], [border("image")]),
        ([border("frame")], [border("image", FLOAT)]),
        ([border("frame")], [border("image", shape=[16, 16, 4])]),
        ([], []),
    ],
)
def test_what_goes_in_and_out_is_what_is_declared(inputs: Any, outputs: Any) -> None:
    data = model([node("Identity", "frame", "image")], inputs=inputs, outputs=outputs).SerializeToString()
    assert_refused(data, "declared|impossible side")


def test_a_declaration_without_a_fixed_size_is_refused() -> None:
    spec = DECLARATION.inputs[0]
    loose = replace(DECLARATION, inputs=(replace(spec, shape=(-1, -1, 3)),))
    with pytest.raises(GraphFileError, match="no fixed size"):
        check_graph(identity(), loose)


def test_a_picture_of_another_size_than_the_border_says_is_refused() -> None:
    """An engine would write past the array that it was given."""
    nodes = [node("Tile", "frame times", "image")]
    assert_refused(model(nodes, [weight("times", [2, 2, 1])]).SerializeToString(), r"uint8\[32, 32, 3\]")


def test_what_a_file_says_of_its_inner_values_is_true() -> None:
    nodes = [node("Tile", "frame times", "large"), node("Slice", "large zero side", "image")]
    weights = [weight("times", [2, 1, 1]), weight("zero", [0]), weight("side", [16])]
    check_graph(model(nodes, weights, values=[border("large", shape=[32, 16, 3])]).SerializeToString(), DECLARATION)
    assert_refused(
        model(nodes, weights, values=[border("large", shape=[1, 16, 3])]).SerializeToString(), "it says that"
    )
    check_graph(model(nodes, weights, values=[border("ghost")]).SerializeToString(), DECLARATION)


def test_weights_hold_what_their_shape_says() -> None:
    def claim(*dims: int) -> bytes:
        tensor = TensorProto(name="w", data_type=UINT8, dims=dims, raw_data=b"\1" * 768)
        data: bytes = model([node("Max", "frame w", "image")], [tensor]).SerializeToString()
        return data

    for dims in ((16, 16, 4), (1 << 40,), (-1, 768), (1,) * 9, (0,)):
        assert_refused(claim(*dims), "another number|impossible shape")
    twice = TensorProto(name="w", data_type=FLOAT, dims=[1], raw_data=b"\0" * 4, float_data=[0.0])
    assert_refused(model([node("Identity", "frame", "image")], [twice]).SerializeToString(), "twice")
    text = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"a"])
    assert_refused(model([node("Identity", "frame", "image")], [text]).SerializeToString(), "not allowed")
