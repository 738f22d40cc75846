"""One frame in, one frame out; what is computed once (a style, encoder features) is cached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.engines.choice import AUTO, Choice, choose
from edge_i2i.engines.protocol import Array, EngineOptions, SessionInfo
from edge_i2i.errors import BadInputError, PictureError, UsageError
from edge_i2i.media.geometry import Fit, Placement, place, place_into, take_back
from edge_i2i.models.contract import DType, GraphDeclaration, Role, Size, TensorSpec

_SPATIAL = (Role.FRAME, Role.EXEMPLAR, Role.LABEL_MAP, Role.INSTANCE_MAP, Role.MASK)


@dataclass(frozen=True)
class TranslatorInfo:
    """What a translator really is: the bundle, the variant, the engine and what it does."""

    bundle: str
    model: str
    weights: str
    size: str
    variant: str
    picked: str
    session: SessionInfo


def load(
    path: str | PathLike[str],
    *,
    engine: str = AUTO,
    variant: str = AUTO,
    fit: Fit | str = Fit.LETTERBOX,
    keep_size: bool = True,
    threads: int | None = None,
    engine_folder: Path | None = None,
) -> Translator:
    """Open a bundle and get it ready to translate.

    Args:
        path: the ``.i2i`` bundle.
        engine: ``auto`` or an engine's name; what was asked for is what runs, or it is an error.
        variant: ``auto`` or a variant of the bundle (``fp32``, ``fp16``, …).
        fit: how pictures of another shape are laid into the network's size.
        keep_size: give results in the size of the input rather than at the network's scale (letterbox borders are
            cut away in both).
        threads: CPU threads inside one call; None leaves it to the engine.
        engine_folder: where TensorRT engines of this bundle are kept; by default beside it.

    Raises:
        BundleError: the bundle is damaged, unsafe or too new.
        UsageError: an unknown engine or variant.
        MissingRequirementError: the engine cannot run here.
    """
    bundle = open_bundle(path)
    options = EngineOptions(threads=threads, engine_folder=engine_folder or default_engine_folder(bundle.path))
    choice = choose(bundle, bundle.frame_graph.name, engine, variant, options)
    return Translator(bundle, choice, options, fit=Fit(fit), keep_size=keep_size, picked_by_rule=engine == AUTO)


def default_engine_folder(bundle: Path) -> Path:
    """Where the engines that were built from a bundle lie: beside it, in ``NAME.engines``."""
    return bundle.with_suffix(".engines")


class Translator:
    """Translates frames with one bundle on one engine. A context manager; not thread-safe."""

    def __init__(
        self,
        bundle: Bundle,
        choice: Choice,
        options: EngineOptions,
        *,
        fit: Fit = Fit.LETTERBOX,
        keep_size: bool = True,
        picked_by_rule: bool = False,
    ) -> None:
        self._bundle, self._choice, self._options = bundle, choice, options
        self._fit, self._keep_size, self._picked_by_rule = fit, keep_size, picked_by_rule
        self._session = choice.engine.load(choice.graph, options)
        self.declaration: GraphDeclaration = self._session.declaration
        self._styles: dict[str, Array] = {}
        self._staged = {spec.name: np.zeros(spec.shape, spec.dtype.value) for spec in self.declaration.inputs}
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
            picked="by rule" if self._picked_by_rule else "as asked",
            session=self._session.info,
        )

    def __call__(self, frame: Array | None = None, /, **inputs: Array) -> Array:
        """Translate one frame of any size.

        Args:
            frame: the first declared input, usually an RGB picture, uint8 ``[H, W, 3]``.
            inputs: inputs by their declared names (``label_map=…, instance_map=…``), all of one size.

        Returns:
            RGB, uint8 ``[h, w, 3]``, freshly allocated; of the input's size unless ``keep_size`` is off.

        Raises:
            BadInputError: an input is missing, unknown, of the wrong type, size or range, or a style was not set.
        """
        given = self._gather(frame, inputs)
        placement = self._place(given)
        for name, array in given.items():
            place_into(_contiguous(array), placement, self._staged[name])
        result = np.empty(self._output.shape, np.uint8)
        self._session.run_into(self._prepared(self._staged), {self._output.name: result})
        return take_back(result, placement, keep_size=self._keep_size)

    def run_into(self, source: Array | Mapping[str, Array], target: Array) -> None:
        """Translate one frame of the network's own size without allocating.

        Args:
            source: the first declared input, or per-frame inputs by name, in the declared shapes and dtypes.
            target: uint8 ``[H, W, 3]``, C-contiguous; overwritten.

        Raises:
            BadInputError: a shape, dtype or value does not fit the declaration.
        """
        given = source if isinstance(source, Mapping) else {self.declaration.inputs[0].name: source}
        for spec in self.declaration.inputs:
            if spec.name in given:
                _check_values(given[spec.name], spec)
        self._session.run_into(self._prepared(given), {self._output.name: target})

    def condition(self, **inputs: Array) -> None:
        """Compute or set what is constant over many frames; kept until it is set again.

        Give the inputs of a condition graph (``exemplar=…, instance_map=…``), or a cached tensor itself
        (``features=…``).

        Raises:
            UsageError: the bundle has no condition graph that takes these inputs.
            BadInputError: an input is of the wrong type, size or range.
        """
        styles = {spec.name: spec for spec in self.declaration.inputs if spec.role is Role.STYLE}
        if inputs and inputs.keys() <= styles.keys():
            for name, array in inputs.items():
                _check_shape(array, styles[name])
                self._styles[name] = np.ascontiguousarray(array)
            return
        graph = self._condition_graph(set(inputs))
        placement = place(_size_of(inputs[graph.inputs[0].name]), graph.size, self._fit)
        prepared = {spec.name: self._fitted(inputs[spec.name], spec, placement) for spec in graph.inputs}
        choice = choose(self._bundle, graph.name, self._choice.engine.name, AUTO, self._options)
        with choice.engine.load(choice.graph, self._options) as session:
            self._styles.update(session.run(prepared))

    def close(self) -> None:
        """Free the engine's session. Calling it twice is harmless."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _gather(self, frame: Array | None, inputs: Mapping[str, Array]) -> dict[str, Array]:
        specs = {spec.name: spec for spec in self.declaration.inputs if spec.role is not Role.STYLE}
        given = dict(inputs)
        if frame is not None:
            given[self.declaration.inputs[0].name] = frame
        if given.keys() != specs.keys():
            raise BadInputError(
                f"This network takes {', '.join(specs)} for every frame; it was given {', '.join(given) or 'nothing'}."
            )
        for name, array in given.items():
            _check_picture(array, specs[name])
            _check_values(array, specs[name])
        return given

    def _place(self, given: Mapping[str, Array]) -> Placement:
        sizes = {name: _size_of(array) for name, array in given.items()}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise PictureError(f"The inputs differ in size: {listed}.", remedy="Give maps of one and the same picture.")
        return place(next(iter(sizes.values())), self.size, self._fit)

    def _prepared(self, given: Mapping[str, Array]) -> dict[str, Array]:
        prepared = {}
        for spec in self.declaration.inputs:
            if spec.role is Role.STYLE:
                prepared[spec.name] = self._style(spec.name)
            elif spec.name in given:
                prepared[spec.name] = given[spec.name]
        return prepared

    def _style(self, name: str) -> Array:
        if name not in self._styles:
            graphs = "; or ".join(", ".join(s.name for s in graph.inputs) for graph in self._bundle.condition_graphs)
            raise BadInputError(
                f"This network needs '{name}', which is computed once.",
                remedy=f"Call condition() first, with {graphs or name}.",
            )
        return self._styles[name]

    def _condition_graph(self, names: set[str]) -> GraphDeclaration:
        for graph in self._bundle.condition_graphs:
            if names == {spec.name for spec in graph.inputs}:
                return graph
        known = "; ".join(", ".join(s.name for s in graph.inputs) for graph in self._bundle.condition_graphs)
        raise UsageError(
            f"This bundle cannot be conditioned on {', '.join(sorted(names)) or 'nothing'}.",
            remedy=f"It takes: {known}." if known else "It takes no conditions.",
        )

    @staticmethod
    def _fitted(array: Array, spec: TensorSpec, placement: Placement) -> Array:
        if spec.slots is not None:
            array = renumber_instances(array, spec.slots)
        if spec.role not in _SPATIAL:
            _check_shape(array, spec)
            return array
        _check_picture(array, spec)
        _check_values(array, spec)
        if _size_of(array) != placement.source:
            raise PictureError(f"'{spec.name}' is {_size_of(array)}, but the exemplar is {placement.source}.")
        target = np.zeros(spec.shape, spec.dtype.value)
        place_into(_contiguous(array), placement, target)
        return target


