"""Tables of the docs, made from the JSON files that measuring commands left: one way for every page.

The text around them is written by hand; what stands between `<!-- table: NAME -->` and `<!-- end -->` is not.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import ROOT

Tables = Mapping[str, Callable[[], str]]
"""What makes each table of a page, by name."""

_BLOCK = re.compile(r"(<!-- table: (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: Path, tables: Tables) -> str:
    """The whole page, with its tables made anew; a table that makes nothing leaves nothing.

    Raises:
        KeyError: the page has a place for a table that is not made, or none for one that is.
    """
    text = page.read_text(encoding="utf-8")
    if missing := set(tables).symmetric_difference(found["name"] for found in _BLOCK.finditer(text)):
        raise KeyError(f"{page.name}: {', '.join(sorted(missing))}")

    def anew(found: re.Match[str]) -> str:
        made = tables[found["name"]]()
        return f"{found[1]}{made}\n{found[3]}" if made else f"{found[1]}{found[3]}"

    return _BLOCK.sub(anew, text)


def write_page(target: Path, page: Callable[[], str], about: str) -> None:
    """What the program of a page does: answer ``--help`` with what it is about, or write the page anew."""
    argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    target.write_text(page(), encoding="utf-8")


def read(path: str) -> dict[str, Any]:
    """One JSON file of the repository."""
    content: dict[str, Any] = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return content


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], about: Mapping[str, Any]) -> str:
    """A table with its circumstances below."""
    return f"{plain_table(head, rows)}\n\n{circumstances(about)}"


def plain_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table."""
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])


def circumstances(about: Mapping[str, Any]) -> str:
    """By which command, on which machine and when something was measured."""
    machine = about["machine"]
    instructions = ", ".join(machine.get("instructions", ()))
    where = f"{machine['processor']} ({instructions}), {machine['cores']} cores, {machine['memory_gib']} GiB"
    return f"`{about['command']}`, {where}, {about['date']}"


def line(cells: Iterable[str]) -> str:
    """One row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
