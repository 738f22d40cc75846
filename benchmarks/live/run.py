"""The live pipeline in real time: ages, overhead, processor time, films, the first picture, an hour of frames, faults.

What is measured around is a model that sleeps, a network that gives the frame itself, or the shipped demo network at
256x256. No camera is needed: pictures are drawn, and carry their number in their pixels.

Example: python -m benchmarks.live.run
         python -m benchmarks.live.run --only slot --only start
         python -m benchmarks.live.run --quick
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import FOLDER, rows_of, write_figures
from benchmarks.live.endurance import HOUR, cycles, film, recovery, soak, stop
from benchmarks.live.pace import overhead, processor_time, slot
from benchmarks.live.samples import Setup
from benchmarks.live.start import start

FIGURES = FOLDER / "live.json"

PARTS: dict[str, Callable[[Setup], Iterator[dict[str, Any]]]] = {
    "slot": slot,
    "overhead": overhead,
    "processor time": processor_time,
    "film": film,
    "start": start,
    "soak": soak,
    "cycles": cycles,
    "recovery": recovery,
    "stop": stop,  # last: it leaves threads behind that hang
}


def main() -> None:
    """One part after the other; every finished one is kept at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; repeatable; the others' rows are kept")
    parser.add_argument("--quick", action="store_true", help="see whether everything works; nothing is kept")
    parser.add_argument("--frames", type=int, help="of the soak; an hour at 30 fps by default")
    parser.add_argument("--threads", type=int, default=2, help="of the engines")
    arguments = parser.parse_args()
    rows = rows_of(FIGURES) if arguments.only else []
    frames = arguments.frames or (5000 if arguments.quick else HOUR)
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(Path(folder), arguments.threads, arguments.quick, frames)
        for part in arguments.only or PARTS:
            rows = [row for row in rows if row["part"] != part]
            for row in PARTS[part](setup):
                sys.stderr.write(f"{part}: {row}\n")
                rows.append({"part": part, **row})
            if not arguments.quick:
                rows.sort(key=lambda row: list(PARTS).index(row["part"]))
                write_figures(FIGURES, rows, "python -m benchmarks.live.run", arguments.threads)


if __name__ == "__main__":
    main()
