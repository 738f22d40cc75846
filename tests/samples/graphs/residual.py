"""A CycleGAN-like generator with random weights, wide enough that quantization errors average out, in all its forms."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import nn

from edge_i2i.contract import Size
from edge_i2i.engines.openvino.engine import OVERFLOW_SAFE
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Range, Scheme, WeightMemo
from edge_i2i.graphs.qdq.targets import Target
from edge_i2i.graphs.trace import trace
from edge_i2i.metrics.decibels import psnr_of_error
from samples.graphs.tiny import picture_graph, proto, run_many

SIZE = Size(48, 64)
FLOAT_OUTPUT = "network_output"
Array = NDArray[Any]


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU()),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.body(x)
        return out


def _network(width: int) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU()),
        *(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU()),
        *(_Block(2 * width), _Block(2 * width)),
        *(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), nn.InstanceNorm2d(width), nn.ReLU()),
        *(nn.ConvTranspose2d(width, width, 3, 1, 1, groups=2), nn.InstanceNorm2d(width), nn.ReLU()),
        *(nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()),
    )
    return net.requires_grad_(False).eval()


def frame(seed: int) -> dict[str, Array]:
    """A smooth picture of random colours."""
    cells = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return {"frame": cv2.resize(cells, (SIZE.width, SIZE.height), interpolation=cv2.INTER_CUBIC)}


class Residual:
    """``inputs`` and ``outputs``: what each layer reads and writes over four frames; quality is told on two others."""

    def __init__(self, width: int = 24) -> None:
        self._model = trace(picture_graph(_network(width), SIZE))
        self.layers = find_layers(self.model())
        self.names = [layer.name for layer in self.layers]
        self.inputs, self.outputs = self._calibrate()
        self._samples = [frame(10), frame(11)]
        self._reference = self._results(self._model)
        self._by_nncf: dict[str, onnx.ModelProto] = {}

    def model(self) -> ir.Model:
        return self._model.clone()

    def quantized(self, scheme: Scheme, names: list[str] | tuple[str, ...], *, before_pads: bool = False) -> ir.Model:
        model = self.model()
        memo = WeightMemo(OVERFLOW_SAFE)  # so that every processor adds up exactly
        insert_qdq(model, self.inputs, scheme, names, before_pads=before_pads, memo=memo)
        return model

    def quantized_for(self, target: Target) -> ir.Model:
        names = target.placement(self.layers).quantized
        return self.quantized(target.scheme, names, before_pads=target.before_pads)

    def psnr(self, model: ir.Model) -> float:
        """Against the float network, of its float output, whose peak-to-peak is 2; Q/DQ as written."""
        return self.psnr_of(self._results(model))

    def psnr_of(self, results: list[Array]) -> float:
        errors = [np.mean(np.square(a - b)) for a, b in zip(results, self._reference, strict=True)]
        return psnr_of_error(float(np.mean(errors)), data_range=2.0)

    def on_openvino(self, model: ir.Model) -> tuple[list[Array], dict[str, str]]:
        """Results, and the precision of each convolution that OpenVINO executes, by kind and name."""
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        compiled = core.compile_model(core.read_model(proto(model).SerializeToString()), "CPU", settings)
        infos = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
        kinds = [(str(info["layerType"].astype(str)), str(info["runtimePrecision"].astype(str))) for info in infos]
        convs = [(kind, precision) for kind, precision in kinds if kind in ("Convolution", "Deconvolution")]
        named = {f"{kind} {index}": precision for index, (kind, precision) in enumerate(convs)}
        return [compiled(sample)[FLOAT_OUTPUT] for sample in self._samples], named

    def by_nncf(self, preset: str) -> ir.Model:
        """As NNCF quantizes it by itself. ``preset``: ``MIXED`` or ``PERFORMANCE``."""
        if preset not in self._by_nncf:
            import nncf

            # Its own set_log_level would deafen all handlers on the way, pytest's for every later test among them.
            logging.getLogger("nncf").setLevel(logging.ERROR)
            data = nncf.Dataset([frame(seed) for seed in range(4)])
            chosen = nncf.QuantizationPreset[preset]
            self._by_nncf[preset] = nncf.quantize(proto(self._model), data, preset=chosen, subset_size=4)
        return ir.from_proto(self._by_nncf[preset])

    def by_onnxruntime(self, folder: Path, **options: Any) -> ir.Model:
        """As ``onnxruntime.quantization`` quantizes it by itself."""
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

        class Frames(CalibrationDataReader):
            def __init__(self) -> None:
                self._frames = iter([frame(seed) for seed in range(4)])

            def get_next(self) -> dict[str, Array] | None:
                return next(self._frames, None)

        source, target = folder / "float.onnx", folder / "int8.onnx"
        onnx.save(proto(self._model), source)
        quantize_static(source, target, Frames(), quant_format=QuantFormat.QDQ, **options)
        return ir.from_proto(onnx.load(io.BytesIO(target.read_bytes())))

    def _results(self, model: ir.Model) -> list[Array]:
        return [result[FLOAT_OUTPUT] for result in run_many(model, self._samples, optimise=False)]

    def _calibrate(self) -> tuple[dict[str, Range], dict[str, Range]]:
        model = self.model()
        layers = find_layers(model)
        tapped = [*(layer.source for layer in layers), *(layer.node.outputs[0] for layer in layers)]
        model.graph.outputs[:] = list(dict.fromkeys([*model.graph.outputs, *tapped]))
        results = run_many(model, [frame(seed) for seed in range(4)])

        def reached(value: ir.Value) -> Range:
            arrays = [result[str(value.name)] for result in results]
            return Range(float(min(a.min() for a in arrays)), float(max(a.max() for a in arrays)))

        inputs = {layer.name: reached(layer.source) for layer in layers}
        return inputs, {layer.name: reached(layer.node.outputs[0]) for layer in layers}
