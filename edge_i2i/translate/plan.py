"""Which files a translation job takes, and what each result will be called.

A source is a file, a folder (searched with its sub-folders, whose layout the output repeats) or a glob pattern. Hidden
files and folders are passed over, and so is an output folder that lies inside the source. What is named as a picture
or film of a kind that is not read stays in the plan: whoever reads it reports it. A picture under a name that is no
picture's (``photo.jpg_large``, ``IMG_0001``) is known by its first bytes, and so is an animation (``media.films``).
A result keeps its source's
name with ``.png`` (or ``.mp4``); where two sources differ only in their suffix, both keep it: ``a.jpg.png``,
``a.png.png``. A name that becomes too long for the disk is
cut, and ends in a hash of all of it. No result ever takes the place of a source.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_i2i.contract import Role
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.files.places import check_names, fitting, name_limit, path_limit
from edge_i2i.media.film import is_film
from edge_i2i.media.films.video_writer import WRITABLE_VIDEO_SUFFIXES
from edge_i2i.media.pictures import WRITABLE_SUFFIXES, holds_picture
from edge_i2i.media.suffixes import LISTED_SUFFIXES, READABLE_SUFFIXES, VIDEO_SUFFIXES

# What the files of a pair end with in Cityscapes, in pix2pixHD's folders and the like; the rest of the name is common.
_TAKEN = READABLE_SUFFIXES | VIDEO_SUFFIXES
_HIDDEN_ROOM = 150  # bytes that the name of an unfinished result may be longer
_TOO_LONG = "the path of its result would be too long for this disk"
_MAGIC = re.compile(r"[*?\[]")
_MAP_ENDING = re.compile(r"[_-](label(Train)?Ids|instanceIds|labels?|inst(ances?)?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One thing to translate: its files by role (the first is the one it is named after), and where it goes.

    ``is_video``: whether it is translated frame by frame.
    """

    inputs: Mapping[str, Path]
    output: Path
    is_video: bool = False

    @property
    def source(self) -> Path:
        """The file that the item is named after."""
        return next(iter(self.inputs.values()))


@dataclass(frozen=True)
class Failure:
    """A source that was not translated, and why. ``missing``: only because a package is not installed."""

    path: Path
    reason: str
    missing: bool = False


@dataclass(frozen=True)
class Plan:
    """A whole job. ``folder`` is where the results of a folder or a pattern go; None for a single file."""

    items: tuple[Item, ...]
    failures: tuple[Failure, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class _Listing:
    """What a source names: files below ``root``, or one file (``single``)."""

    root: Path
    files: tuple[Path, ...]
    single: bool = False


def make_plan(sources: Mapping[str, str], output: Path) -> Plan:
    """Find the files, pair them, and name the results.

    ``sources``: a file, a folder or a glob pattern for each role. The files of several roles are paired by their place
    below their folder and their name without its suffix and without endings such as ``_labelIds``.

    Raises:
        PictureError: a source does not exist or names no picture.
        OutputError: the output is no name for a file or folder.
        UsageError: the output cannot hold the results, or would replace a source; files and folders are mixed.
    """
    check_names(output)
    (first_role, first), *others = [(role, _list(source, output, role)) for role, source in sources.items()]
    if any(listing.single != first.single for _, listing in others):
        raise UsageError("One input is a file and another is many.", remedy="Give either files or folders for all.")
    if first.single:
        inputs = {first_role: first.files[0]} | {role: listing.files[0] for role, listing in others}
        film = is_film(first.files[0])
        return Plan((Item(inputs, _single_output(first.files[0], film, output, inputs.values()), film),))
    _check_folder(output, [first, *(listing for _, listing in others)])
    paired, failures = _pair(first_role, first, others)
    named_after = [inputs[first_role] for inputs in paired]
    films = [first_role == Role.FRAME and is_film(source) for source in named_after]
    names = _result_names([source.relative_to(first.root) for source in named_after], films)
    limit = name_limit(output)
    places = [output.joinpath(*(fitting(part, limit) for part in name.parts)) for name in names]
    items = [Item(*each) for each in zip(paired, places, films, strict=True)]
    longest = path_limit(output)
    refused = tuple(Failure(item.source, _TOO_LONG) for item in items if not _has_room(item.output, longest))
    return Plan(tuple(item for item in items if _has_room(item.output, longest)), failures + refused, output)


# Finding --------------------------------------------------------------------------------------------------------


def _list(source: str, output: Path, role: str) -> _Listing:
    path = Path(source)
    if path.is_dir():
        listing = _Listing(path, _usable(path, path.rglob("*"), output, role))
        kind = f"The folder '{source}' holds"
    elif path.exists() or not _MAGIC.search(source):
        return _single(path, role)
    else:
        listing = _matches(source, output, role)
        kind = f"The pattern '{source}' finds"
    if not listing.files:
        raise PictureError(
            f"{kind} {'no picture and no video' if role == Role.FRAME else 'no PNG'}.",
            remedy=f"Files with these suffixes are taken: {', '.join(sorted(_suffixes(role) & _TAKEN))}.",
        )
    return listing


def _single(path: Path, role: str) -> _Listing:
    if not path.exists():
        raise PictureError(f"There is no file or folder '{path}'.", remedy="Check the path.")
    if role != Role.FRAME and is_film(path):
        raise PictureError(f"The {role} '{path}' is a video.", remedy="Give one-channel PNGs, one for each frame.")
    return _Listing(path.parent, (path,), single=True)


def _matches(pattern: str, output: Path, role: str) -> _Listing:
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if _MAGIC.search(part))
    root, rest = Path(*parts[:fixed]), parts[fixed:]
    if rest[-1] == "**":  # to a shell these are all files, to pathlib all folders
        rest = (*rest, "*")
    return _Listing(root, _usable(root, root.glob("/".join(rest)), output, role))


