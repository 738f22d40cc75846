"""One frame in, one frame out; what is computed once (a style, encoder features) is cached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.contract import GraphDeclaration, Role, Size, TensorSpec
from edge_i2i.engines.choice import AUTO, Choice, choose
from edge_i2i.engines.protocol import EngineOptions, SessionInfo
from edge_i2i.errors import BadInputError, PictureError
from edge_i2i.media.geometry import Fit, Placement, place, place_boxes, place_into, take_back
from edge_i2i.translate.condition_inputs import ConditionInputs
from edge_i2i.translate.conditions import PER_FRAME, Conditions, Given, Look
from edge_i2i.translate.tensor_checks import (
    check_array,
    check_boxes_inside,
    check_picture,
    check_values,
    padded_boxes,
    size_of,
)

_REGIONS = (Role.MASK, Role.BOXES)  # belong to a frame, but may stay the same from frame to frame


@dataclass(frozen=True)
class TranslatorInfo:
    """What a translator really is: the bundle, the variant, the engine and what it does.

    ``picked``: ``as asked``, ``by rule``, or ``by figures measured on this processor`` (see ``engines.choice``).
    """

    bundle: str
    model: str
    weights: str
    size: str
    variant: str
    picked: str
    session: SessionInfo


@dataclass(frozen=True, eq=False)
class Staged:
    """A frame that was laid into the network's size, where it lies, and what the session is fed.

    The arrays are the translator's own: they hold until the next frame is staged, and are not to be written to.
    """

    placement: Placement
    inputs: Mapping[str, Array]


class LoadOptions(TypedDict, total=False):
    """What ``load`` takes besides the bundle, its variant and ``keep_size``, for those who pass it on."""

    engine: str
    fit: Fit | str
    threads: int | None
    engine_folder: Path | None
    precision: str | None


def load(
    path: str | PathLike[str],
    *,
    engine: str = AUTO,
    variant: str = AUTO,
    fit: Fit | str = Fit.LETTERBOX,
    keep_size: bool = True,
    threads: int | None = None,
    engine_folder: Path | None = None,
    precision: str | None = None,
) -> Translator:
    """Open a bundle and get it ready to translate.

    Args:
        path: the ``.i2i`` bundle.
        engine: ``auto`` or an engine's name; what was asked for is what runs, or it is an error.
        variant: ``auto`` or a variant of the bundle (``fp32``, ``fp16``, ``int8-openvino``, …).
        fit: how pictures of another shape are laid into the network's size.
        keep_size: give results in the size of the input rather than at the network's scale (letterbox borders are
            cut away in both).
        threads: CPU threads inside one call; None leaves it to the engine.
        engine_folder: where TensorRT engines of this bundle are kept; by default beside it.
        precision: the float arithmetic to compute in (``fp32``, ``bf16``, ``fp16``); by default what the graph says,
            or what ``auto`` found to be fastest by the bundle's figures.

    Raises:
        BundleError: the bundle is damaged, unsafe or too new.
        UsageError: an unknown engine, variant or precision, or an engine that cannot be told to use that precision.
        MissingRequirementError: the engine cannot run here, or not in that precision.
        GraphError: the variant was quantized for other engines.

    Example:
        >>> import edge_i2i
        >>> with edge_i2i.load("city.i2i", engine="onnxruntime", threads=1) as translator:
        ...     translator.condition(style_seed=7)
        ...     picture = translator(edge_i2i.read_picture("photo.png"))
        >>> picture.shape, str(picture.dtype)
        ((90, 120, 3), 'uint8')
    """
    bundle = open_bundle(path)
    folder = engine_folder or default_engine_folder(bundle.path)
    options = EngineOptions(threads=threads, engine_folder=folder, precision=precision)
    choice = choose(bundle, bundle.frame_graph.name, engine, variant, options)
    return Translator(bundle, choice, options, fit=Fit(fit), keep_size=keep_size)


def default_engine_folder(bundle: Path) -> Path:
    """Where the engines that were built from a bundle lie: beside it, in ``NAME.engines``."""
    return bundle.with_suffix(".engines")


class Translator:
    """Translates frames with one bundle on one engine. A context manager; not thread-safe.

    Args:
        bundle: the open bundle.
        choice: which variant runs on which engine.
        options: what the engine was asked for; condition graphs get the same.
        fit: how pictures of another shape are laid into the network's size.
        keep_size: give results in the size of the input rather than at the network's scale.
    """

    def __init__(
        self,
        bundle: Bundle,
        choice: Choice,
        options: EngineOptions,
        *,
        fit: Fit = Fit.LETTERBOX,
        keep_size: bool = True,
    ) -> None:
        self._bundle, self._choice, self._options = bundle, choice, options
        self._fit, self._keep_size = fit, keep_size
        self._session = choice.load()
        self.declaration: GraphDeclaration = self._session.declaration
        self._frame_specs = {spec.name: spec for spec in self.declaration.inputs if spec.role in PER_FRAME}
        self._region_specs = {name: spec for name, spec in self._frame_specs.items() if spec.role in _REGIONS}
        self._regions: dict[str, Array] = {}
        self._conditions = Conditions(self.graphs, self._run_condition, fit)
        self._staged = {name: np.zeros(spec.shape, spec.dtype.value) for name, spec in self._frame_specs.items()}
        self._defaults = {
            name: np.full(spec.shape, spec.default, spec.dtype.value)
            for name, spec in self._frame_specs.items()
            if spec.default is not None
        }
        self._output = self.declaration.outputs[0]

    @property
    def size(self) -> Size:
        """The network's picture size."""
        return self.declaration.size

    @property
    def graph_sha256(self) -> str:
        """Which frame graph runs: the SHA-256 of its ONNX file."""
        return self._choice.graph.sha256

    @property
    def info(self) -> TranslatorInfo:
        """What runs, as opposed to what was asked for."""
        model = self._bundle.manifest.model
        return TranslatorInfo(
            bundle=str(self._bundle.path),
            model=model.family,
            weights=model.weights,
            size=str(self.size),
            variant=self._choice.graph.variant,
            picked=self._choice.picked.value,
            session=self._session.info,
        )

    def __call__(self, frame: Array | None = None, /, **inputs: Array) -> Array:
        """Translate one frame of any size.

        Args:
            frame: the first declared input, usually an RGB picture, uint8 ``[H, W, 3]``.
            inputs: inputs by their declared names (``label_map=…, instance_map=…, mask=…``), all of one size; boxes
                are ``[n, 4]``: left, top, right, bottom in pixels of the frame.

        Returns:
            RGB, uint8 ``[h, w, 3]``, freshly allocated; of the input's size unless ``keep_size`` is off.

        Raises:
            BadInputError: an input is missing, unknown, of the wrong type, size or range, or a style was not set.
        """
        staged = self.stage(frame, **inputs)
        return take_back(self.run_staged(staged), staged.placement, keep_size=self._keep_size)

    def stage(self, frame: Array | None = None, /, **inputs: Array) -> Staged:
        """The first of a call's three steps: lay a frame of any size into the network's size.

        Takes and raises what a call does. ``run_staged`` is the second step, and ``geometry.take_back`` the third;
        they are for those who time the steps, or take results back in another way.
        """
        given = self._gather(frame, inputs)
        placement = self._place(given)
        for name, array in given.items():
            self._lay(name, array, placement)
        return Staged(placement, self._prepared({name: self._staged[name] for name in given}))

    def run_staged(self, staged: Staged) -> Array:
        """The network's whole picture of what was staged last: uint8 ``[H, W, 3]``, freshly allocated."""
        result = np.empty(self._output.shape, np.uint8)
        self._session.run_into(staged.inputs, {self._output.name: result})
        return result

    def run_into(self, source: Array | Mapping[str, Array], target: Array) -> None:
        """Translate one frame of the network's own size without allocating.

        Args:
            source: the first declared input, or per-frame inputs by name, in the declared shapes and dtypes (boxes in
                pixels of the network's size).
            target: uint8 ``[H, W, 3]``, C-contiguous; overwritten.

        Raises:
            BadInputError: a shape, dtype or value does not fit the declaration.
        """
        given = source if isinstance(source, Mapping) else {self.declaration.inputs[0].name: source}
        for name, array in (*given.items(), (self._output.name, target)):
            check_array(array, name)
        for name, spec in self._frame_specs.items():
            if name in given:
                check_values(given[name], spec)
        self._session.run_into(self._prepared(given), {self._output.name: target})

    def condition(self, **inputs: Any) -> None:
        """Compute or set what is constant over many frames; kept until it is set again. A new look replaces the old.

        Give what the bundle's condition graphs take (``exemplar=…``), ``style_seed=7`` to draw a style, attributes by
        name (``attributes={"Smiling": 1}``), a cached tensor itself (``style=…``), or a ``mask=…`` or ``boxes=…`` that
        stays the same from frame to frame. ``takes`` lists them.

        Raises:
            UsageError: the bundle takes no such condition, or two looks were given at once.
            BadInputError: an input is of the wrong type, size or range.
        """
        regions = {name: inputs.pop(name) for name in [*inputs] if name in self._region_specs}
        if inputs or not regions:
            self._conditions.set(inputs)
        for name, array in regions.items():
            self._regions[name] = self._checked_region(array, self._region_specs[name])

    def condition_with(self, inputs: ConditionInputs) -> None:
        """Set what is constant over many frames, as ``condition`` does; ``inputs`` names and types what bundles take.

        Raises:
            UsageError, BadInputError: as ``condition``.
        """
        self.condition(**inputs.given())

    def mix(self, first: Given, second: Given, share: float) -> None:
        """Set the look that lies ``share`` (0..1) of the way from one look to another.

        ``first`` and ``second`` are what ``condition`` takes: ``{"exemplar": picture}``, ``{"style_seed": 7}``.

        Raises:
            UsageError: this network cannot mix looks, or ``share`` is out of range.
            BadInputError: an input is of the wrong type, size or range.
        """
        self._conditions.mix(first, second, share)

    def condition_stack(self, looks: Sequence[Given]) -> None:
        """Give objects styles of their own, one look a box; an empty one is the style of the whole frame.

        Raises:
            UsageError: this network takes no styles of objects.
            BadInputError: there are more looks than boxes fit, or an input does not fit.
        """
        self._conditions.set_stack(looks)

    @property
    def look(self) -> Look:
        """What ``condition``, ``mix`` and ``condition_stack`` have set, to be used again; masks and boxes aside."""
        return self._conditions.look

    def use(self, look: Look) -> None:
        """Go back to a look that this bundle's translator had; nothing is computed, so it can be done for every frame.

        Raises:
            UsageError: the look is another network's.
        """
        self._conditions.use(look)

    @property
    def takes(self) -> tuple[TensorSpec, ...]:
        """Every tensor that may be set once with ``condition``."""
        return (*self._conditions.specs.values(), *self._region_specs.values())

    @property
    def graphs(self) -> tuple[GraphDeclaration, ...]:
        """What the bundle's graphs take and give: the frame graph, then the condition graphs."""
        return (self.declaration, *self._bundle.condition_graphs)

    @property
    def missing(self) -> tuple[TensorSpec, ...]:
        """What has to be set with ``condition`` before the first frame, and is not."""
        return self._conditions.missing

    def close(self) -> None:
        """Free the engine's session. Calling it twice is harmless."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run_condition(self, graph: GraphDeclaration, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        # With what the caller asked for: the float arithmetic that was measured is the frame graph's.
        choice = choose(self._bundle, graph.name, self._choice.engine.name, AUTO, self._options)
        with choice.load() as session:
            return session.run(dict(inputs))

    def _gather(self, frame: Array | None, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The frame's own tensors: those of the call, and regions that were set before."""
        given = {**self._regions, **inputs}
        if frame is not None:
            given[self.declaration.inputs[0].name] = frame
        needed = {name for name, spec in self._frame_specs.items() if spec.default is None}
        if not needed <= given.keys() <= self._frame_specs.keys():
            raise BadInputError(
                f"This network takes {', '.join(self._frame_specs)} for every frame; "
                f"it was given {', '.join(given) or 'nothing'}.",
                remedy="Call it with an RGB picture, uint8 [H, W, 3], or with each of these by its name.",
            )
        for name, array in given.items():
            if self._frame_specs[name].is_spatial:
                check_picture(array, self._frame_specs[name])
                check_values(array, self._frame_specs[name])
        return given

    @staticmethod
    def _checked_region(array: Array, spec: TensorSpec) -> Array:
        if not spec.is_spatial:
            return padded_boxes(array, spec)
        check_picture(array, spec)
        return np.array(array)

    def _place(self, given: Mapping[str, Array]) -> Placement:
        sizes = {name: size_of(array) for name, array in given.items() if self._frame_specs[name].is_spatial}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise PictureError(f"The inputs differ in size: {listed}.", remedy="Give maps of one and the same picture.")
        return place(next(iter(sizes.values())), self.size, self._fit)

    def _lay(self, name: str, array: Array, placement: Placement) -> None:
        """Lay one of a frame's tensors into the network's size."""
        spec = self._frame_specs[name]
        if spec.is_spatial:
            place_into(_contiguous(array), placement, self._staged[name])
            return
        boxes = padded_boxes(array, spec)
        check_boxes_inside(boxes, placement.source)
        self._staged[name][:] = place_boxes(boxes, placement)

    def _prepared(self, given: Mapping[str, Array]) -> dict[str, Array]:
        prepared = {}
        for spec in self.declaration.inputs:
            if spec.name not in self._frame_specs:
                prepared[spec.name] = self._conditions.value(spec)
            elif spec.name in given:
                prepared[spec.name] = given[spec.name]
            elif spec.name in self._defaults:
                prepared[spec.name] = self._defaults[spec.name]
        return prepared


def _contiguous(array: Array) -> Array:
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)
