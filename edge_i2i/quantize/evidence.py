"""The evidence of a variant's quality: on held-out pictures, as it was judged, and on the bundle's own examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_i2i.arrays import Array
from edge_i2i.bench.verify import checked_samples
from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.bundle.reader import Bundle
from edge_i2i.engines.protocol import EngineOptions, GraphSource
from edge_i2i.metrics.decibels import written_figure
from edge_i2i.metrics.quality import quality_of
from edge_i2i.quantize.judging.emulation import EmulatingEngine
from edge_i2i.quantize.judging.judge import engine_for
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.records import quality_record

if TYPE_CHECKING:
    from edge_i2i.graphs.qdq.targets.protocol import Target


@dataclass(frozen=True, eq=False)
class Examples:
    """A bundle's own example inputs of its frame graph, and the graph's outputs of each; both empty: it has none."""

    inputs: Sequence[Mapping[str, Array]] = ()
    outputs: Sequence[Mapping[str, Array]] = ()

    @classmethod
    def of(cls, bundle: Bundle) -> Examples:
        """Read from a bundle.

        Raises:
            BundleError: its golden data are not as its frame graph declares.
        """
        golden, frame = bundle.golden_samples(), bundle.frame_graph.name
        return cls(*checked_samples(bundle, frame, golden[frame])) if any(golden.values()) else cls()


def quality_evidence(
    graph: GraphSource,
    target: Target,
    verdicts: Mapping[str, QualityVerdict] | Mapping[None, QualityVerdict],
    examples: Examples,
    options: EngineOptions,
    command: str,
) -> tuple[EvidenceRecord, ...]:
    """The quality of a variant in each float arithmetic that it was judged in, on the bundle's examples, too.

    Args:
        graph: the variant.
        target: the quantization target whose engine judged it; that engine runs the examples as well.
        verdicts: what was found, by float arithmetic; of None alone where the engine has no choice.
        examples: the bundle's.
        options: of the engine; the precision is that of each verdict.
        command: what a person typed.
    """
    return tuple(
        quality_record(
            graph.declaration.name,
            graph.variant,
            target.name,
            precision,
            verdict,
            _golden_psnr(graph, target, examples, replace(options, precision=precision)),
            command,
        )
        for precision, verdict in verdicts.items()
    )


def _golden_psnr(graph: GraphSource, target: Target, examples: Examples, options: EngineOptions) -> float | None:
    """The lowest PSNR in dB of a variant's pictures of the examples; None where there are none."""
    if not examples.inputs:
        return None
    picture = graph.declaration.outputs[0].name
    engine = engine_for(target.name) or EmulatingEngine(target)
    with engine.load(graph, options) as session:
        found = [session.run(sample)[picture] for sample in examples.inputs]
    worst = quality_of(found, [outputs[picture] for outputs in examples.outputs]).worst_psnr_db
    return written_figure(worst)
