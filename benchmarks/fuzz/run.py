"""Throw damaged and made files at everything that reads a stranger's: right, refused in plain words, or a finding.

Each target begins with whole inputs and changes them by chance, each time by a seed of its own, so that a finding can
be tried again. It runs in a process of its own with a limit on memory: one that crashes or hangs is a finding too.

    bundle      a zip bundle's bytes, read whole
    manifest    a signed manifest with odd values, described, loaded, run and verified
    graph       an ONNX file's bytes and numbers; what the gate admits, ONNX Runtime has to load and run
    checkpoint  torch and safetensors files
    picture     PNG, JPEG, WebP, BMP, PNM and TIFF files
    wire        messages of the web page

Example: python -m benchmarks.fuzz.run                                   (a minute a target; docs/figures/fuzz.json)
         python -m benchmarks.fuzz.run --only graph --seconds 600
         python -m benchmarks.fuzz.run --only graph --first 4711 --count 1 --output -     (one finding again)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.figures import FOLDER, ROOT, write_figures
from benchmarks.fuzz.targets import TARGETS

OUTPUT = FOLDER / "fuzz.json"
COMMAND = "python -m benchmarks.fuzz.run"
MEMORY = 8 << 30  # bytes of address space; libraries map much that they never touch
SLOW_SECONDS = 30.0  # of processor time, of one input
PATIENCE = 600.0  # after which one that hangs is ended
MOST_FINDINGS = 20


def main() -> int:
    """Run every target that was asked for; 1 where there was a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=TARGETS, help="this target only; repeatable")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=10**9, help="at most so many inputs of each target")
    parser.add_argument("--output", default=str(OUTPUT), help="figures as JSON; - prints them")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        work(given.here, given.first, given.count, given.seconds)
        return 0
    rows = [run(name, given.first, given.count, given.seconds) for name in given.only or TARGETS]
    if given.output == "-":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        write_figures(Path(given.output), rows, COMMAND, 1, seconds=given.seconds)
    return int(any(row["findings"] for row in rows))


def run(name: str, first: int, count: int, seconds: float) -> dict[str, Any]:
    """One target in processes of their own: where one dies, the next goes on behind the seed that it died of."""
    outcomes: Counter[str] = Counter()
    findings: list[dict[str, Any]] = []
    end, last = time.monotonic() + seconds, first + count
    while first < last and time.monotonic() < end and len(findings) < MOST_FINDINGS:
        lines, how = _child(name, first, last - first, end - time.monotonic())
        for line in lines:
            outcomes[line["outcome"]] += 1
            if line["outcome"] == "finding":
                findings.append(line)
        reached = lines[-1]["seed"] + 1 if lines else first
        if not how:
            break
        outcomes["finding"] += 1
        findings.append({"seed": reached, "outcome": "finding", "what": how})
        first = reached + 1
    sys.stderr.write(f"{name}: {dict(outcomes)}\n")
    return {"target": name, "inputs": sum(outcomes.values()), **outcomes, "findings": findings}


def _child(name: str, first: int, count: int, seconds: float) -> tuple[list[dict[str, Any]], str]:
    """What a child said of each input, and how it ended where that was not by itself."""
    options = ["--first", str(first), "--count", str(count), "--seconds", str(seconds)]
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-m", "benchmarks.fuzz.run", "--here", name, *options]
        # Decoders tell every fault on stderr.
        child = subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL, cwd=ROOT)
        try:
            code = child.wait(seconds + PATIENCE)
            how = "" if code == 0 else f"the process ended with {code}"
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            how = f"it took more than {PATIENCE:g} seconds"
        said.seek(0)
        return [json.loads(line) for line in said if line.endswith("}\n")], how


def work(name: str, first: int, count: int, seconds: float) -> None:
    """Try one input after the other and say of each what came of it, on stdout."""
    from edge_i2i.errors import EdgeI2IError

    with tempfile.TemporaryDirectory() as folder:
        target = TARGETS[name](Path(folder))
        _limit_memory()
        end, seed = time.monotonic() + seconds, first
        while seed < first + count and time.monotonic() < end:
            began, told = time.process_time(), {}
            try:
                outcome = target(seed)
            except EdgeI2IError as error:
                outcome = "refused" if error.exit_code in (2, 4, 5) else "finding"
                told = {} if outcome == "refused" else {"what": str(error)[:300]}
            except Exception:  # noqa: BLE001 — whatever it is, it is what is looked for
                outcome, told = "finding", {"what": traceback.format_exc()[-600:]}
            if (took := time.process_time() - began) > SLOW_SECONDS:
                outcome, told = "finding", {"what": f"it took {took:.0f} seconds of processor time"}
            sys.stdout.write(json.dumps({"seed": seed, "outcome": outcome, **told}) + "\n")
            sys.stdout.flush()
            seed += 1


def _limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    sys.exit(main())
