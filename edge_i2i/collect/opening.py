"""From what a person names to a stream of frames."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Unpack

from edge_i2i.clock import Clock, SystemClock
from edge_i2i.collect.file_source import FileSource
from edge_i2i.collect.frames import FrameSource, Sampling
from edge_i2i.collect.played_source import PlayedSource
from edge_i2i.contract import Role
from edge_i2i.errors import UsageError
from edge_i2i.media.film import is_film
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.sources.registry import SCHEMES, check_askable, source_spec
from edge_i2i.sources.source import Asked
from edge_i2i.sources.uri import named_scheme, split_source
from edge_i2i.translate.plan import make_plan

_MAGIC = re.compile(r"[*?\[]")


def open_source(
    source: str, output: Path, sampling: Sampling, *, clock: Clock | None = None, **asked: Unpack[Asked]
) -> FrameSource:
    """A picture, a video, a folder, a glob pattern, or whatever else ``live`` reads (``sources.registry``).

    A folder is searched with its sub-folders; hidden files and ``output`` are passed over. A file or folder whose name
    is a number goes before a camera of that number.

    Args:
        source: what a person named: a path, a glob pattern, a camera's number, or ``scheme:rest``.
        output: where the frames will go; it may not lie in the way.
        sampling: which moments of a video, camera or stream are looked at.
        clock: to wait by; None: the machine's.
        asked: what the source is asked for, as ``source_spec`` takes it.

    Raises:
        PictureError: there is no such file or folder, or it holds no picture and no video.
        UsageError: the text names no source, the source cannot be asked for that, or it lies in the output folder.
    """
    source, clock = source.strip(), clock or SystemClock()
    if not _names_files(source):
        spec = source_spec(source, clock=clock, **asked)
        if not SCHEMES[spec.scheme].is_files:
            if spec.place is not None:
                _check_apart(spec.place, output)
            return PlayedSource(spec, sampling, clock)
        source = str(spec.place)
    _refuse_asked(source, asked)
    return _open_files(source, output, sampling, asked.get("hdr", Hdr.TONE_MAP))


def _names_files(source: str) -> bool:
    """Whether a text is a path or a glob pattern, and nothing of another kind.

    Raises:
        UsageError: it is written like a source, but none is known under that scheme.
    """
    path = Path(source)
    if (named := named_scheme(source, SCHEMES)) is not None:
        return named[0] == "camera" and named[1] == source and (path.is_file() or path.is_dir())
    is_address = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", source) is not None
    if is_address and not path.exists() and ("://" in source or not _MAGIC.search(source)):
        split_source(source, SCHEMES)  # says which ones are known, and shows no password
    return True


def _refuse_asked(source: str, asked: Asked) -> None:
    """Files give what they hold. Their times are the film's own, and pictures of a folder are looked at one and all."""
    scheme = "folder" if Path(source).is_dir() else "file"
    size, fps, letters = asked.get("size"), asked.get("fps"), asked.get("pixel_format")
    check_askable(scheme, size=size, fps=fps, pixel_format=letters)
    if fps is not None:
        raise UsageError("Every picture of a folder is looked at, at no rate.", remedy="Leave the source's rate out.")


def _open_files(source: str, output: Path, sampling: Sampling, hdr: Hdr) -> FrameSource:
    path = Path(source)
    if path.is_file():
        _check_apart(path, output)
        return FileSource("video" if is_film(path) else "picture", path.name, path.parent, (path,), sampling, hdr)
    files = tuple(item.source for item in make_plan({Role.FRAME: source}, output).items)
    if path.is_dir():
        return FileSource("folder", path.resolve().name, path, files, sampling, hdr)
    root = Path(os.path.commonpath([file.parent for file in files]))
    return FileSource("pattern", path.name, root, files, sampling, hdr)


def _check_apart(path: Path, output: Path) -> None:
    if output.resolve() in path.resolve().parents:
        raise UsageError(f"The source '{path}' lies in the output '{output}'.", remedy="Name another output folder.")
