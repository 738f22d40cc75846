"""The two TensorRT products that this room serves, described once; the code reads the description and never a name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flavour:
    """One TensorRT product.

    ``plan_tag``: the first four bytes of its engine files. ``oldest``: the first version whose strongly typed
    networks and progress monitor this code relies on. ``device_bound``: whether an engine belongs to the GPU that
    built it; otherwise it is built ahead of time, without a GPU, for the compute capabilities named in the options.
    ``compute_capabilities``: those that it runs on, empty where the library itself decides.
    """

    engine: str
    title: str
    module: str
    plan_tag: str
    oldest: tuple[int, int]
    device_bound: bool
    keeps_timing_cache: bool
    compute_capabilities: tuple[str, ...]
    install_on_jetson: str
    install_elsewhere: str


TENSORRT = Flavour(
    engine="tensorrt",
    title="TensorRT",
    module="tensorrt",
    plan_tag="ftrt",
    oldest=(10, 3),
    device_bound=True,
    keeps_timing_cache=True,
    compute_capabilities=(),
    install_on_jetson=(
        "sudo apt install tensorrt python3-libnvinfer, and use a virtual environment made with "
        "python3 -m venv --system-site-packages, so that it sees JetPack's copy. That copy serves the system's own "
        "Python only: 3.12 on JetPack 7; on JetPack 6 it is 3.10, too old for edge-i2i, so build there with trtexec"
    ),
    install_elsewhere="pip install tensorrt",
)

# The compute capabilities are those of the TensorRT-RTX 1.7 support matrix; its timing cache is a deprecated no-op.
TENSORRT_RTX = Flavour(
    engine="rtx",
    title="TensorRT-RTX",
    module="tensorrt_rtx",
    plan_tag="vtrt",
    oldest=(1, 7),
    device_bound=False,
    keeps_timing_cache=False,
    compute_capabilities=("7.5", "8.6", "8.9", "12.0", "12.1"),
    install_on_jetson="TensorRT-RTX is not made for Jetson: use the engine 'tensorrt' there",
    install_elsewhere="pip install 'edge-i2i[rtx]'",
)

FLAVOURS = (TENSORRT, TENSORRT_RTX)
