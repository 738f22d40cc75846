"""What is set once, with types: for editors and type checkers, beside ``Translator.condition(**inputs)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from edge_i2i.arrays import Array
from edge_i2i.errors import UsageError
from edge_i2i.translate.conditions import Given


@dataclass(frozen=True, eq=False, kw_only=True)
class ConditionInputs:
    """What a bundle takes once, for many frames. None: it stays as it is.

    ``exemplar``: a picture, uint8 ``[H, W, 3]`` RGB, whose look is taken over. ``exemplar_instance_map``: its
    instances, whole numbers ``[H, W]``. ``style_seed``: draws a style; the same number gives the same one everywhere.
    ``attributes``: what the result shall show, and ``source_attributes``: what the frames show, both by name.
    ``mask``: where to translate, uint8 ``[H, W]`` of the frame's size, 255 inside. ``boxes``: objects with styles of
    their own, each as left, top, right, bottom in pixels of the frame. ``tensors``: any other tensor of the bundle, by
    the name that ``Translator.takes`` gives it.

    >>> ConditionInputs(style_seed=7, attributes={"Smiling": 1}).given()
    {'style_seed': 7, 'attributes': {'Smiling': 1}}
    """

    exemplar: Array | None = None
    exemplar_instance_map: Array | None = None
    style_seed: int | None = None
    attributes: Mapping[str, float] | None = None
    source_attributes: Mapping[str, float] | None = None
    mask: Array | None = None
    boxes: Array | Sequence[Sequence[float]] | None = None
    tensors: Mapping[str, Array] = field(default_factory=dict)

    def given(self) -> Given:
        """What was set, by name, as ``Translator.condition``, ``Translator.mix`` and ``open_session(look=…)`` take it.

        Raises:
            UsageError: one of ``tensors`` has the name of a field.
        """
        names = [one.name for one in fields(self) if one.name != "tensors"]
        if twice := sorted(self.tensors.keys() & set(names)):
            raise UsageError(f"'{twice[0]}' is a field of its own.", remedy=f"Write {twice[0]}=… instead of tensors=….")
        known: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {**known, **self.tensors}
