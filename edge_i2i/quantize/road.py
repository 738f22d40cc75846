"""The road from a bundle to a bundle with quantized variants: calibrate, place, judge, time, and keep what wins."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.engines.figures import evidence_versions
from edge_i2i.engines.protocol import Array, EngineOptions, GraphSource
from edge_i2i.errors import BudgetError, UsageError
from edge_i2i.machine import describe_machine, installed_versions
from edge_i2i.measure.quality import QualityBudget
from edge_i2i.media.atomic import replacing
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.budgets import default_budget
from edge_i2i.quantize.cache import default_cache
from edge_i2i.quantize.contest import FULL_PRECISION, Placing, entries, hold_contest, verdict_on
from edge_i2i.quantize.data import CalibrationOptions, CalibrationSet, load_calibration
from edge_i2i.quantize.judge import JudgedInputs
from edge_i2i.quantize.statistics import RangeKind
from edge_i2i.quantize.variants import Ingredients, QuantizedVariant, golden_psnr, make_variant
from edge_i2i.verify import GOLDEN_PSNR, golden_samples

if TYPE_CHECKING:
    from edge_i2i.graphs.qdq.targets.protocol import Target

NOT_TIMED = "not timed: nothing on the machine that quantized it runs this target"


@dataclass(frozen=True)
class QuantizeJob:
    """What is asked for.

    ``targets``: names of quantization targets. ``mixed``: search which layers to keep in float where INT8 in every
    placed layer misses the budget. ``min_psnr_db``, ``min_ssim``: the budget (None: the target's own).
    ``max_latency_ms``: the longest median frame, on the target's engine. ``keep_float``: layers that stay in float in
    any case. ``keep_slower``: keep variants that are slower than the best float one, labelled. ``rounds`` and
    ``seconds``: the most that timing takes. ``cache``: where statistics and verdicts are kept.
    """

    targets: tuple[str, ...]
    mixed: bool = True
    min_psnr_db: float | None = None
    min_ssim: float | None = None
    max_latency_ms: float | None = None
    kind: RangeKind = RangeKind.MIN_MAX
    keep_float: tuple[str, ...] = ()
    keep_slower: bool = False
    threads: int | None = None
    rounds: int = 30
    seconds: float = 60.0
    cache: Path = field(default_factory=default_cache)
    command: str = ""

    def budget(self, target: Target) -> QualityBudget:
        """The quality that a variant for ``target`` has to keep."""
        own = default_budget(target.scheme)
        psnr_db = own.min_psnr_db if self.min_psnr_db is None else self.min_psnr_db
        return QualityBudget(psnr_db, own.min_ssim if self.min_ssim is None else self.min_ssim)


@dataclass(frozen=True)
class QuantizeSummary:
    """What came of it. ``dropped``: variants that were not worth keeping, and why; ``missed``: those below budget."""

    bundle: Path
    variants: tuple[QuantizedVariant, ...]
    placings: tuple[Placing, ...]
    kept: Mapping[str, str]
    dropped: Mapping[str, str]
    missed: Mapping[str, tuple[str, ...]]
    calibration: tuple[str, ...]
    aside: Path | None


Stage = Callable[[str], None]


def quantize_bundle(
    source: Path,
    output: Path,
    data: Path | Literal["golden"],
    job: QuantizeJob,
    options: CalibrationOptions | None = None,
    *,
    progress: Progress | None = None,
    on_stage: Stage = lambda stage: None,
) -> QuantizeSummary:
    """Add quantized variants of its frame graph to the bundle ``source``, written as ``output`` (which may be it).

    A variant is added if it keeps its budget, and is faster than the best float variant of its engine or cannot be
    timed here. A variant below its budget is kept aside, beside ``output``; ``raise_if_missed`` says so.

    Args:
        source: a bundle with a variant ``fp32``.
        output: where the result goes; it appears, or changes, in one step at the end.
        data: calibration pictures, as ``load_calibration`` takes them.
        job: what is asked for.
        options: how calibration samples are made.
        progress: told about pictures, frames, layers and rounds.
        on_stage: told in a line what begins.

    Raises:
        UsageError: no such target or layer, or no variant ``fp32``.
        BadInputError: the calibration set is of no use; says why.
        GraphError: the network gives NaN (the layer is named), or a target would misread its quantized graph.
        BundleError: the source is damaged, or the output cannot be written.
    """
    from edge_i2i.graphs.qdq.targets import get_target

    progress = progress or NullProgress()
    bundle = open_bundle(source)
    graph = _full_precision(bundle)
    targets = [get_target(name) for name in job.targets]
    on_stage("calibration pictures")
    with load_calibration(bundle, data, options, progress) as calibration:
        inputs = JudgedInputs.of(calibration)
        golden, golden_db, variants = _golden(bundle), dict[str, float | None](), []
        for target in targets:
            on_stage(f"{target.title}: calibrate, place and judge")
            given = Ingredients(
                graph, target, calibration, inputs, job.budget(target), job.cache, job.kind, job.threads
            )
            made = make_variant(
                given,
                mixed=job.mixed,
                keep_float=job.keep_float,
                max_latency_ms=job.max_latency_ms,
                progress=progress,
            )
            variants.append(made)
            golden_db[made.name] = golden_psnr(given, made, golden)
        on_stage("time every variant on every engine at hand")
        placings = _timed(bundle, variants, calibration, job, progress)
        summary = _settle(output, variants, placings, calibration, job)
    on_stage("write the bundle")
    _write(source, bundle, summary, golden_db, calibration.sha256, job)
    return summary


def raise_if_missed(summary: QuantizeSummary) -> None:
    """Exit code 5 where a stated budget is not met.

    Raises:
        BudgetError: names the variants, what they miss, and where they were kept.
    """
    if not summary.missed:
        return
    lines = [f"{variant}: {'; '.join(complaints)}" for variant, complaints in summary.missed.items()]
    raise BudgetError(
        "The budget is not met by the best variant that was found:\n  " + "\n  ".join(lines),
        remedy=f"It is kept in {summary.aside}. Lower the budget (--min-psnr, --min-ssim, --max-latency), keep layers "
        "in float (--precision mixed, edge-i2i sensitivity), or fine-tune it (edge-i2i qat).",
    )


def _full_precision(bundle: Bundle) -> GraphSource:
    name = bundle.frame_graph.name
    if FULL_PRECISION not in bundle.variants(name):
        raise UsageError(
            f"{bundle.path} has no variant '{FULL_PRECISION}' to quantize.",
            remedy=f"Export it with --precision {FULL_PRECISION}.",
        )
    return bundle.graph(name, FULL_PRECISION)


def _golden(bundle: Bundle) -> list[dict[str, Array]]:
    """The bundle's own example inputs of the frame graph."""
    golden = bundle.golden()
    return golden_samples(bundle, bundle.frame_graph, golden)[0] if golden else []


def _timed(
    bundle: Bundle,
    variants: Sequence[QuantizedVariant],
    calibration: CalibrationSet,
    job: QuantizeJob,
    progress: Progress,
) -> tuple[Placing, ...]:
    """All float variants of the bundle and the new ones, in one interleaved run."""
    name, options = bundle.frame_graph.name, EngineOptions(threads=job.threads)
    old = [bundle.graph(name, variant) for variant in bundle.variants(name)]
    sources: list[GraphSource] = [source for source in old if not source.targets]
    sources += [variant.graph.source for variant in variants if not variant.complaints]
    contestants = entries(sources, options)
    sample = calibration.held_out[0]
    return tuple(hold_contest(contestants, sample, options, rounds=job.rounds, seconds=job.seconds, progress=progress))


def _settle(
    output: Path,
    variants: Sequence[QuantizedVariant],
    placings: tuple[Placing, ...],
    calibration: CalibrationSet,
    job: QuantizeJob,
) -> QuantizeSummary:
    """What is kept (with its label), what is dropped, and what misses its budget."""
    kept, dropped, missed = dict[str, str](), dict[str, str](), dict[str, tuple[str, ...]]()
    ran = {item.entry.graph.variant for item in placings}
    for variant in variants:
        complaints = variant.complaints or _too_slow(variant.name, placings, job.max_latency_ms)
        loses = verdict_on(variant.name, placings)
        if complaints:
            missed[variant.name] = complaints
        elif loses and not job.keep_slower:
            dropped[variant.name] = loses
        else:
            kept[variant.name] = loses if variant.name in ran else NOT_TIMED
    aside = output.with_suffix(".below-budget") if missed else None
    return QuantizeSummary(
        output, tuple(variants), placings, kept, dropped, missed, tuple(calibration.summary.lines()), aside
    )


def _too_slow(variant: str, placings: Sequence[Placing], max_latency_ms: float | None) -> tuple[str, ...]:
    times = [item.timings.p50 * 1e3 for item in placings if item.entry.graph.variant == variant]
    if max_latency_ms is None or not times or min(times) <= max_latency_ms:
        return ()
    return (f"a frame takes {min(times):.1f} ms, more than {max_latency_ms:g}",)


# Writing ---------------------------------------------------------------------------------------------------------


def _write(
    source: Path,
    bundle: Bundle,
    summary: QuantizeSummary,
    golden_db: Mapping[str, float | None],
    calibration_sha256: str,
    job: QuantizeJob,
) -> None:
    for variant in summary.variants:
        if variant.name in summary.missed and summary.aside is not None:
            _keep_aside(summary.aside, variant, summary.missed[variant.name])
    kept = [variant for variant in summary.variants if variant.name in summary.kept]
    with extend_bundle(source, output=summary.bundle) as writer:
        for variant in kept:
            _add(writer, bundle, variant, summary.kept[variant.name])
            writer.add_evidence(_quality(bundle, variant, golden_db[variant.name], job))
        for placing in summary.placings:
            if placing.entry.is_float or placing.entry.graph.variant in summary.kept:
                writer.add_evidence(_latency(bundle, placing, job))
        recipes = {item.name: _recipe(item, summary.calibration, calibration_sha256, job) for item in kept}
        earlier = bundle.manifest.recipe.get("quantize")
        writer.finish_extended({"quantize": {**(earlier if isinstance(earlier, dict) else {}), **recipes}})


def _add(writer: BundleWriter, bundle: Bundle, variant: QuantizedVariant, label: str) -> None:
    graph = variant.graph.source
    writer.add_graph(
        bundle.frame_graph,
        variant=variant.name,
        precision=graph.precision,
        opset=variant.opset,
        onnx=graph.data,
        targets=graph.targets,
        label=label,
        recommended=label in ("", NOT_TIMED),
    )


def _quality(bundle: Bundle, variant: QuantizedVariant, golden_db: float | None, job: QuantizeJob) -> EvidenceRecord:
    return EvidenceRecord(
        kind="quality",
        stage="quantize",
        graph=bundle.frame_graph.name,
        variant=variant.name,
        engine=variant.verdict.judged_by,
        figures=variant.verdict.quality.figures() | ({} if golden_db is None else {GOLDEN_PSNR: golden_db}),
        machine=describe_machine(),
        versions=installed_versions(),
        command=job.command,
        date=datetime.now(UTC).replace(microsecond=0),
        note="against FP32 of the same network, on pictures that no range was taken from",
    )


def _latency(bundle: Bundle, placing: Placing, job: QuantizeJob) -> EvidenceRecord:
    speed = {} if placing.speed is None else {"speed_to_fp32": placing.speed}
    threads = {} if placing.threads is None else {"threads": float(placing.threads)}
    return EvidenceRecord(
        kind="latency",
        stage="quantize",
        graph=bundle.frame_graph.name,
        variant=placing.entry.graph.variant,
        engine=placing.entry.engine.name,
        precision=placing.entry.precision,
        figures=placing.timings.figures() | speed | threads,
        machine=describe_machine(),
        versions=evidence_versions(placing.entry.engine),
        command=job.command,
        date=datetime.now(UTC).replace(microsecond=0),
        note=f"computed in {placing.effective_precision}; all variants interleaved in one run",
    )


def _recipe(
    variant: QuantizedVariant, calibration: Sequence[str], calibration_sha256: str, job: QuantizeJob
) -> dict[str, object]:
    return {
        "target": variant.target,
        "quantized": list(variant.graph.layers),
        "float": dict(variant.kept_float),
        "ranges": job.kind.value,
        "passes": dict(variant.graph.passes),
        "calibration": list(calibration),
        "calibration_sha256": calibration_sha256,
        "budget": asdict(variant.budget),
    }


def _keep_aside(folder: Path, variant: QuantizedVariant, complaints: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{variant.name}.onnx") as partial:
        partial.write_bytes(variant.graph.source.data)
    about = {
        "variant": variant.name,
        "misses": list(complaints),
        "quality": variant.verdict.quality.figures(),
        "judged_by": variant.verdict.judged_by,
        "float": dict(variant.kept_float),
    }
    with replacing(folder / f"{variant.name}.json") as partial:
        partial.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
