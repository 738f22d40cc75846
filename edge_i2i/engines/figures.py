"""Which measured latencies speak of this machine, and how they have to be recorded to do so.

A record counts where its machine has this processor and this number of cores, and where its versions name, under the
engine's own name, the version that is installed now. ``evidence_versions`` writes what ``fastest_first`` reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from edge_i2i.engines.protocol import Engine, EngineOptions
from edge_i2i.machine import describe_machine, installed_versions

MEDIAN = "p50_ms"
"""The figure that decides: milliseconds a frame."""

_SAME_PROCESSOR = ("processor", "cores", "instructions")


class Latency(Protocol):
    """A measured latency of one variant on one engine; a bundle's evidence is made of these."""

    @property
    def variant(self) -> str | None:
        """The name of the variant that ran; None: not recorded."""
        ...

    @property
    def engine(self) -> str | None:
        """The name of the engine that ran it; None: not recorded."""
        ...

    @property
    def precision(self) -> str | None:
        """The float arithmetic that was forced; None: the graph's own."""
        ...

    @property
    def figures(self) -> Mapping[str, float]:
        """The figures by name, in the unit that the name ends with; ``p50_ms`` is the one that decides."""
        ...

    @property
    def machine(self) -> Mapping[str, Any]:
        """The machine that it was measured on, as ``describe_machine`` described it there."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """The software that it was measured with, as ``evidence_versions`` listed it there."""
        ...


def evidence_versions(engine: Engine) -> dict[str, str]:
    """The versions to record with a latency: of the packages, and of the engine under its own name."""
    version = engine.availability().version
    return installed_versions() | ({engine.name: version} if version else {})


def fastest_first(
    latencies: Iterable[Latency], engines: Collection[Engine], variants: Collection[str], options: EngineOptions
) -> list[Latency]:
    """The latencies that hold on this processor and with these versions, the shortest first.

    Of several of one variant, engine and forced precision the one that was added last counts. Figures are never given
    of a float arithmetic that this machine lacks.

    Args:
        latencies: what was measured, in the order in which it was.
        engines: those that may run; figures of others are passed over.
        variants: the names of those that may run.
        options: their ``precision``, where it is given, is the only float arithmetic whose figures count.
    """
    here = describe_machine()
    known = {engine.name: engine for engine in engines}
    latest: dict[tuple[str | None, ...], Latency] = {}
    for record in latencies:
        engine = known.get(record.engine or "")
        if engine is None or record.variant not in variants or MEDIAN not in record.figures:
            continue
        if options.precision not in (None, record.precision):
            continue
        if _same_processor(record.machine, here) and _same_engine(record, engine):
            latest[record.variant, record.engine, record.precision] = record
    return sorted(latest.values(), key=lambda record: record.figures[MEDIAN])


def _same_processor(measured: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    return all(measured.get(name) == here.get(name) for name in _SAME_PROCESSOR)


def _same_engine(record: Latency, engine: Engine) -> bool:
    version = engine.availability().version
    forced = record.precision is None or record.precision in engine.precisions_here()
    return forced and version is not None and record.versions.get(engine.name) == version
