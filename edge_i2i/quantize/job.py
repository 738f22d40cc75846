"""What a person asks of ``quantize``: targets, budgets, and how long it may take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_i2i.errors import UsageError
from edge_i2i.files.caches import cache_folder
from edge_i2i.metrics.quality import QualityBudget
from edge_i2i.quantize.budgets import default_budget
from edge_i2i.quantize.calibration.statistics import RangeKind

if TYPE_CHECKING:
    from edge_i2i.graphs.qdq.targets.protocol import Target


@dataclass(frozen=True)
class QuantizeJob:
    """What ``quantize`` is asked for.

    ``targets``: names of quantization targets. ``mixed``: search which layers to keep in float where INT8 in every
    placed layer misses the budget. ``min_psnr_db``, ``min_ssim``: the budget (None: the target's own).
    ``max_latency_ms``: the longest median frame, on the target's engine. ``keep_float``: layers that stay in float in
    any case; ``recipe``: a file of ``edge-i2i sensitivity`` that names more of them. ``keep_slower``: keep variants
    that are slower than the best float one, labelled. ``rounds`` and ``seconds``: the most that timing takes.
    ``cache``: where statistics and verdicts are kept.

    Raises:
        UsageError: a number is out of range.
    """

    targets: tuple[str, ...]
    mixed: bool = True
    min_psnr_db: float | None = None
    min_ssim: float | None = None
    max_latency_ms: float | None = None
    kind: RangeKind = RangeKind.MIN_MAX
    keep_float: tuple[str, ...] = ()
    recipe: Path | None = None
    keep_slower: bool = False
    threads: int | None = None
    rounds: int = 30
    seconds: float = 60.0
    cache: Path = field(default_factory=lambda: cache_folder("quantize"))
    command: str = ""

    def __post_init__(self) -> None:
        """Refuse budgets that nothing could be held against."""
        if not self.targets:
            raise UsageError("There is no target to quantize for.", remedy="Name one, or all of them.")
        limits = (("PSNR", self.min_psnr_db), ("SSIM", self.min_ssim), ("latency", self.max_latency_ms))
        for name, value in limits:
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"A budget of {value:g} for {name} cannot be held.", remedy="Give a positive number.")
        if self.min_ssim is not None and self.min_ssim > 1:
            raise UsageError(
                f"A budget of {self.min_ssim:g} for SSIM cannot be held.",
                remedy="SSIM is 1 for equal pictures: give less.",
            )

    def budget(self, target: Target) -> QualityBudget:
        """The quality that a variant for ``target`` has to keep."""
        own = default_budget(target.scheme)
        psnr_db = own.min_psnr_db if self.min_psnr_db is None else self.min_psnr_db
        return QualityBudget(psnr_db, own.min_ssim if self.min_ssim is None else self.min_ssim)
