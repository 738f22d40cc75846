"""What a calibration sample is conditioned on: exemplars, drawn styles, attributes, drawn once by a seed.

AdaIN and SPADE modulate after the norm, so what a layer reaches depends on the look as much as on the frame. Where a
network takes a look in several ways, every way is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.bundle.reader import Bundle
from edge_i2i.contract import GraphDeclaration, Role, TensorSpec
from edge_i2i.engines.choice import choose
from edge_i2i.engines.protocol import EngineOptions, Session
from edge_i2i.media.geometry import Fit
from edge_i2i.quantize.calibration.scenes import Scene
from edge_i2i.translate.conditions import PER_FRAME, SEED, Conditions

_ENGINE = "onnxruntime"  # the one that is always there, and computes FP32 as FP32
_VARIANT = "fp32"


@dataclass(frozen=True)
class Style:
    """Where a style comes from: an exemplar's position among the exemplars, or a seed."""

    exemplar: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class DrawnLook:
    """Everything that is set once. ``share`` leads from ``style`` (0) to ``second`` (1); ``objects``: one a box."""

    style: Style | None = None
    second: Style | None = None
    share: float = 0.0
    objects: tuple[Style, ...] = ()
    attributes: Mapping[str, tuple[float, ...]] | None = None


@dataclass(frozen=True)
class Ways:
    """How a network can be conditioned. ``needs``: what has to be set; ``objects``: how many styles of objects."""

    needs: tuple[str, ...]
    exemplar_inputs: tuple[TensorSpec, ...]
    seeds: bool
    slider: bool
    objects: int
    attributes: tuple[TensorSpec, ...]

    @classmethod
    def of(cls, frame: GraphDeclaration, condition_graphs: Sequence[GraphDeclaration]) -> Ways:
        """The ways that a network offers, read off its declarations."""
        conditions = Conditions((frame, *condition_graphs), _never_run, Fit.CROP)
        specs = conditions.specs.values()
        return cls(
            needs=tuple(spec.name for spec in conditions.missing),
            exemplar_inputs=tuple(spec for spec in specs if spec.is_spatial),
            seeds=any(spec.drawn and spec.stack_of is None for spec in specs),
            slider=frame.input(Role.MIX) is not None,
            objects=next((spec.shape[0] for spec in specs if spec.stack_of), 0),
            attributes=tuple(spec for spec in specs if spec.role is Role.ATTRIBUTES),
        )

    @property
    def any(self) -> bool:
        """Whether there is anything to condition on."""
        return bool(self.exemplar_inputs or self.seeds or self.slider or self.objects or self.attributes)