def _usable(root: Path, paths: Iterable[Path], output: Path, role: str) -> tuple[Path, ...]:
    """The visible files of interest by suffix or content, sorted; not those in an output folder below ``root``."""
    below = output.resolve() if output.resolve() != root.resolve() else None
    return tuple(
        sorted(
            path
            for path in paths
            if not any(part.startswith(".") for part in path.relative_to(root).parts)
            and path.exists()
            and not path.is_dir()  # a pipe that is named as a picture is reported by whoever would read it
            and (path.suffix.lower() in _suffixes(role) or (role == Role.FRAME and holds_picture(path)))
            and (below is None or below not in path.resolve().parents)
        )
    )


def _suffixes(role: str) -> frozenset[str]:
    return LISTED_SUFFIXES if role == Role.FRAME else frozenset({".png"})


# Pairing --------------------------------------------------------------------------------------------------------


def _pair(
    role: str, first: _Listing, others: Sequence[tuple[str, _Listing]]
) -> tuple[list[dict[str, Path]], tuple[Failure, ...]]:
    """The files of each item by role, and those of the first role that lack a partner."""
    partners = {name: _by_key(listing) for name, listing in others}
    paired: list[dict[str, Path]] = []
    failures: list[Failure] = []
    for path in first.files:
        key = _key(path, first.root)
        missing = [name for name, known in partners.items() if key not in known]
        if missing:
            failures.append(Failure(path, f"there is no {' and no '.join(missing)} named like it"))
        else:
            paired.append({role: path} | {name: known[key] for name, known in partners.items()})
    return paired, tuple(failures)


def _by_key(listing: _Listing) -> dict[str, Path]:
    known: dict[str, Path] = {}
    for path in listing.files:
        other = known.setdefault(_key(path, listing.root), path)
        if other is not path:
            raise UsageError(
                f"'{other}' and '{path}' belong to the same picture.",
                remedy="Name the right ones with a pattern, for example 'maps/**/*_instanceIds.png'.",
            )
    return known


def _key(path: Path, root: Path) -> str:
    place = path.relative_to(root)
    return (place.parent / _MAP_ENDING.sub("", place.stem)).as_posix()


# Naming ---------------------------------------------------------------------------------------------------------


def _target_suffix(film: bool) -> str:
    return ".mp4" if film else ".png"


def _single_output(source: Path, film: bool, output: Path, inputs: Iterable[Path]) -> Path:
    suffix = _target_suffix(film)
    target = output
    if output.is_dir() or not output.suffix:
        target = output / fitting(f"{source.stem}{suffix}", name_limit(output))
    allowed = WRITABLE_VIDEO_SUFFIXES if suffix == ".mp4" else WRITABLE_SUFFIXES
    if target.suffix.lower() not in allowed:
        raise UsageError(
            f"'{target}' cannot hold the result of '{source}'.",
            remedy=f"Name a folder, or a file with one of the suffixes {', '.join(sorted(allowed))}.",
        )
    if any(target.exists() and target.samefile(path) for path in inputs):
        raise UsageError(f"The result would replace its own source, '{target}'.", remedy="Give another output.")
    return target


def _has_room(target: Path, limit: int) -> bool:
    """Whether the path of a result, and of the hidden file that it is until it is complete, is short enough."""
    return len(os.fsencode(target.absolute())) + _HIDDEN_ROOM <= limit


def _check_folder(output: Path, listings: Iterable[_Listing]) -> None:
    if output.suffix.lower() in WRITABLE_SUFFIXES | WRITABLE_VIDEO_SUFFIXES or output.is_file():
        raise UsageError(f"Many pictures do not fit into one file, '{output}'.", remedy="Name a folder as the output.")
    if any(output.resolve() == listing.root.resolve() for listing in listings):
        raise UsageError(
            f"The results would lie among their sources, in '{output}'.", remedy="Name another folder as the output."
        )


def _result_names(places: Sequence[Path], films: Sequence[bool]) -> list[Path]:
    """A name for each source's place below its root, all different, also where a disk ignores upper and lower case."""
    plain = [place.with_suffix(_target_suffix(film)) for place, film in zip(places, films, strict=True)]
    count = Counter(str(name).casefold() for name in plain)
    taken = {str(name).casefold() for name in plain if count[str(name).casefold()] == 1}
    names: list[Path] = []
    for place, name in zip(places, plain, strict=True):
        suffix, attempt = name.suffix, 1
        if count[str(name).casefold()] > 1:
            name = place.with_name(place.name + suffix)
            while str(name).casefold() in taken:
                attempt += 1
                name = place.with_name(f"{place.name}-{attempt}{suffix}")
            taken.add(str(name).casefold())
        names.append(name)
    return names
