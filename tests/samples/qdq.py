"""Small quantized graphs and a bundle with quantized variants, for the tests of those who run them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.golden import golden_input
from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec
from edge_i2i.engines.figures import evidence_versions
from edge_i2i.engines.registry import get_engine
from edge_i2i.machine import describe_machine

SIZE = Size(16, 24)
DATE = datetime(2026, 1, 2, tzinfo=UTC)
DECLARATION = GraphDeclaration(
    "frame",
    GraphKind.FRAME,
    (picture_spec("frame", Role.FRAME, SIZE, "the camera's picture"),),
    (picture_spec("image", Role.IMAGE, SIZE, "the translated picture"),),
)


class QdqGraph:
    """A chain of 3x3 convolutions, uint8 picture in and out: Q/DQ in front of all of them but the last.

    ``largest_weight``: 64 is added up exactly on every processor.
    """

    def __init__(self, convolutions: int, *, norms: bool, largest_weight: int = 64) -> None:
        self._largest_weight = largest_weight
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)
        value = self._add(
            "Transpose", "floats", self._add("Cast", "floats", "frame", to=TensorProto.FLOAT), perm=[2, 0, 1]
        )
        value = self._add(
            "Unsqueeze", "batch", self._add("Mul", "unit", value, self._constant(1 / 127.5)), self._axis()
        )
        for index in range(convolutions - 1):
            value = self._quantized(value, index, 3 if index == 0 else 8)
            if norms:
                ones, zeros = self._constant(np.ones(8)), self._constant(np.zeros(8))
                value = self._add("Relu", "relu", self._add("InstanceNormalization", "norm", value, ones, zeros))
        value = self._add("Conv", "conv", value, self._constant(self._weights(3, 8)), pads=[1] * 4)
        self._finish(self._add("Tanh", "tanh", value))

    def serialised(self) -> bytes:
        """The ONNX file's bytes."""
        frame, image = (helper.make_tensor_value_info(n, TensorProto.UINT8, [16, 24, 3]) for n in ("frame", "image"))
        graph = helper.make_graph(self._nodes, "qdq", [frame], [image], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def _quantized(self, value: str, index: int, channels: int) -> str:
        scale, zero = self._constant(4 / 255), self._constant(128, np.uint8)
        value = self._add("DequantizeLinear", "x", self._add("QuantizeLinear", "q", value, scale, zero), scale, zero)
        weights = self._weights(8, channels)
        scales = np.abs(weights).max(axis=(1, 2, 3)) / self._largest_weight
        levels = np.round(weights / scales[:, None, None, None])
        stored = [self._constant(levels, np.int8), self._constant(scales), self._constant(np.zeros(8), np.int8)]
        return self._add("Conv", "conv", value, self._add("DequantizeLinear", "w", *stored, axis=0), pads=[1] * 4)

    def _finish(self, value: str) -> None:
        half = self._constant(127.5)
        value = self._add("Add", "grey", self._add("Mul", "grey", value, half), half)
        value = self._add("Transpose", "hwc", self._add("Squeeze", "hwc", value, self._axis()), perm=[1, 2, 0])
        self._nodes.append(helper.make_node("Cast", [value], ["image"], to=TensorProto.UINT8))

    def _weights(self, out: int, into: int) -> NDArray[np.float64]:
        return self._rng.normal(0, 0.2, (out, into, 3, 3))

    def _axis(self) -> str:
        return self._constant([0], np.int64)

    def _constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def _add(self, operator: str, name: str, *inputs: str, **attributes: object) -> str:
        output = f"{name}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output


def quantized(bundle: Bundle, folder: Path, layers: int) -> bytes:
    """The frame graph of a bundle with its first ``layers`` convolutions in INT8, by ``onnxruntime.quantization``."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    golden = bundle.golden()

    class Frames(CalibrationDataReader):
        def __init__(self) -> None:
            self._frames: Iterator[NDArray[np.uint8]] = (golden[golden_input("frame", i, "frame")] for i in range(2))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            frame = next(self._frames, None)
            return None if frame is None else {"frame": frame}

    source, target = folder / "fp32.onnx", folder / "int8.onnx"
    source.write_bytes(bundle.graph("frame", "fp32").read())
    convolutions = [node.name for node in onnx.load(source).graph.node if node.op_type == "Conv"]
    quantize_static(
        source,
        target,
        Frames(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=convolutions[layers:],
        per_channel=True,
        reduce_range=True,  # of weights, so that they are added up exactly on every processor; and of activations
    )
    return target.read_bytes()


def add_quantized(path: Path, layers: int = 1) -> None:
    """Put variants for each target into a bundle, and the quality that two of them have at least."""
    bundle = open_bundle(path)
    with TemporaryDirectory() as folder, extend_bundle(path) as writer:
        data = quantized(bundle, Path(folder), layers)
        for target in ("openvino", "onnxruntime", "tensorrt"):
            variant = f"int8-{target}"
            writer.add_graph(
                bundle.frame_graph, variant=variant, precision="int8", opset=18, onnx=data, targets=(target,)
            )
            if target != "tensorrt":
                writer.add_evidence(quality(variant, target, 38.5))
        writer.finish_extended({"quantize": {"layers": layers}})


def quality(variant: str, engine: str, psnr_db: float) -> EvidenceRecord:
    """A stated quality."""
    figures = {"psnr_db": psnr_db, "ssim": 0.99, "golden_psnr_db": psnr_db}
    return EvidenceRecord(
        kind="quality",
        graph="frame",
        variant=variant,
        engine=engine,
        figures=figures,
        machine=describe_machine(),
        date=DATE,
    )


def latency(variant: str, engine: str, p50_ms: float, precision: str | None = None) -> EvidenceRecord:
    """A latency that was measured here, with what is installed."""
    return EvidenceRecord(
        kind="latency",
        graph="frame",
        variant=variant,
        engine=engine,
        precision=precision,
        figures={"p50_ms": p50_ms, "p10_ms": p50_ms * 0.9, "p90_ms": p50_ms * 1.2},
        machine=describe_machine(),
        versions=evidence_versions(get_engine(engine)),
        date=DATE,
    )
