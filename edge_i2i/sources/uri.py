"""How sources are written: a camera's number, a path, or ``scheme:rest``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError, known_names
from edge_i2i.media.film import is_film
from edge_i2i.media.suffixes import is_video, named_as_picture
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.sources.addresses import without_credentials
from edge_i2i.sources.source import Source, SourceSpec

FASTEST = 1000.0
"""Frames a second, above which a rate is taken for a mistake."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)  # one letter is a drive of Windows


@dataclass(frozen=True)
class SourceRequest:
    """What was asked for. ``text``: as given; ``scheme`` and ``rest``: its parts. ``clock``: to wait by.

    ``pixel_format``: of a camera, four letters such as ``MJPG``; None: what suits. ``hdr``: what becomes of
    films and streams of a high dynamic range.
    """

    text: str
    scheme: str
    rest: str
    size: Size | None
    fps: float | None
    as_live: bool
    clock: Clock
    pixel_format: str | None = None
    hdr: Hdr = Hdr.TONE_MAP

    def spec(self, make: Callable[[], Source], *, live: bool, place: Path | None = None) -> SourceSpec:
        """The specification of a source.

        Args:
            make: opens a source anew each time.
            live: whether frames come by themselves and without end (see ``Source.live``).
            place: the file, folder or device that it reads on this machine; None: there is none.
        """
        return SourceSpec(without_credentials(self.text), live, make, place, self.scheme)


def split_source(text: str, schemes: Collection[str]) -> tuple[str, str]:
    """A source's scheme and what follows it.

    A number is a camera's, and so is the path of a device or of a link to one; ``gst:csi:N`` is ``csi:N``; what exists
    in the file system, or is written like a video's path, is a ``file`` or ``folder``.

    Raises:
        UsageError: it is nothing of that, or a picture without a word on what to do with it.

    >>> split_source("0", ["camera"])
    ('camera', '0')
    >>> split_source("films/a.mp4", ["file"])
    ('file', 'films/a.mp4')
    """
    if (named := named_scheme(text, schemes)) is not None:
        return named
    if text and _holds(Path(text).is_dir):
        return "folder", text
    has_scheme = _SCHEME.fullmatch(text) is not None or "://" in text
    if text and _is_path(text, has_scheme=has_scheme):
        return "file", text
    name = text.partition(":")[0] if has_scheme else text  # what follows a scheme may hold a password
    raise UsageError(
        f"'{name}' names no source.",
        remedy=known_names(f"{name}:", [f"{scheme}:" for scheme in schemes], "sources")
        + " A number is a camera; a path is a video or a folder of pictures.",
    )


def named_scheme(text: str, schemes: Collection[str]) -> tuple[str, str] | None:
    """The scheme and what follows it, of a text that says so by its form alone; None: it is the path of something.

    >>> named_scheme("csi:1", ["csi"]), named_scheme("films/a.mp4", ["csi"])
    (('csi', '1'), None)
    """
    if re.fullmatch(r"[0-9]+", text) or names_device(text):
        return "camera", text
    if csi := re.fullmatch(r"gst:csi:?([0-9]*)", text, re.IGNORECASE):
        return "csi", csi[1]
    match = _SCHEME.fullmatch(text)
    return (match[1].lower(), match[2]) if match and match[1].lower() in schemes else None


def names_device(text: str) -> bool:
    """Whether a text is the path of a camera's device, which need not be there, or leads to a device of any kind.

    >>> names_device("/dev/video0"), names_device("/dev/v4l/by-id/usb-camera"), names_device("films/a.mp4")
    (True, True, False)
    """
    return re.fullmatch(r"/dev/(video[0-9]+|v4l/.+)", text) is not None or _holds(Path(text).is_char_device)


def _is_path(text: str, *, has_scheme: bool) -> bool:
    path = Path(text)
    if named_as_picture(path) and not has_scheme and not is_film(path):
        raise UsageError(
            f"'{text}' is a picture.",
            remedy=f"For an endless pan over it write 'photo:{text}'; to translate it, use 'edge-i2i translate'.",
        )
    written_like_one = is_video(path) or len(path.parts) > 1
    return _holds(path.exists) or (written_like_one and not has_scheme)


def _holds(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except (OSError, ValueError):  # no file system takes such a name
        return False


def path_of(request: SourceRequest, what: str) -> Path:
    """The path that a request names, also as ``file:///…``. ``what``: what the path leads to, for the error's text.

    Raises:
        UsageError: the request has no path.
    """
    if not request.rest.strip():
        raise UsageError(f"'{request.text}' lacks the path of {what}.", remedy="Write it behind the colon.")
    if request.rest.startswith("///"):
        return Path(url2pathname(urlsplit(request.rest).path))
    return Path(request.rest)


def check_fps(fps: float) -> float:
    """Check a rate in frames a second, and return it.

    Raises:
        UsageError: it is not above 0 and at most 1000.
    """
    if not (math.isfinite(fps) and 0 < fps <= FASTEST):
        raise UsageError(f"{fps:g} frames a second cannot be given.", remedy=f"Ask for up to {FASTEST:g}.")
    return fps
