"""Programs that the tests start, stop and kill: `python export_child.py WHAT TARGET [LAYOUT] [MEGABYTES]`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.errors import BundleError
from samples.bundles import FRAME_GRAPH, finish, write_sample

MEGABYTE = 1 << 20


def say(word: str) -> None:
    """Tell the test where this program is."""
    print(word, flush=True)


def hold(target: Path) -> None:
    """Start an export and keep it open until the test closes standard input."""
    with BundleWriter(target) as writer:
        writer.add_graph(FRAME_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=b"held")
        say("ready")
        sys.stdin.read()
        finish(writer)
    say("done")


def write(target: Path, layout: str, megabytes: int) -> None:
    """Export one large graph, saying when the large work begins."""
    source = target.parent.parent / "source.onnx"
    with BundleWriter(target, layout=layout) as writer:
        say("ready")
        writer.add_graph(FRAME_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=source)
        for number in range(megabytes):
            writer.add_bytes(f"extra/{number}.bin", bytes([number % 251]) * MEGABYTE, role="extra")
        say("finishing")
        finish(writer)
    say("done")


def attempt(target: Path, layout: str) -> None:
    """Export once and report the error, if any, and what lies in the folder afterwards."""
    try:
        write_sample(target, layout, payload=bytes(3 * MEGABYTE))
        error = None
    except BundleError as caught:
        error = str(caught)
    files = sorted(path.relative_to(target.parent).as_posix() for path in target.parent.rglob("*") if path.is_file())
    say(json.dumps({"error": error, "files": files, "bytes": target.stat().st_size if target.is_file() else None}))


def contend(target: Path, rounds: int) -> None:
    """Export until it was done that many times; another export may be in the way, and nothing else."""
    done = 0
    while done < rounds:
        try:
            write_sample(target)
            done += 1
        except BundleError as caught:
            if "Another export" not in caught.what:
                raise
            time.sleep(0.001)
    say("done")


def limited(target: Path, layout: str, limit: int) -> None:
    """As ``attempt``, where no file may grow beyond a limit."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    attempt(target, layout)


def main(arguments: list[str]) -> None:
    """Do what the test asks."""
    what, target = arguments[0], Path(arguments[1])
    if what == "hold":
        hold(target)
    elif what == "write":
        write(target, arguments[2], int(arguments[3]))
    elif what == "attempt":
        attempt(target, arguments[2])
    elif what == "contend":
        contend(target, int(arguments[2]))
    elif what == "limited":
        limited(target, arguments[2], int(arguments[3]))
    else:
        raise SystemExit(f"unknown: {what}")


if __name__ == "__main__":
    main(sys.argv[1:])
