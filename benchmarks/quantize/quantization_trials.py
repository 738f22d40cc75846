"""What each choice of our INT8 is worth on the trained demo network: one thing changed at a time, on OpenVINO.

Example: python -m benchmarks.quantize.quantization_trials
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import FOLDER, write_figures
from benchmarks.inputs import photographs
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.contract import Size
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions, GraphSource
from edge_i2i.engines.registry import get_engine
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
from edge_i2i.graphs.passes import DEFAULT_PASSES
from edge_i2i.graphs.qdq.equalise import HEADROOM, equalise_channels
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import Layer, find_layers
from edge_i2i.graphs.qdq.scheme import Scheme
from edge_i2i.models.checkpoints.loading import load_demo
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, load_calibration
from edge_i2i.quantize.calibration.statistics import RangeKind, Statistics, collect_statistics
from edge_i2i.quantize.judging.contest import Entry, hold_contest
from edge_i2i.quantize.judging.judge import Judge, JudgedInputs

FIGURES = FOLDER / "quantization-trials.json"
SIZE = Size(512, 512)


@dataclass(frozen=True)
class Trial:
    """One way to quantize. ``layers``: which of the layers are in INT8."""

    name: str
    scheme: Scheme = Scheme.ZERO_BASED
    equalise: bool = True
    headroom: float = HEADROOM
    before_pads: bool = True
    kind: RangeKind = RangeKind.MIN_MAX
    layers: Callable[[Layer], bool] = lambda layer: not layer.last and layer.operator == "Conv"
    passes: tuple[str, ...] = DEFAULT_PASSES


TRIALS = (
    Trial("ours"),
    Trial("channels not equalised", equalise=False),
    Trial("channels equalised without headroom", headroom=1.0),
    Trial("99.99 % ranges instead of min-max", kind=RangeKind.PERCENTILE),
    Trial("99.99 % ranges, channels not equalised", kind=RangeKind.PERCENTILE, equalise=False),
    Trial("uint8 with zero points", scheme=Scheme.ASYMMETRIC),
    Trial("int8 around zero (symmetric)", scheme=Scheme.SYMMETRIC),
    Trial("symmetric, channels not equalised", scheme=Scheme.SYMMETRIC, equalise=False),
    Trial("transposed convolutions in INT8, too", layers=lambda layer: not layer.last),
    Trial("last convolution in INT8, too", layers=lambda layer: layer.operator == "Conv"),
    Trial(
        "first convolution in float",
        layers=lambda layer: not layer.last and layer.operator == "Conv" and layer.input_channels > 3,
    ),
    Trial("quantized behind pads instead of before", before_pads=False),
    Trial(
        "without narrow-conv-as-phases",
        passes=tuple(name for name in DEFAULT_PASSES if name != "narrow-conv-as-phases"),
    ),
)


def main() -> None:
    """Judge and time all trials in one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = run(Path(name), arguments.threads, arguments.rounds)
    about = {"network": "pix2pixHD demo, trained", "size": str(SIZE), "engine": "openvino"}
    write_figures(FIGURES, rows, "python -m benchmarks.quantize.quantization_trials", arguments.threads, **about)


def run(folder: Path, threads: int, rounds: int) -> list[dict[str, Any]]:
    """One row a trial."""
    photographs(folder / "photos")
    options = EngineOptions(threads=threads)
    graphs = {passes: exported(folder, passes, threads) for passes in {trial.passes for trial in TRIALS}}
    bundle = open_bundle(folder / f"{len(DEFAULT_PASSES)}.i2i")
    with load_calibration(bundle, folder / "photos", CalibrationOptions(16, 4, threads=threads)) as data:
        judge = Judge(graphs[DEFAULT_PASSES], JudgedInputs.of(data), get_engine("openvino"), options)
        statistics = {
            (passes, kind): collect_statistics(graph, data.samples, data.sha256, kind=kind, threads=threads)
            for passes, graph in graphs.items()
            for kind in RangeKind
        }
        made = {trial: variant(graphs[trial.passes], statistics[trial.passes, trial.kind], trial) for trial in TRIALS}
        verdicts = {trial: judge.judge(graph) for trial, graph in made.items()}
        contestants = [Entry(graph, get_engine("openvino")) for graph in made.values()]
        placings = hold_contest(contestants, data.held_out[0], options, rounds=rounds)
    ours = placings[0].timings
    return [
        {
            "trial": trial.name,
            **verdicts[trial].quality.figures(),
            "time_to_ours": 1 / placing.timings.speed_to(ours).median,
            **placing.timings.figures(),
        }
        for trial, placing in zip(TRIALS, placings, strict=True)
    ]


def exported(folder: Path, passes: tuple[str, ...], threads: int) -> GraphSource:
    """The demo network's frame graph with these passes."""
    path = folder / f"{len(passes)}.i2i"
    export_bundle(load_demo("pix2pixhd"), SIZE, path, ExportOptions(("fp32",), passes=passes, threads=threads))
    return open_bundle(path).graph("frame", "fp32")


def variant(graph: GraphSource, statistics: Statistics, trial: Trial) -> GraphInMemory:
    """The graph, quantized as the trial says."""
    model = model_from_bytes(graph.read())
    names: Collection[str] = [layer.name for layer in find_layers(model) if trial.layers(layer)]
    ranges: Mapping[str, Any] = {name: channels.whole for name, channels in statistics.inputs.items()}
    if trial.equalise:
        ranges = equalise_channels(model, statistics.inputs, names, trial.headroom)
    insert_qdq(model, ranges, trial.scheme, names, before_pads=trial.before_pads)
    return GraphInMemory(graph.declaration, model_to_bytes(model), trial.name, "int8", targets=("openvino",))


if __name__ == "__main__":
    main()
