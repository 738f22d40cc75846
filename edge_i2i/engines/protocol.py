"""What an engine is: it says whether it can run here, loads a graph, and runs named arrays to named arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import LARGEST_WEIGHT, GraphDeclaration
from edge_i2i.errors import BadInputError, GraphError, GraphFileError, MissingRequirementError, UsageError

FLOAT_PRECISIONS = ("fp32", "bf16", "fp16")
"""The float arithmetic that may be asked for."""

_ANOTHER = "Choose another --engine or --variant, or export the network again."
_OUT_OF_MEMORY = ("bad_alloc", "failed to allocate", "allocate memory", "out of memory", "not enough memory")


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
    needs a build may build now, which can take minutes. ``precision``: the float arithmetic to compute in, one of
    ``FLOAT_PRECISIONS`` (None: what the graph says); an engine that cannot is an error. Integers stay integers.

    Raises:
        UsageError: ``precision`` is none of ``FLOAT_PRECISIONS``.
    """

    threads: int | None = None
    engine_folder: Path | None = None
    build: bool = True
    precision: str | None = None

    def __post_init__(self) -> None:
        if self.precision is not None and self.precision not in FLOAT_PRECISIONS:
            raise UsageError(
                f"There is no float arithmetic '{self.precision}'.", remedy=f"Known: {', '.join(FLOAT_PRECISIONS)}."
            )


class GraphSource(Protocol):
    """One variant of one graph, wherever it is stored. ``bundle.reader`` hands these out."""

    @property
    def declaration(self) -> GraphDeclaration:
        """The graph's name and kind, its inputs and its outputs."""
        ...

    @property
    def variant(self) -> str:
        """The variant's name, as ``--variant`` takes it."""
        ...

    @property
    def precision(self) -> str:
        """What the graph is written in: ``fp32``, ``fp16``, ``int8``, or ``mixed`` (some layers in integers)."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """The quantization targets whose engines read the file as it is meant; empty: every engine does."""
        ...

    @property
    def floats(self) -> tuple[str, ...]:
        """The float arithmetic that its pictures were judged in, its own first; empty: in none by name."""
        ...

    @property
    def sha256(self) -> str:
        """The checksum of the ONNX file, in hex."""
        ...

    def read(self) -> bytes:
        """The ONNX file's bytes, held against ``sha256`` and admitted by the gate: what engines get, whole.

        Raises:
            GraphFileError: the gate refuses it.
        """
        ...


@dataclass(frozen=True)
class SessionInfo:
    """What is really used, as opposed to what was asked for.

    ``effective_precision``: what convolutions are computed in, as far as the engine tells: ``int8+bf16``, ``fp32``, ….
    """

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
            GraphFileError: the engine took the graph and cannot run it.
        """
        check_arrays(inputs, self.declaration, outputs)
        try:
            self._run_into({name: _contiguous(array) for name, array in inputs.items()}, outputs)
        except (RuntimeError, MemoryError) as error:  # what every engine raises
            raise _not_runnable(self.info.engine, self.declaration.name, error) from error

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
    ``target``: the quantization target whose graphs it reads as they are meant (None: it takes no quantized graphs).
    ``misreading``: what it makes of a graph that was quantized for another target.
    ``forced_precisions``: the float arithmetic that ``EngineOptions.precision`` can force on any graph; where it is
    empty, an engine computes what the graph says, and nothing else may be asked for.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    preference: ClassVar[int] = 0
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16")
    target: ClassVar[str | None] = None
    misreading: ClassVar[str] = "it has no integer arithmetic of its own"
    forced_precisions: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def availability(self) -> Availability:
        """Whether this engine can *run* graphs on this machine; never raises."""

    def build_availability(self) -> Availability:
        """Whether what this engine runs can be *made* here; differs from ``availability`` for ahead-of-time engines."""
        return self.availability()

    def load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Load a graph, ready to run; returns its session.

        Raises:
            MissingRequirementError: the engine cannot run here, or not in the float arithmetic that was asked for.
            GraphError: the engine would read this graph as something else.
            GraphFileError: the gate refuses the graph, or the engine does.
            UsageError: the engine cannot be told to compute in that float arithmetic.
        """
        self.check_target(graph)
        self.check_precision(graph, options.precision)
        if reason := self.lacks(graph, options):
            raise MissingRequirementError(
                f"The variant '{graph.variant}' of the graph '{graph.declaration.name}' cannot run here: {reason}.",
                remedy="Use another --variant, or quantize again on this machine: edge-i2i quantize.",
            )
        return self._load(graph, options)

    @abstractmethod
    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Make a session of a graph that is meant for this engine; ``graph.read`` comes before any heavy import."""

    def reads(self, graph: GraphSource) -> bool:
        """Whether this engine reads the graph as it is meant."""
        return not graph.targets or self.target in graph.targets

    def check_target(self, graph: GraphSource, usable: Collection[str] = ()) -> None:
        """Refuse a graph that was quantized for other engines. ``usable``: variants to name as a way out.

        Raises:
            GraphError: says what would be read differently, and which variants can be used.
        """
        if self.reads(graph):
            return
        known = ", ".join(usable) or "one without targets, or with this engine's (edge-i2i inspect lists them)"
        raise GraphError(
            f"The variant '{graph.variant}' of the graph '{graph.declaration.name}' was quantized for "
            f"{' and '.join(graph.targets)}, and the engine '{self.name}' would not compute it as it was measured: "
            f"{self.misreading}.",
            remedy=f"Use another engine, or another variant: {known}.",
        )

    def can_force(self, graph: GraphSource, precision: str | None) -> bool:
        """Whether this engine, on whatever machine, can compute the floats of a graph in ``precision``."""
        if precision is None:
            return True
        return precision in self.forced_precisions if self.forced_precisions else precision == graph.precision

    def check_precision(self, graph: GraphSource, precision: str | None) -> None:
        """Refuse float arithmetic that this engine cannot be told to use.

        Raises:
            UsageError: the engine cannot compute the graph in ``precision``; the remedy lists what it can.
        """
        if self.can_force(graph, precision):
            return
        able = " or ".join(self.forced_precisions) or f"what the graph says ({graph.precision})"
        raise UsageError(
            f"The engine '{self.name}' cannot be told to compute the variant '{graph.variant}' in {precision}.",
            remedy=f"It computes in {able}; leave --precision out, or choose another engine.",
        )

    def precisions_here(self) -> tuple[str, ...]:
        """Those of ``forced_precisions`` that this machine has. The engine must be available."""
        return self.forced_precisions

    def arithmetic_here(self) -> str:
        """What else of this machine decides the results, in words: figures of quality hold where it is the same."""
        return ""

    def largest_weight(self) -> int:
        """The largest INT8 weight that this engine multiplies exactly on this machine."""
        return LARGEST_WEIGHT

    def float_choices(self) -> tuple[str, ...]:
        """The float arithmetic that is worth trying here for what is not in integers; empty: there is no choice."""
        return ()

    def judged_in(self, graph: GraphSource) -> tuple[str, ...]:
        """The float arithmetic that a graph may run in without being told to, its own first; empty: no choice."""
        return ()

    def runs_in(self, graph: GraphSource) -> str | None:
        """The float arithmetic that a graph runs in here where none is asked for; None: there is no choice, or none."""
        return None

    def lacks(self, graph: GraphSource, options: EngineOptions) -> str:
        """Why a graph cannot be computed here in the arithmetic that it was judged in; empty where it can."""
        return ""

    def ready(self, graph: GraphSource, options: EngineOptions) -> bool:
        """Whether ``load`` would succeed now without a long build."""
        return self.availability().ok and not self.lacks(graph, options)

    def ensure_available(self) -> None:
        """Raise ``MissingRequirementError`` with the reason and the remedy unless the engine can run here."""
        availability = self.availability()
        if not availability.ok:
            raise MissingRequirementError(
                f"The engine '{self.name}' cannot run here: {availability.reason}", remedy=availability.remedy
            )


