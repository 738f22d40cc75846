"""What is set once and kept over many frames: given tensors, and what condition graphs make of them.

The graphs of a network are connected by the names of their tensors. Setting one tensor runs every condition graph
whose inputs are known by then, in order, and only those whose inputs changed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, TensorSpec, in_order
from edge_i2i.errors import BadInputError, PictureError, UsageError
from edge_i2i.media.geometry import Fit, place, place_into
from edge_i2i.translate.tensor_checks import (
    attribute_vector,
    check_array,
    check_picture,
    check_tensor,
    check_values,
    renumber_instances,
    size_of,
)

Given = Mapping[str, Any]
"""Tensors by name; attributes also as ``{name: value}``; ``style_seed``: a number."""
RunGraph = Callable[[GraphDeclaration, Mapping[str, Array]], Mapping[str, Array]]

SEED = "style_seed"
PER_FRAME = frozenset({Role.FRAME, Role.LABEL_MAP, Role.INSTANCE_MAP, Role.MASK, Role.BOXES})
"""Roles that belong to a frame when the frame graph takes them."""
_LOOKS = frozenset({Role.EXEMPLAR, Role.STYLE, Role.MIX, Role.LABEL_MAP, Role.INSTANCE_MAP})
"""Roles that make up a look: a new one replaces the old one whole. Attributes stay."""
_REMEMBERED = 8
"""Results of condition graphs: both ends of a mix, of networks with two graphs in a row, and some to go back to."""


@dataclass(frozen=True, eq=False)
class Look:
    """All that is set once, as it was at one moment: what was given, and what was computed from it."""

    given: Mapping[str, Array]
    computed: Mapping[str, Array]

    @property
    def nbytes(self) -> int:
        """How many bytes it takes to keep the look."""
        return sum(array.nbytes for array in (*self.given.values(), *self.computed.values()))


class Conditions:
    """The once-only tensors of one network.

    Args:
        graphs: what the network's graphs take and give, the frame graph among them.
        run: computes a condition graph: its declaration and its inputs by name, to its outputs by name.
        fit: how exemplars of another shape are laid into the network's size.
    """

    def __init__(self, graphs: tuple[GraphDeclaration, ...], run: RunGraph, fit: Fit) -> None:
        self._graphs, self._run, self._fit = in_order(graphs), run, fit
        self._frame = next(graph for graph in graphs if graph.kind is GraphKind.FRAME)
        self._specs = once_only(graphs)
        self._given: dict[str, Array] = {}
        self._computed: dict[str, Array] = {}
        self._results: OrderedDict[tuple[str | int, ...], Mapping[str, Array]] = OrderedDict()

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Every tensor that may be set, by name."""
        return MappingProxyType(self._specs)

    def set(self, given: Given) -> None:
        """Set tensors and compute what follows from them.

        Raises:
            UsageError: a tensor that this network does not take, or two looks at once.
            BadInputError: a tensor of the wrong type, shape, size or range.
        """
        tensors = self._with_seed(given)
        unknown = sorted(tensors.keys() - self._specs.keys())
        if unknown or not tensors:
            raise self._refusal(unknown)
        prepared = self._prepared(tensors)
        self._check_looks_are_whole(prepared)
        self._check_one_way(prepared)
        kept = self._given
        if any(self._specs[name].role in _LOOKS for name in prepared):
            kept = {name: array for name, array in kept.items() if self._specs[name].role not in _LOOKS}
        self._replace({**kept, **prepared})

    @property
    def look(self) -> Look:
        """What is set now. Tensors are replaced and never written to, so it stays as it is."""
        return Look(MappingProxyType(self._given), MappingProxyType(self._computed))

    def use(self, look: Look) -> None:
        """Set everything as it was when ``look`` was taken; nothing is computed.

        Raises:
            UsageError: the look is another network's.
        """
        for name, array in (*look.given.items(), *look.computed.items()):
            if name not in self._specs or array.shape != self._specs[name].shape:
                raise UsageError(f"This look is another network's: it holds '{name}'.", remedy=self._takes())
        self._given, self._computed = dict(look.given), dict(look.computed)

    def _check_looks_are_whole(self, prepared: Mapping[str, Array]) -> None:
        """An exemplar that needs its map is told at once; attributes may still come."""
        for name in prepared:
            graphs = [graph for graph in self._graphs if name in {spec.name for spec in graph.inputs}]
            missing = [self._missing_looks(graph, prepared) for graph in graphs]
            if missing and all(missing):
                raise UsageError(f"'{name}' alone is not enough.", remedy=f"Give {' and '.join(missing[0])} with it.")

    def _check_one_way(self, prepared: Mapping[str, Array]) -> None:
        """A tensor that is given and computed from what is given would hide one of the two."""
        for graph in self._graphs:
            twice = [spec.name for spec in graph.outputs if spec.name in prepared]
            if twice and any(spec.role in _LOOKS and spec.name in prepared for spec in graph.inputs):
                raise _two_ways(twice[0])

    def _missing_looks(self, graph: GraphDeclaration, prepared: Mapping[str, Array]) -> list[str]:
        computed = {spec.name for other in self._graphs for spec in other.outputs}
        if graph.kind is GraphKind.FRAME:
            return []
        looks = [spec for spec in graph.inputs if spec.role in _LOOKS and spec.name not in computed | prepared.keys()]
        return [spec.name for spec in looks if spec.default is None and not (spec.second_of or spec.stack_of)]

    def mix(self, first: Given, second: Given, share: float) -> None:
        """Set the look that lies ``share`` (0..1) of the way from ``first`` to ``second``.

        Raises:
            UsageError: this network cannot mix looks, or ``share`` is out of range.
            BadInputError: what ``set`` raises.
        """
        if not 0 <= share <= 1:
            raise UsageError(f"A mix of {share:g} is out of range.", remedy="Give 0 (the first) to 1 (the second).")
        spec, slider = self._mixed_tensor(), self._slider()
        ends = [self._value_of(spec, look) for look in (second, first)][::-1]  # the first stays set
        if slider is None:
            self.set({spec.name: ((1 - share) * ends[0] + share * ends[1]).astype(np.float32)})
            return
        other = next(item for item in self._frame.inputs if item.second_of == spec.name)
        shared = np.full(slider.shape, share, np.float32)
        self._replace({**self._given, other.name: ends[1], slider.name: shared})

    @property
    def missing(self) -> tuple[TensorSpec, ...]:
        """What the frame graph reads and nothing sets yet."""
        return tuple(spec for spec in self._frame.inputs if spec.role not in PER_FRAME and self._known(spec) is None)

    def set_stack(self, looks: Sequence[Given]) -> None:
        """Set the tensor whose rows are styles, one look a row; an empty look is the style that is set now.

        Raises:
            UsageError: no graph takes such a tensor.
            BadInputError: there are more looks than rows, or what ``set`` raises.
        """
        stack = next((spec for spec in self._specs.values() if spec.stack_of), None)
        if stack is None:
            raise UsageError("This network takes no styles of objects.", remedy=self._takes())
        if len(looks) > stack.shape[0]:
            raise BadInputError(
                f"{len(looks)} styles were given; this bundle has room for {stack.shape[0]}.", remedy="Give fewer."
            )
        base, kept = self._specs[str(stack.stack_of)], dict(self._given)
        if base.name not in kept and self._known(base) is None:
            raise BadInputError(f"This network needs '{base.name}' first.", remedy=self._how_to_set(base))
        own = self.value(base)
        rows = [self._value_of(base, look) if look else own for look in looks]
        self._replace({**kept, stack.name: np.stack([*rows, *[own] * (stack.shape[0] - len(rows))])})

    def value(self, spec: TensorSpec) -> Array:
        """The tensor that a graph reads.

        Raises:
            BadInputError: nothing sets it yet; says what would.
        """
        found = self._known(spec)
        if found is None:
            raise BadInputError(f"This network needs '{spec.name}', which is set once.", remedy=self._how_to_set(spec))
        return found

    def _known(self, spec: TensorSpec) -> Array | None:
        for source in (self._given, self._computed):
            if spec.name in source:
                return source[spec.name]
        origin = spec.second_of or spec.stack_of or spec.fallback
        if origin is not None and (base := self._known(self._specs[origin])) is not None:
            return np.broadcast_to(base, spec.shape).copy()
        return None if spec.default is None else np.full(spec.shape, spec.default, spec.dtype.value)

    def _replace(self, given: dict[str, Array]) -> None:
        """Take other given tensors and compute what follows; an error leaves everything as it was."""
        before = self._given, self._computed
        self._given = given
        try:
            self._compute()
        except BaseException:
            self._given, self._computed = before
            raise

    def _compute(self) -> None:
        self._computed = {}
        for graph in self._graphs:
            if graph.kind is GraphKind.FRAME or any(spec.name in self._given for spec in graph.outputs):
                continue
            values = {spec.name: self._known(spec) for spec in graph.inputs}
            known = {name: array for name, array in values.items() if array is not None}
            if len(known) == len(values):
                self._take(graph, self._result(graph, known))

    def _take(self, graph: GraphDeclaration, results: Mapping[str, Array]) -> None:
        twice = sorted(results.keys() & self._computed.keys())
        if twice:
            raise _two_ways(twice[0])
        self._computed |= results

    def _result(self, graph: GraphDeclaration, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run a graph, unless it ran on these very arrays lately."""
        identity: tuple[str | int, ...] = (graph.name, *(hash(array.tobytes()) for array in inputs.values()))
        if identity not in self._results:
            self._results[identity] = dict(self._run(graph, inputs))
        self._results.move_to_end(identity)
        if len(self._results) > _REMEMBERED:
            self._results.popitem(last=False)
        return self._results[identity]

    def _with_seed(self, given: Given) -> dict[str, Any]:
        for name, value in given.items():
            if isinstance(value, str | PathLike):
                check_array(value, name)
        tensors: dict[str, Any] = {
            name: value if isinstance(value, Mapping) else np.asarray(value)
            for name, value in given.items()
            if name != SEED
        }
        seed = given.get(SEED)
        if seed is None:
            return tensors
        drawn = [spec for spec in self._specs.values() if spec.drawn and spec.stack_of is None]
        if not drawn:
            raise UsageError(f"This network draws no style at random, so there is no {SEED}.", remedy=self._takes())
        if int(seed) < 0:
            raise UsageError(f"{SEED}={seed} is out of range.", remedy="Give a whole number from 0 on.")
        return {spec.name: _draw(spec, int(seed)) for spec in drawn if spec.name not in tensors} | tensors

    def _prepared(self, tensors: Mapping[str, Any]) -> dict[str, Array]:
        sizes = {name: size_of(array) for name, array in tensors.items() if self._specs[name].is_spatial}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise PictureError(f"The inputs differ in size: {listed}.", remedy="Give maps of one and the same picture.")
        later = [name for name in tensors if self._specs[name].fallback in tensors]  # after what they fall back to
        prepared: dict[str, Array] = {}
        for name in [*(name for name in tensors if name not in later), *later]:
            prepared[name] = self._fitted(tensors[name], self._specs[name], prepared)
        return prepared

    def _fitted(self, value: Any, spec: TensorSpec, prepared: Mapping[str, Array]) -> Array:
        if isinstance(value, Mapping):
            return attribute_vector(value, spec, self._not_given(spec, prepared))
        if not spec.is_spatial:
            check_tensor(value, spec)
            return np.array(value)
        array = value if spec.slots is None else renumber_instances(value, spec.slots)
        check_picture(array, spec)
        check_values(array, spec)
        target = np.zeros(spec.shape, spec.dtype.value)
        model = size_of(target)
        place_into(np.ascontiguousarray(array), place(size_of(array), model, self._fit), target)
        return target

    def _not_given(self, spec: TensorSpec, prepared: Mapping[str, Array]) -> Array:
        """The attributes of someone who names only some."""
        if spec.fallback is not None and spec.fallback in prepared:
            return prepared[spec.fallback]
        origin = self._known(self._specs[spec.fallback]) if spec.fallback else None
        return np.full(spec.shape, spec.default or 0.0, np.float32) if origin is None else origin

    def _mixed_tensor(self) -> TensorSpec:
        """The tensor between whose values a mix lies."""
        second = next((spec.second_of for spec in self._frame.inputs if spec.second_of), None)
        mixable = [spec.name for spec in self._specs.values() if spec.mixable]
        name = second or (mixable[0] if mixable else None)
        if name is None:
            raise UsageError(
                "This bundle cannot mix two looks.",
                remedy=f"{self._takes()} Some networks are exported with a slider on request (--set blend=true).",
            )
        return self._specs[name]

    def _slider(self) -> TensorSpec | None:
        return self._frame.input(Role.MIX)

    def _value_of(self, spec: TensorSpec, look: Given) -> Array:
        self.set(look)
        return self.value(spec)

    def _refusal(self, unknown: list[str]) -> UsageError:
        what = ", ".join(unknown) or "nothing"
        return UsageError(f"This bundle cannot be conditioned on {what}.", remedy=self._takes())

    def _takes(self) -> str:
        names = [*self._specs, *([SEED] if any(spec.drawn for spec in self._specs.values()) else [])]
        return f"It takes: {', '.join(names)}." if self._specs else "It takes no conditions."

    def _how_to_set(self, spec: TensorSpec) -> str:
        return f"Call condition() first, with {'; or '.join(self._ways(spec))}."

    def _ways(self, spec: TensorSpec) -> list[str]:
        """Every way to set a tensor: what has to be given, as far as it is not."""
        ways = [f"{spec.name} (or {SEED})"] if spec.drawn else []
        for graph in self._graphs:
            if spec.name in {output.name for output in graph.outputs}:
                missing = [item for item in graph.inputs if self._known(item) is None]
                ways.append(" and ".join(" or ".join(self._ways(item)) for item in missing))
        return ways or [spec.name]


def once_only(graphs: Sequence[GraphDeclaration]) -> dict[str, TensorSpec]:
    """What may be set: all that condition graphs take or give, and what the frame graph takes besides the frame."""
    specs: dict[str, TensorSpec] = {}
    for graph in graphs:
        frame = graph.kind is GraphKind.FRAME
        tensors = graph.inputs if frame else (*graph.inputs, *graph.outputs)
        specs |= {spec.name: spec for spec in tensors if not (frame and spec.role in PER_FRAME)}
    inputs = {spec.name: spec for graph in graphs for spec in graph.inputs if spec.name in specs}
    return {**specs, **inputs}  # an input's declaration says more than the output's of the same name


def _two_ways(name: str) -> UsageError:
    return UsageError(
        f"'{name}' was set in two ways at once.", remedy="Give one: an exemplar, or a seed, or the tensor itself."
    )


def _draw(spec: TensorSpec, seed: int) -> Array:
    """N(0, 1), the same for a seed on every machine."""
    return np.random.default_rng([seed, *spec.name.encode()]).standard_normal(spec.shape, np.float32)
