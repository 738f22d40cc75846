"""What may be asked of a build, and what is refused before anything is built."""

from __future__ import annotations

import pytest

from edge_i2i.engines.tensorrt.flavour import TENSORRT, TENSORRT_RTX
from edge_i2i.engines.tensorrt.options import DEFAULT_TARGETS, BuildOptions, HardwareCompatibility
from edge_i2i.errors import UsageError


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workspace_mb": 0}, "workspace limit is 0 MiB"),
        ({"workspace_mb": -5}, "workspace limit is -5 MiB"),
        ({"optimization_level": 6}, "optimisation level is 6"),
        ({"optimization_level": -1}, "optimisation level is -1"),
        ({"targets": ("sm_89",)}, "'sm_89' is not a compute capability"),
        ({"targets": ("8.9", "9")}, "'9' is not a compute capability"),
    ],
)
def test_values_out_of_range_are_usage_errors(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        BuildOptions(**wrong)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2 and caught.value.remedy


def test_rtx_builds_for_its_portable_targets_by_default() -> None:
    assert BuildOptions().resolved(TENSORRT_RTX).targets == DEFAULT_TARGETS


def test_targets_are_sorted_by_number_and_unique() -> None:
    options = BuildOptions(targets=("12.0", "8.9", "7.5", "8.9")).resolved(TENSORRT_RTX)
    assert options.targets == ("7.5", "8.9", "12.0")


@pytest.mark.parametrize("targets", [("9.0",), ("8.9", "8.7"), ()])
def test_targets_that_rtx_does_not_know_are_refused_with_those_that_it_knows(targets: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="cannot build for these compute capabilities") as caught:
        BuildOptions(targets=targets).resolved(TENSORRT_RTX)
    assert "7.5, 8.6, 8.9, 12.0, 12.1" in caught.value.remedy


def test_rtx_refuses_version_compatible_engines() -> None:
    with pytest.raises(UsageError, match="without the lean runtime"):
        BuildOptions(version_compatible=True).resolved(TENSORRT_RTX)


def test_rtx_refuses_the_compatibility_level_that_it_would_ignore() -> None:
    with pytest.raises(UsageError, match="ignores the hardware compatibility level 'ampere_plus'"):
        BuildOptions(hardware_compatibility=HardwareCompatibility.AMPERE_PLUS).resolved(TENSORRT_RTX)


def test_full_tensorrt_takes_no_targets() -> None:
    with pytest.raises(UsageError, match="builds for the GPU that it runs on"):
        BuildOptions(targets=("8.9",)).resolved(TENSORRT)


def test_full_tensorrt_takes_the_compatibility_options() -> None:
    options = BuildOptions(version_compatible=True, hardware_compatibility=HardwareCompatibility.AMPERE_PLUS)
    assert options.resolved(TENSORRT) == options
