"""Full-size pix2pixHD: what `auto` runs from a quantized bundle, beside a raw OpenVINO INT8 call and FP32, interleaved.

The raw call is what a person writes by hand: NNCF's default quantization, `openvino.compile_model`, one infer request,
its own arrays. `auto` is the whole translator (`edge_i2i.load(bundle)`, `run_into`). Also measured: the time and peak
memory of `edge-i2i quantize` itself, and where a frame goes.

Example: python -m benchmarks.quantize.quantized_speed --size 256x512 --size 512x1024
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edge_i2i
from benchmarks.figures import FOLDER, kept_rows, write_figures
from benchmarks.inputs import photographs
from benchmarks.programs import run_measured
from benchmarks.quantize.quantization import nncf_default
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.cards.seeded_weights import WEIGHTS_NOTE, load_realistic
from edge_i2i.contract import Size
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.metrics.latency import Timings, time_interleaved
from edge_i2i.models.registry import get_family

FIGURES = FOLDER / "quantized-speed.json"
SAMPLES = 32
BASELINE = "onnxruntime fp32"


def main() -> None:
    """One size after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", action="append", help="HxW; repeatable; default 256x512 and 512x1024")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for bundles and graphs, used again by the next run")
    arguments = parser.parse_args()
    sizes = arguments.size or ["256x512", "512x1024"]
    rows = kept_rows(FIGURES, lambda row: row["size"] not in sizes)
    for size in sizes:
        with contextlib.ExitStack() as stack:
            folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.mkdir(parents=True, exist_ok=True)
            rows.append(measure(size, folder, arguments.rounds, arguments.threads))
        rows.sort(key=lambda row: row["size"])
        asked = " ".join(f"--size {row['size']}" for row in rows)
        command = f"python -m benchmarks.quantize.quantized_speed {asked}"
        write_figures(FIGURES, rows, command, arguments.threads)


def measure(size: str, folder: Path, rounds: int, threads: int) -> dict[str, Any]:
    """Export, quantize, time."""
    photos = folder / "photos"
    photographs(photos)
    bundle, report = folder / f"{size}.i2i", folder / f"{size}.json"
    if not report.exists():
        export(bundle, size, threads)
        report.write_text(json.dumps(quantize(bundle, photos, threads, folder), indent=2))
    quantized = json.loads(report.read_text())
    default = default_placement(bundle, folder / f"{size}-nncf.onnx")
    timings, info = contest(bundle, default, rounds, threads)
    return {
        "network": "pix2pixHD G1, 182 M parameters",
        "weights": WEIGHTS_NOTE,
        "size": size,
        "quantize": quantized,
        "auto": info,
        "latency_ms": {name: timing.figures() for name, timing in timings.items()},
        "speed_to_onnxruntime_fp32": {name: speed(timing, timings[BASELINE]) for name, timing in timings.items()},
        "auto_to_raw_default": speed(timings["auto"], timings["raw openvino, NNCF default"]),
        "profile_ms": profile(bundle, info["variant"], threads),
    }


def export(bundle: Path, size: str, threads: int) -> None:
    """The full-size network with seeded weights; they are drawn at the smaller size, where that takes a minute."""
    loaded = load_realistic("pix2pixhd", get_family("pix2pixhd").full_config(), 0, Size(256, 256))
    export_bundle(loaded, Size.parse(size), bundle, ExportOptions(precisions=("fp32",), threads=threads))


def quantize(bundle: Path, photos: Path, threads: int, folder: Path) -> dict[str, Any]:
    """`edge-i2i quantize` for OpenVINO on 32 frames, with its time and peak memory."""
    cache = folder / f"cache-{time.time_ns()}"
    asked = {"data": photos, "samples": SAMPLES, "target": "openvino", "threads": threads, "cache": cache}
    options = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    done = run_measured([sys.executable, "-m", "edge_i2i", "quantize", str(bundle), *options, "--json"])
    summary = json.loads(done.stdout)
    return {
        "frames": SAMPLES,
        **done.figures(),
        "kept": summary["kept"],
        "variants": [{key: item[key] for key in ("variant", "quality", "int8_layers")} for item in summary["variants"]],
    }


def default_placement(bundle: Path, target: Path) -> Path:
    """NNCF's default on two frames: its placement, and so its speed, does not depend on how many."""
    if not target.exists():
        source = target.with_suffix(".fp32.onnx")
        graph = open_bundle(bundle).graph("frame", "fp32")
        source.write_bytes(graph.read())
        frames = [{"frame": random_frame(graph.declaration.inputs[0].shape, seed)} for seed in (1, 2)]
        target.write_bytes(nncf_default(source, frames))
        source.unlink()
    return target


def contest(bundle: Path, default: Path, rounds: int, threads: int) -> tuple[dict[str, Timings], dict[str, Any]]:
    """FP32 on both engines, the raw INT8 call, and `auto`."""
    opened, options = open_bundle(bundle), EngineOptions(threads=threads)
    frame = random_frame(opened.frame_graph.inputs[0].shape, 3)
    result = np.empty_like(frame)
    with contextlib.ExitStack() as stack:
        candidates: dict[str, Callable[[], object]] = {}
        for engine in ("onnxruntime", "openvino"):
            session = stack.enter_context(get_engine(engine).load(opened.graph("frame", "fp32"), options))
            candidates[f"{engine} fp32"] = lambda session=session: session.run({"frame": frame})
        candidates["raw openvino, NNCF default"] = raw_call(default, frame, threads)
        translator = stack.enter_context(edge_i2i.load(bundle, threads=threads))
        candidates["auto"] = lambda: translator.run_into(frame, result)
        timings = time_interleaved(candidates, rounds, warm_up=2)
        info = translator.info
    about = {
        "variant": info.variant,
        "engine": info.session.engine,
        "effective_precision": info.session.effective_precision,
        "notes": list(info.session.notes),
        "picked": info.picked,
    }
    return timings, about


def raw_call(model: Path, frame: Any, threads: int) -> Callable[[], object]:
    """As written by hand with OpenVINO's own API and its own choice of float arithmetic."""
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer({"frame": frame})


def profile(bundle: Path, variant: str, threads: int) -> dict[str, float]:
    """Milliseconds by kind of node and kernel, of one frame of three."""
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "PERF_COUNT": True}
    graph = open_bundle(bundle).graph("frame", variant)
    core = openvino.Core()
    request = core.compile_model(core.read_model(model=graph.read()), "CPU", settings).create_infer_request()
    frame = random_frame(graph.declaration.inputs[0].shape, 4)
    spent: defaultdict[str, float] = defaultdict(float)
    for _ in range(3):
        request.infer({"frame": frame})
        spent.clear()
        for node in request.get_profiling_info():
            spent[f"{node.node_type} {node.exec_type}"] += node.real_time.total_seconds() * 1e3
    return {name: round(ms, 2) for name, ms in sorted(spent.items(), key=lambda item: -item[1]) if ms >= 0.2}


def speed(one: Timings, other: Timings) -> dict[str, float]:
    """How many times faster `one` is, with the quartiles of the rounds."""
    found = one.speed_to(other)
    return {"median": round(found.median, 3), "low": round(found.low, 3), "high": round(found.high, 3)}


def random_frame(shape: tuple[int, ...], seed: int) -> Any:
    """Noise: how long a frame takes does not depend on what it shows."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


if __name__ == "__main__":
    main()
