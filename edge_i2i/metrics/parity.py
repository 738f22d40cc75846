"""Whether two graphs compute the same picture: measured on fresh inputs after every stage, never assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.errors import ParityError
from edge_i2i.metrics.decibels import psnr_of_error, written_figure

_GREYS_PER_UNIT = 127.5
NETWORK_OUTPUT = "network_output"
"""Name of the extra float output that parity is measured on; ``passes.keep_declared_outputs`` removes it."""


@dataclass(frozen=True)
class Tolerance:
    """What a stage may change. ``None`` means: not held against this figure.

    ``float_error``: largest absolute difference of the network's float output (of a style tensor that is
    larger than 1 somewhere: as a share of its largest value). ``picture_error``: the same, as far as the rounded
    picture tells: a value may be another one only where the reference is so close to the edge between both.
    ``grey_levels``: largest difference of the uint8 picture. ``psnr_db``: least PSNR of the network's float output in
    [-1, 1], before rounding, where the stage still has it, else of the picture.

    The share of equal values is measured and told, and decides nothing: a float error of 1e-5 turns 0.13 % of values
    over, wherever it comes from, so that the share falls with a network's depth and size while the picture stays what
    it is.
    """

    float_error: float | None = 1e-4
    grey_levels: int | None = 1
    picture_error: float | None = 1e-4
    psnr_db: float | None = 67.0


EXACT = Tolerance()
"""Two correct FP32 implementations differ by rounding alone. Its 67 dB are what a picture measures in which 1.3 % of
the values turned over by a grey level: those that a float error of 1e-4 everywhere would turn."""
FP16_TOLERANCE = Tolerance(float_error=None, grey_levels=None, picture_error=None, psnr_db=60.0)

REDUCED_PRECISION = Tolerance(float_error=None, grey_levels=None, picture_error=None, psnr_db=48.0)
"""For variants below FP32. A uint8 picture that differs by FP16 rounding alone measures some 10 dB less than the float
output that the export holds to 60 dB, because every half grey level that tips over counts as a whole one."""


@dataclass(frozen=True)
class Parity:
    """How far a stage is from the torch network: the worst case over all inputs that were tried."""

    stage: str
    evaluated_by: str
    inputs: int
    float_error: float | None
    grey_levels: int | None
    equal_share: float | None
    psnr_db: float | None
    picture_error: float | None = None

    def figures(self) -> dict[str, float]:
        """The measured figures by name, for the bundle's evidence."""
        named = {
            "float_error": self.float_error,
            "grey_levels": self.grey_levels,
            "equal_share": self.equal_share,
            "picture_error": self.picture_error,
            "psnr_db": None if self.psnr_db is None else written_figure(self.psnr_db),
            "inputs": self.inputs,
        }
        return {name: float(value) for name, value in named.items() if value is not None}

    def check(self, tolerance: Tolerance, graph: str) -> None:
        """Raise ``ParityError`` naming the stage unless every figure is within ``tolerance`` (NaN never is)."""
        complaints = [
            "" if self.inputs else "no input was compared",
            _above("largest float error", self.float_error, tolerance.float_error),
            _above("largest grey-level difference", self.grey_levels, tolerance.grey_levels),
            _above("float error that the picture tells of", self.picture_error, tolerance.picture_error),
            _below("PSNR in dB", self.psnr_db, tolerance.psnr_db),
        ]
        broken = [complaint for complaint in complaints if complaint]
        if broken:
            raise ParityError(
                f"The stage '{self.stage}' broke the graph '{graph}': {'; '.join(broken)} "
                f"(against torch on {self.inputs} fresh inputs, evaluated by {self.evaluated_by}).",
                remedy="Nothing was written. Leave that stage out (--passes, --precision), or report these figures.",
            )


def _above(name: str, value: float | None, limit: float | None) -> str:
    if value is None or limit is None or value <= limit:
        return ""
    return f"{name} {value:.3g} is more than {limit:g}"


def _below(name: str, value: float | None, limit: float | None) -> str:
    if value is None or limit is None or value >= limit:
        return ""
    return f"{name} {value:.5g} is less than {limit:g}"


