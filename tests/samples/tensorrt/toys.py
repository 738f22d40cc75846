"""A toy translation graph, graph sources in memory, and an engine key, for the TensorRT tests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec
from edge_i2i.engines.tensorrt.device import DeviceAttributes, HostPlatform
from edge_i2i.engines.tensorrt.key import EngineKey
from edge_i2i.engines.tensorrt.options import BuildOptions

SIZE = Size(32, 48)
DEVICE = DeviceAttributes("Orin", "8.7", 16, 128, 4 << 20, 49152, 166912, 167936, 16 << 30, True, False, "12.6")
KEY = EngineKey(
    graph="frame",
    variant="fp16",
    graph_sha256="0" * 64,
    runtime="tensorrt",
    version="10.3.0",
    options=BuildOptions(workspace_mb=512, targets=("8.6", "8.9")),
    host=HostPlatform("Linux", "aarch64"),
    device=DEVICE,
)


def toy_declaration(size: Size = SIZE) -> GraphDeclaration:
    """A picture in, a picture out."""
    frame = picture_spec("frame", Role.FRAME, size, "the picture to translate")
    image = picture_spec("image", Role.IMAGE, size, "the translated picture")
    return GraphDeclaration("frame", GraphKind.FRAME, (frame,), (image,))


def toy_graph(size: Size = SIZE, *, unknown_operator: bool = False) -> bytes:
    """uint8 HWC → reflect pad, convolution, instance norm, ReLU, convolution, tanh → uint8 HWC, opset 18."""
    generator = np.random.default_rng(0)
    shape = [size.height, size.width, 3]
    constants = {
        "first": generator.standard_normal((8, 3, 7, 7)).astype("f") * 0.1,
        "second": generator.standard_normal((3, 8, 7, 7)).astype("f") * 0.1,
        "scale": np.ones(8, "f"),
        "shift": np.zeros(8, "f"),
        "pads": np.array([0, 0, 3, 3, 0, 0, 3, 3], "i8"),
        "half": np.float32(127.5),
        "one": np.float32(1),
        "low": np.float32(0),
        "high": np.float32(255),
        "batch": np.array([0], "i8"),
    }
    steps: list[tuple[str, list[str], dict[str, object]]] = [
        ("Cast", ["frame"], {"to": TensorProto.FLOAT}),
        ("Transpose", ["@"], {"perm": [2, 0, 1]}),
        ("Unsqueeze", ["@", "batch"], {}),
        ("Div", ["@", "half"], {}),
        ("Sub", ["@", "one"], {}),
        ("Pad", ["@", "pads"], {"mode": "reflect"}),
        ("Conv", ["@", "first"], {}),
        ("InstanceNormalization", ["@", "scale", "shift"], {}),
        ("Relu", ["@"], {}),
        ("Pad", ["@", "pads"], {"mode": "reflect"}),
        ("Conv", ["@", "second"], {}),
        ("Tanh", ["@"], {}),
        ("Add", ["@", "one"], {}),
        ("Mul", ["@", "half"], {}),
        ("Round", ["@"], {}),
        ("Clip", ["@", "low", "high"], {}),
        ("Squeeze", ["@", "batch"], {}),
        ("Transpose", ["@"], {"perm": [1, 2, 0]}),
        ("Cast", ["@"], {"to": TensorProto.UINT8}),
    ]
    if unknown_operator:
        steps.insert(8, ("Det", ["@"], {}))
    return _chain(steps, constants, shape)


def _chain(
    steps: list[tuple[str, list[str], dict[str, object]]], constants: dict[str, np.ndarray], shape: list[int]
) -> bytes:
    nodes, previous = [], "frame"
    for index, (operator, inputs, attributes) in enumerate(steps):
        output = "image" if index == len(steps) - 1 else f"t{index}"
        names = [previous if name == "@" else name for name in inputs]
        nodes.append(helper.make_node(operator, names, [output], name=f"{operator.lower()}_{index}", **attributes))
        previous = output
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return _serialised(graph)


def quantized_graph(zero_point: np.ndarray) -> bytes:
    """One convolution with quantised activations and weights; the zero point's dtype decides."""
    weight = (np.random.default_rng(0).standard_normal((8, 3, 3, 3)) * 40).astype(np.int8)
    constants = {
        "activation_scale": np.float32(0.02),
        "zero_point": zero_point,
        "weight": weight,
        "weight_scale": np.full(8, 0.01, "f"),
        "weight_zero_point": np.zeros(8, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "activation_scale", "zero_point"], ["q"], name="quantize_x"),
        helper.make_node("DequantizeLinear", ["q", "activation_scale", "zero_point"], ["d"], name="dequantize_x"),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero_point"], ["w"], axis=0),
        helper.make_node("Conv", ["d", "w"], ["y"], name="convolution"),
    ]
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 14, 14])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return _serialised(graph)


def _serialised(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model.SerializeToString()


@dataclass
class MemorySource:
    """A graph source that is not in a bundle, and counts how often it is read."""

    content: bytes
    declaration: GraphDeclaration = field(default_factory=toy_declaration)
    variant: str = "fp32"
    precision: str = "fp32"
    targets: tuple[str, ...] = ()
    reads: int = 0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def read(self) -> bytes:
        self.reads += 1
        return self.content
