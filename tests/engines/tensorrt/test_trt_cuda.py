"""The CUDA facade: every name it uses exists in cuda-bindings, and errors become typed errors with CUDA's text."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import edge_i2i.engines.tensorrt.cuda as cuda_module
import edge_i2i.engines.tensorrt.device as device_module
from edge_i2i.engines.tensorrt.cuda import Cuda, CudaRuntime, load_cuda
from edge_i2i.engines.tensorrt.device import host_platform, query_device
from edge_i2i.errors import GraphError, MissingRequirementError
from samples.tensorrt.fake_gpu import FakeGpu

runtime = pytest.importorskip("cuda.bindings.runtime", reason="needs cuda-bindings: pip install 'edge-i2i[rtx]'")


def attribute_chains(path: Path, root: str) -> set[str]:
    """Every ``root.a.b`` in a file, without the root."""
    chains = (ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute))
    return {chain.removeprefix(f"{root}.") for chain in chains if re.fullmatch(rf"{re.escape(root)}(\.\w+)+", chain)}


def calls_of(path: Path, root: str) -> list[tuple[str, int]]:
    """Every call ``root.f(...)`` in a file: its name and how many arguments it gives."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    named = ((ast.unparse(call.func), len(call.args)) for call in calls)
    return [(name.removeprefix(f"{root}."), count) for name, count in named if name.startswith(f"{root}.cuda")]


FACADE = Path(cuda_module.__file__)


def test_every_name_exists() -> None:
    chains = attribute_chains(FACADE, "self._cuda")
    assert {"cudaMalloc", "cudaMemcpyKind.cudaMemcpyHostToDevice"} <= chains
    for chain in chains:
        holder: Any = runtime
        for name in chain.split("."):
            assert hasattr(holder, name), chain
            holder = getattr(holder, name)


@pytest.mark.parametrize(("name", "given"), calls_of(FACADE, "self._cuda"))
def test_every_call_gives_as_many_arguments_as_the_function_takes(name: str, given: int) -> None:
    signature = getattr(runtime, name).__doc__.strip().splitlines()[0]
    parameters = re.fullmatch(rf"{name}\((.*)\)", signature)
    assert parameters is not None, signature
    assert given == len([part for part in parameters[1].split(",") if part.strip()]), signature


def test_every_error_name_and_device_attribute_exists() -> None:
    for name in cuda_module._MISSING | cuda_module._REMEDIES.keys():
        assert hasattr(runtime.cudaError_t, name), name
    attributes = {chain.split(".")[0] for chain in attribute_chains(Path(device_module.__file__), "properties")}
    assert "ECCEnabled" in attributes
    for name in attributes:
        assert hasattr(runtime.cudaDeviceProp, name), name


def test_the_facade_keeps_the_protocol() -> None:
    for name in vars(Cuda):
        if not name.startswith("_"):
            assert callable(getattr(CudaRuntime, name))


class Failing:
    """``cuda.bindings.runtime`` of a machine on which every call gives one error."""

    cudaError_t = runtime.cudaError_t
    cudaMemcpyKind = runtime.cudaMemcpyKind
    cudaStreamCaptureMode = runtime.cudaStreamCaptureMode
    cudaStreamNonBlocking = runtime.cudaStreamNonBlocking
    cudaGetErrorString = staticmethod(runtime.cudaGetErrorString)

    def __init__(self, error: str, driver: int = 0) -> None:
        self._code = getattr(runtime.cudaError_t, error)
        self._driver = driver

    def cudaDriverGetVersion(self) -> tuple[Any, int]:
        return runtime.cudaError_t.cudaSuccess, self._driver

    def cudaRuntimeGetVersion(self) -> tuple[Any, int]:
        return runtime.cudaError_t.cudaSuccess, 13040

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: (self._code, None)


def failing(error: str, driver: int = 0) -> CudaRuntime:
    module: Any = Failing(error, driver)
    return CudaRuntime(module)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        ("cudaErrorNoDevice", MissingRequirementError, "no CUDA-capable device is detected (cudaErrorNoDevice)"),
        ("cudaErrorMemoryAllocation", MissingRequirementError, "CUDA could not allocate GPU memory: out of memory"),
        ("cudaErrorIllegalAddress", GraphError, "illegal memory access"),
    ],
)
def test_errors_carry_cudas_text(error: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        failing(error).allocate(16)


def test_no_driver_and_an_old_driver_are_told_apart() -> None:
    with pytest.raises(MissingRequirementError, match="There is no NVIDIA driver on this machine"):
        failing("cudaErrorInsufficientDriver").allocate(16)
    message = r"serves CUDA up to 12\.6; cuda-bindings here is for 13\.4"
    with pytest.raises(MissingRequirementError, match=message) as caught:
        failing("cudaErrorInsufficientDriver", 12060).allocate(16)
    assert "pip install 'cuda-bindings==12.*'" in caught.value.remedy


def test_abandoning_a_capture_never_raises() -> None:
    failing("cudaErrorStreamCaptureInvalidated").abandon_capture(1)


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(MissingRequirementError, match="'cuda-bindings', which cannot be imported") as caught:
        load_cuda()
    assert "pip install" in caught.value.remedy and caught.value.exit_code == 3


CALLS = {
    "allocate": (16,),
    "free": (0,),
    "allocate_pinned": (16,),
    "free_pinned": (0,),
    "create_stream": (),
    "synchronize": (0,),
    "copy_to_device": (0, 0, 0, 0),
    "copy_to_host": (0, 0, 0, 0),
    "count_devices": (),
    "device_properties": (0,),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_real_package_takes_our_arguments(name: str) -> None:
    """Without a GPU each call gets as far as the driver, so a wrong argument would be a TypeError instead."""
    cuda = load_cuda()
    if cuda.driver_version() != 0:
        pytest.skip("this machine has an NVIDIA driver; the gpu tests make the real calls")
    with pytest.raises(MissingRequirementError, match="no NVIDIA driver"):
        getattr(cuda, name)(*CALLS[name])


def test_device_attributes_are_read_from_cudas_properties() -> None:
    properties = runtime.cudaDeviceProp()
    properties.name, properties.major, properties.minor = b"Orin".ljust(256, b"\0"), 8, 7
    properties.totalGlobalMem, properties.integrated = 16 << 30, 1
    cuda: Any = SimpleNamespace(
        count_devices=lambda: 1, device_properties=lambda index: properties, driver_version=lambda: 12060
    )
    device = query_device(cuda)
    assert (device.name, device.compute_capability, device.cuda_driver) == ("Orin", "8.7", "12.6")
    assert device.integrated and not device.ecc and device.total_memory == 16 << 30


def test_the_host_is_named() -> None:
    assert host_platform().system and host_platform().machine


def test_the_stand_in_of_the_runner_tests_keeps_the_protocol_too() -> None:
    for name in vars(Cuda):
        if not name.startswith("_"):
            given = getattr(FakeGpu, name).__code__
            wanted = getattr(CudaRuntime, name).__code__
            assert given.co_varnames[: given.co_argcount] == wanted.co_varnames[: wanted.co_argcount], name
