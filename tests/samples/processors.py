"""Other processors than the one at hand: what OpenVINO is answered there, and BF16 where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edge_i2i.arrays import Array
from edge_i2i.engines import registry
from edge_i2i.engines.openvino import capabilities as openvino_capabilities
from edge_i2i.engines.openvino.capabilities import Capabilities
from edge_i2i.engines.openvino.engine import OpenVinoEngine
from edge_i2i.engines.protocol import EngineOptions, GraphSource, Session, SessionInfo
from edge_i2i.errors import MissingRequirementError

PLAIN = Capabilities()
WITH_BF16 = Capabilities(("fp32", "bf16"), amx=False)
WITH_AMX = Capabilities(("fp32", "bf16", "fp16"), amx=True)
WITHOUT_VNNI = Capabilities(exact_integers=False)


def answer(monkeypatch: pytest.MonkeyPatch, capabilities: Capabilities) -> None:
    """What the one place that is asked says from now on."""
    monkeypatch.setattr(openvino_capabilities, "found", lambda: capabilities)


def pretend_bf16(monkeypatch: pytest.MonkeyPatch, *, of_quantized: bool = True) -> None:
    """A processor with BF16, whose BF16 is emulated (``Bf16OpenVino``); integers are those of the one at hand.

    ``of_quantized``: whether floats beside integers are computed in BF16, too.
    """
    exact = openvino_capabilities.found().exact_integers
    answer(monkeypatch, replace(WITH_BF16, exact_integers=exact))
    kind = Bf16OpenVino if of_quantized else Bf16OfFloatsOpenVino
    places = {**registry._ENGINES, "openvino": f"{__name__}:{kind.__name__}"}
    monkeypatch.setattr(registry, "_ENGINES", MappingProxyType(places))


class Bf16OpenVino(OpenVinoEngine):
    """OpenVINO, but that BF16 is every float result rounded to BF16, in ONNX Runtime."""

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        precision = options.precision or self.runs_in(graph)
        return RoundedSession(graph) if precision == "bf16" else super()._load(graph, options)


class Bf16OfFloatsOpenVino(Bf16OpenVino):
    """The same, but that floats beside integers stay in FP32."""

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        precision = options.precision or self.runs_in(graph)
        if graph.targets and precision == "bf16":
            raise MissingRequirementError("OpenVINO does not compute in BF16 here.", remedy="Give --precision fp32.")
        return super()._load(graph, options)


class RoundedSession(Session):
    """A graph with BF16 between all of its nodes."""

    def __init__(self, graph: GraphSource) -> None:
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        settings.intra_op_num_threads = 1
        data = rounded(onnx.load_from_string(graph.read())).SerializeToString()
        self._session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
        self.declaration = graph.declaration
        name = "int8+bf16" if graph.targets else "bf16"
        self.info = SessionInfo("openvino", str(OpenVinoEngine().availability().version), "CPU", "a test", name, 1)

    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        results = self._session.run([*outputs], dict(inputs))
        for array, result in zip(outputs.values(), results, strict=True):
            array[...] = np.asarray(result)

    def close(self) -> None:
        pass


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every float result goes through BF16, but for what quantizes and dequantizes."""
    copy = onnx.shape_inference.infer_shapes(model)
    floats = {item.name for item in copy.graph.value_info if item.type.tensor_type.elem_type == TensorProto.FLOAT}
    nodes = []
    for node in copy.graph.node:
        nodes.append(node)
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") or node.output[0] not in floats:
            continue
        name, exact = node.output[0], f"{node.output[0]}_exact"
        node.output[0] = exact
        nodes.append(helper.make_node("Cast", [exact], [f"{name}_bf16"], to=TensorProto.BFLOAT16))
        nodes.append(helper.make_node("Cast", [f"{name}_bf16"], [name], to=TensorProto.FLOAT))
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy
