"""INT8 of every model: our placement beside the tools' own defaults, on the same graph, data and pictures.

Networks have their published widths. Weights are trained ones where they exist (the demo network), else seeded ones
that are about as sensitive as those by choice (`edge_i2i.cards.seeded_weights`); rows say which. Quality is against
FP32 of the same network, on held-out pictures.

Example: python -m benchmarks.quantize.quantization
         python -m benchmarks.quantize.quantization --only munit --threads 2
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import FOLDER, rows_of, write_figures
from benchmarks.inputs import photographs
from edge_i2i.arrays import Array
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.cards.seeded_weights import WEIGHTS_NOTE, load_realistic
from edge_i2i.contract import ID_MAPS, GraphDeclaration, Size
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions, GraphSource
from edge_i2i.engines.registry import get_engine
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.graphs.qdq.targets import Target, get_target
from edge_i2i.models.checkpoints.loading import LoadedModel, load_demo
from edge_i2i.models.registry import get_family
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, CalibrationSet, load_calibration
from edge_i2i.quantize.job import QuantizeJob
from edge_i2i.quantize.judging.contest import Entry, hold_contest
from edge_i2i.quantize.judging.judge import JudgedInputs, judge_for
from edge_i2i.quantize.variants import Ingredients, QuantizedVariant, make_variant

FIGURES = FOLDER / "quantization.json"
TARGETS = ("openvino", "tensorrt")
SAMPLES = 32
QUICK = Size(256, 256)


@dataclass(frozen=True)
class Subject:
    """A network to quantize."""

    name: str
    load: Callable[[], LoadedModel]
    size: Size
    weights: str


def seeded(name: str, model: str, size: Size = QUICK) -> Subject:
    """A network of the registry with seeded weights: its first published architecture."""
    return Subject(name, lambda: load_realistic(model, get_family(model).full_config(), 0, size), size, WEIGHTS_NOTE)


def published(model: str) -> Subject:
    """The same at its published size."""
    family = get_family(model)
    return seeded(family.title, model, family.full_size)


def subjects() -> list[Subject]:
    """The networks that are measured."""
    return [
        Subject("pix2pixHD demo", lambda: load_demo("pix2pixhd"), QUICK, "trained, shipped"),
        seeded("CycleGAN ResNet-9", "cyclegan"),
        seeded("pix2pix U-Net-256", "pix2pix"),
        *map(published, ("munit", "unit", "bicyclegan")),
        seeded("EGSC-IT", "egscit"),
        *map(published, ("init", "lomit", "bridgegan")),
        seeded("pix2pixHD G1", "pix2pixhd"),
    ]


def main() -> None:
    """One network after the other; every finished row is kept at once."""
    known = subjects()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="part of a network's name; repeatable; the other rows are kept")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    chosen = [
        item
        for item in known
        if not arguments.only or any(part.lower() in item.name.lower() for part in arguments.only)
    ]
    rows = rows_of(FIGURES) if arguments.only else []
    for subject in chosen:
        sys.stderr.write(f"{subject.name}\n")
        with tempfile.TemporaryDirectory() as folder:
            row = measure(subject, Path(folder), arguments.threads)
        names = [item.name for item in known]
        rows = sorted(
            [*(old for old in rows if old["network"] != subject.name), row],
            key=lambda item: names.index(item["network"]),
        )
        command = f"python -m benchmarks.quantize.quantization --threads {arguments.threads}"
        write_figures(FIGURES, rows, command, arguments.threads)


def measure(subject: Subject, folder: Path, threads: int) -> dict[str, Any]:
    """All variants of one network."""
    began = time.monotonic()
    photographs(folder / "photos")
    path = folder / "network.i2i"
    export_bundle(subject.load(), subject.size, path, ExportOptions(precisions=("fp32",), threads=threads))
    bundle = open_bundle(path)
    graph = bundle.graph(bundle.frame_graph.name, "fp32")
    options = CalibrationOptions(count=SAMPLES, held_out=3, threads=threads)
    data = folder / "photos"
    with load_calibration(bundle, "golden" if needs_maps(bundle.frame_graph) else data, options) as calibration:
        inputs = JudgedInputs.of(calibration)
        ours = {name: our_variant(graph, get_target(name), calibration, inputs, folder, threads) for name in TARGETS}
        tools = tool_defaults(graph, calibration, folder)
        columns = {f"ours, {name}": our_figures(variant) for name, variant in ours.items()}
        columns |= judged_tools(graph, tools, inputs, threads)
        latency = timed(graph, ours["openvino"], tools["nncf"], calibration, threads)
    return {
        "network": subject.name,
        "size": str(subject.size),
        "weights": subject.weights,
        "calibration": calibration.summary.lines(),
        "variants": columns,
        "latency_ms": latency,
        "seconds": round(time.monotonic() - began, 1),
    }


def needs_maps(declaration: GraphDeclaration) -> bool:
    """Whether the frame graph takes id maps, for which the wheels hold no data."""
    return any(spec.role in ID_MAPS for spec in declaration.inputs)


def our_variant(
    graph: GraphSource, target: Target, calibration: CalibrationSet, inputs: JudgedInputs, folder: Path, threads: int
) -> QuantizedVariant:
    """INT8 where the budget allows, as `edge-i2i quantize` makes it."""
    budget = QuantizeJob((target.name,)).budget(target)
    return make_variant(Ingredients(graph, target, calibration, inputs, budget, folder / "cache", threads=threads))


def our_figures(variant: QuantizedVariant) -> dict[str, Any]:
    """Quality, the layers kept in float, and what INT8 in every placed layer would give."""
    whole = variant.all_int8
    return {
        **variant.verdict.quality.figures(),
        "judged_by": variant.verdict.judged_by,
        "int8_layers": len(variant.graph.layers),
        "float_layers": len(variant.kept_float),
        "float_for_the_budget": list(variant.for_the_budget),
        "meets_budget": not variant.complaints,
        "complaints": list(variant.complaints),
        "all_int8_psnr_db": None if whole is None else whole.verdict.quality.psnr_db,
        "price_ms": variant.price_ms,
    }


# The tools' own defaults -----------------------------------------------------------------------------------------


def tool_defaults(graph: GraphSource, calibration: CalibrationSet, folder: Path) -> dict[str, bytes]:
    """What a user gets who calls each tool without options, on the same samples."""
    source = folder / "fp32.onnx"
    source.write_bytes(graph.read())
    samples = [dict(sample) for sample in calibration.samples]
    return {"nncf": nncf_default(source, samples), "onnxruntime": onnxruntime_default(source, samples, folder)}


def nncf_default(source: Path, samples: Sequence[Mapping[str, Array]]) -> bytes:
    """`nncf.quantize` as it comes."""
    import nncf
    import onnx

    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        made = nncf.quantize(onnx.load(source), nncf.Dataset(samples), subset_size=len(samples))
    data: bytes = made.SerializeToString()
    return data


def onnxruntime_default(source: Path, samples: Sequence[Mapping[str, Array]], folder: Path) -> bytes:
    """`onnxruntime.quantization.quantize_static` as it comes."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(samples)

        def get_next(self) -> Mapping[str, Array] | None:
            return next(self._left, None)

    target = folder / "onnxruntime.onnx"
    quantize_static(source, target, Reader())
    return target.read_bytes()