def not_loadable(engine: str, graph: GraphSource, error: Exception) -> GraphFileError:
    """The error for a graph that passed the gate and that an engine refuses all the same.

    Args:
        engine: the engine's name and version, as the message begins.
        graph: what was to be loaded.
        error: what the engine raised; a lack of memory gets a message of its own.
    """
    name = graph.declaration.name
    if _is_out_of_memory(error):
        return _out_of_memory(engine, name)
    return GraphFileError(f"{engine} cannot load the graph '{name}' ({graph.variant}): {error}", remedy=_ANOTHER)


def _not_runnable(engine: str, name: str, error: Exception) -> GraphFileError:
    if _is_out_of_memory(error):
        return _out_of_memory(engine, name)
    return GraphFileError(f"The engine '{engine}' cannot run the graph '{name}': {error}", remedy=_ANOTHER)


def _out_of_memory(engine: str, name: str) -> GraphFileError:
    return GraphFileError(
        f"{engine} gets too little memory here for the graph '{name}'.",
        remedy="End other programs, take a machine with more memory, or export the network at a smaller --size.",
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Each engine has its own way to say so, most of them in words alone."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def check_arrays(inputs: Mapping[str, Array], declaration: GraphDeclaration, outputs: Mapping[str, Array]) -> None:
    """Hold arrays against a graph's declaration.

    Args:
        inputs: arrays by input name.
        declaration: the names, shapes and dtypes that the graph has.
        outputs: arrays by output name that are to be written to; they have to be writeable and C-contiguous.

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
