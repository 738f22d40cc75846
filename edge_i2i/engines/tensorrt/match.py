"""Whether a stored engine runs here, and in words why not."""

from __future__ import annotations

from dataclasses import dataclass

from edge_i2i.engines.tensorrt.device import DeviceAttributes, HostPlatform
from edge_i2i.engines.tensorrt.flavour import Flavour
from edge_i2i.engines.tensorrt.key import EngineKey, differing_fields
from edge_i2i.engines.tensorrt.options import HardwareCompatibility
from edge_i2i.engines.tensorrt.plan import version_numbers

AMPERE = (8, 0)


@dataclass(frozen=True)
class Here:
    """The machine that is to run an engine."""

    flavour: Flavour
    version: str
    host: HostPlatform
    device: DeviceAttributes


def obstacles(built: EngineKey, here: Here) -> tuple[str, ...]:
    """Why an engine cannot run here, one sentence without a full stop for each reason; none means that it can."""
    reasons = []
    if not _version_fits(built, here):
        reasons.append(f"it was built by {here.flavour.title} {built.version}, this machine has {here.version}")
    if built.host != here.host:
        ours, theirs = here.host, built.host
        reasons.append(f"it was built on {theirs.system} {theirs.machine}, this is {ours.system} {ours.machine}")
    reasons.extend(_device_obstacles(built, here))
    return tuple(reasons)


def _version_fits(built: EngineKey, here: Here) -> bool:
    if built.version == here.version:
        return True
    return built.options.version_compatible and version_numbers(built.version) <= version_numbers(here.version)


def _device_obstacles(built: EngineKey, here: Here) -> tuple[str, ...]:
    if built.device is None:
        return _target_obstacles(built.options.targets or (), here.device)
    if built.device == here.device or _compatible(built, built.device, here.device):
        return ()
    differences = ", ".join(differing_fields(built.device, here.device))
    return (f"it was built for another GPU or driver ({differences})",)


def _target_obstacles(targets: tuple[str, ...], device: DeviceAttributes) -> tuple[str, ...]:
    if device.compute_capability in targets:
        return ()
    return (
        f"it was built for compute capability {', '.join(targets)}, and {device.name} has {device.compute_capability}",
    )


def _compatible(built: EngineKey, theirs: DeviceAttributes, ours: DeviceAttributes) -> bool:
    match built.options.hardware_compatibility:
        case HardwareCompatibility.AMPERE_PLUS:
            return version_numbers(ours.compute_capability) >= AMPERE
        case HardwareCompatibility.SAME_COMPUTE_CAPABILITY:
            return ours.compute_capability == theirs.compute_capability
        case HardwareCompatibility.NONE:
            return False
