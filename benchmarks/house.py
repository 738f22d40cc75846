"""How the house is kept: files a folder, lengths of functions, parameters told, who imports whom.

    python -m benchmarks.house --output docs/figures/house.json

`tests/test_house.py` holds the limits that CONTRIBUTING names against the same figures.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx

from benchmarks.figures import FOLDER, ROOT, write_json
from edge_i2i.machine import describe_machine

PACKAGE = ROOT / "edge_i2i"
TREES = ("edge_i2i", "tests", "benchmarks")
TOLD_FROM = 3
"""Functions of so many parameters have each of them named in their docstring."""


@dataclass(frozen=True)
class Function:
    """One function or method. ``lines``: of its body, the docstring aside. ``untold``: parameters without a word."""

    file: str
    name: str
    lines: int
    is_public: bool
    parameters: tuple[str, ...]
    untold: tuple[str, ...]


def files_of(tree: str) -> list[Path]:
    """Every Python file below a folder of the repository."""
    return sorted((ROOT / tree).rglob("*.py"))


def folder_sizes(tree: str) -> dict[str, int]:
    """How many Python files lie in each folder itself, ``__init__.py`` aside."""
    counted = Counter(path.parent.relative_to(ROOT).as_posix() for path in files_of(tree) if path.name != "__init__.py")
    return dict(counted.most_common())


def functions() -> list[Function]:
    """Every function of the package."""
    return [item for path in files_of("edge_i2i") for item in _functions(path)]


def _functions(path: Path) -> Iterator[Function]:
    name = path.relative_to(ROOT).as_posix()

    def within(body: list[ast.stmt], outside: ast.ClassDef | None, hidden: bool) -> Iterator[Function]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from within(node.body, node, hidden or node.name.startswith("_"))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield _function(name, node, outside, hidden)

    # A verb's parameters are options, which are told in their `help`.
    yield from within(ast.parse(path.read_text(encoding="utf-8")).body, None, hidden="/cli/" in name)


def _function(
    file: str, node: ast.FunctionDef | ast.AsyncFunctionDef, outside: ast.ClassDef | None, hidden: bool
) -> Function:
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    parameters = tuple(one.arg for one in every if one.arg not in ("self", "cls"))
    told = ast.get_docstring(node) or ""
    if node.name == "__init__" and outside is not None:
        told += ast.get_docstring(outside) or ""
    untold = tuple(name for name in parameters if not re.search(rf"\b{re.escape(name)}\b", told))
    body = node.body[1:] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body
    is_public = not hidden and (not node.name.startswith("_") or node.name in ("__init__", "__call__"))
    lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
    return Function(file, node.name, lines, is_public, parameters, untold)


def import_graph() -> networkx.DiGraph:
    """Which file of the package imports which, wherever in it; what is imported for type checkers only aside."""
    graph = networkx.DiGraph()
    known = {module_of(path): path for path in files_of("edge_i2i")}
    for module, path in known.items():
        graph.add_node(module)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name in _imported(tree):
            target = name if name in known else name.rpartition(".")[0]
            if target in known and target != module:
                graph.add_edge(module, target)
    return graph


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from _imported(child)


def circles() -> list[list[str]]:
    """Files that import each other, directly or in a ring."""
    found = networkx.strongly_connected_components(import_graph())
    return sorted(sorted(one) for one in found if len(one) > 1)


def room_table() -> dict[str, list[str]]:
    """Which room imports which; a file at the root is a room of its own name."""
    table: dict[str, set[str]] = defaultdict(set)
    for source, target in import_graph().edges:
        here, there = _room(source), _room(target)
        if here != there:
            table[here].add(there)
    return {room: sorted(others) for room, others in sorted(table.items())}


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "edge_i2i"


def told_share(every: list[Function]) -> float:
    """The share of public functions with three or more parameters whose docstring names each one."""
    asked = [item for item in every if item.is_public and len(item.parameters) >= TOLD_FROM]
    return sum(not item.untold for item in asked) / len(asked)


def figures() -> dict[str, Any]:
    """All of them, as JSON holds them."""
    every = functions()
    lines = [item.lines for item in every]
    files = [len(path.read_text(encoding="utf-8").splitlines()) for path in files_of("edge_i2i")]
    return {
        "command": "python -m benchmarks.house",
        "machine": describe_machine(),
        "folders": {tree: folder_sizes(tree) for tree in TREES},
        "functions": {
            "count": len(lines),
            "median_lines": statistics.median(lines),
            "p95_lines": statistics.quantiles(lines, n=20)[-1],
            "above_50_lines": sum(length > 50 for length in lines),
        },
        "files": {
            "count": len(files),
            "median_lines": statistics.median(files),
            "above_400_lines": sum(length > 400 for length in files),
        },
        "parameters_told": round(told_share(every), 3),
        "circles": circles(),
        "rooms": room_table(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FOLDER / "house.json")
    write_json(parser.parse_args().output, figures(), indent=1)


if __name__ == "__main__":
    main()
