"""Hand-made ONNX graphs, and running them."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import parser
from torch import nn

from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec
from edge_i2i.models.family import ModelGraph

Array = NDArray[Any]

OPSET = '<ir_version: 10, opset_import: ["" : 18]>'


def parse(text: str, **weights: Array) -> ir.Model:
    """An ONNX model from its textual form; ``weights`` become initializers."""
    model = parser.parse_model(f"{OPSET}\n{text}")
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return ir.from_proto(inferred)


class GraphMaker:
    """Makes models of a graph's body in ONNX's textual form.

    ``inputs``, ``outputs``: as they stand in that form, for bodies that come without. ``weights``: what bodies may
    name; a model gets those that its body names.
    """

    def __init__(self, inputs: str, outputs: str, **weights: Any) -> None:
        self._inputs, self._outputs, self._weights = inputs, outputs, weights

    def __call__(self, body: str, outputs: str = "", inputs: str = "", **weights: Any) -> ir.Model:
        words = set(re.findall(r"\w+", body))
        used = {name: np.asarray(value) for name, value in (self._weights | weights).items() if name in words}
        return parse(f"g ({inputs or self._inputs}) => ({outputs or self._outputs}) {{ {body} }}", **used)


def operations(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def proto(model: ir.Model) -> onnx.ModelProto:
    return ir.to_proto(model)


def check(model: ir.Model) -> onnx.ModelProto:
    """The checked protobuf; every node's types and shapes must follow from its inputs'."""
    made = proto(model)
    onnx.checker.check_model(made, full_check=True)
    onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True, data_prop=True)
    return made


def run(model: ir.Model | onnx.ModelProto, inputs: Mapping[str, Array], optimise: bool = True) -> dict[str, Array]:
    return run_many(model, [inputs], optimise)[0]


def run_many(
    model: ir.Model | onnx.ModelProto, samples: Iterable[Mapping[str, Array]], optimise: bool = True
) -> list[dict[str, Array]]:
    made = model if isinstance(model, onnx.ModelProto) else proto(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(names, dict(inputs)), strict=True)) for inputs in samples]


def random(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    made: Array = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    return made


SMALL = Size(16, 24)


def picture_graph(module: nn.Module, size: Size = SMALL) -> ModelGraph:
    """A frame graph: picture in, picture out."""
    frame = picture_spec("frame", Role.FRAME, size, "the camera picture")
    image = picture_spec("image", Role.IMAGE, size, "the result")
    return ModelGraph(GraphDeclaration("frame", GraphKind.FRAME, (frame,), (image,)), module.eval())


def small_network(seed: int = 0) -> nn.Sequential:
    """Every operation that pix2pixHD is made of, few channels."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        *(nn.ReflectionPad2d(3), nn.Conv2d(3, 8, 7), nn.InstanceNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.InstanceNorm2d(8), nn.ReLU()),
        *(nn.ConvTranspose2d(8, 8, 3, 2, 1, 1), nn.InstanceNorm2d(8), nn.ReLU()),
        *(nn.ReflectionPad2d(1), nn.Conv2d(8, 3, 3), nn.Tanh()),
    )
    return net.requires_grad_(False).eval()


def node_types(model: onnx.ModelProto) -> dict[str, str]:
    """Element type of every value in the graph, by name."""
    graph = model.graph
    values = [*graph.input, *graph.output, *graph.value_info]
    named = {value.name: value.type.tensor_type.elem_type for value in values}
    named |= {item.name: item.data_type for item in graph.initializer}
    return {name: onnx.TensorProto.DataType.Name(kind) for name, kind in named.items()}


def assert_portable(model: onnx.ModelProto, *paths: str) -> None:
    """No path, host name or stack trace of this machine in the file (the weights' bytes left aside)."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for item in copy.graph.initializer:
        item.ClearField("raw_data")
    content = copy.SerializeToString()
    here = [str(Path.home()), str(Path.cwd()), str(Path(torch.__file__).parent), platform.node(), *paths]
    telltale = [name for name in here if len(name) > 4]
    for text in [*telltale, ".py", "site-packages", 'File "', "stack_trace", "nn_module"]:
        assert text.encode() not in content, text


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
