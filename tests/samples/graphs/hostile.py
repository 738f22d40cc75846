"""Small graphs for the gate: ``frame`` uint8 [16, 16, 3] in, ``image`` out, and what lies between given by a test."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec
from edge_i2i.errors import BadInputError, GraphFileError
from edge_i2i.gate import check_graph

SIZE = Size(16, 16)
SHAPE = [16, 16, 3]
DECLARATION = GraphDeclaration(
    "frame",
    GraphKind.FRAME,
    (picture_spec("frame", Role.FRAME, SIZE, "the frame"),),
    (picture_spec("image", Role.IMAGE, SIZE, "the picture"),),
)

Node = Any


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Node:
    """An operation; names are separated by blanks, and ``-`` is an input that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(operator, names, outputs.split(), **attributes)


def weight(name: str, value: Any, dtype: str = "int64") -> TensorProto:
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def border(name: str, dtype: int = TensorProto.UINT8, shape: Any = tuple(SHAPE)) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes: list[Node], weights: Any = (), **more: Any) -> onnx.ModelProto:
    """A model of these nodes; ``inputs``, ``outputs`` and ``values`` besides the usual."""
    graph = helper.make_graph(
        nodes,
        "g",
        more.get("inputs", [border("frame")]),
        more.get("outputs", [border("image")]),
        initializer=list(weights),
        value_info=more.get("values", []),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def around(nodes: list[Node], weights: Any = ()) -> bytes:
    """Nodes that make float ``y`` [1, 3, 16, 16] out of ``x`` of that shape, and what leads to them and on."""
    before = [
        node("Cast", "frame", "f", to=TensorProto.FLOAT),
        node("Transpose", "f", "t", perm=[2, 0, 1]),
        node("Unsqueeze", "t first", "x"),
    ]
    after = [
        node("Squeeze", "y first", "s"),
        node("Transpose", "s", "p", perm=[1, 2, 0]),
        node("Cast", "p", "image", to=TensorProto.UINT8),
    ]
    made: bytes = model([*before, *nodes, *after], [weight("first", [0]), *weights]).SerializeToString()
    return made


def identity() -> bytes:
    """What a harmless graph is."""
    made: bytes = model([node("Identity", "frame", "image")]).SerializeToString()
    return made


def kernel(shape: Any) -> TensorProto:
    """Weights ``w`` of a convolution, all 0."""
    return weight("w", np.zeros(shape), "float32")


def assert_refused(data: bytes, reason: str) -> None:
    """The gate refuses a graph as bad input, for that reason, and never says that an upgrade would help."""
    with pytest.raises(GraphFileError, match=reason) as caught:
        check_graph(data, DECLARATION)
    assert isinstance(caught.value, BadInputError) and caught.value.exit_code == 4
    assert "upgrade" not in str(caught.value) and "install" not in str(caught.value)
