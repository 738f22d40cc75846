"""A translator as the model that tabs share: looks as tabs chose them, kept as long as there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_i2i.arrays import Array, Picture
from edge_i2i.bundle.reader import Bundle
from edge_i2i.contract import ID_MAPS, Role, Size, TensorSpec
from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.live.model.translation import WARM_UP_RUNS, blank_frame, check_draws
from edge_i2i.texts import one_line
from edge_i2i.translate.conditions import PER_FRAME, SEED, Given, Look
from edge_i2i.translate.translator import Translator
from edge_i2i.web.looks import Base, BaseKind, ChosenLook
from edge_i2i.web.shared_model import ModelInfo, ModelLoader, Note
from edge_i2i.web.styles import LooksTaken, Style

LOOKS_KEPT, LOOKS_ROOM = 64, 64 << 20
"""How many looks are kept to go back to, and of how many bytes at most; those that tabs wear are theirs."""

FindExemplar = Callable[[str], Picture]
"""The uploaded picture of an id; raises BadInputError where it is not there (any more)."""


class TranslatorModel:
    """Translates frames under looks that tabs chose.

    Args:
        translator: runs the network; it is closed with the model.
        takes: which looks the bundle takes.
        styles: what the page offers; the first is the look at the start, where the bundle needs one.
        find_exemplar: gives the uploaded picture of an id.
    """

    def __init__(
        self, translator: Translator, takes: LooksTaken, styles: Sequence[Style], find_exemplar: FindExemplar
    ) -> None:
        self._translator, self._takes, self._find_exemplar = translator, takes, find_exemplar
        self._styles = {style.id: style for style in styles}
        self._kept: OrderedDict[ChosenLook, Look] = OrderedDict()
        self._regions = _regions(translator)
        session = translator.info.session
        self.info = ModelInfo(session.engine, session.effective_precision, translator.info.variant)
        self._plain = self._starting_look(styles)

    def look(self, chosen: ChosenLook) -> Look:
        """The look that was chosen: one that was computed lately is found again.

        Raises:
            EdgeI2IError: the bundle cannot take it, or an exemplar is not kept any more.
        """
        if chosen not in self._kept:
            self._kept[chosen] = self._computed(chosen)
        self._kept.move_to_end(chosen)
        while len(self._kept) > LOOKS_KEPT or (len(self._kept) > 1 and self._nbytes() > LOOKS_ROOM):
            self._kept.popitem(last=False)
        return self._kept[chosen]

    def translate(self, picture: Picture, look: Look) -> Picture:
        """See ``Model.translate``."""
        self._translator.use(look)
        regions = {name: region(picture) for name, region in self._regions.items()}
        return self._translator(picture, **regions)

    def close(self) -> None:
        """Free the engine."""
        self._kept.clear()
        self._translator.close()

    def _nbytes(self) -> int:
        return sum(look.nbytes for look in self._kept.values())

    def _starting_look(self, styles: Sequence[Style]) -> Look:
        """The look at the start: the bundle's own, or with the first style, where it needs one."""
        for style in styles:
            if not self._translator.missing:
                break
            self._condition(style.given)
        return self._translator.look

    def _computed(self, chosen: ChosenLook) -> Look:
        if chosen.mix < 1:
            ends = self._end(chosen.other, chosen), self._end(chosen.base, chosen)
            self._translator.mix(*ends, chosen.mix)
            return self._translator.look
        self._translator.use(self._plain)
        if chosen.attributes:
            self._translator.condition(**self._attributes(chosen))
        if chosen.base is not None:
            self._condition(self._given(chosen.base))
        return self._translator.look

    def _end(self, base: Base | None, chosen: ChosenLook) -> Given:
        """One end of a mix, as the tensor that is mixed: an exemplar is encoded once, not at each step of a slider."""
        name = self._takes.mixed_tensor
        if name is None:
            raise UsageError("This bundle cannot mix two looks.", remedy="Pick a style instead.")
        look = self.look(ChosenLook(base, attributes=chosen.attributes))
        self._translator.use(look)
        tensors = {**look.computed, **look.given}
        if name not in tensors:
            raise UsageError("There is no look yet to mix with.", remedy="Pick a style first.")
        return {name: tensors[name]}

    def _condition(self, given: Given) -> None:
        if given:
            self._translator.condition(**given)

    def _attributes(self, chosen: ChosenLook) -> Mapping[str, Any]:
        if self._takes.attribute_tensor is None:
            raise UsageError("This bundle takes no attributes.", remedy="Pick a style instead.")
        labels = {one_line(label): label for label in self._takes.attributes}  # the page knows them as they are shown
        return {self._takes.attribute_tensor: {labels.get(name, name): value for name, value in chosen.attributes}}

    def _given(self, base: Base) -> Given:
        """What ``Translator.condition`` takes for a style; empty for a bundle that has but one."""
        if base.kind is BaseKind.SEED:
            return {SEED: int(base.name)}
        if base.kind is BaseKind.EXEMPLAR:
            if self._takes.exemplar is None:
                raise UsageError("This bundle takes no exemplar.", remedy="Pick a style instead.")
            return {self._takes.exemplar: self._find_exemplar(base.name)}
        if base.name not in self._styles:
            raise BadInputError(f"There is no style '{base.name}'.", remedy="Pick one of those that the page shows.")
        return self._styles[base.name].given


