"""The few CUDA calls that a session makes, behind a small protocol; real ones through cuda-python, without torch."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Protocol

from edge_i2i.errors import EdgeI2IError, GraphError, MissingRequirementError

# Errors that mean "the machine lacks something", as opposed to "this graph or this call is wrong".
_MISSING = frozenset(
    {
        "cudaErrorNoDevice",
        "cudaErrorInsufficientDriver",
        "cudaErrorSystemDriverMismatch",
        "cudaErrorCompatNotSupportedOnDevice",
        "cudaErrorSystemNotReady",
        "cudaErrorStubLibrary",
        "cudaErrorDevicesUnavailable",
        "cudaErrorInitializationError",
        "cudaErrorOperatingSystem",
        "cudaErrorMemoryAllocation",
    }
)
_REMEDIES = {
    "cudaErrorMemoryAllocation": "Close other programs that use the GPU, choose a smaller size or the fp16 variant.",
    "cudaErrorNoDevice": "Run where an NVIDIA GPU is visible (check with nvidia-smi), or choose another engine.",
}
_DRIVER_REMEDY = "Install or update the NVIDIA driver, or choose another engine (edge-i2i doctor lists them)."


class Cuda(Protocol):
    """Memory, streams and graphs; every address and handle is a plain integer, except a graph's."""

    def allocate(self, nbytes: int) -> int:
        """Allocate ``nbytes`` bytes on the device; returns their address."""
        ...

    def free(self, address: int) -> None:
        """Give device memory back."""
        ...

    def allocate_pinned(self, nbytes: int) -> int:
        """Allocate ``nbytes`` bytes of page-locked host memory; returns their address."""
        ...

    def free_pinned(self, address: int) -> None:
        """Give page-locked memory back."""
        ...

    def create_stream(self) -> int:
        """Make a stream that no other work is on; returns its handle."""
        ...

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream once its work is done."""
        ...

    def synchronize(self, stream: int) -> None:
        """Wait for all work on the stream."""
        ...

    def copy_to_device(self, device: int, host: int, nbytes: int, stream: int) -> None:
        """Queue a copy from pinned memory to the device.

        Args:
            device: the address on the device to write to.
            host: the address in pinned memory to read from; it has to stay until the stream comes to the copy.
            nbytes: how many bytes.
            stream: the stream's handle.
        """
        ...

    def copy_to_host(self, host: int, device: int, nbytes: int, stream: int) -> None:
        """Queue a copy from the device to pinned memory.

        Args:
            host: the address in pinned memory to write to; what arrives is there after ``synchronize``.
            device: the address on the device to read from.
            nbytes: how many bytes.
            stream: the stream's handle.
        """
        ...

    def begin_capture(self, stream: int) -> None:
        """Record what this thread queues on the stream instead of running it."""
        ...

    def abandon_capture(self, stream: int) -> None:
        """End a capture that went wrong and drop what it recorded; never raises."""
        ...

    def end_capture(self, stream: int) -> Any:
        """End a capture and make it launchable."""
        ...

    def launch(self, graph: Any, stream: int) -> None:
        """Queue a recorded graph."""
        ...

    def destroy_graph(self, graph: Any) -> None:
        """Free a launchable graph."""
        ...


class CudaRuntime:
    """``Cuda`` on ``cuda.bindings.runtime``. Errors become typed errors that carry CUDA's own text."""

    def __init__(self, runtime: ModuleType) -> None:
        self._cuda = runtime

    def allocate(self, nbytes: int) -> int:
        """Allocate ``nbytes`` bytes on the device; returns their address."""
        return int(self._check("allocate GPU memory", self._cuda.cudaMalloc(nbytes)))

    def free(self, address: int) -> None:
        """Give device memory back."""
        self._check("free GPU memory", self._cuda.cudaFree(address))

    def allocate_pinned(self, nbytes: int) -> int:
        """Allocate ``nbytes`` of page-locked host memory, which the GPU copies directly; returns its address."""
        return int(self._check("allocate pinned memory", self._cuda.cudaMallocHost(nbytes)))

    def free_pinned(self, address: int) -> None:
        """Give page-locked memory back."""
        self._check("free pinned memory", self._cuda.cudaFreeHost(address))

    def create_stream(self) -> int:
        """A stream of its own: the default stream would synchronise with everybody else's work."""
        return int(self._check("make a stream", self._cuda.cudaStreamCreateWithFlags(self._cuda.cudaStreamNonBlocking)))

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream once its work is done."""
        self._check("destroy a stream", self._cuda.cudaStreamDestroy(stream))

    def synchronize(self, stream: int) -> None:
        """Wait for all work on the stream."""
        self._check("wait for the GPU", self._cuda.cudaStreamSynchronize(stream))

    def copy_to_device(self, device: int, host: int, nbytes: int, stream: int) -> None:
        """Queue a copy from pinned memory to the device.

        Args:
            device: the address on the device to write to.
            host: the address in pinned memory to read from; it has to stay until the stream comes to the copy.
            nbytes: how many bytes.
            stream: the stream's handle.
        """
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._check("copy to the GPU", self._cuda.cudaMemcpyAsync(device, host, nbytes, kind, stream))

    def copy_to_host(self, host: int, device: int, nbytes: int, stream: int) -> None:
        """Queue a copy from the device to pinned memory.

        Args:
            host: the address in pinned memory to write to; what arrives is there after ``synchronize``.
            device: the address on the device to read from.
            nbytes: how many bytes.
            stream: the stream's handle.
        """
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._check("copy from the GPU", self._cuda.cudaMemcpyAsync(host, device, nbytes, kind, stream))

    def begin_capture(self, stream: int) -> None:
        """Record what this thread queues on the stream instead of running it; other threads go on freely."""
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._check("begin a capture", self._cuda.cudaStreamBeginCapture(stream, mode))

    def abandon_capture(self, stream: int) -> None:
        """End a capture that went wrong and drop what it recorded; never raises."""
        code, graph = self._cuda.cudaStreamEndCapture(stream)
        if code == self._cuda.cudaError_t.cudaSuccess:
            self._cuda.cudaGraphDestroy(graph)
        self._cuda.cudaGetLastError()  # the refused capture must not surface in a later call

    def end_capture(self, stream: int) -> Any:
        """End a capture and make it launchable."""
        graph = self._check("end a capture", self._cuda.cudaStreamEndCapture(stream))
        try:
            return self._check("instantiate a graph", self._cuda.cudaGraphInstantiate(graph, 0))
        finally:
            self._cuda.cudaGraphDestroy(graph)

    def launch(self, graph: Any, stream: int) -> None:
        """Queue a recorded graph."""
        self._check("launch a graph", self._cuda.cudaGraphLaunch(graph, stream))

    def destroy_graph(self, graph: Any) -> None:
        """Free a launchable graph."""
        self._check("destroy a graph", self._cuda.cudaGraphExecDestroy(graph))

    def count_devices(self) -> int:
        """How many GPUs are visible; none is an error."""
        return int(self._check("find a GPU", self._cuda.cudaGetDeviceCount()))

    def device_properties(self, index: int) -> Any:
        """CUDA's ``cudaDeviceProp`` of one GPU."""
        return self._check("read the GPU's attributes", self._cuda.cudaGetDeviceProperties(index))

    def driver_version(self) -> int:
        """The newest CUDA version that the driver serves, as in 12060; 0 without a driver."""
        return int(self._check("read the driver's version", self._cuda.cudaDriverGetVersion()))

    def _check(self, action: str, result: tuple[Any, ...]) -> Any:
        code, *values = result
        if code != self._cuda.cudaError_t.cudaSuccess:
            raise self._error(action, code)
        return values[0] if values else None

    def _error(self, action: str, code: Any) -> EdgeI2IError:
        name = code.name
        if name == "cudaErrorInsufficientDriver":
            return self._driver_error()
        _, text = self._cuda.cudaGetErrorString(code)
        what = f"CUDA could not {action}: {text.decode(errors='replace')} ({name})."
        if name in _MISSING:
            return MissingRequirementError(what, remedy=_REMEDIES.get(name, _DRIVER_REMEDY))
        return GraphError(what)

    def _driver_error(self) -> MissingRequirementError:
        driver, runtime = self._cuda.cudaDriverGetVersion()[1], self._cuda.cudaRuntimeGetVersion()[1]
        if driver == 0:
            return MissingRequirementError("There is no NVIDIA driver on this machine.", remedy=_DRIVER_REMEDY)
        return MissingRequirementError(
            f"The NVIDIA driver serves CUDA up to {_dotted(driver)}; cuda-bindings here is for {_dotted(runtime)}.",
            remedy=f"pip install 'cuda-bindings=={driver // 1000}.*', or update the driver.",
        )


def load_cuda() -> CudaRuntime:
    """CUDA through the package cuda-bindings, a part of cuda-python.

    Raises:
        MissingRequirementError: the package is not installed.
    """
    try:
        return CudaRuntime(importlib.import_module("cuda.bindings.runtime"))
    except ImportError as error:
        raise MissingRequirementError(
            f"Running TensorRT engines needs the Python package 'cuda-bindings', which cannot be imported: {error}.",
            remedy="pip install 'cuda-bindings==12.*' (JetPack 6, older drivers) or 'cuda-bindings==13.*'",
        ) from error


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
