"""From a bundle and pictures to a sensitivity report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edge_i2i.bundle.reader import Bundle
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.graphs.qdq.targets import get_target
from edge_i2i.progress import Progress
from edge_i2i.quantize.budgets import default_budget
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, load_calibration
from edge_i2i.quantize.calibration.statistics import cached_statistics
from edge_i2i.quantize.extending import full_precision
from edge_i2i.quantize.judging.judge import JudgedInputs, judge_for
from edge_i2i.quantize.quantizer import Quantizer
from edge_i2i.quantize.search.report import SensitivityReport
from edge_i2i.quantize.search.sensitivity import measure_sensitivity


def bundle_sensitivity(
    bundle: Bundle,
    data: Path | Literal["golden"],
    target: str,
    cache: Path,
    options: CalibrationOptions | None = None,
    *,
    min_psnr_db: float | None = None,
    progress: Progress | None = None,
) -> SensitivityReport:
    """Calibrate the frame graph and measure what quantizing each of its layers does to held-out pictures.

    Args:
        bundle: has a variant ``fp32``.
        data: as ``load_calibration`` takes it.
        target: the quantization target's name.
        cache: a folder for statistics and verdicts; a run that was interrupted goes on with what is there.
        options: how samples are made; its ``threads`` count for every engine.
        min_psnr_db: the budget in dB that layers are suggested for; None: the target's own.
        progress: told about pictures, frames and layers.

    Raises:
        UsageError: there is no such target, or no variant ``fp32``.
        BadInputError, MissingRequirementError: as ``load_calibration``.
        GraphError: the network cannot be calibrated, or has no layer to quantize.
    """
    chosen, options = get_target(target), options or CalibrationOptions()
    graph = full_precision(bundle)
    with load_calibration(bundle, data, options, progress) as calibration:
        statistics, _ = cached_statistics(
            cache,
            graph,
            calibration.samples,
            calibration.sha256,
            outputs=chosen.needs_outputs,
            threads=options.threads,
            progress=progress,
        )
        inputs, engine = JudgedInputs.of(calibration), EngineOptions(threads=options.threads)
        judge = judge_for(chosen, graph, inputs, engine, fine=True, cache=cache)
        return measure_sensitivity(
            Quantizer(graph, statistics, chosen, largest_weight=judge.engine.largest_weight()),
            judge,
            calibration.sha256,
            min_psnr_db=default_budget(chosen.scheme).min_psnr_db if min_psnr_db is None else min_psnr_db,
            progress=progress,
        )
