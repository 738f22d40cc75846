"""The road from a bundle to a bundle with quantized variants: calibrate, place, judge, time, and keep what wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_i2i.bundle.locking import only_run
from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.bundle.reader import Bundle, BundledGraph, open_bundle
from edge_i2i.bundle.writer import check_bundle_place
from edge_i2i.engines.choice import AUTO, choose
from edge_i2i.engines.protocol import EngineOptions, GraphSource
from edge_i2i.errors import OutputError
from edge_i2i.files.places import check_folder
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, CalibrationSet, load_calibration
from edge_i2i.quantize.evidence import Examples, quality_evidence
from edge_i2i.quantize.extending import add_variant, extending, finish, full_precision
from edge_i2i.quantize.job import QuantizeJob
from edge_i2i.quantize.judging.contest import FULL_PRECISION, Contest, Entry, entries, hold_contest
from edge_i2i.quantize.judging.judge import JudgedInputs
from edge_i2i.quantize.outcome import QuantizeSummary, settle
from edge_i2i.quantize.quantizer import check_names, layers_of
from edge_i2i.quantize.records import keep_aside, latency_record, recipe_record
from edge_i2i.quantize.search.report import read_recipe
from edge_i2i.quantize.variants import Ingredients, QuantizedVariant, make_variant, names_for

if TYPE_CHECKING:
    from edge_i2i.graphs.qdq.targets.protocol import Target

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
    contest: Contest = hold_contest,
) -> QuantizeSummary:
    """Add quantized variants of its frame graph to the bundle ``source``, written as ``output`` (which may be it).

    A variant is added if it keeps its budget, and is faster than the best float variant of its engine or cannot be
    timed here; variants of earlier runs for its target go. A variant below its budget is kept aside, beside ``output``,
    and those of earlier runs stay; ``outcome.raise_if_missed`` says so.

    Args:
        source: a bundle with a variant ``fp32``.
        output: where the result goes; it appears, or changes, in one step at the end.
        data: calibration pictures, as ``load_calibration`` takes them.
        job: what is asked for.
        options: how calibration samples are made.
        progress: told about pictures, frames, layers and rounds.
        on_stage: told in a line what begins.
        contest: what times variants against each other.

    Raises:
        UsageError: no such target or layer, no variant ``fp32``, or a name that no bundle can have.
        BadInputError: the calibration set is of no use, and why; the network gives NaN (the layer is named); or there
            is nothing to quantize.
        GraphError: a target would misread its quantized graph.
        BundleError: the source is damaged or was exported again meanwhile, or the output cannot be written.
        OutputError: another run is making variants for the same output, or the cache cannot be written.

    Example:
        >>> import edge_i2i
        >>> timed = {"keep_slower": True, "threads": 1, "rounds": 3}
        >>> job = edge_i2i.QuantizeJob(("openvino",), min_psnr_db=10, min_ssim=0.1, cache=Path("cache"), **timed)
        >>> summary = edge_i2i.quantize_bundle(Path("plain.i2i"), Path("small.i2i"), Path("frames"), job)
        >>> sorted(edge_i2i.open_bundle("small.i2i").variants("frame"))
        ['fp32', 'int8-openvino']
    """
    plan = _plan(open_bundle(source), output, job)
    with only_run(output):
        return _quantize(source, output, plan, data, job, options, progress or NullProgress(), on_stage, contest)


def _quantize(
    source: Path,
    output: Path,
    plan: _Plan,
    data: Path | Literal["golden"],
    job: QuantizeJob,
    options: CalibrationOptions | None,
    progress: Progress,
    on_stage: Stage,
    contest: Contest,
) -> QuantizeSummary:
    bundle = plan.bundle
    on_stage("calibration pictures")
    with load_calibration(bundle, data, options, progress) as calibration:
        made = _make(plan, bundle, calibration, job, contest, progress, on_stage)
        variants = [item.variant for item in made]
        on_stage("time every variant on every engine at hand")
        contestants = entries(_sources(bundle, variants), EngineOptions(threads=job.threads))
        placings = contest(
            contestants,
            calibration.held_out[0],
            EngineOptions(threads=job.threads),
            rounds=job.rounds,
            seconds=job.seconds,
            progress=progress,
        )
        lines, sha256 = tuple(calibration.summary.lines()), calibration.sha256
    before = bundle.variants(bundle.frame_graph.name)
    summary = settle(before, output, variants, tuple(placings), lines, job)
    on_stage("write the bundle")
    _write(source, bundle, summary, made, sha256, job)
    return replace(summary, auto=_auto(output, job))


@dataclass(frozen=True)
class _Made:
    """A variant, the evidence of its quality, and that of the float network in arithmetic narrower than FP32."""

    variant: QuantizedVariant
    evidence: tuple[EvidenceRecord, ...]
    of_float: tuple[EvidenceRecord, ...]


@dataclass(frozen=True)
class _Plan:
    """What is known before any work: the graph, the targets, and the layers that stay in float as asked."""

    bundle: Bundle
    graph: GraphSource
    targets: tuple[Target, ...]
    keep_float: tuple[str, ...]


def _plan(bundle: Bundle, output: Path, job: QuantizeJob) -> _Plan:
    """Find out what is wrong now, not after minutes of work."""
    from edge_i2i.graphs.qdq.targets import get_target

    check_bundle_place(output, needed=bundle.path.stat().st_size)
    targets = tuple(get_target(name) for name in job.targets)
    graph = full_precision(bundle)
    layers = layers_of(graph) if job.keep_float or job.recipe else ()
    check_names(job.keep_float, layers)
    advised = read_recipe(job.recipe, [layer.name for layer in layers]).keep_float if job.recipe else ()
    _check_cache(job.cache)
    return _Plan(bundle, graph, targets, tuple(dict.fromkeys([*job.keep_float, *advised])))


def _check_cache(folder: Path) -> None:
    try:
        check_folder(folder)
    except OutputError as error:
        raise OutputError(
            f"Nothing can be kept in '{folder}': {error.what}", remedy="Name another folder with --cache."
        ) from error


def _make(
    plan: _Plan,
    bundle: Bundle,
    calibration: CalibrationSet,
    job: QuantizeJob,
    contest: Contest,
    progress: Progress,
    on_stage: Stage,
) -> list[_Made]:
    """A variant for each target, and what was measured of its quality."""
    inputs, examples, options = JudgedInputs.of(calibration), Examples.of(bundle), EngineOptions(threads=job.threads)
    outputs, made = any(target.needs_outputs for target in plan.targets), []
    for target in plan.targets:
        on_stage(f"{target.title}: calibrate, quantize and judge")
        given = Ingredients(
            plan.graph,
            target,
            calibration,
            inputs,
            job.budget(target),
            job.cache,
            job.kind,
            job.threads,
            outputs,
            contest,
        )
        variant = make_variant(
            given,
            mixed=job.mixed,
            keep_float=plan.keep_float,
            max_latency_ms=job.max_latency_ms,
            progress=progress,
        )
        of_float = {name: verdict for name, verdict in variant.alone.items() if name not in variant.unbearable}
        made.append(
            _Made(
                variant,
                quality_evidence(variant.graph.source, target, variant.judged, examples, options, job.command),
                quality_evidence(plan.graph, target, of_float, examples, options, job.command),
            )
        )
    return made


def _sources(bundle: Bundle, variants: Sequence[QuantizedVariant]) -> list[GraphSource]:
    """What is timed: the new variants that keep their quality, and those of the bundle that they do not replace."""
    name = bundle.frame_graph.name
    good = [variant for variant in variants if not variant.complaints]
    replaced = {old for variant in good for old in names_for(variant.target)}
    kept = [bundle.graph(name, old) for old in bundle.variants(name) if old not in replaced]
    floats = _full_floats(bundle, variants)
    judged = [_judged(graph, floats) if graph.variant == FULL_PRECISION else graph for graph in kept]
    return [*judged, *(replace(variant.graph.source, floats=variant.floats) for variant in good)]


def _judged(graph: BundledGraph, floats: tuple[str, ...]) -> BundledGraph:
    return replace(graph, record=graph.record.model_copy(update={"floats": floats}))


def _full_floats(bundle: Bundle, variants: Sequence[QuantizedVariant]) -> tuple[str, ...]:
    """The float arithmetic that FP32 bears: as found now, and as known from before where it was not tried now."""
    known = full_precision(bundle).floats
    tried = {name: name not in item.unbearable for item in variants for name in item.alone}
    if not tried:
        return known
    return tuple(dict.fromkeys([FULL_PRECISION, *(name for name in (*known, *tried) if tried.get(name, True))]))


# Writing ---------------------------------------------------------------------------------------------------------


def _write(
    source: Path,
    bundle: Bundle,
    summary: QuantizeSummary,
    made: Sequence[_Made],
    calibration_sha256: str,
    job: QuantizeJob,
) -> None:
    for variant in summary.variants:
        if variant.name in summary.missed and summary.aside is not None:
            keep_aside(summary.aside, variant, summary.missed[variant.name])
    kept = [variant for variant in summary.variants if variant.name in summary.kept]
    graph = bundle.frame_graph.name
    with extending(source, summary.bundle, bundle, summary.removed) as writer:
        for variant in kept:
            add_variant(writer, variant, summary.kept[variant.name])
        writer.judged_in(graph, FULL_PRECISION, _full_floats(bundle, summary.variants))
        for record in (record for item in made for record in _worth_keeping(item, summary)):
            writer.add_evidence(record)
        held = _held(bundle, summary)
        for placing in summary.placings:
            if held.get(placing.entry.graph.variant) == placing.entry.graph.sha256:
                writer.add_evidence(latency_record(graph, placing, job.command))
        recipes = {item.name: recipe_record(item, summary.calibration, calibration_sha256, job.kind) for item in kept}
        finish(writer, bundle, recipes, summary.removed)


def _worth_keeping(made: _Made, summary: QuantizeSummary) -> tuple[EvidenceRecord, ...]:
    return (*(made.evidence if made.variant.name in summary.kept else ()), *made.of_float)


def _held(bundle: Bundle, summary: QuantizeSummary) -> dict[str, str]:
    """The checksums of the frame graph's variants that the written bundle has, by name."""
    name = bundle.frame_graph.name
    old = {old: bundle.graph(name, old).sha256 for old in bundle.variants(name) if old not in summary.removed}
    return old | {item.name: item.graph.source.sha256 for item in summary.variants if item.name in summary.kept}


def _auto(output: Path, job: QuantizeJob) -> str:
    """What runs on this machine where neither engine nor variant is named."""
    bundle = open_bundle(output)
    choice = choose(bundle, bundle.frame_graph.name, AUTO, AUTO, EngineOptions(threads=job.threads))
    return Entry(choice.graph, choice.engine, choice.options.precision).name
