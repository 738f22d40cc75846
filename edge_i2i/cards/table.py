"""Making the table of models: what each costs, counted from its declarations, and what it was verified by, measured.

``cards.page`` shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_i2i.cards.check import CPU_ENGINES, ModelCheck
from edge_i2i.cards.cost import GraphCost, costs_of
from edge_i2i.cards.page import SIZES
from edge_i2i.contract import GraphKind
from edge_i2i.models.family import ModelFamily
from edge_i2i.models.registry import family_names, get_family

_GIGA = 1e9


def model_rows() -> list[dict[str, Any]]:
    """One row for every architecture of every model, from its declarations."""
    families = [get_family(name) for name in family_names()]
    return [_row(family, name, config) for family in families for name, config in family.architectures().items()]


def _row(family: ModelFamily[Any], architecture: str, config: Any) -> dict[str, Any]:
    costs = costs_of(family, config, [family.full_size, *SIZES], fitting=True)
    own = costs[family.full_size]
    return {
        "model": family.name,
        "title": family.title,
        "architecture": architecture,
        "own_size": str(family.full_size),
        "frame_parameters": _frame(own).parameters,
        "condition_parameters": sum(graph.parameters for graph in own if graph.kind is GraphKind.CONDITION),
        "frame_gmac": {str(size): _gmac(_frame(costs[size])) for size in SIZES if size in costs},
        "own_size_gmac": _gmac(_frame(own)),
        "condition_gmac": {graph.graph: _gmac(graph) for graph in own if graph.kind is GraphKind.CONDITION},
        "inputs": {graph.graph: list(graph.inputs) for graph in own},
        "source": family.source,
        "reference_licence": family.reference_licence,
        "released_weights": family.released_weights,
        "fidelity": family.fidelity.value,
    }


def _frame(costs: Sequence[GraphCost]) -> GraphCost:
    return next(graph for graph in costs if graph.kind is GraphKind.FRAME)


def _gmac(graph: GraphCost) -> float:
    return round(graph.macs / _GIGA, 2)


def verified(check: ModelCheck) -> dict[str, Any]:
    """The figures of a check, worst over the graphs: per engine the largest float error and grey-level difference."""
    engines = {}
    for engine in CPU_ENGINES:
        parities = [graph.parity[engine] for graph in check.graphs]
        engines[engine] = {
            "float_error": max(parity.float_error or 0.0 for parity in parities),
            "grey_levels": max(parity.grey_levels or 0 for parity in parities),
        }
    return {
        "engines": engines,
        "inputs": sum(graph.parity[CPU_ENGINES[0]].inputs for graph in check.graphs),
        "look_effect": check.look_effect,
        "rtx_built": all(graph.rtx_bytes for graph in check.graphs),
        "operators": sorted({name for graph in check.graphs for name in graph.operators}),
    }
