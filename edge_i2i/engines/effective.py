"""In which arithmetic a loaded graph is really computed, counted by convolutions, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

INTEGER = "int8"
WIDEST = "fp32"


@dataclass(frozen=True)
class Arithmetic:
    """Convolutions (transposed ones, too) by what they are computed in: ``int8``, ``fp32``, ``bf16``, ``fp16``, ….

    ``rest``: the narrowest float arithmetic outside of convolutions; empty where there is none.
    """

    convolutions: Mapping[str, int]
    rest: str = ""

    @property
    def floats(self) -> tuple[str, ...]:
        """The float arithmetic of convolutions, most of them first; that of the rest where they are all integers."""
        found = sorted(self.convolutions, key=lambda name: (-self.convolutions[name], name))
        floats = tuple(name for name in found if name != INTEGER)
        return floats or ((self.rest,) if self.rest else ())

    @property
    def name(self) -> str:
        """In short: integers first, then floats: ``int8+bf16``, ``fp32``; ``none`` where nothing is computed.

        >>> Arithmetic({"fp32": 4, "int8": 23}).name
        'int8+fp32'
        """
        integers = (INTEGER,) if INTEGER in self.convolutions else ()
        return "+".join((*integers, *self.floats)) or "none"

    def is_in(self, precision: str) -> bool:
        """Whether floats are computed in this arithmetic: some of them, or all where it is the widest.

        >>> Arithmetic({"bf16": 4, "fp32": 1}).is_in("bf16"), Arithmetic({"bf16": 4, "fp32": 1}).is_in("fp32")
        (True, False)
        """
        computed = {*self.floats, *((self.rest,) if self.rest else ())}
        return not computed or (computed == {WIDEST} if precision == WIDEST else precision in computed)

    @property
    def mixed(self) -> bool:
        """Whether there are convolutions in more than one arithmetic."""
        return len(self.convolutions) > 1

    def note(self) -> str:
        """The counts in words; empty where there are no convolutions.

        >>> Arithmetic({"fp32": 4, "int8": 23}).note()
        '23 of 27 convolutions in INT8, 4 in FP32'
        """
        total = sum(self.convolutions.values())
        order = sorted(self.convolutions, key=lambda name: (name != INTEGER, -self.convolutions[name], name))
        counts = [f"{self.convolutions[name]} in {name.upper()}" for name in order]
        if counts:
            counts[0] = counts[0].replace(" in ", f" of {total} convolutions in ", 1)
        return ", ".join(counts)