def _never_run(graph: GraphDeclaration, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    raise ValueError(f"'{graph.name}' is only read, not run")


# Drawing --------------------------------------------------------------------------------------------------------


def draw_looks(
    ways: Ways, count: int, exemplars: Sequence[int], *, seed: tuple[int, ...], own: Sequence[int | None] = ()
) -> tuple[DrawnLook, ...]:
    """A look for each of ``count`` samples; the same arguments give the same looks.

    Exemplars take turns, and every other style is drawn where both ways exist. Attributes go through all combinations
    where ``count`` allows; otherwise each is on in half of the samples.

    Args:
        ways: how the network can be conditioned.
        count: how many looks.
        exemplars: the positions of the exemplars to choose from; none: only drawn styles.
        seed: of everything that is drawn.
        own: for each sample, the exemplar that shows the sample's own frame; another is taken if there is one.
    """
    rng = np.random.default_rng(seed)
    frames, ends, things = (_Turns(ways, exemplars, rng, start) for start in (0, 1, 0))
    vectors = {spec.name: _attribute_vectors(len(spec.labels), count, rng) for spec in ways.attributes}
    looks = []
    for index in range(count):
        style = frames.next(own[index] if own else None)
        second = ends.next(None) if ways.slider else None
        share = float(rng.choice([0.0, 0.25, 0.5, 0.75, 1.0])) if ways.slider else 0.0
        objects = tuple(thing for _ in range(ways.objects) if (thing := things.next(None)) is not None)
        attributes = {name: rows[index] for name, rows in vectors.items()} or None
        looks.append(DrawnLook(style, second, share, objects, attributes))
    return tuple(looks)


class _Turns:
    """Styles in turn: an exemplar, a drawn one, the next exemplar, …"""

    def __init__(self, ways: Ways, exemplars: Sequence[int], rng: np.random.Generator, start: int) -> None:
        self._exemplars, self._seeds, self._rng = exemplars, ways.seeds, rng
        self._taken = self._shown = start

    def next(self, own: int | None) -> Style | None:
        self._taken += 1
        if self._exemplars and not (self._seeds and self._taken % 2 == 0):
            return Style(exemplar=self._exemplar(own))
        return Style(seed=int(self._rng.integers(2**31))) if self._seeds else None

    def _exemplar(self, own: int | None) -> int:
        found = self._next_exemplar()
        return self._next_exemplar() if found == own else found

    def _next_exemplar(self) -> int:
        count = len(self._exemplars)
        position = (self._shown + self._shown // count) % count  # a new round meets other frames
        self._shown += 1
        return self._exemplars[position]


def _attribute_vectors(labels: int, count: int, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """One vector of zeros and ones for each sample: what attributes it has."""
    if 2**labels <= count:
        codes = np.concatenate([rng.permutation(2**labels) for _ in range(-(-count // 2**labels))])[:count]
        table = (codes[:, None] >> np.arange(labels)) & 1
    else:
        table = np.stack([rng.permutation(np.arange(count) % 2) for _ in range(labels)], axis=1)
    return [tuple(float(value) for value in row) for row in table]


# Computing ------------------------------------------------------------------------------------------------------


class LookTensors:
    """What looks are to the frame graph: computed by the bundle's condition graphs. A context manager.

    Args:
        bundle: the open bundle.
        exemplars: the scenes that ``Style.exemplar`` counts, from 0; their arrays have the names of condition inputs.
        fit: how exemplars of another shape are laid into the declared size.
        threads: CPU threads of ONNX Runtime; None: its own choice.
    """

    def __init__(self, bundle: Bundle, exemplars: Sequence[Scene], fit: Fit, threads: int | None) -> None:
        self._bundle, self._exemplars, self._fit = bundle, exemplars, fit
        self._options = EngineOptions(threads=threads)
        self._sessions: dict[str, Session] = {}

    def of(self, look: DrawnLook) -> dict[str, Array]:
        """Every input of the frame graph that does not belong to a frame.

        Raises:
            BadInputError: the look leaves a tensor open; says what would set it.
            PictureError: an exemplar cannot be read.
        """
        frame = self._bundle.frame_graph
        conditions = Conditions((frame, *self._bundle.condition_graphs), self._run, self._fit)
        if look.attributes is not None:
            conditions.set({name: np.array(row, np.float32) for name, row in look.attributes.items()})
        if look.style is not None and look.second is not None:
            conditions.mix(self._given(look.style), self._given(look.second), look.share)
        elif look.style is not None:
            conditions.set(self._given(look.style))
        if look.objects:
            conditions.set_stack([self._given(style) for style in look.objects])
        return {spec.name: conditions.value(spec) for spec in frame.inputs if spec.role not in PER_FRAME}

    def graph_digests(self) -> tuple[str, ...]:
        """Which condition graphs compute: the SHA-256 of their ONNX files."""
        names = [graph.name for graph in self._bundle.condition_graphs]
        return tuple(self._bundle.graph(name, self._variant(name)).sha256 for name in names)

    def close(self) -> None:
        """Free the engine's sessions; they come back when they are needed."""
        while self._sessions:
            self._sessions.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _given(self, style: Style) -> dict[str, Any]:
        if style.exemplar is None:
            return {SEED: style.seed}
        return dict(self._exemplars[style.exemplar].read())

    def _run(self, graph: GraphDeclaration, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if graph.name not in self._sessions:
            choice = choose(self._bundle, graph.name, _ENGINE, self._variant(graph.name), self._options)
            self._sessions[graph.name] = choice.load()
        return self._sessions[graph.name].run(dict(inputs))

    def _variant(self, graph: str) -> str:
        """FP32 where the bundle has it: ``auto`` goes by what was measured here, and looks must not depend on that."""
        names = self._bundle.variants(graph)
        return _VARIANT if _VARIANT in names else names[0]
