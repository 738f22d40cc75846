"""Showing the table of models, which ``cards.table`` makes and the package brings along: no torch is needed for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_i2i.contract import Size

TABLE = Path(__file__).parents[1] / "models" / "table.json"
SIZES = (Size(256, 256), Size(512, 512), Size(512, 1024))


def read_table() -> dict[str, Any]:
    """The shipped table: ``models`` (a row for each architecture), ``machine``, ``versions``, ``command``, ``date``."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


_PAGE = """# The models

Made by `{command}` ({date}); change nothing here by hand. Parameters are those of the graphs that run. GMAC are true
multiply-accumulates: a transposed convolution counts its input positions (tables that count output positions show up to
four times as many). *Once* is what runs once per exemplar, seed or set of attributes; everything else runs every frame.
`edge-i2i models` prints the same table.

## What they cost

{costs}

## What they take

What each graph takes besides weights; an arrow names the graph that computes it. Which options that makes:
`edge-i2i translate BUNDLE --help`.

{inputs}

## Where they come from

The licence is that of the reference code and its weights: it binds whoever ships converted weights, not this software.

{origins}

## What was verified

*Reference*: what our classes were held against, layer for layer or whole (fixtures and procedures in
`tests/models/fixtures/`). *Engines*: tiny networks of the same architecture with random weights, two frames
(with two looks each, where there is a look to choose): largest difference of the float output to torch, and of the
picture in grey levels, after all graph passes.
*TensorRT-RTX*: every graph parsed and built (nothing was run: that needs a GPU).

{verified}

Machine: {machine}. Versions: {versions}.
"""


def page(table: Mapping[str, Any]) -> str:
    """The text of ``docs/models.md``, made from the table."""
    rows = table["models"]
    return _PAGE.format(
        command=table["command"],
        date=table["date"][:10],
        costs=_costs(rows),
        inputs=_all_inputs(rows),
        origins=_origins(rows),
        verified=_verified(rows),
        machine=table["machine"]["processor"],
        versions=", ".join(f"{name} {version}" for name, version in table["versions"].items()),
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _costs(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["model", "architecture", "M parameters", *(f"GMAC {size}" for size in SIZES), "once: M, GMAC"]
    return _markdown(head, [[row["model"], row["architecture"], *cost_cells(row)] for row in rows])


def cost_cells(row: Mapping[str, Any]) -> list[str]:
    """Parameters, GMAC at the three sizes, and what runs once, as text."""
    sizes = [row["frame_gmac"].get(str(size)) for size in SIZES]
    return [
        f"{row['frame_parameters'] / 1e6:.2f}",
        *("–" if gmac is None else f"{gmac:.1f}" for gmac in sizes),
        _once(row),
    ]


def _once(row: Mapping[str, Any]) -> str:
    if not row["condition_gmac"]:
        return "–"
    graphs = ", ".join(f"{name} {gmac:g}" for name, gmac in row["condition_gmac"].items())
    return f"{row['condition_parameters'] / 1e6:.2f}; {graphs} at {row['own_size']}"


def _all_inputs(rows: Sequence[Mapping[str, Any]]) -> str:
    return _markdown(
        ["model", "architecture", "every frame", "once"],
        [
            [
                row["model"],
                row["architecture"],
                ", ".join(row["inputs"]["frame"]),
                "; ".join(f"{name} ← {', '.join(given)}" for name, given in row["inputs"].items() if name != "frame")
                or "–",
            ]
            for row in rows
        ],
    )


def _origins(rows: Sequence[Mapping[str, Any]]) -> str:
    first = {row["model"]: row for row in reversed(rows)}
    return _markdown(
        ["model", "source", "licence of the reference", "released weights"],
        [
            [name, row["source"], row["reference_licence"], row["released_weights"]]
            for name, row in sorted(first.items(), key=lambda item: list(rows).index(item[1]))
        ],
    )


def _verified(rows: Sequence[Mapping[str, Any]]) -> str:
    head = [
        "model",
        "architecture",
        "reference",
        *rows[0]["verified"]["engines"],
        "two looks differ by",
        "TensorRT-RTX",
    ]
    return _markdown(head, [_verified_cells(row) for row in rows])


def _verified_cells(row: Mapping[str, Any]) -> list[str]:
    done = row["verified"]
    engines = [f"{figures['float_error']:.1e}, {figures['grey_levels']}" for figures in done["engines"].values()]
    effect = "–" if done["look_effect"] is None else f"{done['look_effect']:.2f}"
    return [
        row["model"],
        row["architecture"],
        row["fidelity"],
        *engines,
        effect,
        "builds" if done["rtx_built"] else "does not build",
    ]
