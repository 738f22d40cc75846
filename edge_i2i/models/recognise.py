"""Which published model a checkpoint holds, told from its keys and shapes alone."""

from __future__ import annotations

from dataclasses import dataclass

from edge_i2i.models.family import StateDict
from edge_i2i.models.registry import family_names, get_family


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
