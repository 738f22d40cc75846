"""Every model at its published size with random weights: to a checked bundle and TensorRT-RTX engines, as users would.

Each network is one call of the command in a process of its own; what it reports is kept.

Example: python -m benchmarks.models.full_size_models
         python -m benchmarks.models.full_size_models --only munit
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figures import FOLDER, kept_rows, write_figures
from edge_i2i.models.registry import family_names, get_family

FIGURES = FOLDER / "full-size-models.json"
THREADS = 2
MEASURED_ELSEWHERE = ("pix2pixhd",)  # 182 M parameters: benchmarks/models/full_size_export.py


def main() -> None:
    """Export every family's first architecture, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=family_names(), help="repeatable; the others are kept")
    only = parser.parse_args().only
    rows = kept_rows(FIGURES, lambda row: bool(only) and row["model"] not in only)
    for name in only or family_names():
        if name not in MEASURED_ELSEWHERE:
            rows.append(export(name))
            write_figures(FIGURES, rows, "python -m benchmarks.models.full_size_models", THREADS)


def export(name: str) -> dict[str, Any]:
    """One call of ``export trt``, and the worst figures over the network's graphs."""
    family = get_family(name)
    arguments = ["--model", name, "--random-weights", "--runtime", "rtx", "--precision", "fp16", "--json"]
    sys.stderr.write(f"{name}\n")
    with tempfile.TemporaryDirectory() as folder:
        output = ["--threads", str(THREADS), "--output", str(Path(folder) / f"{name}.i2i")]
        command = [sys.executable, "-m", "edge_i2i", "export", "trt", *arguments]
        done = subprocess.run([*command, *output], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    stages = list(report["parity"].values())
    return {
        "model": name,
        "architecture": family.full_architecture,
        "size": str(family.full_size),
        "graphs": len(stages),
        "fp32_float_error": max(stage["trace"]["float_error"] for stage in stages),
        "fp32_equal_share": report["parity"]["frame"]["trace"]["equal_share"],
        "fp16_psnr_db": min(stage["fp16"]["psnr_db"] for stage in stages),
        "engines": report["engine_status"],
        "engine_version": report["engine_version"],
        "seconds": report["seconds"],
        "command": f"edge-i2i export trt {' '.join(arguments)}",
    }


if __name__ == "__main__":
    main()
