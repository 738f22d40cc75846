"""Every kind of source, and the way from what a person writes to a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_i2i.clock import Clock, SystemClock
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.sources.camera import camera_spec, four_letters
from edge_i2i.sources.film import film_spec
from edge_i2i.sources.folder import folder_spec
from edge_i2i.sources.gstreamer import csi_spec, gst_spec
from edge_i2i.sources.network import network_spec
from edge_i2i.sources.pattern import pattern_spec
from edge_i2i.sources.photo import photo_spec
from edge_i2i.sources.screen import screen_spec
from edge_i2i.sources.source import SourceSpec
from edge_i2i.sources.uri import SourceRequest, check_fps, split_source


@dataclass(frozen=True)
class SourceKind:
    """A kind of source, for the registry, ``--help`` and the docs.

    ``example``: one that can be typed. ``extra``: of the package, that it needs; or empty. ``takes_size``,
    ``takes_fps``, ``takes_format``: whether it can be asked for them; others have their own. ``word``: what messages
    and records call such a source. ``is_files``: whether it is files that are gone through from end to end;
    ``settles``: whether its first pictures show exposure and white balance settling; ``has_sound``: whether a file's
    sound belongs to its pictures.
    """

    scheme: str
    example: str
    meaning: str
    specify: Callable[[SourceRequest], SourceSpec]
    extra: str = ""
    takes_size: bool = False
    takes_fps: bool = False
    takes_format: bool = False
    word: str = "stream"
    is_files: bool = False
    settles: bool = False
    has_sound: bool = False


SOURCE_KINDS = (
    SourceKind(
        "camera",
        "camera:0",
        "a camera by number or /dev/video…",
        camera_spec,
        takes_size=True,
        takes_fps=True,
        takes_format=True,
        word="camera",
        settles=True,
    ),
    SourceKind(
        "file",
        "file:film.mp4",
        "every frame of a video or an animation",
        film_spec,
        "video",
        word="video",
        is_files=True,
        has_sound=True,
    ),
    SourceKind(
        "folder",
        "folder:pictures",
        "the pictures of a folder, in order",
        folder_spec,
        takes_fps=True,
        word="folder",
        is_files=True,
    ),
    SourceKind("photo", "photo:street.jpg", "an endless pan over a picture", photo_spec, "", True, True, word="photo"),
    SourceKind(
        "pattern", "pattern:480x640@30", "a moving test picture", pattern_spec, "", True, True, word="test pattern"
    ),
    SourceKind("rtsp", "rtsp://camera/stream", "a network camera", network_spec, "video"),
    SourceKind("rtsps", "rtsps://camera/stream", "a network camera, encrypted", network_spec, "video"),
    SourceKind("http", "http://camera/video.mjpg", "MJPEG, HLS or another stream", network_spec, "video"),
    SourceKind("https", "https://host/live.m3u8", "the same, encrypted", network_spec, "video"),
    SourceKind("screen", "screen:1", "what a monitor shows", screen_spec, "screen", takes_fps=True, word="screen"),
    SourceKind("csi", "csi:0", "a CSI camera of a Jetson", csi_spec, "", True, True, word="camera", settles=True),
    SourceKind(
        "gst", "gst:v4l2src ! jpegdec", "a pipeline of the system's GStreamer", gst_spec, word="pipeline", settles=True
    ),
)
"""In the order of ``--help``. A bare number is a camera, and a bare path a video, an animation or a folder."""

SCHEMES = {kind.scheme: kind for kind in SOURCE_KINDS}
"""Every kind by its scheme."""


def source_spec(
    text: str,
    *,
    size: Size | None = None,
    fps: float | None = None,
    as_live: bool = False,
    clock: Clock | None = None,
    pixel_format: str | None = None,
    hdr: Hdr = Hdr.TONE_MAP,
) -> SourceSpec:
    """The source that a text names; nothing is opened yet.

    Args:
        text: a camera's number, a path, or ``scheme:rest``.
        size, fps: what to ask the source for, where it can be asked (``SourceKind.takes_size``, ``takes_fps``).
        as_live: give what has an end (a video, a folder, a finite pattern) at the pace of its time stamps. Its
            specification's ``live`` stays False, for it does end; run it with ``Policy.live()`` to have frames dropped
            that the network is too slow for.
        clock: to wait by; by default the machine's.
        pixel_format: what to ask a camera for: mjpg, yuyv, nv12 or any four letters that its driver knows.
        hdr: what becomes of films and streams of a high dynamic range.

    Raises:
        UsageError: the text names no source, or the source cannot be asked for a size or rate.
    """
    text = text.strip()
    scheme, rest = split_source(text, SCHEMES)
    check_askable(scheme, size=size, fps=fps, pixel_format=pixel_format)
    letters = None if pixel_format is None else four_letters(pixel_format)
    request = SourceRequest(text, scheme, rest, size, fps, as_live, clock or SystemClock(), letters, hdr)
    return SCHEMES[scheme].specify(request)


def check_askable(
    scheme: str, *, size: Size | None = None, fps: float | None = None, pixel_format: str | None = None
) -> None:
    """Check that sources of a kind can be asked for what is given.

    Args:
        scheme: of the kind, as in ``SOURCE_KINDS``.
        size: of the pictures; None: not asked for.
        fps: frames a second; None: not asked for.
        pixel_format: of a camera; None: not asked for.

    Raises:
        UsageError: they have their own, or no source gives so many frames a second.
    """
    kind = SCHEMES[scheme]
    if fps is not None:
        check_fps(fps)
    for what, is_refused in (
        ("size", size is not None and not kind.takes_size),
        ("rate", fps is not None and not kind.takes_fps),
        ("pixel format", pixel_format is not None and not kind.takes_format),
    ):
        if is_refused:
            remedy = f"Leave the source's {what.removeprefix('pixel ')} out."
            raise UsageError(f"'{scheme}:' has a {what} of its own.", remedy=remedy)
