"""The gate: what is harmless passes, and everything else is refused with its reason before an engine sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_i2i.errors import BadInputError, GraphFileError
from edge_i2i.gate import Limits, check_graph
from edge_i2i.gate.limits import GraphCost
from samples.graphs.hostile import DECLARATION, around, border, identity, model, node, weight

HUGE = 1 << 20
FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


def refused(data: bytes, reason: str) -> None:
    with pytest.raises(GraphFileError, match=reason) as caught:
        check_graph(data, DECLARATION)
    assert isinstance(caught.value, BadInputError) and caught.value.exit_code == 4
    assert "upgrade" not in str(caught.value) and "install" not in str(caught.value)


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
    refused(changed(lambda made: None, nodes, [tensor]), "external data")
    constant = helper.make_node("Constant", [], ["image"], value=tensor)
    refused(changed(lambda made: None, [constant]), "external data")


def test_data_said_to_lie_elsewhere_without_a_place_is_refused() -> None:
    tensor = TensorProto(name="w", data_type=UINT8, dims=[16, 16, 3], data_location=TensorProto.EXTERNAL)
    refused(changed(lambda made: None, [node("Max", "frame w", "image")], [tensor]), "external data")


def _with_subgraph(operator: str) -> bytes:
    body = helper.make_graph([node("Identity", "frame", "b")], "body", [], [border("b")])
    names = ("then_branch", "else_branch") if operator == "If" else ("body",)
    inside = helper.make_node(operator, ["frame"], ["image"], **dict.fromkeys(names, body))
    data: bytes = model([inside]).SerializeToString()
    return data


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "SequenceMap"])
def test_graphs_inside_nodes_are_refused(operator: str) -> None:
    refused(_with_subgraph(operator), "a loop or a branch")


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
    refused(changed(change), reason)


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
    refused(model(nodes).SerializeToString(), reason)


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
    refused(data, "declared|impossible side")


def test_a_declaration_without_a_fixed_size_is_refused() -> None:
    spec = DECLARATION.inputs[0]
    loose = replace(DECLARATION, inputs=(replace(spec, shape=(-1, -1, 3)),))
    with pytest.raises(GraphFileError, match="no fixed size"):
        check_graph(identity(), loose)


def test_a_picture_of_another_size_than_the_border_says_is_refused() -> None:
    """An engine would write past the array that it was given."""
    nodes = [node("Tile", "frame times", "image")]
    refused(model(nodes, [weight("times", [2, 2, 1])]).SerializeToString(), r"uint8\[32, 32, 3\]")


def test_what_a_file_says_of_its_inner_values_is_true() -> None:
    nodes = [node("Tile", "frame times", "large"), node("Slice", "large zero side", "image")]
    weights = [weight("times", [2, 1, 1]), weight("zero", [0]), weight("side", [16])]
    check_graph(model(nodes, weights, values=[border("large", shape=[32, 16, 3])]).SerializeToString(), DECLARATION)
    refused(model(nodes, weights, values=[border("large", shape=[1, 16, 3])]).SerializeToString(), "it says that")
    check_graph(model(nodes, weights, values=[border("ghost")]).SerializeToString(), DECLARATION)


INDICES = [
    (["Gather", "x at", {"axis": 2}], [99], "looks up outside"),
    (["Gather", "x at", {"axis": 2}], [-17], "looks up outside"),
    (["Gather", "x at", {"axis": 2}], [1 << 62], "looks up outside"),
    (["Gather", "x at", {"axis": 7}], [0], "axis 7"),
    (["Slice", "x at at at", {}], [9], "axis 9"),
    (["Squeeze", "x at", {}], [3], "more than one side"),
    (["Reshape", "x at", {}], [1, 3, 16, 17], "shape"),
    (["Reshape", "x at", {}], [-1, -1, 16, 16], "shape"),
    (["Reshape", "x at", {"allowzero": 1}], [0, 3, 16, 16], "shape"),
    (["Pad", "x at", {"mode": "reflect"}], [0, 0, 16, 0, 0, 0, 0, 0], "reflects 16"),
    (["Pad", "x at", {}], [0, 0, -1, 0, 0, 0, 0, 0], "pads by"),
    (["Pad", "x at", {}], [0, 0, 1 << 40, 0, 0, 0, 0, 0], "pads by"),
    (["Pad", "x at", {"mode": "wrap"}], [0, 0, 1, 0, 0, 0, 0, 0], "not allowed"),
    (["Expand", "x at", {}], [1, 3, HUGE, HUGE], "do not fit"),
    (["Tile", "x at", {}], [1, 1, HUGE, HUGE], "bytes"),
    (["Tile", "x at", {}], [HUGE], "repeats"),
    (["ReduceMean", "x at", {}], [2, 2], "twice"),
    (["Split", "x at", {"axis": 1}], [5], "splits 3"),
]


@pytest.mark.parametrize(("said", "at", "reason"), INDICES)
def test_indices_sides_and_amounts_are_in_range(said: list[Any], at: Any, reason: str) -> None:
    operator, inputs, attributes = said
    refused(around([node(operator, inputs, "y", **attributes)], [weight("at", at)]), reason)


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("Gather", "x at"),
        ("Reshape", "x at"),
        ("Expand", "x at"),
        ("Tile", "x at"),
        ("Pad", "x at"),
        ("Slice", "x at at"),
    ],
)
def test_indices_that_a_graph_computes_are_refused(operator: str, inputs: str) -> None:
    """They could be anything once it runs, and engines do not look."""
    computed = [node("ReduceMax", "x", "m", keepdims=0), node("Cast", "m", "at", to=TensorProto.INT64)]
    refused(around([*computed, node(operator, inputs, "y")]), "computes")


@pytest.mark.parametrize(
    "operator", ["GatherND", "GatherElements", "ScatterND", "ScatterElements", "OneHot", "ConstantOfShape", "Range"]
)
def test_operators_that_we_never_write_are_refused(operator: str) -> None:
    refused(around([node(operator, "x first", "y")], []), "of a kind that is not allowed")


def _kernel(shape: Any) -> TensorProto:
    return weight("w", np.zeros(shape), "float32")


WINDOWS = [
    ((3, 3, 1, 1), {"group": 0}, "group"),
    ((3, 3, 1, 1), {"group": -1}, "group"),
    ((3, 3, 1, 1), {"group": 3}, "groups"),
    ((3, 4, 1, 1), {}, "channels"),
    ((3, 3, 1, 1), {"strides": [0, 0]}, "strides"),
    ((3, 3, 1, 1), {"strides": [-1, 1]}, "strides"),
    ((3, 3, 1, 1), {"dilations": [0, 1]}, "dilations"),
    ((3, 3, 3, 3), {"dilations": [1 << 40, 1]}, "dilations"),
    ((3, 3, 3, 3), {"pads": [1, 1, 1]}, "pads"),
    ((3, 3, 3, 3), {"pads": [99, 1, 1, 1]}, "pads"),
    ((3, 3, 3, 3), {"pads": [-1, 1, 1, 1]}, "pads"),
    ((3, 3, 3, 3), {"kernel_shape": [5, 5]}, "another kernel"),
    ((3, 3, 99, 99), {}, "shape"),
    ((3, 3, 3), {}, "kernel"),
    ((3, 3, 3, 3), {"auto_pad": "SAME_UPPER"}, "not allowed"),
]


@pytest.mark.parametrize(("shape", "attributes", "reason"), WINDOWS)
def test_convolutions_stay_inside_their_picture(shape: Any, attributes: Any, reason: str) -> None:
    refused(around([node("Conv", "x w", "y", **attributes)], [_kernel(shape)]), reason)


def test_transposed_convolutions_and_pools_too() -> None:
    refused(around([node("ConvTranspose", "x w", "y", output_padding=[9, 9])], [_kernel((3, 3, 2, 2))]), "adds")
    refused(around([node("ConvTranspose", "x w", "y", strides=[9999, 9999])], [_kernel((3, 3, 2, 2))]), "strides")
    refused(around([node("ConvTranspose", "x w", "y", strides=[64, 64])], [_kernel((3, 64, 2, 2))]), "bytes")
    refused(around([node("AveragePool", "x", "y", kernel_shape=[2, 2], pads=[2, 2, 2, 2])]), "pads")
    refused(around([node("MaxPool", "x", "y", kernel_shape=[0, 2])]), "kernel")


def test_whole_numbers_are_never_divided_by_zero() -> None:
    """That ends the process."""
    whole = [node("Cast", "x", "i", to=TensorProto.INT32)]
    back = [node("Cast", "d", "y", to=FLOAT)]
    zero = weight("z", 0, "int32")
    refused(around([*whole, node("Div", "i z", "d"), *back], [zero]), "zero")
    refused(around([*whole, node("Div", "i i", "d"), *back]), "zero")
    check_graph(around([*whole, node("Div", "i z", "d"), *back], [weight("z", 7, "int32")]), DECLARATION)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([node("Add", "x i", "y")], "different types"),
        ([node("Tanh", "i", "y")], "reads int32"),
        ([node("Conv", "x b", "y")], "reads int8"),
        ([node("Where", "x x x", "y")], "reads float32"),
        ([node("Cast", "x", "y", to=8)], "not allowed"),
        ([node("Cast", "x", "y", to=16)], "not allowed"),
        ([node("Cast", "x", "y", to=99)], "not allowed"),
        ([node("DequantizeLinear", "b x", "y")], "scales"),
        ([node("QuantizeLinear", "x nought", "q"), node("Cast", "q", "y", to=FLOAT)], "scales"),
    ],
)
def test_types_are_those_that_an_operator_takes(nodes: list[Any], reason: str) -> None:
    extra = [node("Cast", "x", "i", to=TensorProto.INT32)]
    weights = [weight("b", np.zeros((3, 3, 1, 1)), "int8"), weight("nought", 0, "float32")]
    refused(around([*extra, *nodes], weights), reason)


def test_memory_is_bounded_by_the_declared_size() -> None:
    """Values that are alive at once count, whoever made them."""
    large = [weight("times", [1, 1, 100, 100])]
    refused(
        around([node("Tile", "x times", "a"), node("Tile", "a times", "b"), node("ReduceMean", "b", "y")], large),
        "bytes",
    )
    many = [node("Tile", "x times", f"a{i}") for i in range(9)] + [
        node("Max", " ".join(f"a{i}" for i in range(8)), "y")
    ]
    refused(around(many, [weight("times", [1, 1, 60, 60])]), "bytes")
    passing = [node("Tile", "x times", "l"), node("Slice", "l zero side axis", "c"), node("ReduceMean", "l all", "m")]
    numbers = [weight("zero", [0, 0]), weight("side", [16, 16]), weight("axis", [2, 3]), weight("all", [2, 3])]
    enough = weight("times", [1, 1, 60, 60])
    check_graph(around([*passing, node("Add", "c m", "y")], [enough, *numbers]), DECLARATION)


def test_work_is_bounded_by_the_declared_size() -> None:
    kernel = _kernel((512, 512, 9, 9))
    grow = [node("Concat", " ".join(["x"] * 64), "c0", axis=1)]
    weights = [_kernel((512, 192, 1, 1))]
    weights[0].name = "g"
    repeated = [node("Conv", f"c{i} w", f"c{i + 1}", pads=[4, 4, 4, 4]) for i in range(1, 20)]
    last = [node("Slice", "c20 zero three one", "y")]
    numbers = [weight("zero", [0]), weight("three", [3]), weight("one", [1])]
    nodes = [*grow, node("Conv", "c0 g", "c1"), *repeated, *last]
    refused(around(nodes, [kernel, *weights, *numbers]), "multiplications")


def test_nodes_are_counted() -> None:
    nodes = [node("Identity", f"a{i}" if i else "frame", f"a{i + 1}") for i in range(50)]
    data = model([*nodes, node("Identity", "a50", "image")]).SerializeToString()
    check_graph(data, DECLARATION)
    with pytest.raises(GraphFileError, match="51 nodes"):
        check_graph(data, DECLARATION, Limits(nodes=50))


def test_shares_say_how_near_the_limits_are() -> None:
    limits, cost = Limits(), GraphCost(nodes=150, memory=1 << 25, work=1 << 34)
    shares = limits.shares(cost, DECLARATION)
    assert shares == {"nodes": 0.1, "memory": (1 << 25) / limits.memory(DECLARATION), "work": 1.0}


def test_weights_hold_what_their_shape_says() -> None:
    def claim(*dims: int) -> bytes:
        tensor = TensorProto(name="w", data_type=UINT8, dims=dims, raw_data=b"\1" * 768)
        data: bytes = model([node("Max", "frame w", "image")], [tensor]).SerializeToString()
        return data

    for dims in ((16, 16, 4), (1 << 40,), (-1, 768), (1,) * 9, (0,)):
        refused(claim(*dims), "another number|impossible shape")
    twice = TensorProto(name="w", data_type=FLOAT, dims=[1], raw_data=b"\0" * 4, float_data=[0.0])
    refused(model([node("Identity", "frame", "image")], [twice]).SerializeToString(), "twice")
    text = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"a"])
    refused(model([node("Identity", "frame", "image")], [text]).SerializeToString(), "not allowed")


def test_what_engines_keep_beside_a_value_counts_as_memory() -> None:
    """ONNX Runtime asked for 17 GB here; the picture that comes out has 9 MB."""
    nodes = [node("Tile", "x times", "a"), node("ConvTranspose", "a w", "b"), node("ReduceMean", "b", "m")]
    weights = [weight("times", [1, 1, 4, 4]), _kernel((3, 64, 127, 127))]
    refused(around([*nodes, node("Add", "x m", "y")], weights), "bytes")


@pytest.mark.parametrize("attributes", [{"strides": [60_000, 60_000]}, {"dilations": [1, 60_000]}])
@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_steps_of_kernels_are_short(operator: str, attributes: Any) -> None:
    """OpenVINO ends the process where a transposed convolution spreads one pixel over 60,000."""
    nodes = [node("ReduceMean", "x all", "m"), node(operator, "m w", "b", **attributes), node("ReduceMean", "b", "c")]
    weights = [weight("all", [2, 3]), _kernel((3, 3, 1, 1))]
    refused(around([*nodes, node("Add", "x c", "y")], weights), "strides|dilations")


@pytest.mark.parametrize(
    ("made", "shape"),
    [
        (node("Concat", "x e", "y", axis=2), (1, 3, 0, 16)),
        (node("Conv", "e w", "y"), (1, 0, 16, 16)),
        (node("MatMul", "x e", "y"), (16, 0)),
        (node("ReduceMax", "e", "y"), (1, 3, 0, 16)),
        (node("ArgMax", "e", "y", axis=0), (0, 16)),
        (node("Gather", "e e", "y"), (0,)),
    ],
)
def test_values_that_hold_nothing_are_refused(made: Any, shape: Any) -> None:
    """What comes out of nothing is another thing on every engine."""
    empty = [weight("e", np.zeros(shape), "float32"), weight("w", np.zeros((3, 0, 1, 1)), "float32")]
    refused(around([made], empty), "reads nothing")


@pytest.mark.parametrize("sizes", [[2, 3, 16, 16], [1, 6, 16, 16], [1, 3, 16]])
def test_pictures_alone_are_resized(sizes: Any) -> None:
    refused(around([node("Resize", "x - - sizes", "y", mode="linear")], [weight("sizes", sizes)]), "resizes")


def test_what_a_run_would_refuse_is_refused_before() -> None:
    truth = [node("Greater", "x x", "b")]
    refused(around([*truth, node("Where", "b b b", "c"), node("Cast", "c", "y", to=FLOAT)]), "reads bool")
    limits = [weight("none", float("nan"), "float32")]
    refused(around([node("Clip", "x none", "y")], limits), "no number")
    refused(model([], [weight("image", np.zeros((16, 16, 3)), "uint8")]).SerializeToString(), "no node gives")
    whole = [node("Cast", "x", "i", to=TensorProto.INT32), node("ReduceMean", "i", "m")]
    refused(around([*whole, node("Cast", "m", "y", to=FLOAT)]), "reads int32")
    steps = [weight("step", 0.1, "float32"), weight("wide", 0, "uint16")]
    refused(
        around([node("QuantizeLinear", "x step wide", "q"), node("Cast", "q", "y", to=FLOAT)], steps), "reads uint16"
    )
    line = [weight("flat", [1, 3, 256]), _kernel((3, 3, 1))]
    refused(around([node("Reshape", "x flat", "l"), node("Conv", "l w", "y")], line), "kernel")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (node("DequantizeLinear", "w16 step", "y"), "reads int16"),
        (node("DequantizeLinear", "w8 half", "y"), "reads float16"),
        (node("BatchNormalization", "x b b b b", "y", epsilon=-1.0), "epsilon = -1"),
        (node("InstanceNormalization", "x b b", "y", epsilon=float("nan")), "no number"),
        (node("LayerNormalization", "x line", "y", epsilon=-1e-5), "epsilon"),
        (node("LeakyRelu", "x", "y", alpha=float("inf")), "no number"),
        (node("DepthToSpace", "i", "y", blocksize=1), "reads int32"),
        (node("SpaceToDepth", "i", "y", blocksize=2), "reads int32"),
        (node("Resize", "x - twice", "y", mode="linear", exclude_outside=1), "exclude_outside"),
        (node("Resize", "x - twice", "y", mode="nearest", nearest_mode="floor", antialias=1), "antialias"),
    ],
    ids=lambda made: made if isinstance(made, str) else made.op_type,
)
def test_what_one_engine_alone_would_take_is_refused(made: Any, reason: str) -> None:
    """Found by running every operator with every type on ONNX Runtime and OpenVINO."""
    weights = [
        weight("w16", np.ones((1, 3, 16, 16)), "int16"),
        weight("w8", np.ones((1, 3, 16, 16)), "int8"),
        weight("step", 0.5, "float32"),
        weight("half", 0.5, "float16"),
        weight("b", np.ones(3), "float32"),
        weight("line", np.ones(16), "float32"),
        weight("twice", [1, 1, 2, 2], "float32"),
    ]
    refused(around([node("Cast", "x", "i", to=TensorProto.INT32), made], weights), reason)


def test_what_engines_compute_beforehand_is_kept_all_at_once() -> None:
    """Each is freed where it is read, and yet engines fold all of them before the first run: 10 GB and more."""
    sizes = [weight("large", [1, 3, 1024, 1024]), weight("all", [2, 3])]
    nodes = [
        made
        for i in range(8)
        for made in (
            node("Expand", f"c{i} large", f"e{i}"),
            node("Mul", f"e{i} {f'm{i - 1}' if i else 'n'}", f"p{i}"),
            node("ReduceMean", f"p{i} all", f"m{i}"),
        )
    ]
    whole = [node("ReduceMean", "x all", "n"), *nodes, node("Add", "x m7", "y")]
    weights = [weight(f"c{i}", np.full((1, 3, 1, 1), i), "float32") for i in range(8)]
    refused(around(whole, [*weights, *sizes]), "computed from weights")
    check_graph(around([*whole[:4], node("Add", "x m0", "y")], [*weights, *sizes]), DECLARATION)


def test_a_graph_says_what_it_takes() -> None:
    taken = check_graph(identity(), DECLARATION)
    assert (taken.nodes, taken.memory, taken.work) == (1, 768, 768)
