"""The painter of ``sensitive_samples`` as a complete bundle, photographs, and contests whose times are written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from edge_i2i.bundle.golden import golden_input, golden_output
from edge_i2i.bundle.writer import BundleWriter, Layout
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.metrics.latency import Timings
from edge_i2i.progress import Progress
from edge_i2i.quantize.calibration.samples import Sample
from edge_i2i.quantize.judging.contest import Entry, Placing
from samples.calibration import MODEL, photographs
from samples.sensitive import DECLARATION, SENSITIVE, SIZE, painter, scenes

Weights = NDArray[np.float32]
ROUNDS = 5


def painter_with(layer: str, change: Callable[[Weights], Weights]) -> GraphInMemory:
    """The painter with other weights in one layer."""
    model = onnx.load_from_string(painter().data)
    for tensor in model.graph.initializer:
        if tensor.name == f"network.{layer}.weight":
            tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), tensor.name))
    return GraphInMemory(DECLARATION, model.SerializeToString())


@cache
def mild_painter() -> GraphInMemory:
    """The painter with a second convolution that bears INT8, so that nothing has to be searched for."""
    rng = np.random.default_rng(5)
    return painter_with(SENSITIVE, lambda weight: rng.normal(0.1, 0.1, weight.shape).astype(np.float32))


def write_studio(folder: Path, layout: Layout = "file", graph: GraphInMemory | None = None) -> Path:
    """A bundle ``studio.i2i`` with FP32 and golden data, and ``photos`` beside it; returns the bundle."""
    path, chosen = folder / "studio.i2i", graph or painter()
    session = onnxruntime.InferenceSession(chosen.data, providers=["CPUExecutionProvider"])
    golden = {}
    for index, scene in enumerate(scenes(2, 70)):
        golden[golden_input("frame", index, "frame")] = scene["frame"]
        golden[golden_output("frame", index, "image")] = session.run(["image"], dict(scene))[0]
    with BundleWriter(path, layout=layout) as writer:
        writer.add_graph(DECLARATION, variant="fp32", precision="fp32", opset=18, onnx=chosen.data)
        writer.add_golden(golden)
        writer.finish(name="studio", model=MODEL, size=SIZE, recipe={"size": "40x48"})
    if not (folder / "photos").exists():
        photographs(folder / "photos", 7, size=SIZE)
    return path


def write_studios(folder: Path) -> Path:
    """``studio.i2i``, whose second layer does not bear INT8; ``mild/studio.i2i``, whose layers all do; ``photos``."""
    write_studio(folder)
    (folder / "mild").mkdir()
    write_studio(folder / "mild", graph=mild_painter())
    return folder


def placing(entry: Entry, milliseconds: float, speed: float | None = None) -> Placing:
    """An entry that takes so long in each of its rounds."""
    return Placing(entry, Timings((milliseconds / 1e3,) * ROUNDS), "as a test says", speed, 1)


@dataclass
class ScriptedContest:
    """A ``Contest`` whose times are known beforehand: milliseconds by ``variant on engine``; ``usual`` for others."""

    times: Mapping[str, float] = field(default_factory=dict)
    usual: float = 10.0
    seen: list[str] = field(default_factory=list)

    def __call__(
        self,
        contestants: Sequence[Entry],
        sample: Sample,
        options: EngineOptions,
        *,
        rounds: int,
        seconds: float | None,
        progress: Progress | None,
    ) -> list[Placing]:
        self.seen = [entry.name for entry in contestants]
        return [placing(entry, self.times.get(entry.name, self.usual)) for entry in contestants]


def interrupt_at(stage: str) -> Callable[[str], Any]:
    """An ``on_stage`` that is Ctrl-C when a stage begins."""

    def on_stage(begun: str) -> None:
        if begun.startswith(stage):
            raise KeyboardInterrupt

    return on_stage
