"""A small painter whose second convolution cannot bear INT8: by name, in ONNX, and as a bundle."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.contract import LARGEST_WEIGHT, GraphDeclaration, GraphKind, Role, Size, picture_spec
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.graphs.qdq.targets import get_target
from edge_i2i.quantize.calibration.statistics import collect_statistics
from edge_i2i.quantize.judging.judge import Judge, JudgedInputs, engine_for, judge_for
from edge_i2i.quantize.quantizer import Quantizer
from samples.calibration import MODEL

SIZE = Size(40, 48)
LAYERS = ("stem", "edges", "body", "more", "paint")
SENSITIVE = "edges"
ONE_THREAD = EngineOptions(threads=1)
DECLARATION = GraphDeclaration(
    "frame",
    GraphKind.FRAME,
    (picture_spec("frame", Role.FRAME, SIZE, "the camera's picture"),),
    (picture_spec("image", Role.IMAGE, SIZE, "the translated picture"),),
)
_CHANNELS = 16


@cache
def painter() -> GraphInMemory:
    """The FP32 graph, with the tail that the exporter writes."""
    text = f"""<ir_version: 10, opset_import: ["" : 18]>
    painter (uint8[{SIZE.height},{SIZE.width},3] frame) => (uint8[{SIZE.height},{SIZE.width},3] image) {{
        floats = Cast<to=1>(frame)
        chw = Transpose<perm=[2,0,1]>(floats)
        batch = Unsqueeze(chw, first)
        scaled = Mul(batch, unit)
        value0 = Sub(scaled, one)
        {_norm_blocks(4)}
        painted = Conv<pads=[1,1,1,1]>(value4, w_paint)
        network_output = Tanh(painted)
        network_output_chw = Squeeze(network_output, first)
        light = Add(network_output_chw, one)
        grey = Mul(light, half)
        hwc = Transpose<perm=[1,2,0]>(grey)
        whole = Round(hwc)
        kept = Clip(whole, black, white)
        image = Cast<to=2>(kept)
    }}"""
    model = onnx.parser.parse_model(text)
    for node in model.graph.node:  # the text form has no dots in names
        node.input[:] = [f"network.{name[2:]}.weight" if name.startswith("w_") else name for name in node.input]
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in _constants().items())
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    onnx.checker.check_model(model, full_check=True)
    return GraphInMemory(DECLARATION, model.SerializeToString())


def _norm_blocks(count: int) -> str:
    lines = []
    for index in range(count):
        lines += [
            f"conv{index} = Conv<pads=[1,1,1,1]>(value{index}, w_{LAYERS[index]})",
            f"norm{index} = InstanceNormalization(conv{index}, ones, zeros)",
            f"value{index + 1} = Relu(norm{index})",
        ]
    return "\n        ".join(lines)


def _constants() -> dict[str, NDArray[np.generic]]:
    rng = np.random.default_rng(3)
    f32 = np.float32
    weights = {
        f"network.{name}.weight": rng.normal(0.1, 0.1, (_CHANNELS, into, 3, 3)).astype(f32)
        for name, into in zip(LAYERS, (3, *[_CHANNELS] * 4), strict=True)
    }
    weights["network.paint.weight"] = rng.normal(0, 0.05, (3, _CHANNELS, 3, 3)).astype(f32)
    weights["network.edges.weight"] = _differences(rng)
    shared = {"unit": f32(1 / 127.5), "one": f32(1), "half": f32(127.5), "black": f32(0), "white": f32(255)}
    vectors = {"ones": np.ones(_CHANNELS, f32), "zeros": np.zeros(_CHANNELS, f32), "first": np.array([0], np.int64)}
    return {**weights, **{name: np.asarray(value) for name, value in shared.items()}, **vectors}


def _differences(rng: np.random.Generator) -> NDArray[np.float32]:
    """Second differences both ways, which nearly cancel in soft pictures: INT8's steps are large beside them."""
    weights = rng.normal(0, 0.001, (_CHANNELS, _CHANNELS, 3, 3))
    for channel in range(_CHANNELS):
        weights[channel, channel] += np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0])
    return weights.astype(np.float32)


@cache
def scenes(count: int = 5, first: int = 0) -> tuple[dict[str, NDArray[np.uint8]], ...]:
    """Soft pictures, as inputs of the graph."""
    from samples.calibration import picture

    made = [picture(seed, SIZE) for seed in range(first, first + count)]
    for array in made:
        array.flags.writeable = False
    return tuple({"frame": array} for array in made)


def judged_inputs(clip: bool = True) -> JudgedInputs:
    """Two pictures, and a clip of three frames."""
    from edge_i2i.metrics.flicker import pan_clip

    frames = pan_clip(scenes(1, 90)[0]["frame"], SIZE, (1, 2), 3).frames if clip else ()
    return JudgedInputs(scenes(2, 50), tuple({"frame": frame} for frame in frames), (1, 2))


def quantizer(target: str = "openvino") -> Quantizer:
    """Of the painter, calibrated on a few scenes."""
    chosen = get_target(target)
    statistics = collect_statistics(painter(), scenes(), "scenes", outputs=chosen.needs_outputs, threads=1)
    engine = engine_for(target)
    largest = LARGEST_WEIGHT if engine is None else engine.largest_weight()
    return Quantizer(painter(), statistics, chosen, largest_weight=largest)


def judge(target: str = "openvino", cache: Path | None = None, *, clip: bool = True) -> Judge:
    """Of the painter's variants."""
    return judge_for(get_target(target), painter(), judged_inputs(clip), ONE_THREAD, fine=True, cache=cache)


def write_painter(path: Path) -> Path:
    """The painter as a bundle."""
    with BundleWriter(path) as writer:
        writer.add_graph(DECLARATION, variant="fp32", precision="fp32", opset=18, onnx=painter().data)
        writer.finish(name=path.stem, model=MODEL, size=SIZE, recipe={})
    return path
