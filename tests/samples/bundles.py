"""A small real bundle, written through the public door, and ways to damage one."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edge_i2i.bundle.manifest import EvidenceRecord, ModelRecord
from edge_i2i.bundle.reader import BundledGraph
from edge_i2i.bundle.writer import BundleWriter, Layout
from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, Size, TensorSpec, picture_spec

CHILD = Path(__file__).with_name("export_child.py")
EditHeader = Callable[[Callable[[dict[str, Any]], None]], Path]

SIZE = Size(16, 24)
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STYLE = TensorSpec("style", Role.STYLE, (1, 8), DType.FLOAT32, float("-inf"), float("inf"), "AdaIN style vector")
IMAGE = picture_spec("image", Role.IMAGE, SIZE, "the translated picture")
FRAME_GRAPH = GraphDeclaration(
    "frame", GraphKind.FRAME, (picture_spec("frame", Role.FRAME, SIZE, "the camera's picture"), STYLE), (IMAGE,)
)
STYLE_GRAPH = GraphDeclaration(
    "style", GraphKind.CONDITION, (picture_spec("exemplar", Role.EXEMPLAR, SIZE, "the look"),), (STYLE,)
)
MODEL = ModelRecord(
    family="toy",
    title="A toy network",
    config={"width": 4, "blocks": [1, 2]},
    source="made up for these tests",
    licence="none",
    weights="random",
)
EVIDENCE = EvidenceRecord(
    kind="parity",
    stage="export",
    graph="frame",
    variant="fp32",
    engine="onnxruntime",
    figures={"max_abs": 0.0, "psnr_db": float("inf")},
    machine={"cpu": "a CPU", "cores": 2},
    versions={"onnxruntime": "1.0"},
    command="edge-i2i export onnx",
    date=CREATED,
)
FP32, FP16, STYLE_FP32 = b"the frame graph in fp32" * 5, b"and in fp16" * 5, b"the style graph" * 3
GOLDEN = {"frame.0": np.arange(24, dtype=np.uint8).reshape(2, 4, 3), "style.0": np.ones((1, 8), np.float32)}


def fill(writer: BundleWriter, payload: bytes = FP32) -> None:
    """Add two graphs, three variants, a golden file, another file and one measurement, and finish."""
    writer.add_graph(FRAME_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=payload)
    writer.add_graph(FRAME_GRAPH, variant="fp16", precision="fp16", opset=18, onnx=FP16)
    writer.add_graph(STYLE_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=STYLE_FP32)
    writer.add_golden(GOLDEN)
    writer.add_bytes("condition/clusters.bin", b"clusters", role="clusters")
    writer.add_evidence(EVIDENCE)
    finish(writer)


def finish(writer: BundleWriter) -> Path:
    """Finish with fixed manifest parts, so that equal contents give equal bytes."""
    return writer.finish(
        name="toy", model=MODEL, size=SIZE, recipe={"size": "16x24"}, software={"torch": "2.0"}, created=CREATED
    )


def write_sample(target: Path, layout: Layout = "file", payload: bytes = FP32) -> Path:
    """A small complete bundle at ``target``."""
    with BundleWriter(target, layout=layout) as writer:
        fill(writer, payload)
    return target


def stored(graph: BundledGraph) -> bytes:
    """A graph's bytes as they lie in the bundle; ``read`` would refuse these, which are no graphs."""
    return graph.bundle.read(graph.record.path)


def replace_header(bundle: Path, header: bytes) -> Path:
    """Put other bytes in place of a folder bundle's header, with a checksum that fits."""
    (bundle / "bundle.json").write_bytes(header)
    (bundle / "bundle.sha256").write_text(f"{hashlib.sha256(header).hexdigest()}  bundle.json\n")
    return bundle


def zip_by_hand(folder: Path, target: Path, **options: Any) -> Path:
    """Zip a folder as a stranger would."""
    with zipfile.ZipFile(target, "w", **options) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
    return target


def child_environment() -> dict[str, str]:
    """For programs of these tests: the repository and its samples on the path, wherever pytest was started."""
    repository = Path(__file__).parents[2]
    paths = [str(repository), str(repository / "tests"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
