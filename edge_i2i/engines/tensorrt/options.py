"""What a caller may ask of a build. Precision is not here: it is written in the ONNX graph (strong typing)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from edge_i2i.engines.tensorrt.flavour import Flavour
from edge_i2i.errors import UsageError

DEFAULT_TARGETS = ("8.6", "8.9", "12.0")  # TensorRT-RTX's own portable set: RTX 30, 40 and 50
DEEPEST_OPTIMIZATION = 5
_FAMILIES = {"7.5": "RTX 20", "8.6": "RTX 30", "8.9": "RTX 40", "12.0": "RTX 50"}


def describe_target(target: str) -> str:
    """A compute capability with the GPUs that people know it by.

    >>> describe_target("8.9")
    '8.9 (RTX 40)'
    """
    return f"{target} ({_FAMILIES[target]})" if target in _FAMILIES else target


class HardwareCompatibility(StrEnum):
    """Which other GPUs an engine has to run on. The values are TensorRT's member names in lower case."""

    NONE = "none"
    AMPERE_PLUS = "ampere_plus"
    SAME_COMPUTE_CAPABILITY = "same_compute_capability"


@dataclass(frozen=True)
class BuildOptions:
    """How an engine is built; every field is part of the engine's cache key.

    ``workspace_mb``: most scratch memory a layer may take, in MiB (None: no limit but the GPU's memory).
    ``optimization_level``: 0 (fast build) to 5 (fast engine). ``version_compatible``: also runs on later TensorRT
    versions, slower, and the engine file then holds host code. ``allow_tf32``: FP32 products may round their inputs to
    10 mantissa bits, TensorRT's own default; off here, so that an FP32 graph computes in FP32.
    ``refuse_silent_arithmetic``: refuse a graph whose numbers the parser reads differently from what is written.
    ``targets``: compute capabilities of an engine built ahead of time (None: 8.6, 8.9 and 12.0), as in ``"8.9"``.

    Raises:
        UsageError: a value is out of its range.
    """

    workspace_mb: int | None = None
    optimization_level: int = 3
    hardware_compatibility: HardwareCompatibility = HardwareCompatibility.NONE
    version_compatible: bool = False
    allow_tf32: bool = False
    refuse_silent_arithmetic: bool = True
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.workspace_mb is not None and self.workspace_mb <= 0:
            raise UsageError(
                f"The workspace limit is {self.workspace_mb} MiB.",
                remedy="Give a positive number, or none for no limit.",
            )
        if not 0 <= self.optimization_level <= DEEPEST_OPTIMIZATION:
            raise UsageError(
                f"The optimisation level is {self.optimization_level}.",
                remedy=f"Give a number from 0 (fast build) to {DEEPEST_OPTIMIZATION} (fast engine).",
            )
        for target in self.targets or ():
            if re.fullmatch(r"\d{1,2}\.\d", target) is None:
                raise UsageError(
                    f"'{target}' is not a compute capability.", remedy="Write major.minor, for example 8.9."
                )

    def resolved(self, flavour: Flavour) -> BuildOptions:
        """These options with the defaults of one product filled in; what the cache key and the builder see.

        Raises:
            UsageError: the product cannot do what is asked.
        """
        if flavour.device_bound:
            self._refuse_targets(flavour)
            return self
        self._refuse_compatibility(flavour)
        targets = DEFAULT_TARGETS if self.targets is None else self.targets
        return replace(self, targets=_known_targets(targets, flavour))

    def _refuse_targets(self, flavour: Flavour) -> None:
        if self.targets is not None:
            raise UsageError(
                f"{flavour.title} builds for the GPU that it runs on, so it takes no target compute capabilities.",
                remedy="Build on the device, or ask for hardware compatibility.",
            )

    def _refuse_compatibility(self, flavour: Flavour) -> None:
        if self.version_compatible:
            raise UsageError(
                f"{flavour.title} has no version-compatible engines: it comes without the lean runtime they need.",
                remedy="Build again after each update, or use the engine 'tensorrt'.",
            )
        if self.hardware_compatibility is not HardwareCompatibility.NONE:
            raise UsageError(
                f"{flavour.title} ignores the hardware compatibility level '{self.hardware_compatibility}'.",
                remedy="Name the GPUs through the target compute capabilities instead, for example 8.6 and 8.9.",
            )


def _known_targets(targets: tuple[str, ...], flavour: Flavour) -> tuple[str, ...]:
    unknown = sorted(set(targets) - set(flavour.compute_capabilities))
    if unknown or not targets:
        raise UsageError(
            f"{flavour.title} cannot build for these compute capabilities: {', '.join(unknown) or 'none given'}.",
            remedy=f"It knows {', '.join(flavour.compute_capabilities)}.",
        )
    return tuple(sorted(set(targets), key=lambda target: tuple(map(int, target.split(".")))))
