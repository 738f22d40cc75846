"""Programs that are measured from outside, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import ROOT


@dataclass(frozen=True)
class Done:
    """What a program wrote to stdout, how many seconds it took, and its peak resident memory in GiB."""

    stdout: str
    seconds: float
    peak_resident_gib: float

    def figures(self) -> dict[str, float]:
        """Time and memory, as figures keep them."""
        return {"seconds": round(self.seconds, 1), "peak_resident_gib": round(self.peak_resident_gib, 2)}


def run_measured(command: Sequence[str]) -> Done:
    """Run a program in the repository's root until it ends; on Linux, which counts memory in KiB.

    Raises:
        SystemExit: it failed.
    """
    with tempfile.TemporaryFile("w+") as output:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=output, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status:
            raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
        output.seek(0)
        return Done(output.read(), seconds, usage.ru_maxrss / 2**20)
