"""Choosing an engine and a variant: strictly what was asked for, or ``auto`` by a documented rule.

The rule: of the engines that can run now without a long build, ``auto`` takes the one with the highest ``preference``
(a TensorRT engine that was built for this device, then OpenVINO, then ONNX Runtime), and the first of its
``precisions`` that the bundle has in a variant which this engine reads as it is meant.

Figures come before the rule: where the bundle holds latencies that were measured on this very processor and with these
versions (see ``figures``), ``auto`` takes the variant and engine with the shortest median, in the float arithmetic that
was measured, if the variant's pictures were judged in that, too. They decide only if the engine that the rule would
take was measured, too: a GPU that is ready is not passed over because somebody measured the processor beside it.

Variants that a bundle keeps only on request are never picked by themselves, unless it has no others. An engine or a
variant that is named leaves only the other one to choose. What was picked, and by what, is in ``Translator.info``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from edge_i2i.engines.figures import Latency, fastest_first
from edge_i2i.engines.protocol import Engine, EngineOptions, GraphSource, Session
from edge_i2i.engines.registry import engine_names, get_engine
from edge_i2i.errors import EdgeI2IError, MissingRequirementError, UsageError

AUTO = "auto"


class GraphShelf(Protocol):
    """Where variants of graphs are found; an open bundle is one."""

    def variants(self, graph: str) -> tuple[str, ...]:
        """The names of a graph's variants, in the order in which they were added."""
        ...

    def recommended(self, graph: str) -> tuple[str, ...]:
        """Those variants that may be picked without being asked for."""
        ...

    def graph(self, name: str, variant: str) -> GraphSource:
        """The source of one variant of a graph, by both names."""
        ...

    def latencies(self, graph: str) -> Sequence[Latency]:
        """What was measured of a graph's variants, in the order in which it was measured."""
        ...


class Picked(StrEnum):
    """What settled a choice: the user, the rule, or measured figures."""

    ASKED = "as asked"
    RULE = "by rule"
    FIGURES = "by figures measured on this processor"


@dataclass(frozen=True)
class Choice:
    """An engine, the graph variant that it will run, and how; ``options`` hold the float arithmetic as measured."""

    engine: Engine
    graph: GraphSource
    options: EngineOptions
    picked: Picked

    def load(self) -> Session:
        """Make the session; raises what ``Engine.load`` does."""
        return self.engine.load(self.graph, self.options)


def choose(shelf: GraphShelf, graph: str, engine: str, variant: str, options: EngineOptions) -> Choice:
    """Settle the engine and the variant of one graph, by this module's rule where they are left to it.

    Args:
        shelf: where the graph's variants and their measured latencies are; an open bundle is one.
        graph: the graph's name.
        engine: an engine's name, or ``auto``.
        variant: a variant's name, or ``auto``.
        options: threads, the folder of built engines, and the float arithmetic; None there: what the variant was judged
            in, or what was measured to be fastest.

    Raises:
        UsageError: no engine or variant of that name, or none that goes with the other, or with the float arithmetic
            that was asked for.
        MissingRequirementError: the engine that was asked for cannot run here, or none can.
        GraphError: the engine that was asked for would misread the variant that was asked for.
    """
    engines, sources = _engines(engine), _sources(shelf, graph, variant)
    if engine != AUTO and variant != AUTO:
        _refuse_misfit(shelf, graph, engines[0], sources[0], options)
        return Choice(engines[0], sources[0], options, Picked.ASKED)
    pairs = [
        pair for pair in _pairs(engines, sources, options, named=variant != AUTO) if _can_load(pair, engine, options)
    ]
    if not pairs:
        raise _no_pair(shelf, graph, engine, variant, options)
    latencies = [
        record
        for record in shelf.latencies(graph)
        if variant == AUTO or any(_speaks_of(record, *pair, options) for pair in pairs)
    ]
    measured = fastest_first(latencies, engines, [source.variant for source in sources], options)
    return _by_figures(pairs, measured, options) or Choice(*pairs[0], options, Picked.RULE)


_Pair = tuple[Engine, GraphSource]


def _engines(engine: str) -> list[Engine]:
    """The one that was asked for, or all that may be picked and can run here, the most preferred first."""
    if engine != AUTO:
        chosen = get_engine(engine)
        chosen.ensure_available()
        return [chosen]
    known = sorted(map(get_engine, engine_names()), key=lambda item: -item.preference)
    return [item for item in known if item.preference > 0 and item.availability().ok]


