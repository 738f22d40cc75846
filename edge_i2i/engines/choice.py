"""Choosing an engine and a variant: strictly what was asked for, or ``auto`` by a documented rule.

``auto`` takes, of the engines that are ready to run now without a long build, the one with the highest
``preference``: a TensorRT engine that was built for this device, then OpenVINO, then ONNX Runtime. The variant
``auto`` is the first of the engine's ``precisions`` that the bundle has. What was picked is in ``Translator.info``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge_i2i.engines.protocol import Engine, EngineOptions, GraphSource
from edge_i2i.engines.registry import engine_names, get_engine
from edge_i2i.errors import MissingRequirementError, UsageError

AUTO = "auto"


class GraphShelf(Protocol):
    """Where variants of graphs are found; an open bundle is one."""

    def variants(self, graph: str) -> tuple[str, ...]:
        """The variants of a graph."""
        ...

    def graph(self, name: str, variant: str) -> GraphSource:
        """One variant of a graph."""
        ...


@dataclass(frozen=True)
class Choice:
    """An engine and the graph variant that it will run."""

    engine: Engine
    graph: GraphSource


def choose(shelf: GraphShelf, graph: str, engine: str, variant: str, options: EngineOptions) -> Choice:
    """Settle the engine and the variant of one graph.

    Raises:
        UsageError: no engine or variant of that name.
        MissingRequirementError: the engine that was asked for cannot run here, or none can.
    """
    if engine != AUTO:
        chosen = get_engine(engine)
        chosen.ensure_available()
        return Choice(chosen, _variant(shelf, graph, variant, chosen))
    candidates = [get_engine(name) for name in engine_names()]
    for candidate in sorted(candidates, key=lambda item: -item.preference):
        if candidate.preference > 0 and candidate.availability().ok:
            source = _variant(shelf, graph, variant, candidate)
            if candidate.ready(source, options):
                return Choice(candidate, source)
    raise MissingRequirementError("No engine can run here.", remedy="pip install onnxruntime, then edge-i2i doctor")


def _variant(shelf: GraphShelf, graph: str, variant: str, engine: Engine) -> GraphSource:
    names = shelf.variants(graph)
    if variant != AUTO:
        if variant not in names:
            raise UsageError(f"The graph '{graph}' has no variant '{variant}'.", remedy=f"It has: {', '.join(names)}.")
        return shelf.graph(graph, variant)
    sources = [shelf.graph(graph, name) for name in names]
    known = [source for source in sources if source.precision in engine.precisions]
    if not known:
        raise UsageError(
            f"The engine '{engine.name}' runs {', '.join(engine.precisions)}; this bundle has {', '.join(names)}.",
            remedy="Name one with --variant, or export that precision.",
        )
    return min(known, key=lambda source: engine.precisions.index(source.precision))