def judged_tools(
    graph: GraphSource, tools: Mapping[str, bytes], inputs: JudgedInputs, threads: int
) -> dict[str, dict[str, Any]]:
    """The tools' graphs as their engines compute them, and as TensorRT does once they are made legal for it."""
    found = {}
    for name, data, target in (
        ("NNCF default, OpenVINO", tools["nncf"], "openvino"),
        ("ONNX Runtime default", tools["onnxruntime"], "onnxruntime"),
        ("NNCF default, legalised for TensorRT", tools["nncf"], "tensorrt"),
        ("ONNX Runtime default, legalised for TensorRT", tools["onnxruntime"], "tensorrt"),
        ("NNCF default, as TensorRT reads it", tools["nncf"], "unlegalised"),
    ):
        found[name] = judged_tool(graph, data, target, inputs, threads)
    return found


def judged_tool(graph: GraphSource, data: bytes, target: str, inputs: JudgedInputs, threads: int) -> dict[str, Any]:
    """Quality of one of them; the reason where it cannot be computed."""
    from edge_i2i.errors import EdgeI2IError
    from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes

    name = "tensorrt" if target == "unlegalised" else target
    try:
        if target == "tensorrt":
            model = model_from_bytes(data)
            get_target(target).legalise(model)
            get_target(target).check(model)
            data = model_to_bytes(model)
        judge = judge_for(get_target(name), graph, inputs, EngineOptions(threads=threads))
        verdict = judge.judge(GraphInMemory(graph.declaration, data, target, "int8"))
    except EdgeI2IError as error:
        return {"failed": error.what.partition("\n")[0]}
    return {**verdict.quality.figures(), "judged_by": verdict.judged_by}


def timed(
    graph: GraphSource, ours: QuantizedVariant, nncf_model: bytes, calibration: CalibrationSet, threads: int
) -> dict[str, Any]:
    """OpenVINO and ONNX Runtime in FP32, ours and NNCF's default on OpenVINO, interleaved."""
    openvino, onnxruntime = get_engine("openvino"), get_engine("onnxruntime")
    default = GraphInMemory(graph.declaration, nncf_model, "nncf-default", "int8", targets=("openvino",))
    contestants = [
        Entry(graph, onnxruntime),
        Entry(graph, openvino),
        Entry(ours.graph.source, openvino),
        Entry(default, openvino),
    ]
    labels = ("onnxruntime fp32", "openvino fp32", "openvino int8, ours", "openvino int8, NNCF default")
    placings = hold_contest(contestants, calibration.held_out[0], EngineOptions(threads=threads), rounds=20, seconds=15)
    first = placings[0].timings
    return {
        label: {
            **placing.timings.figures(),
            "speed_to_onnxruntime_fp32": placing.timings.speed_to(first).median,
            "computed_in": placing.effective_precision,
        }
        for label, placing in zip(labels, placings, strict=True)
    }


if __name__ == "__main__":
    main()