def model_loader(
    make: Callable[[], Translator],
    bundle: Bundle,
    takes: LooksTaken,
    styles: Sequence[Style],
    find_exemplar: FindExemplar,
) -> ModelLoader:
    """A loader of the model behind a page.

    It raises what ``make`` does, and BadInputError where the network draws one colour all over.

    Args:
        make: opens the translator.
        bundle: names the model in what is said while it loads.
        takes: which looks the bundle takes.
        styles: what the page offers.
        find_exemplar: gives the uploaded picture of an id.
    """

    def load(note: Note) -> TranslatorModel:
        note(f"loading {bundle.manifest.name} ({bundle.manifest.model.title})")
        translator = make()
        try:
            note("warming up")
            return _warmed_up(TranslatorModel(translator, takes, styles, find_exemplar), translator.size)
        except BaseException:
            translator.close()
            raise

    return load


def _warmed_up(model: TranslatorModel, size: Size) -> TranslatorModel:
    """Translate a little, so that the first visitor does not wait for what engines put off until then."""
    picture, look = blank_frame(size).image, model.look(ChosenLook())
    for _ in range(WARM_UP_RUNS - 1):
        model.translate(picture, look)
    check_draws(model.translate(picture, look))
    return model


def check_takes_pictures(bundle: Bundle) -> None:
    """Refuse a bundle that a camera cannot feed.

    Raises:
        UsageError: it translates label maps.
    """
    inputs = bundle.frame_graph.inputs
    wrong = [spec.name for spec in inputs if spec.role in ID_MAPS]
    if wrong or inputs[0].role is not Role.FRAME:
        raise UsageError(
            f"'{bundle.manifest.name}' translates {' and '.join(wrong) or inputs[0].name}, which no camera gives.",
            remedy="Serve a bundle whose network takes camera pictures; edge-i2i translate runs this one on files.",
        )


_Region = Callable[[Picture], Array]


def _regions(translator: Translator) -> dict[str, _Region]:
    """What a frame needs besides its picture: the mask of a network that must have one is all of it."""
    specs = [spec for spec in translator.declaration.inputs if spec.role in PER_FRAME and spec.default is None]
    return {spec.name: _everywhere(spec) for spec in specs if spec.role is Role.MASK}


def _everywhere(spec: TensorSpec) -> _Region:
    return lambda picture: np.full(picture.shape[:2], spec.high, spec.dtype.value)
