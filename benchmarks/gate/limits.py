"""What every published network takes at the gate for graphs: operations, memory and work, held against its limits.

Every architecture is traced at the size that it was published at, at 1080x1920 and at 2048x1024, with and without its
exact rewrites, and quantized for every target at the first of these: such graphs have the most operations. Nothing is
run, so weights are random and ranges made up. Also how long the gate takes for the largest file.

Example: python -m benchmarks.gate.limits                     (docs/figures/gate.json; half an hour)
         python -m benchmarks.gate.limits --only munit        (the others keep their figures)
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from typing import Any

import onnx_ir as ir

from benchmarks.figures import FOLDER, kept_rows, write_figures
from edge_i2i.contract import GraphDeclaration, Size
from edge_i2i.gate import DEFAULT_LIMITS, Limits, check_graph
from edge_i2i.gate.limits import GraphCost
from edge_i2i.graphs.model_bytes import model_to_bytes
from edge_i2i.graphs.passes import DEFAULT_PASSES, get_passes, keep_declared_outputs
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Range
from edge_i2i.graphs.qdq.targets import get_target, target_names
from edge_i2i.graphs.trace import trace
from edge_i2i.models.family import ModelFamily, ModelGraph
from edge_i2i.models.registry import family_names, get_family

OUTPUT = FOLDER / "gate.json"
LARGE = (Size(1080, 1920), Size(2048, 1024))
BOUNDLESS = Limits(nodes=10**9, least_memory=1 << 60, least_work=1 << 80)  # what is too much is counted, too


def main() -> None:
    """Measure what was asked for and keep the rest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=family_names(), help="this model only; repeatable")
    parser.add_argument("--published", action="store_true", help="at the published size alone")
    given = parser.parse_args()
    only, larger = given.only, () if given.published else LARGE
    rows = kept_rows(OUTPUT, lambda row: bool(only) and row["model"] not in only)
    for name in only or family_names():
        rows += measured(name, larger)
        write_figures(OUTPUT, rows, "python -m benchmarks.gate.limits", 1)


def measured(name: str, larger: tuple[Size, ...]) -> list[dict[str, Any]]:
    """A row for every architecture and size: the most that any of its graphs takes, in any form."""
    family, rows = get_family(name), list[dict[str, Any]]()
    for architecture, config in family.architectures().items():
        for asked in (family.full_size, *larger):
            sys.stderr.write(f"{name}: {architecture}, {asked}\n")
            rows.append({"model": name, "architecture": architecture, **largest(family, config, asked)})
            gc.collect()
    return rows


def largest(family: ModelFamily[Any], config: Any, asked: Size) -> dict[str, Any]:
    """The most operations, bytes and multiplications; by pixel where the limit goes by pixels."""
    network = family.random(config, 5)
    _, size = network.size_rule.neighbours(asked)
    rows = []
    for rewrites in (None, frozenset[str]()):
        for graph in network.graphs(size, rewrites):
            rows += [cost(graph.declaration, model) for model in forms(graph, quantized=size == family.full_size)]
    return {"size": str(size), **{key: max(row[key] for row in rows) for key in rows[0]}}


def forms(graph: ModelGraph, *, quantized: bool) -> Iterator[ir.Model]:
    """As traced, with the usual passes, and with every layer quantized for every target."""
    model = trace(graph)
    keep_declared_outputs(model)
    yield model
    for item in get_passes(DEFAULT_PASSES):
        item.apply(model)
    keep_declared_outputs(model)
    yield model
    layers = find_layers(model)
    ranges = {layer.name: Range(-1.0, 2.0) for layer in layers}
    for name in target_names() if quantized and layers else ():
        target, changed = get_target(name), model.clone()
        chosen = target.placement(layers).quantized
        insert_qdq(changed, ranges, target.scheme, chosen, before_pads=target.before_pads)
        target.legalise(changed, ranges)
        yield changed


def cost(declaration: GraphDeclaration, model: ir.Model) -> dict[str, Any]:
    """What one graph takes, and its share of what it may take."""
    data = model_to_bytes(model)
    began = time.perf_counter()
    taken = check_graph(data, declaration, BOUNDLESS)
    seconds = time.perf_counter() - began
    shares = DEFAULT_LIMITS.shares(taken, declaration)
    return {
        **{name: value for key in shares for name, value in figures_of(key, taken, shares[key])},
        "file_mb": round(len(data) / 1e6, 1),
        "gate_seconds": round(seconds, 3),
    }


def figures_of(key: str, taken: GraphCost, share: float) -> tuple[tuple[str, Any], ...]:
    """One figure of a cost, and its share of the limit."""
    return (key, getattr(taken, key)), (f"share_of_{key}", round(share, 4))


if __name__ == "__main__":
    main()
