"""What each layer's quantization does to the picture: one layer in INT8 at a time, everything else in FP32."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edge_i2i.errors import GraphError
from edge_i2i.metrics.decibels import decibels, error_power
from edge_i2i.metrics.quality import GREY_RANGE
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.judging.judge import Judge
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.search.report import LayerSensitivity, SensitivityReport, figures_of

if TYPE_CHECKING:
    from edge_i2i.graphs.qdq.layers import Layer
    from edge_i2i.quantize.quantizer import Quantizer

_VARIANT = "one-layer"
_SHARE_DIGITS = 6

# Rounding two pictures to whole grey levels adds to the mean square of their difference: 1/6 of a squared level where
# they differ by a level or more; where they differ by less, as many whole levels as the mean difference says, and that
# of a normal error is √(2/π) of its deviation. The two meet near 0.35.
_ROUNDING, _MEAN_OF_NORMAL, _COARSE_FROM = 1 / 6, math.sqrt(2 / math.pi), 0.35


def measure_sensitivity(
    quantizer: Quantizer,
    judge: Judge,
    data_sha256: str,
    *,
    min_psnr_db: float | None = None,
    progress: Progress | None = None,
) -> SensitivityReport:
    """Quantize every layer alone and judge the picture; then all that the target's rule quantizes, together.

    The layers that the rule leaves out are measured, too, where the target takes them.

    Args:
        quantizer: of the frame graph, for one target.
        judge: of that target; a fine one (``judge_for``), else BF16 rounding covers what single layers do. What it has
            judged before, and keeps, is not judged again: an interrupted run goes on where it stopped.
        data_sha256: the checksum of the calibration set.
        min_psnr_db: the budget in dB that layers to be kept in float are suggested for; None: none are.
        progress: told about layers.

    Raises:
        GraphError: the engine cannot take a quantized graph.
    """
    shown, measured = progress or NullProgress(), list[LayerSensitivity]()
    left_out = quantizer.placement.left_out
    every = sum(layer.macs for layer in quantizer.layers)
    shown.start(len(quantizer.layers) + 1, "variants judged")
    try:
        whole = judge.judge(quantizer.quantize(quantizer.placement.quantized, "all-int8").source)
        shown.advance(note=f"all in INT8: {whole.fine_psnr_db:.1f} dB")
        for layer in quantizer.layers:
            reason = left_out.get(layer.name, "")
            found, note = _judged(quantizer, judge, layer, optional=bool(reason))
            figures = {} if found is None else figures_of(found)
            share = round(layer.macs / every, _SHARE_DIGITS)
            about = {"name": layer.name, "operator": layer.operator, "left_out": reason, "note": note}
            measured.append(LayerSensitivity.model_validate({**about, "macs_share": share, **figures}))
            shown.advance(note=_line(measured[-1]))
    finally:
        shown.finish()
    together = figures_of(whole)
    interaction = interaction_of(measured, together.get("psnr_db"))
    keep = () if min_psnr_db is None else suggest_float(measured, min_psnr_db, interaction)
    return SensitivityReport(
        target=quantizer.target.name,
        keep_float=keep,
        min_psnr_db=min_psnr_db,
        predicted_psnr_db=round(predicted_psnr(measured, keep, interaction), 2),
        int8_psnr_db=together.get("psnr_db"),
        int8_picture_psnr_db=together.get("picture_psnr_db"),
        judged_by=whole.judged_by,
        emulated=whole.emulated,
        graph_sha256=judge.reference.sha256,
        data_sha256=data_sha256,
        layers=tuple(measured),
    )


def _judged(quantizer: Quantizer, judge: Judge, layer: Layer, *, optional: bool) -> tuple[QualityVerdict | None, str]:
    """The verdict; or, of a layer that the rule leaves out, why the target does not take it."""
    try:
        return judge.judge(quantizer.quantize([layer.name], _VARIANT).source), ""
    except GraphError as error:
        if not optional:
            raise
        return None, error.what


def _line(layer: LayerSensitivity) -> str:
    return layer.name if layer.psnr_db is None else f"{layer.name}: {layer.psnr_db:.1f} dB"


# Suggesting ------------------------------------------------------------------------------------------------------


def interaction_of(layers: Sequence[LayerSensitivity], int8_psnr_db: float | None) -> float:
    """How the error of all placed layers together compares to the sum of their errors; 1 where that is not known.

    More than 1 as a rule: errors of neighbouring layers are alike, because both are made of the same picture.
    """
    added = sum(layer.error_power for layer in layers if not layer.left_out)
    return 1.0 if int8_psnr_db is None or added == 0 else error_power(int8_psnr_db) / added


def suggest_float(layers: Sequence[LayerSensitivity], min_psnr_db: float, interaction: float = 1.0) -> tuple[str, ...]:
    """The layers to keep in float so that the errors of the others add up to no more than a budget, in graph order.

    Chosen by error for the multiplications that it costs to keep the layer in float; then those that turn out not to be
    needed go back, the most expensive first.

    Args:
        layers: what was measured of each layer; those that the target's rule leaves out do not count.
        min_psnr_db: the least PSNR of pictures in dB that the others may leave.
        interaction: what errors are multiplied with before they are added (see ``interaction_of``).
    """
    placed = {layer.name: layer for layer in layers if not layer.left_out}
    powers = {name: interaction * layer.error_power for name, layer in placed.items()}
    allowed = _allowed_power(min_psnr_db)
    kept: set[str] = set()
    for name in worth_first(powers, {name: layer.macs_share for name, layer in placed.items()}):
        if _rest(powers, kept) <= allowed:
            break
        kept.add(name)
    for name in sorted(kept, key=lambda name: -placed[name].macs_share):
        if _rest(powers, kept - {name}) <= allowed:
            kept.discard(name)
    return tuple(name for name in placed if name in kept)


def predicted_psnr(layers: Sequence[LayerSensitivity], keep_float: Sequence[str], interaction: float = 1.0) -> float:
    """What the errors of all other layers add up to, as a PSNR of pictures in dB.

    Args:
        layers: what was measured of each layer; those that the target's rule leaves out do not count.
        keep_float: the names of layers that are kept in float.
        interaction: what errors are multiplied with before they are added (see ``interaction_of``).
    """
    powers = {layer.name: interaction * layer.error_power for layer in layers if not layer.left_out}
    levels = _rest(powers, set(keep_float)) * GREY_RANGE**2
    coarse = levels + _ROUNDING
    rounded = coarse if coarse > _COARSE_FROM else _MEAN_OF_NORMAL * math.sqrt(levels)
    return decibels(rounded / GREY_RANGE**2)


def worth_first(damage: Mapping[str, float], cost: Mapping[str, float]) -> list[str]:
    """Names by damage for cost, the worst bargain of quantizing first; what costs nothing in float leads."""

    def worth(name: str) -> tuple[float, float]:
        return (math.inf if cost[name] <= 0 else damage[name] / cost[name]), damage[name]

    return sorted(damage, key=worth, reverse=True)


def _allowed_power(min_psnr_db: float) -> float:
    """The error before rounding that leaves pictures of this PSNR."""
    levels = error_power(min_psnr_db) * GREY_RANGE**2
    before = levels - _ROUNDING if levels > _COARSE_FROM else (levels / _MEAN_OF_NORMAL) ** 2
    return before / GREY_RANGE**2


def _rest(powers: Mapping[str, float], kept: set[str]) -> float:
    return sum(power for name, power in powers.items() if name not in kept)
