"""The road from a bundle to a bundle with a fine-tuned INT8 variant beside those that it has.

The fp32 variant stays what it is: the fine-tuned weights serve the INT8 variant alone, and its quality is measured
against the original network.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions, GraphSource
from edge_i2i.errors import BudgetError
from edge_i2i.graphs.model_bytes import model_to_bytes
from edge_i2i.graphs.qdq.targets.protocol import Target
from edge_i2i.metrics.quality import PictureQuality
from edge_i2i.quantize.budgets import default_budget
from edge_i2i.quantize.calibration.calibration_set import CalibrationSet
from edge_i2i.quantize.calibration.statistics import RangeKind, Statistics, collect_statistics
from edge_i2i.quantize.evidence import Examples, quality_evidence
from edge_i2i.quantize.extending import add_variant, extending, finish, full_precision, refuse_changed
from edge_i2i.quantize.judging.contest import FULL_PRECISION
from edge_i2i.quantize.judging.judge import JudgedInputs, engine_for, judge_for
from edge_i2i.quantize.outcome import Standing
from edge_i2i.quantize.qat.checkpoint import check_folder
from edge_i2i.quantize.qat.draws import CalibrationDraw
from edge_i2i.quantize.qat.network import put_weights
from edge_i2i.quantize.qat.plan import QatOptions, QatResult, Run
from edge_i2i.quantize.qat.tuning import fine_tune
from edge_i2i.quantize.quantizer import PreparedGraph, QuantizedGraph, Quantizer
from edge_i2i.quantize.records import recipe_record
from edge_i2i.quantize.variants import QuantizedVariant, variant_of, with_floats

FINE_TUNING = "fine_tuning"
"""What the recipe of a fine-tuned variant has beside that of one that was calibrated only."""


@dataclass(frozen=True)
class QatJob:
    """What is fine-tuned: for which target, which layers stay in float beside the last one, and from which seed."""

    target: Target
    keep_float: tuple[str, ...] = ()
    equalise: bool = True
    calibration_samples: int = 32
    seed: int = 2018
    command: str = ""

    @property
    def variant(self) -> str:
        """The new variant's name."""
        return f"int8-{self.target.name}-qat"


@dataclass(frozen=True)
class QatSummary:
    """A finished, or stopped, fine-tuning.

    ``before`` and ``after``: the INT8 graphs against FP32 on held-out pictures, on the target's engine or, where it
    cannot run here, emulated; None, and no bundle, where it was stopped.
    """

    bundle: Path | None
    variant: str
    step: int
    steps: int
    best_step: int
    before: PictureQuality | None
    after: PictureQuality | None
    history: tuple[Mapping[str, float], ...]
    seconds: float

    @property
    def finished(self) -> bool:
        """Whether every step was done."""
        return self.bundle is not None


def fine_tune_bundle(
    source: Path, output: Path, calibration: CalibrationSet, job: QatJob, options: QatOptions, run: Run
) -> QatSummary:
    """Fine-tune the frame graph of ``source`` and write ``output``: all of ``source``, and the new variant.

    Args:
        source: a bundle with a fp32 variant.
        output: the bundle to write; ``source`` itself is extended in place.
        calibration: pictures and looks; ranges begin with ``samples``, training draws from them, and quality is
            judged on ``held_out``.
        job: for which target, and which layers.
        options: how long and how gently.
        run: where checkpoints are kept, and who is told.

    Raises:
        BudgetError: the training was no better than calibration alone; nothing is written.
        UsageError: there is no such layer, or no variant ``fp32``; or as ``fine_tune``.
        BadInputError: there is nothing to quantize; or as ``fine_tune``.
        GraphError: as ``fine_tune``, or the target would misread the quantized graph.
        BundleError: the source is damaged or was exported again meanwhile, or the output cannot be written.
    """
    began = time.monotonic()
    check_folder(run.folder, resume=run.resume)
    bundle = open_bundle(source)
    tuning = _Tuning(full_precision(bundle), calibration, job, options)
    result = tuning.run(CalibrationDraw(calibration, bundle.frame_graph, job.seed), run)
    if not result.finished:
        return _summary(job, options, result, began)
    if result.best_step == 0:
        raise _no_better(options, result.psnr_before, "checking pictures")
    refuse_changed(source, bundle)  # training takes long, and judging reads the bundle again
    before, variant = tuning.judged(result)
    after = variant.verdict.quality
    if after.psnr_db <= before.psnr_db:
        raise _no_better(options, before.psnr_db, "held-out pictures")
    evidence = tuning.evidence(variant, bundle)
    with extending(source, output, bundle) as writer:
        add_variant(writer, variant, Standing(f"fine-tuned for {result.best_step} steps"))
        for record in evidence:
            writer.add_evidence(record)
        finish(writer, bundle, {variant.name: tuning.recipe(variant, result)})
    return _summary(job, options, result, began, output, before, after)


