"""The header of an engine file, read in plain Python: a wrong version becomes a sentence instead of a crash.

Sources of the layout: for ``ftrt`` the public trtexec program (``printPlanVersion``), for ``vtrt`` engines of
TensorRT-RTX 1.7.1. Bytes 0-3 are a tag, bytes 4-7 a little-endian serialisation version of which only 0 is known, and
bytes 24-27 the major, minor, patch and build numbers, each modulo 256.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_i2i.engines.tensorrt.flavour import FLAVOURS, Flavour
from edge_i2i.errors import PlanError

HEADER_BYTES = 28
_KNOWN_SERIALISATION = 0


@dataclass(frozen=True)
class PlanVersion:
    """The TensorRT version that wrote an engine; the numbers are stored in one byte each."""

    major: int
    minor: int
    patch: int
    build: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}.{self.build}"


@dataclass(frozen=True)
class PlanHeader:
    """What the first bytes say. ``flavour`` and ``version`` are None where the layout is not one that we know."""

    flavour: Flavour | None
    version: PlanVersion | None


def read_plan_header(plan: bytes) -> PlanHeader:
    """Read the header from the first bytes of an engine file.

    Raises:
        PlanError: there are fewer than 28 bytes.
    """
    if len(plan) < HEADER_BYTES:
        raise PlanError(f"The engine file is cut off: it holds {len(plan)} bytes, less than its header.")
    flavour = next((flavour for flavour in FLAVOURS if flavour.plan_tag.encode() == plan[:4]), None)
    if flavour is None or int.from_bytes(plan[4:8], "little") != _KNOWN_SERIALISATION:
        return PlanHeader(flavour, None)
    return PlanHeader(flavour, PlanVersion(*plan[24:28]))


def check_plan(
    header: PlanHeader,
    flavour: Flavour,
    installed_version: str,
    rebuild_command: str,
    *,
    version_compatible: bool = False,
) -> None:
    """Accept an engine for this TensorRT, or say both versions and how to rebuild. Unknown layouts are accepted.

    Args:
        header: what the engine file says of itself; what it does not say is not held against it.
        flavour: the product that is to run the engine.
        installed_version: the version of that product here, as in ``10.16.0.5``.
        rebuild_command: what to type to build the engine again; stands in the remedy.
        version_compatible: whether the engine was built to run on later versions, too.

    Raises:
        PlanError: the engine was written by the other product or by another version.
    """
    if header.flavour is not None and header.flavour != flavour:
        raise PlanError(
            f"The engine file is for {header.flavour.title}, and the engine '{flavour.engine}' runs {flavour.title}.",
            remedy=f"Choose the engine '{header.flavour.engine}', or build one: {rebuild_command}",
        )
    if header.version is None or _accepts(header.version, installed_version, version_compatible):
        return
    raise PlanError(
        f"The engine file was built by {flavour.title} {header.version}, and this machine has {installed_version}: "
        f"an engine runs only on the version that built it.",
        remedy=f"Build it again: {rebuild_command}",
    )


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version.

    >>> version_numbers("10.13.3.9.post1")
    (10, 13, 3, 9)
    """
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")[:4]) if match else ()


def _accepts(plan: PlanVersion, installed_version: str, version_compatible: bool) -> bool:
    built = (plan.major, plan.minor, plan.patch, plan.build)
    installed = tuple(number % 256 for number in version_numbers(installed_version))
    # The Python package may name fewer numbers than the library (10.3.0 for 10.3.0.26): compare those that it names.
    return built[: len(installed)] == installed or (version_compatible and built <= installed)
