"""Time and peak memory of ``to_trt`` on the full-size network (182 M parameters, 512x1024, random weights).

Example: python -m benchmarks.models.full_size_export
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile

from benchmarks.figures import FOLDER, circumstances, write_json
from benchmarks.programs import run_measured

FIGURES = FOLDER / "full-size-export.json"
ARGUMENTS = ["--model", "pix2pixhd", "--random-weights", "--size", "512x1024", "--runtime", "rtx", "--json"]


def measure(precision: str) -> dict[str, object]:
    """Run one export in a process of its own."""
    program = ["export/to_trt.py", *ARGUMENTS, "--precision", precision]
    with tempfile.TemporaryDirectory() as folder:
        done = run_measured([sys.executable, *program, "--output", f"{folder}/full.i2i"])
    report = json.loads(done.stdout)
    return {
        "precision": precision,
        **done.figures(),
        **{name: report[name] for name in ("engine_runtime", "engine_version", "parity")},
        "command": " ".join(["python", *program]),
    }


def main() -> None:
    """Measure both precisions and keep the figures."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    runs = [measure(precision) for precision in ("fp32", "fp16")]
    write_json(FIGURES, {"runs": runs, **circumstances()})


if __name__ == "__main__":
    main()
