"""Whether two graphs compute the same picture: measured on fresh inputs after every stage, never assumed."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.errors import ParityError

Array = NDArray[Any]

NETWORK_OUTPUT = "network_output"
"""Name of the extra float output that parity is measured on; ``passes.keep_declared_outputs`` removes it."""


@dataclass(frozen=True)
class Tolerance:
    """What a stage may change. ``None`` means: not held against this figure.

    ``float_error``: largest absolute difference of the network's float output (of a style tensor that is
    larger than 1 somewhere: as a share of its largest value). ``grey_levels`` and
    ``equal_share``: largest difference and least share of equal values of the uint8 picture. ``psnr_db``: least PSNR
    of the network's float output in [-1, 1], before rounding, where the stage still has it, else of the picture.
    """

    float_error: float | None = 1e-4
    grey_levels: int | None = 1
    equal_share: float | None = 0.998
    psnr_db: float | None = None


EXACT = Tolerance()
"""Two correct FP32 implementations differ by rounding alone. Most networks keep 99.97 % of values equal or more; on the
full-size random one torch itself has two answers, by the kernels that it happens to pick: 99.97 % and 99.89 %."""
FP16_TOLERANCE = Tolerance(float_error=None, grey_levels=None, equal_share=None, psnr_db=60.0)

REDUCED_PRECISION = Tolerance(float_error=None, grey_levels=None, equal_share=None, psnr_db=48.0)
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

    def figures(self) -> dict[str, float]:
        """The measured figures by name, for the bundle's evidence."""
        named = {
            "float_error": self.float_error,
            "grey_levels": self.grey_levels,
            "equal_share": self.equal_share,
            "psnr_db": None if self.psnr_db is None else max(min(self.psnr_db, 999.0), -999.0),
            "inputs": self.inputs,
        }
        return {name: float(value) for name, value in named.items() if value is not None}

    def check(self, tolerance: Tolerance, graph: str) -> None:
        """Raise ``ParityError`` naming the stage unless every figure is within ``tolerance`` (NaN never is)."""
        complaints = [
            "" if self.inputs else "no input was compared",
            _above("largest float error", self.float_error, tolerance.float_error),
            _above("largest grey-level difference", self.grey_levels, tolerance.grey_levels),
            _below("share of equal values", self.equal_share, tolerance.equal_share),
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
    """
    with np.errstate(invalid="ignore"):
        error = float(np.mean(np.square(a.astype(np.float64) - b.astype(np.float64))))
    if not math.isfinite(error):
        return -math.inf
    return math.inf if error == 0 else 10.0 * math.log10(data_range**2 / error)


def compare(
    stage: str, evaluated_by: str, references: Sequence[Mapping[str, Array]], results: Sequence[Mapping[str, Array]]
) -> Parity:
    """Hold results against references, input by input, and keep the worst of each figure.

    Every float tensor that the results hold counts for the float figures, every uint8 one for grey levels and equal
    share. The PSNR is that of the float tensors, or of the pictures where there is no other.

    Raises:
        ParityError: a result lacks a tensor (other than ``network_output``), or has one of another shape or dtype.
    """
    worst = _Worst()
    for reference, result in zip(references, results, strict=True):
        for name in reference:
            if name in result or name != NETWORK_OUTPUT:
                worst.add(*_matching(stage, name, reference, result), _unit(name, reference[name]))
    return Parity(
        stage,
        evaluated_by,
        len(references),
        math.nan if any(math.isnan(error) for error in worst.floats) else max(worst.floats, default=None),
        max(worst.levels, default=None),
        min(worst.shares, default=None),
        min(worst.float_ratios or worst.picture_ratios, default=None),
    )


@dataclass(frozen=True)
class _Worst:
    """The figures of every pair of tensors, by kind."""

    floats: list[float] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    float_ratios: list[float] = field(default_factory=list)
    picture_ratios: list[float] = field(default_factory=list)

    def add(self, expected: Array, got: Array, unit: float) -> None:
        if expected.dtype == np.uint8:
            self.levels.append(int(np.abs(expected.astype(np.int16) - got.astype(np.int16)).max()))
            self.shares.append(float(np.mean(expected == got)))
            self.picture_ratios.append(psnr(expected, got))
        else:
            self.floats.append(_largest(expected, got) / unit)
            self.float_ratios.append(psnr(expected, got, data_range=2.0 * unit))


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


def run_torch_network(graph: Any, samples: list[dict[str, Array]]) -> list[Mapping[str, Array]]:
    """The reference: the network itself in torch, in outside form, with its float output."""
    import torch

    from edge_i2i.graphs.picture import PictureModule

    module = PictureModule(graph).eval()
    results: list[Mapping[str, Array]] = []
    with torch.inference_mode():
        for sample in samples:
            arguments = [torch.from_numpy(sample[spec.name]) for spec in graph.declaration.inputs]
            outputs = [tensor.numpy().copy() for tensor in module(*arguments)]
            results.append(dict(zip(module.output_names, outputs, strict=True)))
    return results


def run_onnxruntime(
    path: Path, samples: Iterable[dict[str, Array]], threads: int | None = None
) -> Generator[Mapping[str, Array]]:
    """Run an ONNX file on ONNX Runtime's CPU provider, one sample at a time, as the results are asked for."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for sample in samples:
        yield dict(zip(names, session.run(names, sample), strict=True))
