"""Every program that measures starts, from the repository's root and with nothing else on the path."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "benchmarks").rglob("*.py")
)
EACH = """
import contextlib, importlib, io, json, sys

before, failed = list(sys.path), {}
for name in json.loads(sys.argv.pop()):
    try:
        module, told = importlib.import_module(name), io.StringIO()
        if hasattr(module, "main"):
            sys.argv = [name, "--help"]
            with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
                module.main()
            assert told.getvalue().startswith("usage: "), "no usage"
    except Exception as error:
        failed[name] = repr(error)
added = [path for path in sys.path if path not in before]
sys.stdout.write("\\n" + json.dumps({"failed": failed, "added": added}))
"""
"""All in one process: what they have in common takes seconds to load."""


def test_every_module_is_imported_and_every_program_tells_its_options() -> None:
    command = [sys.executable, "-c", EACH, json.dumps(MODULES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {"failed": {}, "added": []}


def test_a_program_starts_by_its_name() -> None:
    command = [sys.executable, "-m", "benchmarks.docs.make_figures", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: ")


def test_every_program_has_a_name_that_its_text_says() -> None:
    for name in PROGRAMS:
        text = (ROOT / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert f"python -m {name}" in text, name


def named_in(path: Path) -> set[str]:
    return set(re.findall(r"python -m (benchmarks\.[\w.]+)", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("pattern", ["*.md", "docs/**/*.md", "docs/figures/*.json", "edge_i2i/**/*.json", "Makefile"])
def test_every_command_that_a_page_or_a_figure_names_is_there(pattern: str) -> None:
    named = {name.rstrip("."): path.name for path in ROOT.glob(pattern) for name in named_in(path)}
    assert {name: page for name, page in named.items() if name not in PROGRAMS} == {}


CHILDREN = {
    "tests/apps/test_python_apps.py": "a program of somebody's own beside the samples",
    "tests/engines/test_precision.py": "a child on another kind of processor",
    "tests/live/test_soak.py": "a child with the parent's path",
    "tests/web/test_doors.py": "a child with the tests' samples",
    "hatch_build.py": "the build asks the package itself, which is not installed then",
    "tests/test_benchmarks.py": "this rule",
}
"""Who changes where Python looks for modules, and for whom."""


def test_nobody_else_changes_where_modules_are_found() -> None:
    trees = ("edge_i2i", "tests", "benchmarks", "training", "export", "calibration", "runtime")
    files = [*ROOT.glob("*.py"), *(path for tree in trees for path in (ROOT / tree).rglob("*.py"))]
    changing = re.compile(r"sys\.path\s*(?:\[|\+?=|\.(?:insert|append|extend|remove))")
    found = {path.relative_to(ROOT).as_posix() for path in files if changing.search(path.read_text(encoding="utf-8"))}
    assert found | {"tests/test_benchmarks.py"} == set(CHILDREN)
