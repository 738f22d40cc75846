"""What operators are given: nothing that reads, writes or counts outside of what is there reaches an engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from edge_i2i.gate import check_graph
from samples.graphs.hostile import DECLARATION, around, assert_refused, kernel, model, node, weight

HUGE = 1 << 20
FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


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
    assert_refused(around([node(operator, inputs, "y", **attributes)], [weight("at", at)]), reason)


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
    assert_refused(around([*computed, node(operator, inputs, "y")]), "computes")


@pytest.mark.parametrize(
    "operator", ["GatherND", "GatherElements", "ScatterND", "ScatterElements", "OneHot", "ConstantOfShape", "Range"]
)
def test_operators_that_we_never_write_are_refused(operator: str) -> None:
    assert_refused(around([node(operator, "x first", "y")], []), "of a kind that is not allowed")


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
    assert_refused(around([node("Conv", "x w", "y", **attributes)], [kernel(shape)]), reason)


def test_transposed_convolutions_and_pools_too() -> None:
    assert_refused(around([node("ConvTranspose", "x w", "y", output_padding=[9, 9])], [kernel((3, 3, 2, 2))]), "adds")
    assert_refused(around([node("ConvTranspose", "x w", "y", strides=[9999, 9999])], [kernel((3, 3, 2, 2))]), "strides")
    assert_refused(around([node("ConvTranspose", "x w", "y", strides=[64, 64])], [kernel((3, 64, 2, 2))]), "bytes")
    assert_refused(around([node("AveragePool", "x", "y", kernel_shape=[2, 2], pads=[2, 2, 2, 2])]), "pads")
    assert_refused(around([node("MaxPool", "x", "y", kernel_shape=[0, 2])]), "kernel")


def test_whole_numbers_are_never_divided_by_zero() -> None:
    """That ends the process."""
    whole = [node("Cast", "x", "i", to=TensorProto.INT32)]
    back = [node("Cast", "d", "y", to=FLOAT)]
    zero = weight("z", 0, "int32")
    assert_refused(around([*whole, node("Div", "i z", "d"), *back], [zero]), "zero")
    assert_refused(around([*whole, node("Div", "i i", "d"), *back]), "zero")
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
    assert_refused(around([*extra, *nodes], weights), reason)


@pytest.mark.parametrize("attributes", [{"strides": [60_000, 60_000]}, {"dilations": [1, 60_000]}])
@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_steps_of_kernels_are_short(operator: str, attributes: Any) -> None:
    """OpenVINO ends the process where a transposed convolution spreads one pixel over 60,000."""
    nodes = [node("ReduceMean", "x all", "m"), node(operator, "m w", "b", **attributes), node("ReduceMean", "b", "c")]
    weights = [weight("all", [2, 3]), kernel((3, 3, 1, 1))]
    assert_refused(around([*nodes, node("Add", "x c", "y")], weights), "strides|dilations")


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
    assert_refused(around([made], empty), "reads nothing")


@pytest.mark.parametrize("sizes", [[2, 3, 16, 16], [1, 6, 16, 16], [1, 3, 16]])
def test_pictures_alone_are_resized(sizes: Any) -> None:
    assert_refused(around([node("Resize", "x - - sizes", "y", mode="linear")], [weight("sizes", sizes)]), "resizes")


def test_what_a_run_would_refuse_is_refused_before() -> None:
    truth = [node("Greater", "x x", "b")]
    assert_refused(around([*truth, node("Where", "b b b", "c"), node("Cast", "c", "y", to=FLOAT)]), "reads bool")
    limits = [weight("none", float("nan"), "float32")]
    assert_refused(around([node("Clip", "x none", "y")], limits), "no number")
    assert_refused(model([], [weight("image", np.zeros((16, 16, 3)), "uint8")]).SerializeToString(), "no node gives")
    whole = [node("Cast", "x", "i", to=TensorProto.INT32), node("ReduceMean", "i", "m")]
    assert_refused(around([*whole, node("Cast", "m", "y", to=FLOAT)]), "reads int32")
    steps = [weight("step", 0.1, "float32"), weight("wide", 0, "uint16")]
    assert_refused(
        around([node("QuantizeLinear", "x step wide", "q"), node("Cast", "q", "y", to=FLOAT)], steps), "reads uint16"
    )
    line = [weight("flat", [1, 3, 256]), kernel((3, 3, 1))]
    assert_refused(around([node("Reshape", "x flat", "l"), node("Conv", "l w", "y")], line), "kernel")


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
    assert_refused(around([node("Cast", "x", "i", to=TensorProto.INT32), made], weights), reason)
