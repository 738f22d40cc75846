"""The account of what was calibrated over, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_i2i.contract import Role, Size
from edge_i2i.quantize.calibration.choosing import Gathered
from edge_i2i.quantize.calibration.looks import DrawnLook, Style

FEW_PICTURES = 16
"""Below so many pictures, ranges are likely to miss what others reach: a guess; 32 to 300 are a usual number."""


@dataclass(frozen=True)
class CalibrationSummary:
    """Where samples come from. ``pictures``: different ones that give ranges; ``notes``: what a user should know."""

    source: str
    pictures: int
    samples: int
    held_out: str
    looks: str = ""
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The summary for people, one fact in each line."""
        first = f"{self.samples} samples over {_count(self.pictures, 'picture')} from {self.source}"
        looks = [f"looks: {self.looks}"] if self.looks else []
        return [first, *looks, f"judged on {self.held_out}", *(f"note: {note}" for note in self.notes)]


def summarize(
    source: str,
    gathered: Gathered,
    looks: Sequence[DrawnLook],
    *,
    drawn: Sequence[Role],
    own_exemplars: bool,
    exemplars_lacking: bool,
    pictures: int,
    held_out: str,
    size: Size,
) -> CalibrationSummary:
    """Put together what was found, drawn and passed over.

    Args:
        source: what the data is called; bundles carry it, so no path of this machine.
        gathered: the pictures.
        looks: those of the samples.
        drawn: the roles of the frame's inputs that were made up.
        own_exemplars: whether frames serve as exemplars.
        exemplars_lacking: whether the network takes exemplars and there are none.
        pictures: how many pictures give ranges.
        held_out: what quality is judged on.
        size: the network's.
    """
    styles = _looks(looks, own_exemplars=own_exemplars)
    made_up = [{Role.BOXES: "drawn boxes", Role.MASK: "drawn masks"}[role] for role in drawn]
    notes = _notes(gathered, pictures, size)
    if own_exemplars and any(style.exemplar is not None for style in _styles(looks)):
        notes.append("frames of the set itself served as exemplars; give the real ones with --exemplars FOLDER")
    if exemplars_lacking:
        notes.append("no exemplars were given: every style is drawn; give some with --exemplars FOLDER")
    if "mirror" in held_out:
        notes.append(
            "too few pictures to hold any out: quality is judged on mirror images, and may look better than it is"
        )
    return CalibrationSummary(source, pictures, len(looks), held_out, ", ".join([*styles, *made_up]), tuple(notes))


def _styles(looks: Sequence[DrawnLook]) -> list[Style]:
    every = [style for look in looks for style in (look.style, look.second, *look.objects)]
    return [style for style in every if style is not None]


def _looks(looks: Sequence[DrawnLook], *, own_exemplars: bool) -> list[str]:
    styles = _styles(looks)
    exemplars = {style.exemplar for style in styles if style.exemplar is not None}
    seeds = {style.seed for style in styles if style.seed is not None}
    combinations = {tuple(sorted(look.attributes.items())) for look in looks if look.attributes}
    counted = [
        (len(exemplars), "exemplar"),
        (len(seeds), "drawn style"),
        (len(combinations), "combination of attributes"),
    ]
    return [_count(number, what) for number, what in counted if number]


def _notes(gathered: Gathered, pictures: int, size: Size) -> list[str]:
    notes = []
    if pictures < FEW_PICTURES:
        notes.append(f"only {_count(pictures, 'different picture')} for ranges; 32 to 300 are recommended")
    if gathered.smaller:
        of = len(gathered.scenes)
        notes.append(f"{gathered.smaller} of {of} pictures are smaller than {size} and were enlarged: they lack detail")
    if gathered.duplicates:
        notes.append(f"{_count(gathered.duplicates, 'copy')} of other pictures passed over")
    if gathered.one_colour:
        notes.append(f"{_count(gathered.one_colour, 'picture')} of one colour passed over")
    if gathered.unreadable:
        count = _count(len(gathered.unreadable), "picture")
        notes.append(f"{count} could not be read and passed over, the first: {gathered.unreadable[0]}")
    return notes


def _count(number: int, what: str) -> str:
    """``1 picture``, ``2 pictures``, ``3 copies``, ``4 combinations of attributes``."""
    if number == 1:
        return f"1 {what}"
    noun, of, rest = what.partition(" of ")
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {plural}{of}{rest}"
