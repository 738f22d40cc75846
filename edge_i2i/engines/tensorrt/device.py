"""What an engine's life depends on: the GPU's attributes and the machine around it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from edge_i2i.engines.tensorrt.cuda import CudaRuntime, load_cuda

_JETSON_RELEASE = Path("/etc/nv_tegra_release")


@dataclass(frozen=True)
class HostPlatform:
    """The operating system and processor that an engine was made on: engines do not cross either."""

    system: str
    machine: str


@dataclass(frozen=True)
class DeviceAttributes:
    """The GPU attributes that decide whether a device-bound engine fits; the name alone does not (laptop variants).

    Sizes are in bytes, ``memory_bus`` is in bits, ``cuda_driver`` is the newest CUDA version that the driver serves.
    """

    name: str
    compute_capability: str
    multiprocessors: int
    memory_bus: int
    l2_cache: int
    shared_memory_per_block: int
    shared_memory_per_block_optin: int
    shared_memory_per_multiprocessor: int
    total_memory: int
    integrated: bool
    ecc: bool
    cuda_driver: str


def host_platform() -> HostPlatform:
    """The operating system and the processor architecture of this machine, as ``platform`` names them."""
    return HostPlatform(platform.system(), platform.machine())


def on_jetson() -> bool:
    """Whether this is an NVIDIA Jetson (its release file is there)."""
    return _JETSON_RELEASE.exists()


def query_device(cuda: CudaRuntime | None = None) -> DeviceAttributes:
    """The attributes of the first visible GPU.

    Raises:
        MissingRequirementError: no GPU, driver or cuda-bindings package, or they do not fit together.
    """
    cuda = cuda or load_cuda()
    cuda.count_devices()
    properties = cuda.device_properties(0)
    driver = cuda.driver_version()
    return DeviceAttributes(
        name=properties.name.partition(b"\0")[0].decode(errors="replace"),
        compute_capability=f"{properties.major}.{properties.minor}",
        multiprocessors=properties.multiProcessorCount,
        memory_bus=properties.memoryBusWidth,
        l2_cache=properties.l2CacheSize,
        shared_memory_per_block=properties.sharedMemPerBlock,
        shared_memory_per_block_optin=properties.sharedMemPerBlockOptin,
        shared_memory_per_multiprocessor=properties.sharedMemPerMultiprocessor,
        total_memory=properties.totalGlobalMem,
        integrated=bool(properties.integrated),
        ecc=bool(properties.ECCEnabled),
        cuda_driver=f"{driver // 1000}.{driver % 1000 // 10}",
    )
