"""The road from a bundle to a bundle with a fine-tuned INT8 variant beside those that it has.

The fp32 variant stays what it is: the fine-tuned weights serve the INT8 variant alone, and its quality is measured
against the original network.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx_ir as ir

from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions, GraphSource
from edge_i2i.errors import BudgetError
from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
from edge_i2i.graphs.qdq.equalise import equalise_channels
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Range
from edge_i2i.graphs.qdq.targets.protocol import Target
from edge_i2i.machine import describe_machine, installed_versions
from edge_i2i.metrics.quality import PictureQuality
from edge_i2i.quantize.calibration.calibration_set import CalibrationSet
from edge_i2i.quantize.calibration.statistics import collect_statistics
from edge_i2i.quantize.judging.emulation import EmulatingEngine
from edge_i2i.quantize.judging.judge import Judge, JudgedInputs
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.qat.checkpoint import check_folder
from edge_i2i.quantize.qat.draws import CalibrationDraw
from edge_i2i.quantize.qat.network import put_weights
from edge_i2i.quantize.qat.plan import QatOptions, QatResult, Run
from edge_i2i.quantize.qat.tuning import check_layers, fine_tune

FP32 = "fp32"


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

    ``before`` and ``after``: the INT8 graphs against FP32 on held-out pictures, as ONNX Runtime emulates the target;
    None, and no bundle, where it was stopped.
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
        UsageError, BadInputError, GraphError: as ``fine_tune``.
        BundleError: the source is damaged, or the output cannot be written.
    """
    began = time.monotonic()
    check_folder(run.folder, resume=run.resume)
    bundle = open_bundle(source)
    graph = bundle.graph(bundle.frame_graph.name, FP32)
    model = model_from_bytes(graph.read())
    ranges = _calibrate(model, graph, calibration, job, options.threads)
    draw = CalibrationDraw(calibration, bundle.frame_graph, job.seed)
    sources = f"{graph.sha256} {calibration.sha256} {job.seed} {job.equalise}"
    result = fine_tune(model, ranges, job.target.scheme, draw, options, replace(run, sources=sources))
    if not result.finished:
        return _summary(job, options, result, began)
    if result.best_step == 0:
        raise _no_better(options, result.psnr_before, "checking pictures")
    writing = _Writer(bundle, model, calibration, job, options.threads)
    plain, tuned = writing.quantized(ranges), writing.quantized(result.ranges, result)
    judge = Judge(
        graph, JudgedInputs.of(calibration), EmulatingEngine(job.target), EngineOptions(threads=options.threads)
    )
    before, after = judge.judge(plain), judge.judge(tuned)
    if after.quality.psnr_db <= before.quality.psnr_db:
        raise _no_better(options, before.quality.psnr_db, "held-out pictures")
    with _bundle_writer(source, output, bundle) as writer:
        writer.add_graph(
            bundle.frame_graph,
            variant=job.variant,
            precision=tuned.precision,
            opset=model.opset_imports[""],
            onnx=tuned.read(),
            targets=tuned.targets,
            label=f"fine-tuned for {result.best_step} steps",
        )
        writer.add_evidence(_evidence(bundle, job, after, calibration))
        writer.finish_extended({job.variant: _recipe(job, options, calibration, result)})
    return _summary(job, options, result, began, output, before.quality, after.quality)


def _calibrate(
    model: ir.Model, graph: GraphSource, calibration: CalibrationSet, job: QatJob, threads: int | None
) -> dict[str, Range]:
    """The range of every layer that will be quantized, after its channels were made equally wide (in place)."""
    kept = set(job.keep_float)
    if kept:
        check_layers(model, kept)
    layers = [name for name in job.target.placement(find_layers(model)).quantized if name not in kept]
    samples = calibration.samples[: job.calibration_samples]
    reached = collect_statistics(graph, samples, calibration.sha256, threads=threads).inputs
    if not job.equalise:
        return {name: reached[name].whole for name in layers}
    ranges = equalise_channels(model, reached, layers)
    return {name: ranges[name] for name in layers}


class _Writer:
    """Writes the Q/DQ graph of a calibrated or fine-tuned network, made legal for the job's target."""

    def __init__(
        self, bundle: Bundle, model: ir.Model, calibration: CalibrationSet, job: QatJob, threads: int | None
    ) -> None:
        self._frame, self._model, self._calibration = bundle.frame_graph, model, calibration
        self._job, self._threads = job, threads

    def quantized(self, ranges: Mapping[str, Range], result: QatResult | None = None) -> GraphInMemory:
        """The graph calibrated only, or with fine-tuned weights."""
        copy, target = self._model.clone(), self._job.target
        if result is not None:
            put_weights(copy, result.weights)
        outputs = self._outputs(copy) if target.needs_outputs else None
        scales = None if result is None else result.weight_scales
        insert_qdq(copy, ranges, target.scheme, list(ranges), scales, before_pads=target.before_pads)
        target.legalise(copy, outputs)
        target.check(copy)
        return GraphInMemory(self._frame, model_to_bytes(copy), self._job.variant, "int8", targets=(target.name,))

    def _outputs(self, model: ir.Model) -> dict[str, Range]:
        """What the layers write: calibrated, also where the weights are fine-tuned. (That rounding is not trained.)"""
        samples = self._calibration.samples[: self._job.calibration_samples]
        graph = GraphInMemory(self._frame, model_to_bytes(model))
        found = collect_statistics(graph, samples, self._calibration.sha256, outputs=True, threads=self._threads)
        return {name: channels.whole for name, channels in found.outputs.items()}


def _no_better(options: QatOptions, psnr_db: float, on: str) -> BudgetError:
    return BudgetError(
        f"{options.steps} steps of fine-tuning did not improve on calibration alone ({psnr_db:.2f} dB on {on}); "
        "nothing was written.",
        remedy="Give more pictures (--pictures) or --steps, or keep sensitive layers in float (edge-i2i sensitivity).",
    )


@contextmanager
def _bundle_writer(source: Path, output: Path, bundle: Bundle) -> Iterator[BundleWriter]:
    """A writer that holds everything of ``source``."""
    if output.resolve() == source.resolve():
        with extend_bundle(source) as writer:
            yield writer
        return
    with BundleWriter(output, layout="directory" if source.is_dir() else "file") as writer:
        writer.add_bundle(bundle)
        yield writer


def _evidence(bundle: Bundle, job: QatJob, verdict: QualityVerdict, calibration: CalibrationSet) -> EvidenceRecord:
    return EvidenceRecord(
        kind="quality",
        stage="fine-tuned",
        graph=bundle.frame_graph.name,
        variant=job.variant,
        engine=EmulatingEngine.name,
        figures=verdict.quality.figures(),
        machine=describe_machine(),
        versions=installed_versions(),
        command=job.command,
        date=datetime.now(UTC).replace(microsecond=0),
        note=f"against fp32 on {len(calibration.held_out)} held-out inputs, by {verdict.judged_by}",
    )


def _recipe(job: QatJob, options: QatOptions, calibration: CalibrationSet, result: QatResult) -> dict[str, Any]:
    return {
        "target": job.target.name,
        "scheme": job.target.scheme.value,
        "keep_float": list(job.keep_float),
        "equalised": job.equalise,
        "options": asdict(options),
        "data_sha256": calibration.sha256,
        "best_step": result.best_step,
    }


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
