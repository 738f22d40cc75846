#!/usr/bin/env python
"""Engines and graph passes on the demo network, interleaved in one run; speeds as ratios to ONNX Runtime.

Example: python benchmarks/engine_speed.py --rounds 30
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from edge_i2i.bundle.golden import golden_input
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.engines.protocol import EngineOptions, Session
from edge_i2i.engines.registry import get_engine
from edge_i2i.export import default_size, export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.graphs.passes import PASSES
from edge_i2i.machine import describe_machine, installed_versions
from edge_i2i.models.loading import load_demo

FIGURES = Path(__file__).parents[1] / "docs" / "figures" / "engine-speed.json"
ENGINES = ("onnxruntime", "openvino")
THREADS = 2
PASS_SETS = {"none": (), "drop-bias": ("drop-bias-before-instance-norm",), "all": tuple(PASSES)}


def main() -> None:
    """Time every engine with every set of passes, round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        sessions, frame, size = open_sessions(Path(folder))
        seconds = time_interleaved(sessions, frame, rounds)
    baseline = statistics.median(seconds["onnxruntime", "none"])
    rows = [
        {
            "engine": engine,
            "passes": passes,
            "p50_ms": round(statistics.median(times) * 1e3, 2),
            "speed_to_onnxruntime_without_passes": round(baseline / statistics.median(times), 3),
        }
        for (engine, passes), times in seconds.items()
    ]
    figures = {
        "network": "pix2pixhd demo",
        "size": size,
        "variant": "fp32",
        "threads": THREADS,
        "rounds": rounds,
        "included": "the engine call on a frame of the network's size, uint8 in and out; no reading or resizing",
        "rows": rows,
        "machine": describe_machine(),
        "versions": installed_versions(),
        "command": f"python benchmarks/engine_speed.py --rounds {rounds}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


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


def time_interleaved(
    sessions: dict[tuple[str, str], Session], frame: dict[str, object], rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Each round runs every session once, so that the machine's mood falls on all of them alike."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in sessions}
    for number in range(rounds + 3):
        for key, session in sessions.items():
            began = time.perf_counter()
            session.run(frame)
            if number >= 3:  # the first rounds warm up
                seconds[key].append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    main()
