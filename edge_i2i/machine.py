"""What machine and which versions a figure was measured with; kept beside every figure."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from edge_i2i.requirements import installed_version

_DISTRIBUTIONS = (
    "edge-i2i",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "openvino",
    "nncf",
    "torch",
    "onnx",
    "tensorrt-rtx",
)


def describe_machine() -> dict[str, Any]:
    """The processor, its cores and vector instructions, the memory in GiB, the system; no host name and no paths."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "instructions": _instructions(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


# What INT8 and BF16 are worth hangs on these more than on the processor's name.
_INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm")


def installed_versions(distributions: tuple[str, ...] = _DISTRIBUTIONS) -> dict[str, str]:
    """Versions of the packages that figures depend on, as far as they are installed."""
    versions = {name: installed_version(name) for name in distributions}
    return {name: version for name, version in versions.items() if version is not None}


def _processor() -> str:
    """Linux keeps the name in /proc, elsewhere ``platform`` knows it."""
    names = _cpuinfo("model name", "Model")
    return names or platform.processor() or platform.machine()


def _instructions() -> list[str]:
    """The vector instructions of this processor that matter here; empty where the system does not tell."""
    flags = set(_cpuinfo("flags", "Features").split())
    return [name for name in _INSTRUCTIONS if name in flags]


def _cpuinfo(*keys: str) -> str:
    """The first value of any of these keys; empty outside Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(keys)), "")


def _memory_gib() -> float:
    import psutil

    try:
        return round(psutil.virtual_memory().total / 2**30, 1)
    except (psutil.Error, OSError):  # Linux without /proc
        return 0.0


def resident_bytes() -> int | None:
    """Resident memory in bytes; None where the system does not tell (Linux without ``/proc``)."""
    import psutil

    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return None
