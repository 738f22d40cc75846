"""Every architecture of every model, by the same rules: none of them is named here.

Tiny networks with random weights: two frames and two looks, torch against every CPU engine, TensorRT-RTX builds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_i2i.cards.check import CPU_ENGINES, check_model
from edge_i2i.contract import GraphKind, in_order
from edge_i2i.metrics.parity import EXACT
from edge_i2i.models.registry import get_family
from samples.architectures import tiny_architectures

ARCHITECTURES = [pytest.param(name, config, id=f"{name}: {what}") for name, what, config in tiny_architectures()]


@pytest.mark.parametrize(("name", "config"), ARCHITECTURES)
def test_every_engine_computes_what_torch_does_for_every_look(name: str, config: Any, tmp_path: Path) -> None:
    family = get_family(name)
    check = check_model(family, config, family.tiny_size, tmp_path)
    for graph in check.graphs:
        assert set(graph.parity) == set(CPU_ENGINES)
        for parity in graph.parity.values():
            parity.check(EXACT, f"{name}: {graph.graph}")
        assert graph.rtx_bytes
    if check.look_effect is not None:
        assert check.look_effect > 0.01  # or nothing was tested


@pytest.mark.parametrize(("name", "config"), ARCHITECTURES)
def test_declarations_are_of_one_piece(name: str, config: Any) -> None:
    family = get_family(name)
    graphs = [graph.declaration for graph in family.random(config, 1).graphs(family.tiny_size)]
    frame = graphs[0]
    assert [graph.kind for graph in graphs] == [GraphKind.FRAME] + [GraphKind.CONDITION] * (len(graphs) - 1)
    assert frame.outputs[0].name == "image"
    assert in_order(graphs)[-1] is frame
    shapes: dict[str, tuple[Any, ...]] = {}
    for graph in graphs:
        for spec in (*graph.inputs, *graph.outputs):
            assert shapes.setdefault(spec.name, (spec.shape, spec.dtype)) == (spec.shape, spec.dtype)
            assert spec.meaning
    computed = {spec.name for graph in graphs[1:] for spec in graph.outputs}
    needed = {spec.name for graph in graphs for spec in graph.inputs}
    assert computed <= needed, "a condition graph computes what nothing reads"


@pytest.mark.parametrize(("name", "config"), ARCHITECTURES)
def test_rewrites_may_be_switched_off_one_by_one(name: str, config: Any) -> None:
    family = get_family(name)
    model = family.random(config, 1)
    for rewrite in model.rewrites:
        others = {item.name for item in model.rewrites if item.default and item is not rewrite}
        assert model.graphs(family.tiny_size, others)
        assert model.graphs(family.tiny_size, {*others, rewrite.name})
