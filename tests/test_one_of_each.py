"""What is said once stays said once: the PSNR, writing a file, walking over samples, an option."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_i2i.cli.export.common import Exporting
from edge_i2i.cli.export.onnx import onnx as export_onnx
from edge_i2i.cli.export.trt import trt as export_trt
from edge_i2i.cli.options.option_groups import with_groups

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edge_i2i"
ORACLES = {"tests/metrics/test_parity.py", "tests/learn/test_evaluate.py", "tests/live/figures/test_histogram.py"}
"""Tests that hold a figure against its definition, written out."""


MOVES = {
    "edge_i2i/files/whole.py": "the one way to write a file whole or not at all",
    "edge_i2i/bundle/staging.py": "a bundle may be a folder, which takes another's place",
    "edge_i2i/bundle/tree.py": "a finished file goes into the hidden tree that becomes the bundle",
    "edge_i2i/collect/folder.py": "a folder takes another's place",
    "edge_i2i/collect/run.py": "a finished frame goes into the hidden tree that becomes the folder",
    "edge_i2i/learn/checkpoints.py": "a checkpoint is a folder",
    "edge_i2i/live/figures/event_log.py": "a log that is full gives its name to the next",
}
"""Who moves a file or a folder to another name, and why that is not ``files.whole.replacing``."""


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """The path below the repository's root, and the text, of every Python file of these folders but this one."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path != Path(__file__):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_one_place_makes_decibels_of_errors() -> None:
    found = {name for name, text in sources("edge_i2i", "benchmarks", "training", "tests") if "log10" in text}
    assert found - ORACLES == {"edge_i2i/metrics/decibels.py"}


def test_one_place_makes_errors_of_decibels() -> None:
    found = {name for name, text in sources("edge_i2i", "benchmarks", "training") if "db / 10" in text}
    assert found == {"edge_i2i/metrics/decibels.py"}


def moves(text: str) -> list[int]:
    """The lines that move something to another name; ``str.replace`` takes two arguments, ``Path.replace`` one."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            module = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            of_path = node.func.attr in ("replace", "rename") and len(node.args) == 1 and not node.keywords
            of_module = (module, node.func.attr) in {("os", "replace"), ("os", "rename"), ("shutil", "move")}
            if of_path or of_module:
                found.append(node.lineno)
    return found


def test_one_place_writes_a_file_whole_or_not_at_all() -> None:
    assert {name for name, text in sources("edge_i2i", "benchmarks", "training") if moves(text)} == set(MOVES)


def test_one_place_walks_over_the_golden_samples() -> None:
    """The names of golden arrays are made by who writes them, and read by the bundle alone."""
    found = {name for name, text in sources("edge_i2i") if re.search(r"\bgolden_(in|out)put\b", text)}
    assert found == {"edge_i2i/bundle/golden.py", "edge_i2i/export/onnx.py"}


def options_of(verb: Callable[..., object]) -> dict[str, object]:
    """The type and the declaration of each option; typer's own objects compare by identity."""
    return {
        name: (option.annotation.__origin__, vars(option.annotation.__metadata__[0]))
        for name, option in inspect.signature(verb).parameters.items()
    }


def test_what_the_export_verbs_share_is_one_group_of_options() -> None:
    """Their ``--precision`` is not shared: one takes many variants, the other the one that becomes an engine."""

    def group(asked: Exporting) -> None: ...

    onnx, trt, shared = options_of(export_onnx), options_of(export_trt), options_of(with_groups(group))
    assert {name for name in onnx.keys() & trt.keys() if onnx[name] == trt[name]} == {*shared, "json"}
    assert onnx.keys() & trt.keys() - shared.keys() == {"precision", "json"}
