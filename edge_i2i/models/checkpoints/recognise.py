"""Which published model a checkpoint holds, told from its keys and shapes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_i2i.errors import CheckpointError
from edge_i2i.models.registry import family_names, get_family
from edge_i2i.models.weights import StateDict

if TYPE_CHECKING:
    from torch import Tensor

_DEEPEST_PART = 4
_FEWEST_KEYS = 8  # of the smallest network that anybody would save


@dataclass(frozen=True)
class Recognition:
    """A family that claims a state dict. ``what``: which of its networks it is, in a few words."""

    family: str
    title: str
    what: str

    def __str__(self) -> str:
        return f"{self.title}: {self.what}"


def recognise(state: StateDict) -> tuple[Recognition, ...]:
    """Every family that claims a state dict as its own release's; none or one, unless two releases look alike."""
    families = [get_family(name) for name in family_names()]
    claims = [(family, family.recognise(state)) for family in families]
    return tuple(Recognition(family.name, family.title, what) for family, what in claims if what is not None)


def near_misses(state: StateDict) -> tuple[CheckpointError, ...]:
    """Why the families that a state dict resembles do not read it, each reason once; empty where it resembles none."""
    found = [get_family(name).near_miss(state) for name in family_names()]
    return tuple({error.what: error for error in found if error is not None}.values())


def recognised_parts(state: StateDict) -> dict[str, Recognition]:
    """Networks that stand under a name of their own (``netG.model.1.weight``), by that name.

    Parts of a network that was found are not looked at.
    """
    found = dict[str, Recognition]()
    for name, part in parts_of(state).items():
        inside = any(name.startswith(f"{other}.") for other in found)
        claims = recognise(part) if len(part) >= _FEWEST_KEYS and not inside else ()
        if len(claims) == 1:
            found[name] = claims[0]
    return found


def parts_of(state: StateDict) -> dict[str, StateDict]:
    """The entries under each prefix of one to four words (``netG``, ``netG.model``); the shorter prefixes first."""
    parts: dict[str, dict[str, Tensor]] = {}
    for depth in range(1, _DEEPEST_PART + 1):
        for key, tensor in state.items():
            names = key.split(".")
            if len(names) > depth:
                parts.setdefault(".".join(names[:depth]), {})[".".join(names[depth:])] = tensor
    return dict(parts)