class _Tuning:
    """The layers of a float graph that are quantized: calibrated, fine-tuned, and judged before and after."""

    def __init__(self, graph: GraphSource, calibration: CalibrationSet, job: QatJob, options: QatOptions) -> None:
        self._graph, self._calibration, self._job, self._options = graph, calibration, job, options
        self._statistics = self._reached(graph, outputs=job.target.needs_outputs)
        self._quantizer = Quantizer(
            graph, self._statistics, job.target, equalise=job.equalise, keep_float=job.keep_float
        )
        self._quantizer.refuse_empty()
        self._layers = self._quantizer.placement.quantized
        self._prepared = self._quantizer.prepare(self._layers)

    def _reached(self, graph: GraphSource, *, outputs: bool) -> Statistics:
        samples = self._calibration.samples[: self._job.calibration_samples]
        return collect_statistics(
            graph, samples, self._calibration.sha256, outputs=outputs, threads=self._options.threads
        )

    def run(self, draw: CalibrationDraw, run: Run) -> QatResult:
        """Fine-tune, or go on with what ``run`` names."""
        job = self._job
        sources = f"{self._graph.sha256} {self._calibration.sha256} {job.seed} {job.equalise}"
        ranges = {name: self._prepared.ranges[name] for name in self._layers}
        return fine_tune(
            self._prepared.model, ranges, job.target.scheme, draw, self._options, replace(run, sources=sources)
        )

    def judged(self, result: QatResult) -> tuple[PictureQuality, QuantizedVariant]:
        """The quality of the graph that is calibrated only, and the fine-tuned variant.

        An engine with a choice of float arithmetic computes in FP32, as it does where nothing is asked for.
        """
        target, inputs = self._job.target, JudgedInputs.of(self._calibration)
        engine = engine_for(target.name)
        precision = FULL_PRECISION if engine is not None and engine.float_choices() else None
        options = EngineOptions(threads=self._options.threads, precision=precision)
        judge = judge_for(target, self._graph, inputs, options)
        before = judge.judge(self._quantizer.quantize(self._layers, self._job.variant).source)
        tuned = self._tuned(result)
        budget = default_budget(target.scheme)
        variant = variant_of(self._quantizer, tuned, judge.judge(tuned.source), budget)
        return before.quality, with_floats(variant, precision)

    def _tuned(self, result: QatResult) -> QuantizedGraph:
        model = self._prepared.model.clone()
        put_weights(model, result.weights)
        outputs = None
        if self._job.target.needs_outputs:
            # The weights are others, so the layers write something else. (How that is rounded is not trained.)
            graph = GraphInMemory(self._graph.declaration, model_to_bytes(model))
            outputs = {name: found.whole for name, found in self._reached(graph, outputs=True).outputs.items()}
        return self._quantizer.write(
            PreparedGraph(model, result.ranges),
            self._layers,
            self._job.variant,
            scales=result.weight_scales,
            outputs=outputs,
        )

    def evidence(self, variant: QuantizedVariant, bundle: Bundle) -> tuple[EvidenceRecord, ...]:
        """What was measured of the variant, on the bundle's own examples, too."""
        job, options = self._job, EngineOptions(threads=self._options.threads)
        graph, examples = variant.graph.source, Examples.of(bundle)
        return quality_evidence(graph, job.target, variant.judged, examples, options, job.command)

    def recipe(self, variant: QuantizedVariant, result: QatResult) -> dict[str, object]:
        """How the variant was made, in plain JSON: as one that is calibrated only, and how it was fine-tuned.

        ``misses``: where the budget of its target is missed, which a fine-tuned variant is not held to.
        """
        lines, sha256 = self._calibration.summary.lines(), self._calibration.sha256
        fine_tuning = {
            "options": asdict(self._options),
            "seed": self._job.seed,
            "equalised": self._job.equalise,
            "calibration_samples": self._statistics.samples,
            "best_step": result.best_step,
            "misses": list(variant.complaints),
        }
        return recipe_record(variant, lines, sha256, RangeKind.MIN_MAX) | {FINE_TUNING: fine_tuning}


def _no_better(options: QatOptions, psnr_db: float, on: str) -> BudgetError:
    return BudgetError(
        f"{options.steps} steps of fine-tuning did not improve on calibration alone ({psnr_db:.2f} dB on {on}); "
        "nothing was written.",
        remedy="Give more pictures (--pictures) or --steps, or keep sensitive layers in float (edge-i2i sensitivity).",
    )


def _summary(
    job: QatJob,
    options: QatOptions,
    result: QatResult,
    began: float,
    bundle: Path | None = None,
    before: PictureQuality | None = None,
    after: PictureQuality | None = None,
) -> QatSummary:
    return QatSummary(
        bundle=bundle,
        variant=job.variant,
        step=result.step,
        steps=options.steps,
        best_step=result.best_step,
        before=before,
        after=after,
        history=result.history,
        seconds=round(time.monotonic() - began, 1),
    )
