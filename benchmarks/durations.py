"""Which tests take long: written down, so that `make test` leaves them to `make test-all` (`conftest.py` reads it).

Example: make test-all PYTEST_OPTIONS="--durations=0 --durations-min=0.5" > tests.log
         python -m benchmarks.durations tests.log         (docs/figures/test-durations.json)
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

from benchmarks.figures import FOLDER, circumstances, write_json

OUTPUT = FOLDER / "test-durations.json"
LEAST_SECONDS = 1.0
"""What takes less is not written down."""
_LINE = re.compile(r"^([\d.]+)s (call|setup|teardown)\s+(\S+?)::(\S+?)(?:\[.*)?$", re.MULTILINE)


def main() -> None:
    """Read pytest's own list of durations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="what make test-all printed")
    parser.add_argument("--note", default="", help="what else the machine did meanwhile")
    arguments = parser.parse_args()
    command = 'make test-all PYTEST_OPTIONS="--durations=0 --durations-min=0.5"'
    about = {"command": command, "note": arguments.note, **circumstances()}
    write_json(OUTPUT, {**about, **durations(arguments.log.read_text(encoding="utf-8"))})


def durations(log: str) -> dict[str, dict[str, float]]:
    """Seconds of each function's slowest call, and those of each file's fixtures together; the longest first."""
    calls: dict[str, float] = defaultdict(float)
    fixtures: dict[str, float] = defaultdict(float)
    for seconds, phase, file, function in _LINE.findall(log):
        if phase == "call":
            name = f"{file}::{function}"
            calls[name] = max(calls[name], float(seconds))
        else:
            fixtures[file] += float(seconds)
    return {"calls": _longest_first(calls), "fixtures": _longest_first(fixtures)}


def _longest_first(seconds: dict[str, float]) -> dict[str, float]:
    long = {name: round(spent, 1) for name, spent in seconds.items() if spent >= LEAST_SECONDS}
    return dict(sorted(long.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    main()
