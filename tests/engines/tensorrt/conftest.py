"""Fixtures of the TensorRT tests: the installed TensorRT-RTX, a graph, a GPU's attributes."""

from __future__ import annotations

import pytest

from edge_i2i.engines.tensorrt.adapter import Adapter, load_adapter
from edge_i2i.engines.tensorrt.device import DeviceAttributes
from edge_i2i.engines.tensorrt.flavour import TENSORRT_RTX
from samples.tensorrt.toys import MemorySource, toy_graph


@pytest.fixture
def toy_source() -> MemorySource:
    return MemorySource(toy_graph())


@pytest.fixture(scope="session")
def rtx() -> Adapter:
    """The installed TensorRT-RTX: its parser and builder are real and need no GPU."""
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'edge-i2i[rtx]'")
    return load_adapter(TENSORRT_RTX, TENSORRT_RTX.install_elsewhere)


@pytest.fixture
def rtx_4090() -> DeviceAttributes:
    """A GPU's attributes as CUDA reports them."""
    return DeviceAttributes(
        name="NVIDIA GeForce RTX 4090",
        compute_capability="8.9",
        multiprocessors=128,
        memory_bus=384,
        l2_cache=75497472,
        shared_memory_per_block=49152,
        shared_memory_per_block_optin=101376,
        shared_memory_per_multiprocessor=102400,
        total_memory=25393692672,
        integrated=False,
        ecc=False,
        cuda_driver="13.0",
    )