def _sources(shelf: GraphShelf, graph: str, variant: str) -> list[GraphSource]:
    names = shelf.variants(graph)
    if variant == AUTO:
        return [shelf.graph(graph, name) for name in shelf.recommended(graph) or names]
    if variant not in names:
        raise UsageError(f"The graph '{graph}' has no variant '{variant}'.", remedy=f"It has: {', '.join(names)}.")
    return [shelf.graph(graph, variant)]


def _pairs(
    engines: Sequence[Engine], sources: Sequence[GraphSource], options: EngineOptions, *, named: bool
) -> Iterator[_Pair]:
    """Engines and variants that go together, in the order of the rule; a variant that was named may be any."""
    for engine in engines:
        known = [source for source in sources if named or source.precision in engine.precisions]
        if not named:
            known.sort(key=lambda source: engine.precisions.index(source.precision))
        for source in known:
            if engine.reads(source) and engine.can_force(source, options.precision):
                yield engine, source


def _can_load(pair: _Pair, asked: str, options: EngineOptions) -> bool:
    """An engine that was asked for may take its time to build; one that is picked may not."""
    return asked != AUTO or pair[0].ready(pair[1], options)


def _by_figures(pairs: Sequence[_Pair], measured: Sequence[Latency], options: EngineOptions) -> Choice | None:
    """The fastest pair, if the engine that comes first by rule was measured, too."""
    if pairs[0][0].name not in {record.engine for record in measured}:
        return None
    known = {(engine.name, source.variant): (engine, source) for engine, source in pairs}
    for record in measured:
        pair = known.get((record.engine or "", record.variant or ""))
        if pair is not None and _was_judged(*pair, record.precision, options):
            precision = record.precision or options.precision
            return Choice(*pair, replace(options, precision=precision), Picked.FIGURES)
    return None


def _speaks_of(record: Latency, engine: Engine, source: GraphSource, options: EngineOptions) -> bool:
    """Whether a figure was taken in the arithmetic that a variant that is named will run in."""
    if (record.engine, record.variant) != (engine.name, source.variant):
        return False
    return record.precision in (options.precision, options.precision or engine.runs_in(source))


def _was_judged(engine: Engine, source: GraphSource, precision: str | None, options: EngineOptions) -> bool:
    """Whether a variant may run in the float arithmetic of a figure: speed alone is no reason to lose the picture."""
    judged = engine.judged_in(source)
    return not judged or precision in (None, options.precision, *judged)


def _refuse_misfit(shelf: GraphShelf, graph: str, engine: Engine, source: GraphSource, options: EngineOptions) -> None:
    """Say before anything is loaded why what was asked for does not go together, and what would."""
    readable = [name for name in shelf.variants(graph) if engine.reads(shelf.graph(graph, name))]
    engine.check_target(source, readable)
    engine.check_precision(source, options.precision)


def _no_pair(shelf: GraphShelf, graph: str, engine: str, variant: str, options: EngineOptions) -> EdgeI2IError:
    engines, variants = _engines(engine), shelf.variants(graph)
    if not engines:
        return MissingRequirementError(
            "No engine can run here.", remedy="pip install onnxruntime, then edge-i2i doctor"
        )
    forced = f" in {options.precision}" if options.precision else ""
    if engine == AUTO:
        wanted = f"a variant of the graph '{graph}'" if variant == AUTO else f"the variant '{variant}' of '{graph}'"
        lacking = _lacking(engines, _sources(shelf, graph, variant), options)
        return MissingRequirementError(
            f"No engine that can run here takes {wanted}{forced}{f': {lacking}' if lacking else ''}.",
            remedy=f"It has: {', '.join(variants)}; edge-i2i inspect says which engines they are for.",
        )
    return UsageError(
        f"The engine '{engine}' runs {', '.join(engines[0].precisions)}; this bundle has {', '.join(variants)}, and "
        f"none of them goes with it{forced}.",
        remedy="Name one with --variant, or export that precision.",
    )


def _lacking(engines: Sequence[Engine], sources: Sequence[GraphSource], options: EngineOptions) -> str:
    """What this machine lacks for the first variant that an engine would read, if that is why it cannot run."""
    reasons = (engine.lacks(source, options) for source in sources for engine in engines if engine.reads(source))
    return next(filter(None, reasons), "")
