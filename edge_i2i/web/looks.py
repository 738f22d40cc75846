"""What look a tab wants, as plain values that can be compared: of these, looks are computed, and under these kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

LARGEST_SEED = (1 << 53) - 1  # the largest whole number that JavaScript tells from its neighbours


class BaseKind(StrEnum):
    """What a style is named by; the values are the protocol's."""

    EXEMPLAR = "exemplar"  # an uploaded picture
    SEED = "style_seed"
    STYLE = "style"  # one of those that the page offers


@dataclass(frozen=True)
class Base:
    """A style, by name. ``name``: an id, or the seed's digits."""

    kind: BaseKind
    name: str


@dataclass(frozen=True)
class LookRequest:
    """A change of a tab's look; None: as it is. ``mix`` lies between ``other`` (0) and ``base`` (1)."""

    base: Base | None = None
    attributes: tuple[tuple[str, float], ...] | None = None
    mix: float | None = None
    other: Base | None = None


@dataclass(frozen=True)
class ChosenLook:
    """A whole look: a style (None: the bundle's own), on the way from another, with attributes."""

    base: Base | None = None
    other: Base | None = None
    mix: float = 1.0
    attributes: tuple[tuple[str, float], ...] = ()

    def changed(self, request: LookRequest) -> ChosenLook:
        """The look after a request.

        Another style is mixed with the one before it, wholly the new one at first. ``other`` may also be said.
        """
        chosen = self
        if request.base not in (None, self.base):
            chosen = replace(chosen, base=request.base, other=self.base, mix=1.0)
        if request.other is not None:
            chosen = replace(chosen, other=request.other)
        if request.mix is not None:
            chosen = replace(chosen, mix=request.mix)
        if request.attributes is not None:
            merged = dict(self.attributes) | dict(request.attributes)
            chosen = replace(chosen, attributes=tuple(sorted(merged.items())))
        return chosen
