"""Pages and docstrings speak of the tree as it is: paths, modules, functions and links that are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edge_i2i"
TREES = ("edge_i2i", "tests", "benchmarks", "docs", "training", "export", "calibration", "runtime")
PAGES = sorted([*ROOT.glob("*.md"), *(page for tree in TREES for page in (ROOT / tree).rglob("*.md"))])
OTHERS = [ROOT / name for name in ("Makefile", "pyproject.toml", "hatch_build.py", ".gitignore", ".ci/run")]
MADE = {
    "edge_i2i/web/page/ort": "the browser's runtime: make web",
    "edge_i2i/models/tint": "the worked example of CONTRIBUTING.md",
    "docs/figures/nothing.json": "a test's",
}
"""Paths that are named and not in the repository, each with where it comes from."""

_PATH = re.compile(rf"(?<![\w./-])(?:\.\.?/)*((?:{'|'.join(TREES)})/[\w./*-]*)")


def paths_in(text: str) -> Iterator[str]:
    """Words that look like a path from the root of the repository; ``*`` stands for any name."""
    for found in _PATH.finditer(text):
        path = found[1].rstrip("./")
        if not any(path == made or path.startswith((f"{made}/", f"{made}.")) for made in MADE):
            yield path


def is_there(path: str) -> bool:
    return any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists()


def lacking(file: Path) -> list[str]:
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
    name = file.relative_to(ROOT)
    return [f"{name}:{number}: {path}" for number, line in lines for path in paths_in(line) if not is_there(path)]


def test_every_path_that_a_page_names_is_there() -> None:
    missing = [found for page in PAGES for found in lacking(page)]
    assert not missing, "\n".join(missing)


def test_every_path_that_the_code_names_is_there() -> None:
    files = [*(path for tree in TREES for path in sorted((ROOT / tree).rglob("*.py"))), *OTHERS]
    missing = [found for path in files for found in lacking(path)]
    assert not missing, "\n".join(missing)


def test_nothing_cites_a_section_or_an_issue_that_is_not_here() -> None:
    """Pages of ours have no numbered sections; issues of others are cited with the name of their project."""
    cited = re.compile(r"\b\w+\.md §? ?\d|(?<!aiortc )\bissues? #?\d", re.IGNORECASE)
    files = [*PAGES, *(path for tree in TREES for path in sorted((ROOT / tree).rglob("*.py")))]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if cited.search(line)
    ]
    assert not found, "\n".join(found)


def test_every_program_that_is_run_as_a_module_is_there() -> None:
    """What stands behind ``python -m``, where it is a module of this repository."""
    run = re.compile(rf"python -m ((?:{'|'.join(TREES)})(?:\.\w+)*)")
    for page in [*PAGES, *OTHERS, *(path for tree in TREES for path in sorted((ROOT / tree).rglob("*.py")))]:
        for module in run.findall(page.read_text(encoding="utf-8")):
            place = ROOT / module.replace(".", "/")
            is_program = place.with_suffix(".py").exists() or (place / "__main__.py").exists()
            assert is_program, f"{page.relative_to(ROOT)}: python -m {module}"


def test_what_looks_like_a_path() -> None:
    text = "see ../docs/api.md, `tests/live/`, runtime/*.py; not my/docs/api.md or edge_i2i/models/tint.py."
    assert list(paths_in(text)) == ["docs/api.md", "tests/live", "runtime/*.py"]


# Modules that docstrings name -----------------------------------------------------------------------------------------

ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
_DOTTED = re.compile(rf"``?((?:edge_i2i|{'|'.join(sorted(ROOMS))})(?:\.\w+)+)(?:\(\))?``?")
_FILES = (".py", ".json", ".sha256", ".md", ".hpp", ".yaml", ".i2i")


@cache
def names_in(module: Path) -> frozenset[str]:
    """What a module defines at its top level, and the members of its classes."""
    names = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        for inner in [node, *(node.body if isinstance(node, ast.ClassDef) else ())]:
            names |= {name.id for name in ast.walk(inner) if isinstance(name, ast.Name)}
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(inner.name)
            elif isinstance(inner, ast.ImportFrom):
                names |= {alias.asname or alias.name for alias in inner.names}
    return frozenset(names)


def is_known(dotted: str) -> bool:
    """Whether a name such as ``engines.choice`` or ``media.geometry.Fit`` is that of something in the package."""
    place, parts = PACKAGE, dotted.removeprefix("edge_i2i.").split(".")
    while parts and (place / parts[0]).is_dir():
        place, parts = place / parts[0], parts[1:]
    if parts and (place / f"{parts[0]}.py").exists():
        return set(parts[1:]) <= names_in(place / f"{parts[0]}.py")
    return set(parts) <= names_in(place / "__init__.py") | names_in_stub()


@cache
def names_in_stub() -> frozenset[str]:
    """What ``import edge_i2i`` hands out."""
    return names_in(PACKAGE / "__init__.pyi") | {"__version__", "__all__"}


def test_every_module_that_a_text_names_is_there() -> None:
    unknown = []
    told = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which also tells of names that are no more
    for path in [*told, *sorted(PACKAGE.rglob("*.py"))]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for dotted in _DOTTED.findall(line):
                if not dotted.endswith(_FILES) and not is_known(dotted):
                    unknown.append(f"{path.relative_to(ROOT)}:{number}: {dotted}")
    assert not unknown, "\n".join(unknown)


# The page of the architecture, and the index --------------------------------------------------------------------------

ARCHITECTURE = ROOT / "docs" / "architecture.md"
INDEX = ROOT / "docs" / "index.md"
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def road_rows() -> Iterator[tuple[str, str]]:
    """The functions and classes that the roads name, each with the file where it should be."""
    for road in re.findall(r"<!-- road: \w+ -->\n(.*?)<!-- end -->", ARCHITECTURE.read_text(encoding="utf-8"), re.S):
        for line in road.splitlines()[2:]:
            _, functions, file = line.strip("| ").split(" | ")
            yield from ((name, file.strip("`")) for name in re.findall(r"`([^`]+)`", functions))


def defined_in(file: Path) -> set[str]:
    """``function``, ``Class`` and ``Class.method``, as a file defines them."""
    found: set[str] = set()
    if not file.exists():
        return found
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def test_the_roads_name_functions_where_they_are() -> None:
    rows = list(road_rows())
    assert len(rows) > 60
    gone = [f"{file}: {name}" for name, file in rows if name not in defined_in(ROOT / file)]
    assert not gone, "\n".join(gone)


def test_every_link_of_a_page_leads_somewhere() -> None:
    for page in PAGES:
        for target in _LINK.findall(page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_index_has_every_page_of_docs() -> None:
    linked = set(_LINK.findall(INDEX.read_text(encoding="utf-8")))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {INDEX.name} <= linked
    assert "docs/index.md" in _LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))


# Plain English --------------------------------------------------------------------------------------------------------

_RIDDLES = re.compile(r"\AAs |Error: so it is|\bso it is\.$", re.MULTILINE)
LEAST_WORDS = 3


def test_no_docstring_is_a_riddle() -> None:
    """A summary is a sentence of its own: not the rest of one, and not a word or two."""
    riddles = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            told = ast.get_docstring(node) or ""
            is_short = isinstance(node, ast.FunctionDef) and 0 < len(told.split()) < LEAST_WORDS and "``" not in told
            if is_short or _RIDDLES.search(told):
                riddles.append(f"{path.relative_to(ROOT)}:{node.body[0].lineno}: {told.splitlines()[0]}")
    assert not riddles, "\n".join(riddles)
