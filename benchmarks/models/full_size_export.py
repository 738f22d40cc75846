"""Time and peak memory of ``to_trt`` on the full-size network (182 M parameters, 512x1024, random weights).

Example: python -m benchmarks.models.full_size_export
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time

import psutil

from benchmarks.figures import FOLDER, ROOT, circumstances, write_json

FIGURES = FOLDER / "full-size-export.json"
ARGUMENTS = ["--model", "pix2pixhd", "--random-weights", "--size", "512x1024", "--runtime", "rtx", "--json"]


def measure(precision: str) -> dict[str, object]:
    """Run one export in a process of its own and watch its resident memory."""
    arguments = [*ARGUMENTS, "--precision", precision]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "export/to_trt.py", *arguments, "--output", f"{folder}/full.i2i"]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        peak = _PeakMemory(process.pid)
        output, _ = process.communicate()
        seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"to_trt ended with exit code {process.returncode}")
    report = json.loads(output)
    return {
        "precision": precision,
        "seconds": round(seconds, 1),
        "peak_resident_gib": round(peak.bytes / 2**30, 2),
        "engine_runtime": report["engine_runtime"],
        "engine_version": report["engine_version"],
        "parity": report["parity"],
        "command": " ".join(["python", "export/to_trt.py", *arguments]),
    }


class _PeakMemory:
    """The largest resident set of a process, looked at ten times a second until it ends."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._process = psutil.Process(pid)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            try:
                self.bytes = max(self.bytes, self._process.memory_info().rss)
            except psutil.NoSuchProcess:
                return
            time.sleep(0.1)


def main() -> None:
    """Measure both precisions and keep the figures."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    runs = [measure(precision) for precision in ("fp32", "fp16")]
    write_json(FIGURES, {"runs": runs, **circumstances()})


if __name__ == "__main__":
    main()
