"""Bundles of real networks' declarations with graphs of a few operators, and folders of pictures and maps.

Calibration data depends on what graphs are declared to take and on condition graphs giving different tensors for
different looks; exporting the real ones takes 20 s each. Theirs run in ``tests/test_every_model.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge_i2i.bundle.golden import golden_input
from edge_i2i.bundle.manifest import ModelRecord
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.contract import GraphDeclaration, Size
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.models.registry import get_family
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, CalibrationSet, load_calibration
from edge_i2i.quantize.calibration.folders import Folders

SIZE = Size(60, 80)
NETWORKS = {
    "rgb": ("pix2pixhd", "G1, RGB"),
    "labels": ("pix2pixhd", "G1, labels"),
    "encoder": ("pix2pixhd", "G2, labels, encoder"),
    "munit": ("munit", "MUNIT"),
    "egscit": ("egscit", "n_encoder 3"),
    "bicyclegan": ("bicyclegan", "unet_256, z at all levels"),
    "mask": ("lomit", "given mask (ours)"),
    "boxes": ("init", "INIT, box-aware (ours)"),
    "attributes": ("bridgegan", "CelebA, 14 attributes"),
    "slider": ("bridgegan", "CelebA, 14 attributes, blend"),
}
MODEL = ModelRecord(
    family="toy", title="A toy network", config={}, source="these tests", licence="none", weights="random"
)


def write_toy_bundle(path: Path, name: str, architecture: str, *, golden: bool = True) -> Path:
    """What the published network takes and gives, at its tiny size, in FP32."""
    family = get_family(name)
    config = family.tiny(family.architectures()[architecture])
    graphs = [graph.declaration for graph in family.random(config, 1).graphs(family.tiny_size)]
    with BundleWriter(path) as writer:
        for graph in graphs:
            writer.add_graph(graph, variant="fp32", precision="fp32", opset=18, onnx=toy_graph(graph))
        if golden:
            frame = graphs[0]
            inputs = [sample_inputs(frame, seed) for seed in (1, 2)]
            writer.add_golden(
                {golden_input(frame.name, i, name): array for i in (0, 1) for name, array in inputs[i].items()}
            )
        writer.finish(name=path.stem, model=MODEL, size=family.tiny_size, recipe={})
    return path


def toy_graph(declaration: GraphDeclaration) -> bytes:
    """Every output is the sum of the inputs' means, spread over a ramp from 0 to 1."""
    kinds = {"uint8": TensorProto.UINT8, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}
    nodes, constants, total = [], [], ""
    for spec in declaration.inputs:
        nodes.append(helper.make_node("Cast", [spec.name], [f"{spec.name}.f"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("ReduceMean", [f"{spec.name}.f"], [f"{spec.name}.mean"], keepdims=0))
        before, total = total, f"{spec.name}.{'sum' if total else 'mean'}"
        if before:
            nodes.append(helper.make_node("Add", [before, f"{spec.name}.mean"], [total]))
    for spec in declaration.outputs:
        ramp = np.linspace(0, 1, int(np.prod(spec.shape)), dtype=np.float32).reshape(spec.shape)
        constants.append(numpy_helper.from_array(ramp, f"{spec.name}.ramp"))
        nodes.append(helper.make_node("Mul", [total, f"{spec.name}.ramp"], [f"{spec.name}.f"]))
        nodes.append(helper.make_node("Cast", [f"{spec.name}.f"], [spec.name], to=kinds[spec.dtype.value]))
    ends = [
        [helper.make_tensor_value_info(spec.name, kinds[spec.dtype.value], spec.shape) for spec in specs]
        for specs in (declaration.inputs, declaration.outputs)
    ]
    graph = helper.make_graph(nodes, declaration.name, *ends, initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    made: bytes = model.SerializeToString()
    return made


def picture(seed: Any, size: Size = SIZE) -> np.ndarray:
    """Soft shapes in colour."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (size.width, size.height), interpolation=cv2.INTER_LINEAR)


def ids(seed: int, high: int, size: Size = SIZE, factor: int = 1) -> np.ndarray:
    """Blocks of ids 0..high, each times ``factor``."""
    coarse = np.random.default_rng(seed).integers(0, high + 1, (6, 8)).astype(np.uint16) * factor
    return cv2.resize(coarse, (size.width, size.height), interpolation=cv2.INTER_NEAREST)


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), array)
    return path


def photographs(folder: Path, count: int, first: int = 0, size: Size = SIZE) -> Path:
    for number in range(first, first + count):
        save(folder / f"p{number:02}.png", picture(number, size))
    return folder


def street(folder: Path, count: int, exemplars: bool = True) -> Path:
    """``label_map/``, ``instance_map/`` and ``exemplar/``, named as in Cityscapes."""
    for number in range(count):
        save(folder / "label_map" / f"a{number:02}_labelIds.png", ids(number, 4).astype(np.uint8))
        save(folder / "instance_map" / f"a{number:02}_instanceIds.png", ids(number, 9, factor=1000))
    if exemplars:
        for number in range(count):
            save(folder / "exemplar" / f"a{number:02}.png", picture(number))
    return folder


class Networks:
    """Opens toy bundles by their short names; each is written once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str) -> Bundle:
        path = self._folder / f"{name}.i2i"
        return open_bundle(path if path.exists() else write_toy_bundle(path, *NETWORKS[name]))


def load(bundle: Bundle, data: Any, folders: Folders | None = None, **options: Any) -> CalibrationSet:
    return load_calibration(bundle, data, CalibrationOptions(folders=folders or Folders(), threads=1, **options))


def distinct(samples: Sequence[Any], name: str) -> int:
    return len({sample[name].tobytes() for sample in samples})


def notes(data: CalibrationSet) -> str:
    return "\n".join(data.summary.lines())
