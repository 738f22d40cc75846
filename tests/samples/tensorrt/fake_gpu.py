"""A recording stand-in for the GPU that no test machine has: it keeps CUDA's rules, in host memory.

Copies and inferences run at once, or are recorded while a capture is open; a launched graph runs what was recorded,
so a graph that recorded too little really replays an old picture.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.errors import EdgeI2IError, GraphError

Work = Callable[[], object]


class FakeGpu:
    """Implements ``cuda.Cuda``. ``fail_at`` names a call, as in ``allocate:2``, that fails with a ``GraphError``."""

    def __init__(self, fail_at: str = "") -> None:
        self.events: list[str] = []
        self.capturing: list[Work] | None = None
        self._fail_at = fail_at
        self._calls: dict[str, int] = {}
        self._memory: dict[int, Array] = {}
        self._streams: set[int] = set()
        self._graphs: set[int] = set()

    @property
    def leaks(self) -> int:
        """What is still allocated."""
        return len(self._memory) + len(self._streams) + len(self._graphs)

    def memory(self, address: int) -> Array:
        """The bytes behind an address."""
        return self._memory[address]

    def submit(self, stream: int, work: Work) -> None:
        """Run, or record, one piece of work."""
        assert stream in self._streams, "work on a stream that is gone"
        if self.capturing is None:
            work()
        else:
            self.capturing.append(work)

    def allocate(self, nbytes: int) -> int:
        self._event("allocate")
        return self._new(nbytes)

    def free(self, address: int) -> None:
        self._event("free")
        del self._memory[address]

    def allocate_pinned(self, nbytes: int) -> int:
        self._event("allocate_pinned")
        return self._new(nbytes)

    def free_pinned(self, address: int) -> None:
        self._event("free_pinned")
        del self._memory[address]

    def create_stream(self) -> int:
        self._event("create_stream")
        self._streams.add(7)
        return 7

    def destroy_stream(self, stream: int) -> None:
        self._event("destroy_stream")
        self._streams.remove(stream)

    def synchronize(self, stream: int) -> None:
        self._event("synchronize")
        assert stream in self._streams and self.capturing is None, "synchronising breaks a capture"

    def copy_to_device(self, device: int, host: int, nbytes: int, stream: int) -> None:
        self._event("copy_to_device")
        self.submit(stream, lambda: ctypes.memmove(device, host, nbytes))

    def copy_to_host(self, host: int, device: int, nbytes: int, stream: int) -> None:
        self._event("copy_to_host")
        self.submit(stream, lambda: ctypes.memmove(host, device, nbytes))

    def begin_capture(self, stream: int) -> None:
        self._event("begin_capture")
        self.capturing = []

    def abandon_capture(self, stream: int) -> None:
        self._event("abandon_capture")
        self.capturing = None

    def end_capture(self, stream: int) -> list[Work]:
        recorded, self.capturing = self.capturing, None
        self._event("end_capture")
        assert recorded is not None
        self._graphs.add(id(recorded))
        return recorded

    def launch(self, graph: list[Work], stream: int) -> None:
        self._event("launch")
        assert id(graph) in self._graphs
        for work in graph:
            self.submit(stream, work)

    def destroy_graph(self, graph: list[Work]) -> None:
        self._event("destroy_graph")
        self._graphs.remove(id(graph))

    def _new(self, nbytes: int) -> int:
        block = np.full(nbytes, 0xCD, np.uint8)
        self._memory[block.ctypes.data] = block
        return block.ctypes.data

    def _event(self, name: str) -> None:
        self._calls[name] = self._calls.get(name, 0) + 1
        self.events.append(name)
        if f"{name}:{self._calls[name]}" == self._fail_at:
            raise GraphError(f"CUDA could not {name}.")


class FakeContext:
    """Implements ``runner.ExecutionContext``: the engine inverts the picture. ``refuse_at`` counts enqueues from 1."""

    def __init__(self, gpu: FakeGpu, *, refuse_at: int = 0, captures_itself: bool = False) -> None:
        self.captures_itself = captures_itself
        self.addresses: dict[str, int] = {}
        self._gpu = gpu
        self._refuse_at = refuse_at
        self._enqueued = 0

    def bind(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def enqueue(self, stream: int) -> bool:
        self._enqueued += 1
        self._gpu.events.append("enqueue")
        if self._enqueued == self._refuse_at:
            return False
        self._gpu.submit(stream, self._invert)
        return True

    def take_errors(self) -> str:
        return "the stand-in refused"

    def release(self) -> None:
        self._gpu.events.append("release_context")

    def _invert(self) -> None:
        frame, image = (self._gpu.memory(self.addresses[name]) for name in ("frame", "image"))
        np.subtract(255, frame, out=image)


class OutOfMemory(EdgeI2IError):
    """What making a context can raise."""
