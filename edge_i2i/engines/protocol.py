"""What an engine is: it says whether it can run here, loads a graph, and runs named arrays to named arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_i2i.errors import BadInputError, MissingRequirementError
from edge_i2i.models.contract import GraphDeclaration

Array = NDArray[Any]


@dataclass(frozen=True)
class Availability:
    """Whether an engine can run here, and if not, why (one sentence) and the command that mends it."""

    ok: bool
    version: str | None = None
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class EngineOptions:
    """What a caller may ask of any engine.

    ``threads``: CPU threads inside one call (None: the engine's own choice). ``engine_folder``: where ahead-of-time
    engines of this bundle are kept (None: engines that need one cannot load). ``build``: whether an engine that
    needs a build may build now, which can take minutes.
    """

    threads: int | None = None
    engine_folder: Path | None = None
    build: bool = True


class GraphSource(Protocol):
    """One variant of one graph, wherever it is stored. ``bundle.reader`` hands these out."""

    @property
    def declaration(self) -> GraphDeclaration:
        """What goes in and what comes out."""
        ...

    @property
    def variant(self) -> str:
        """The variant's name, as ``--variant`` takes it."""
        ...

    @property
    def precision(self) -> str:
        """What the graph is written in: ``fp32``, ``fp16``, …"""
        ...

    @property
    def sha256(self) -> str:
        """The checksum of the ONNX file, in hex."""
        ...

    def read(self) -> bytes:
        """The ONNX file's bytes, checked against ``sha256``."""
        ...


@dataclass(frozen=True)
class SessionInfo:
    """What is really used, as opposed to what was asked for."""

    engine: str
    version: str
    device: str
    provider: str
    effective_precision: str
    threads: int | None = None
    cache_hit: bool | None = None
    notes: tuple[str, ...] = field(default=())


class Session(ABC):
    """A loaded graph. Not thread-safe: one caller at a time. Use as a context manager or call ``close``."""

    declaration: GraphDeclaration
    info: SessionInfo

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once and return freshly allocated outputs by name.

        Raises:
            BadInputError: an input is missing, unknown, or of the wrong shape or dtype.
        """
        outputs = {spec.name: np.empty(spec.shape, spec.dtype.value) for spec in self.declaration.outputs}
        self.run_into(inputs, outputs)
        return outputs

    def run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Run once into arrays that the caller owns (C-contiguous, declared shape and dtype).

        Raises:
            BadInputError: as ``run``; also for outputs that do not fit the declaration.
        """
        check_arrays(inputs, self.declaration, outputs)
        self._run_into({name: _contiguous(array) for name, array in inputs.items()}, outputs)

    @abstractmethod
    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Run; shapes and dtypes were checked, and every array is C-contiguous."""

    @abstractmethod
    def close(self) -> None:
        """Free what the session holds. Calling it twice is harmless; running afterwards is not allowed."""

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _contiguous(array: Array) -> Array:
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


class Engine(ABC):
    """A way to run graphs. Cheap to construct: nothing heavy is imported before it is needed.

    ``preference``: ``--engine auto`` takes the highest of those that are ready; 0 is never picked by itself.
    ``precisions``: ``--variant auto`` takes the first of these that the bundle has.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    preference: ClassVar[int] = 0
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16")

    @abstractmethod
    def availability(self) -> Availability:
        """Whether this engine can *run* graphs on this machine; never raises."""

    def build_availability(self) -> Availability:
        """Whether what this engine runs can be *made* here; differs from ``availability`` for ahead-of-time engines."""
        return self.availability()

    @abstractmethod
    def load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Make a session.

        Raises:
            MissingRequirementError: the engine cannot run here.
            GraphError: the engine cannot take this graph.
        """

    def ready(self, graph: GraphSource, options: EngineOptions) -> bool:
        """Whether ``load`` would succeed now without a long build."""
        return self.availability().ok

    def ensure_available(self) -> None:
        """Raise ``MissingRequirementError`` with the reason and the remedy unless the engine can run here."""
        availability = self.availability()
        if not availability.ok:
            raise MissingRequirementError(
                f"The engine '{self.name}' cannot run here: {availability.reason}", remedy=availability.remedy
            )


def check_arrays(inputs: Mapping[str, Array], declaration: GraphDeclaration, outputs: Mapping[str, Array]) -> None:
    """Hold arrays against a graph's declaration.

    Raises:
        BadInputError: naming the first array that is missing, unknown, or of the wrong shape, dtype or layout.
    """
    for kind, arrays, specs in (("input", inputs, declaration.inputs), ("output", outputs, declaration.outputs)):
        names = {spec.name for spec in specs}
        if arrays.keys() != names:
            odd = sorted(arrays.keys() ^ names)
            raise BadInputError(
                f"The graph '{declaration.name}' takes the {kind}s {sorted(names)}; missing or unknown: {odd}."
            )
        for spec in specs:
            array = arrays[spec.name]
            if array.shape != spec.shape or array.dtype != spec.dtype.value:
                raise BadInputError(
                    f"The {kind} '{spec.name}' must be {spec.dtype.value}{list(spec.shape)}, "
                    f"not {array.dtype}{list(array.shape)}."
                )
            if kind == "output" and not (array.flags.c_contiguous and array.flags.writeable):
                raise BadInputError(f"The output '{spec.name}' must be a writeable C-contiguous array.")
