"""Engines and graph passes on the demo network, interleaved in one run; speeds as ratios to ONNX Runtime.

Example: python -m benchmarks.models.engine_speed --rounds 30
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.figures import FOLDER, write_figures
from edge_i2i.bundle.golden import golden_input
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.engines.protocol import EngineOptions, Session
from edge_i2i.engines.registry import get_engine
from edge_i2i.export.onnx import default_size, export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.graphs.passes import PASSES
from edge_i2i.metrics.latency import time_interleaved
from edge_i2i.models.checkpoints.loading import load_demo

FIGURES = FOLDER / "engine-speed.json"
ENGINES = ("onnxruntime", "openvino")
THREADS = 2
WARM_UP = 3
PASS_SETS = {"none": (), "drop-bias": ("drop-bias-before-instance-norm",), "all": tuple(PASSES)}


def main() -> None:
    """Time every engine with every set of passes, round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        sessions, frame, size = open_sessions(Path(folder))
        candidates = {key: partial(session.run, frame) for key, session in sessions.items()}
        timings = time_interleaved(candidates, rounds, WARM_UP)
        for session in sessions.values():
            session.close()
    baseline = timings["onnxruntime", "none"]
    rows = [
        {
            "engine": engine,
            "passes": passes,
            "p50_ms": round(timing.p50 * 1e3, 2),
            "speed_to_onnxruntime_without_passes": round(timing.speed_to(baseline).median, 3),
        }
        for (engine, passes), timing in timings.items()
    ]
    command = f"python -m benchmarks.models.engine_speed --rounds {rounds}"
    included = "the engine call on a frame of the network's size, uint8 in and out; no reading or resizing"
    about = {"network": "pix2pixhd demo", "size": size, "variant": "fp32", "rounds": rounds, "included": included}
    write_figures(FIGURES, rows, command, THREADS, **about)


def open_sessions(folder: Path) -> tuple[dict[tuple[str, str], Session], dict[str, object], str]:
    """A session for each engine and set of passes, and a frame to run."""
    loaded = load_demo("pix2pixhd")
    sessions: dict[tuple[str, str], Session] = {}
    for label, passes in PASS_SETS.items():
        target = folder / f"{label}.i2i"
        options = ExportOptions(precisions=("fp32",), passes=passes, threads=THREADS)
        export_bundle(loaded, default_size(loaded), target, options)
        bundle = open_bundle(target)
        for name in ENGINES:
            sessions[name, label] = get_engine(name).load(bundle.graph("frame", "fp32"), EngineOptions(threads=THREADS))
    return sessions, {"frame": bundle.golden()[golden_input("frame", 0, "frame")]}, str(default_size(loaded))


if __name__ == "__main__":
    main()
