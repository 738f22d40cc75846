"""``edge-i2i inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_i2i.cli.show.console import result, result_json
from edge_i2i.cli.show.evidence_table import KINDS, evidence_tables


def inspect(
    bundle: Annotated[Path, typer.Argument(help="The .i2i bundle.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Show what a bundle is: its network, graphs, variants, and the evidence that came with it.

    Example: edge-i2i inspect city.i2i
    """
    from edge_i2i.bundle.describe import describe
    from edge_i2i.bundle.reader import open_bundle

    description = describe(open_bundle(bundle))
    if json:
        result_json(description)
        return
    _tell_model(description)
    for graph in description["graphs"]:
        _tell_graph(graph)
    _tell_evidence(description["evidence"])


def _tell_model(description: dict[str, Any]) -> None:
    model = description["model"]
    result(f"{description['name']}: {model['title']} at {description['size']}, {description['bytes'] / 1e6:.1f} MB")
    result(f"  weights   {model['weights']} ({model['checkpoint_name'] or 'no checkpoint'})")
    result(f"  licence   {model['licence']}")
    result(f"  source    {model['source']}")
    result(f"  created   {description['created']} with {_pairs(description['software'])}")
    result(f"  network   {_pairs(model['config'])}")


def _tell_graph(graph: dict[str, Any]) -> None:
    result(f"graph {graph['name']} ({'every frame' if graph['kind'] == 'frame' else 'once per condition'})")
    for side in ("inputs", "outputs"):
        for spec in graph[side]:
            shape = "×".join(str(number) for number in spec["shape"])
            result(f"  {side[:-1]:7s} {spec['name']:14s} {spec['dtype']:8s} {shape:14s} {spec['meaning']}")
    for variant in graph["variants"]:
        meant_for = f"for {', '.join(variant['targets'])}" if variant["targets"] else "for every engine"
        if variant["floats"]:
            meant_for += f", floats in {' or '.join(variant['floats'])}"
        line = (
            f"  variant {variant['name']:18s} {variant['bytes'] / 1e6:8.1f} MB  {variant['sha256'][:12]}  {meant_for}"
        )
        result(f"{line}{_standing(variant)}")


def _tell_evidence(evidence: list[dict[str, Any]]) -> None:
    tabled = [record for record in evidence if record["kind"] in KINDS]
    for line in evidence_tables(tabled):
        result(line)
    others = [record for record in evidence if record["kind"] not in KINDS]
    if others:
        result("evidence")
    for record in others:
        figures = ", ".join(f"{name} {_number(value)}" for name, value in record["figures"].items())
        result(f"  {record['kind']:8s} {record['graph'] or '':8s} {record['stage']:32s} {figures} [{record['engine']}]")


def _standing(variant: dict[str, Any]) -> str:
    words = ("" if variant["recommended"] else "only on request", variant["label"])
    return "".join(f"; {word}" for word in words if word)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