def renumber_instances(instances: Array, slots: int) -> Array:
    """Number instance ids densely from 0, in ascending order, as graphs that pool over slots need them.

    Raises:
        PictureError: there are more instances than slots.
    """
    ids, numbered = np.unique(instances, return_inverse=True)
    if len(ids) > slots:
        raise PictureError(
            f"The instance map holds {len(ids)} instances; this network pools over at most {slots}.",
            remedy="Merge small instances, or give a map of instances rather than of pixels.",
        )
    return numbered.reshape(instances.shape).astype(np.int32)


def _size_of(array: Array) -> Size:
    if array.ndim < 2:
        raise PictureError(f"A picture or a map is needed, not an array of shape {list(array.shape)}.")
    return Size(array.shape[0], array.shape[1])


def _contiguous(array: Array) -> Array:
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _check_picture(array: Array, spec: TensorSpec) -> None:
    """Any size is welcome; the dtype and the channels are not negotiable."""
    if array.dtype != spec.dtype.value or array.ndim != len(spec.shape) or array.shape[2:] != spec.shape[2:]:
        wanted = "[H, W, 3] RGB" if len(spec.shape) == 3 else "[H, W]"
        raise PictureError(
            f"'{spec.name}' must be {spec.dtype.value} {wanted}, not {array.dtype} {list(array.shape)}.",
            remedy="edge_i2i.media.pictures reads files into that form.",
        )
    if 0 in array.shape:
        raise PictureError(f"'{spec.name}' is empty: {list(array.shape)}.")


def _check_shape(array: Array, spec: TensorSpec) -> None:
    if array.shape != spec.shape or array.dtype != spec.dtype.value:
        raise BadInputError(
            f"'{spec.name}' must be {spec.dtype.value}{list(spec.shape)}, not {array.dtype}{list(array.shape)}."
        )


def _check_values(array: Array, spec: TensorSpec) -> None:
    """Ids outside the declared range would pick no class, or a wrong one, without a sound."""
    if spec.dtype is DType.FLOAT32 or (spec.dtype is DType.UINT8 and (spec.low, spec.high) == (0, 255)):
        return
    low, high = int(array.min()), int(array.max())
    if low < spec.low or high > spec.high:
        raise PictureError(
            f"'{spec.name}' holds values {low}..{high}; legal are {spec.low:.0f}..{spec.high:.0f} ({spec.meaning}).",
            remedy="Map the other ids to one of the network's classes first.",
        )
