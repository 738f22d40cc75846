"""How long after its start a session shows the first picture, and the first translated one.

A part of ``benchmarks.live.run``. Run as a program, it is what that starts in a fresh process: a session of the library
that writes a trace and says when it began. What was shown when is read from the trace, the same way for the library and
for ``edge-i2i live``.

Example: python -m benchmarks.live.start city.i2i onnxruntime trace.json
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import ROOT
from edge_i2i.live.figures.events import EventKind
from edge_i2i.live.figures.trace import Trace, first_writes

if TYPE_CHECKING:
    from benchmarks.live.samples import Setup

SOURCE = "pattern:256x256@30"
AFTER = 1.5
"""Seconds that a session goes on after its network was loaded."""
ENGINES = ("onnxruntime", "openvino")


def start(setup: Setup) -> Iterator[dict[str, Any]]:
    """Each in fresh processes, of which the first warms up the file cache and does not count."""
    for engine in ENGINES:
        for what, run in (("edge-i2i live", command), ("a program that embeds it", library)):
            runs = [run(setup.demo, engine, setup.folder / "trace.json") for _ in range(setup.few(7, 2))][1:]
            yield {
                "what": what,
                "from": "the process's start" if run is command else "`LiveSession.start()`",
                "engine": engine,
                "runs": len(runs),
                **summary("first_picture", [first for first, _ in runs]),
                **summary("first_translated", [translated for _, translated in runs]),
            }


def summary(name: str, seconds: list[float]) -> dict[str, float]:
    """Median and longest."""
    return {f"{name}_s": round(statistics.median(seconds), 3), f"{name}_longest_s": round(max(seconds), 3)}


def command(bundle: Path, engine: str, trace: Path) -> tuple[float, float]:
    """As a user starts it."""
    began = time.perf_counter()  # of all processes the same clock: Linux's CLOCK_MONOTONIC
    program = Path(sys.executable).with_name("edge-i2i")
    options = ["--source", SOURCE, "--sink", "null", "--engine", engine, "--trace", str(trace)]
    words = [program, "live", bundle, *options]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as session:
        said = []
        for line in session.stderr or ():
            said.append(line)
            if line.startswith(str(EventKind.LOADED)):
                time.sleep(AFTER)
                session.send_signal(signal.SIGINT)
    if session.returncode:
        raise RuntimeError("".join(said))
    return shown(trace, began)


def library(bundle: Path, engine: str, trace: Path) -> tuple[float, float]:
    """From the moment at which a program has a session and starts it."""
    words = [sys.executable, "-m", "benchmarks.live.start", bundle, engine, trace]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return shown(trace, float(done.stdout))


def shown(trace: Path, began: float) -> tuple[float, float]:
    """Seconds until a sink had the first picture, and the first that was translated."""
    first, translated = first_writes(json.loads(trace.read_text(encoding="utf-8")))
    if first is None or translated is None:
        raise RuntimeError(f"No picture came within {AFTER:g} s: the machine is too busy to be measured.")
    return first - began, translated - began


def main() -> None:
    """One session of the library."""
    from edge_i2i.clock import SystemClock
    from edge_i2i.live.frame import Origin
    from edge_i2i.live.opening import open_session

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("engine")
    parser.add_argument("trace", type=Path, help="a file to write")
    given = parser.parse_args()
    clock = SystemClock()
    trace = Trace(clock)
    session = open_session(given.bundle, SOURCE, ["null"], engine=given.engine, trace=trace, clock=clock)
    began = clock.now()
    with session:
        next(result for result in session if result.origin is Origin.TRANSLATED)
        session.wait(AFTER)  # the sink has a thread of its own
    trace.write(given.trace)
    sys.stdout.write(f"{began}\n")


if __name__ == "__main__":
    main()