def psnr(a: Array, b: Array, data_range: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB of two arrays of one shape; infinite when they are equal.

    Where either holds NaN or infinity it is minus infinity, which is below every limit (NaN compares with none).

    >>> round(psnr(np.zeros((2, 2)), np.full((2, 2), 25.5)), 6)
    20.0

    Args:
        a: an array of any number type.
        b: another one of the same shape.
        data_range: the distance from the lowest to the highest value that there can be: 255 for pictures.
    """
    with np.errstate(invalid="ignore"):
        error = float(np.mean(np.square(a.astype(np.float64) - b.astype(np.float64))))
    return psnr_of_error(error, data_range)


def expected_equal_share(mean_float_error: float) -> float:
    """The share of a picture's values that stay as they are when its floats in [-1, 1] are wrong by that much.

    A value turns over where a rounding edge lies between the two floats. Edges are a grey level apart, and floats lie
    anywhere between them.

    >>> round(expected_equal_share(1e-4), 5)
    0.98725
    """
    return 1 - _GREYS_PER_UNIT * mean_float_error


def compare(
    stage: str, evaluated_by: str, references: Sequence[Mapping[str, Array]], results: Sequence[Mapping[str, Array]]
) -> Parity:
    """Hold results against references, input by input, and keep the worst of each figure.

    Every float tensor that the results hold counts for the float figures, every uint8 one for grey levels and equal
    share; the picture whose float output the references hold, for the picture error. The PSNR is that of the float
    tensors, or of the pictures where there is no other.

    Args:
        stage: what gave the results, as errors and evidence name it.
        evaluated_by: what computed them, for people.
        references: for each input the outputs of the network in torch, by name.
        results: for each input the outputs to judge, by name; as many as references.

    Raises:
        ParityError: a result lacks a tensor (other than ``network_output``), or has one of another shape or dtype.
    """
    worst = _Worst()
    for reference, result in zip(references, results, strict=True):
        for name in reference:
            if name in result or name != NETWORK_OUTPUT:
                worst.add(*_matching(stage, name, reference, result), _unit(name, reference[name]))
        worst.add_picture(reference, result)
    return Parity(
        stage,
        evaluated_by,
        len(references),
        _largest_of(worst.floats),
        max(worst.levels, default=None),
        min(worst.shares, default=None),
        min(worst.float_ratios or worst.picture_ratios, default=None),
        _largest_of(worst.picture_errors),
    )


def _largest_of(errors: Sequence[float]) -> float | None:
    """The largest error; NaN where one is NaN, so that no limit is above it; None where there are none."""
    return math.nan if any(map(math.isnan, errors)) else max(errors, default=None)


@dataclass(frozen=True)
class _Worst:
    """The figures of every pair of tensors, by kind."""

    floats: list[float] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    float_ratios: list[float] = field(default_factory=list)
    picture_ratios: list[float] = field(default_factory=list)
    picture_errors: list[float] = field(default_factory=list)

    def add(self, expected: Array, got: Array, unit: float) -> None:
        if expected.dtype == np.uint8:
            self.levels.append(int(np.abs(expected.astype(np.int16) - got.astype(np.int16)).max()))
            self.shares.append(float(np.mean(expected == got)))
            self.picture_ratios.append(psnr(expected, got))
        else:
            self.floats.append(_largest(expected, got) / unit)
            self.float_ratios.append(psnr(expected, got, data_range=2.0 * unit))

    def add_picture(self, reference: Mapping[str, Array], result: Mapping[str, Array]) -> None:
        """Hold the picture, the first output, against the float output that its reference was rounded from."""
        name = next(iter(reference))
        if NETWORK_OUTPUT in reference and reference[name].dtype == np.uint8:
            self.picture_errors.append(_picture_error(reference[NETWORK_OUTPUT], result[name]))


def _picture_error(network: Array, picture: Array) -> float:
    """The least float error that explains a picture, where it should be this network output [3, H, W], rounded.

    A value that is off by more than the half grey level of rounding says how far its float was off, at least.
    """
    grey = np.clip((network.astype(np.float64).transpose(1, 2, 0) + 1.0) * _GREYS_PER_UNIT, 0.0, 255.0)
    return float(np.maximum(np.abs(grey - picture) - 0.5, 0.0).max()) / _GREYS_PER_UNIT


def _unit(name: str, expected: Array) -> float:
    """Pictures are within [-1, 1]; a style tensor that is larger is held to the same error in its own unit."""
    return 1.0 if name == NETWORK_OUTPUT else max(1.0, float(np.abs(expected).max(initial=0.0)))


def _matching(
    stage: str, name: str, reference: Mapping[str, Array], result: Mapping[str, Array]
) -> tuple[Array, Array]:
    """Both arrays of that name; numpy would silently stretch one to the shape of the other."""
    if name not in result:
        raise ParityError(f"The stage '{stage}' gives no '{name}'.")
    expected, got = reference[name], result[name]
    if (expected.shape, expected.dtype) != (got.shape, got.dtype):
        raise ParityError(
            f"The stage '{stage}' gives '{name}' as {got.dtype} {list(got.shape)} "
            f"instead of {expected.dtype} {list(expected.shape)}."
        )
    return expected, got


def _largest(a: Array, b: Array) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
