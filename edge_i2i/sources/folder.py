"""A folder of pictures, in the order in which people count."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError
from edge_i2i.media.film import is_picture
from edge_i2i.media.pictures import holds_picture, read_picture
from edge_i2i.media.suffixes import LISTED_SUFFIXES, READABLE_SUFFIXES
from edge_i2i.sources.pace import Pace
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceSpec
from edge_i2i.sources.uri import SourceRequest, path_of

DEFAULT_FPS = 25.0

_log = logging.getLogger(__name__)
_NAMED = 5  # of what is passed over


class FolderSource(Source):
    """The pictures of a folder (not of its sub-folders), each in its own size.

    A picture that cannot be read is an error that names it: a result with one missing would look whole.

    Args:
        folder: its path.
        clock: what the pace is kept by.
        fps: frames a second, from which pictures get their times; None: 25 with ``as_live``, otherwise no times.
        as_live: give pictures at that rate, otherwise as fast as they are taken.
    """

    def __init__(self, folder: Path, *, clock: Clock, fps: float | None = None, as_live: bool = False) -> None:
        self._folder = folder
        self._fps = fps or (DEFAULT_FPS if as_live else None)
        self._pace = Pace(clock) if as_live else None
        self._pictures: Iterator[tuple[int, Picture]] = iter(())
        self._first: Picture | None = None

    def open(self) -> SourceInfo:
        """List the folder and read its first picture.

        Raises:
            PictureError: there is no such folder, no picture in it, or the first one cannot be read.
        """
        paths = pictures_of(self._folder)
        first = read_picture(paths[0])
        self._pictures = _read_all(paths, first)
        return SourceInfo(self._folder.name, Size(*first.shape[:2]), self._fps, len(paths))

    def read(self) -> Captured | None:
        """The next picture. ``t_source``: its number divided by ``fps``."""
        index, picture = next(self._pictures, (0, None))
        if picture is None:
            return None
        moment = index / self._fps if self._fps else None
        if self._pace is not None and moment is not None:
            self._pace.wait_until(moment)
        return Captured(picture, moment)

    def close(self) -> None:
        """Nothing is held open."""


def pictures_of(folder: Path) -> list[Path]:
    """The visible picture files in a folder: ``2.png`` before ``10.png``. The log names what is passed over.

    Raises:
        PictureError: there is no such folder, or no picture in it.
    """
    try:
        inside = [*folder.iterdir()]
    except OSError as error:
        raise PictureError(
            f"The folder '{folder}' cannot be read: {error.strerror or error}.", remedy="Check the path."
        ) from error
    visible = [path for path in inside if not path.name.startswith(".") and path.exists() and not path.is_dir()]
    found = {path for path in visible if is_picture(path)}
    others = sorted(path.name for path in visible if path not in found and _is_expected(path))
    if others:
        named = ", ".join(others[:_NAMED]) + (", …" if len(others) > _NAMED else "")
        _log.warning("%d in '%s' are no pictures that are read, and passed over: %s", len(others), folder, named)
    if not found:
        raise PictureError(
            f"The folder '{folder}' holds no picture.",
            remedy=f"Files with these suffixes are taken: {', '.join(sorted(READABLE_SUFFIXES))}.",
        )
    return sorted(found, key=lambda path: (natural_key(path.name), path.name))


def _is_expected(path: Path) -> bool:
    """Whether its owner expects a file to be read: it is named as a picture or film, or is one inside."""
    return path.suffix.lower() in LISTED_SUFFIXES or holds_picture(path)


def natural_key(name: str) -> list[tuple[bool, int, str]]:
    """Sorts digits by the number that they are and before letters, and letters without regard to case."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(False, int(part), "") if part.isdecimal() else (True, 0, part) for part in parts if part]


def _read_all(paths: list[Path], first: Picture) -> Iterator[tuple[int, Picture]]:
    yield 0, first
    for index, path in enumerate(paths[1:], start=1):
        yield index, read_picture(path)


def folder_spec(request: SourceRequest) -> SourceSpec:
    """The source that ``folder:PATH``, or the path of a folder, names."""
    path = path_of(request, "a folder")
    return request.spec(
        lambda: FolderSource(path, clock=request.clock, fps=request.fps, as_live=request.as_live),
        live=False,
        place=path,
    )
