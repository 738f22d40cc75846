"""Running an engine: fixed device addresses, pinned buffers, one CUDA graph for each frame. No torch."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import GraphDeclaration, TensorSpec
from edge_i2i.engines.protocol import Session, SessionInfo
from edge_i2i.engines.tensorrt.adapter import EngineTensor
from edge_i2i.engines.tensorrt.cuda import Cuda
from edge_i2i.errors import EdgeI2IError, GraphError, PlanError, UsageError

_log = logging.getLogger(__name__)


class ExecutionContext(Protocol):
    """What a session needs of an execution context; ``adapter.Context`` is one."""

    captures_itself: bool

    def bind(self, name: str, address: int) -> None:
        """Fix the device address of an input or output."""
        ...

    def enqueue(self, stream: int) -> bool:
        """Queue one inference; False where it was refused."""
        ...

    def take_errors(self) -> str:
        """The errors since the last call."""
        ...

    def release(self) -> None:
        """Free the context."""
        ...


@dataclass(frozen=True)
class Buffer:
    """One input or output: a pinned array, the address of its memory, and its place on the device."""

    spec: TensorSpec
    array: Array
    host: int
    device: int


class TensorRtSession(Session):
    """A loaded engine. ``info.notes`` says when no CUDA graph could be used, and why.

    Args:
        declaration: the graph's inputs and outputs; the engine has the same (see ``check_tensors``).
        info: what runs; notes about the CUDA graph are added to its own.
        make_context: makes the place to run in, once the buffers are there; the session releases it.
        cuda: memory, streams and graphs of the GPU.
    """

    def __init__(
        self,
        declaration: GraphDeclaration,
        info: SessionInfo,
        make_context: Callable[[], ExecutionContext],
        cuda: Cuda,
    ) -> None:
        self.declaration = declaration
        self._cuda = cuda
        self._graph: Any = None
        # Freed in reverse: graph, context, buffers, stream. The context may still use all that was made before it.
        with ExitStack() as resources:
            self._stream = cuda.create_stream()
            resources.callback(cuda.destroy_stream, self._stream)
            self._inputs = tuple(_allocate(spec, cuda, resources) for spec in declaration.inputs)
            self._outputs = tuple(_allocate(spec, cuda, resources) for spec in declaration.outputs)
            self._context = make_context()
            resources.callback(self._context.release)
            for buffer in (*self._inputs, *self._outputs):
                self._context.bind(buffer.spec.name, buffer.device)
            self._run_plainly()  # the first inference makes TensorRT's lazy allocations, which a capture forbids
            self.info = replace(info, notes=(*info.notes, *self._capture(resources)))
            self._resources: ExitStack | None = resources.pop_all()

    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self._resources is None:
            raise UsageError("This session is closed.", remedy="Load the graph again.")
        for buffer in self._inputs:
            np.copyto(buffer.array, inputs[buffer.spec.name])
        if self._graph is None:
            self._run_plainly()
        else:
            self._cuda.launch(self._graph, self._stream)
            self._cuda.synchronize(self._stream)
        for buffer in self._outputs:
            np.copyto(outputs[buffer.spec.name], buffer.array)

    def close(self) -> None:
        """Wait for the GPU, then free graph, context, buffers and stream, in this order."""
        resources, self._resources, self._graph = self._resources, None, None
        if resources is not None:
            with resources:
                self._cuda.synchronize(self._stream)

    def _run_plainly(self) -> None:
        if not self._queue():
            self._cuda.synchronize(self._stream)
            raise GraphError(f"TensorRT refused to run the engine:\n  {self._context.take_errors()}")
        self._cuda.synchronize(self._stream)

    def _queue(self) -> bool:
        """Queue one frame: inputs up, inference, outputs down. False where TensorRT refused the inference."""
        for buffer in self._inputs:
            self._cuda.copy_to_device(buffer.device, buffer.host, buffer.array.nbytes, self._stream)
        if not self._context.enqueue(self._stream):
            return False
        for buffer in self._outputs:
            self._cuda.copy_to_host(buffer.host, buffer.device, buffer.array.nbytes, self._stream)
        return True

    def _capture(self, resources: ExitStack) -> tuple[str, ...]:
        """Record one frame as a CUDA graph where that is possible; what is returned are the notes about it."""
        if self._context.captures_itself:
            return ("CUDA graphs: captured and replayed by the runtime itself",)
        try:
            self._graph = self._record()
        except EdgeI2IError as error:  # also out of memory: queueing each frame needs less
            _log.warning("No CUDA graph: %s", error.what)
            return (f"CUDA graphs: not used, each frame is queued ({error.what})",)
        resources.callback(self._cuda.destroy_graph, self._graph)
        return ("CUDA graphs: one graph for the whole frame, copies included",)

    def _record(self) -> Any:
        self._cuda.begin_capture(self._stream)
        try:
            queued = self._queue()
        except BaseException:
            self._cuda.abandon_capture(self._stream)
            raise
        if not queued:
            # A graph of a refused inference would replay its copies around an old picture for ever.
            self._cuda.abandon_capture(self._stream)
            raise GraphError(f"TensorRT refused the inference during the capture: {self._context.take_errors()}")
        return self._cuda.end_capture(self._stream)


def check_tensors(tensors: tuple[EngineTensor, ...], declaration: GraphDeclaration) -> None:
    """Hold an engine's inputs and outputs against the graph that it should have been built from.

    Raises:
        PlanError: a name, shape, dtype or direction differs, so the engine belongs to another graph.
    """
    found = {(tensor.name, tensor.is_input, tensor.dtype, tensor.shape) for tensor in tensors}
    declared = {(spec.name, True, spec.dtype.value, spec.shape) for spec in declaration.inputs}
    declared |= {(spec.name, False, spec.dtype.value, spec.shape) for spec in declaration.outputs}
    if found != declared:
        odd = sorted(f"{name} {dtype}{list(shape)}" for name, _, dtype, shape in found ^ declared)
        raise PlanError(
            f"The engine was not built from the graph '{declaration.name}': {', '.join(odd)} differ.",
            remedy="Delete the engine's files and build it again.",
        )


def _allocate(spec: TensorSpec, cuda: Cuda, resources: ExitStack) -> Buffer:
    dtype = np.dtype(spec.dtype.value)
    nbytes = int(np.prod(spec.shape, dtype=np.int64)) * dtype.itemsize
    host = cuda.allocate_pinned(nbytes)
    resources.callback(cuda.free_pinned, host)
    device = cuda.allocate(nbytes)
    resources.callback(cuda.free, device)
    array = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(host)).view(dtype).reshape(spec.shape)
    array.fill(0)
    return Buffer(spec, array, host, device)
