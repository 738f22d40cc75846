"""The latency of variants on an engine, as a search over combinations measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np

from edge_i2i.engines.protocol import Engine, EngineOptions, GraphSource, Session
from edge_i2i.metrics.latency import Timings, time_interleaved
from edge_i2i.quantize.calibration.samples import Sample

MeasureLatency = Callable[[Sequence[GraphSource]], Mapping[str, Timings]]
"""Times graphs in one interleaved run, by the names of their variants."""


@dataclass(frozen=True)
class EngineTimer:
    """A ``MeasureLatency`` on real sessions, all of them loaded at once.

    ``rounds``, ``warm_up``, ``seconds``: as ``time_interleaved`` takes them.
    """

    engine: Engine
    options: EngineOptions
    sample: Sample
    rounds: int = 15
    warm_up: int = 3
    seconds: float | None = 8.0

    def __call__(self, graphs: Sequence[GraphSource]) -> dict[str, Timings]:
        """The timings of the graphs by variant, all loaded at once, timed in one interleaved run, and closed."""
        with ExitStack() as stack:
            sessions = {graph.variant: stack.enter_context(self.engine.load(graph, self.options)) for graph in graphs}
            calls = {name: _call(session, self.sample) for name, session in sessions.items()}
            return time_interleaved(calls, self.rounds, self.warm_up, seconds=self.seconds)


def _call(session: Session, sample: Sample) -> Callable[[], object]:
    outputs = {spec.name: np.empty(spec.shape, spec.dtype.value) for spec in session.declaration.outputs}
    return partial(session.run_into, dict(sample), outputs)
