"""Sinks by their text: ``window``, ``out.mp4``, ``folder:frames/``, ``mjpeg:8090`` …"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl

from edge_i2i.clock import Clock
from edge_i2i.errors import UsageError, known_names
from edge_i2i.live.sinks.mjpeg import OnKey
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.media.suffixes import is_video


@dataclass(frozen=True)
class SinkForm:
    """A kind of sink, for help texts and docs. ``options``: what may follow its text as ``?name=value``."""

    name: str
    example: str
    meaning: str
    options: tuple[str, ...] = ()


SINK_FORMS: tuple[SinkForm, ...] = (
    SinkForm("window", "window", "a window on this screen; without a GUI build of OpenCV, a page in the browser"),
    SinkForm("file", "out.mp4", "a recording (.mp4, .m4v, .mov, .mkv); also file:out.mp4"),
    SinkForm("folder", "folder:frames/?every=10", "numbered pictures and frames.json", ("every", "type")),
    SinkForm("mjpeg", "mjpeg:8090?quality=85", "a page with the stream, in any browser; 0: a free port", ("quality",)),
    SinkForm("webrtc", "webrtc:8091", "a page with less delay and fewer bytes (needs the extra 'webrtc')"),
    SinkForm("vcam", "vcam:/dev/video7", "a virtual camera for other programs (needs the extra 'vcam')"),
    SinkForm("null", "null", "nowhere: only the figures count"),
)
"""Every kind of sink; mjpeg and webrtc also take HOST:PORT, and are on this machine only without one."""

_OPTIONS = re.compile(r"\?(?P<options>\w+=[^/\\?]*)$")


@dataclass(frozen=True)
class SinkSettings:
    """What sinks need to know of the session.

    ``on_key``: gets the keys pressed in a window. ``source_times``: a file is played in full, so that recordings keep
    its times; ``sound_of``: that file, where its sound is to be kept. ``reads``: what the session reads, so that no
    sink may write it.
    """

    clock: Clock | None = None
    on_key: OnKey | None = None
    source_times: bool = False
    sound_of: Path | None = None
    reads: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Request:
    """A sink's text, taken apart."""

    text: str
    name: str
    target: str
    options: Mapping[str, str]

    def number(self, option: str, default: int) -> int:
        value = self.options.get(option, str(default))
        if not (value.isascii() and value.isdigit()):
            raise UsageError(
                f"'{value}' is no {option}.", remedy=f"Give a whole number, as in '{_example(self.name)}'."
            )
        return int(value)


def make_sink(text: str, settings: SinkSettings | None = None) -> Sink:
    """The sink that ``text`` names (``SINK_FORMS``); a path that ends like a video's is a recording.

    Raises:
        UsageError: there is no such sink, or what follows its name makes no sense.
        MissingRequirementError: it needs a package or a screen that is not here.
        EdgeI2IError: it cannot be had now (a port that is taken).
    """
    request = _parse(text)
    return _MAKERS[request.name](request, settings or SinkSettings())


def _parse(text: str) -> _Request:
    scheme, colon, target = text.strip().partition(":")
    if scheme not in _MAKERS:
        if is_video(Path(text)) and (not colon or len(scheme) == 1 or "/" in scheme):
            return _Request(text, "file", text.strip(), {})
        raise UsageError(f"There is no sink '{text}'.", remedy=known_names(scheme, _MAKERS, "sinks"))
    form = next(form for form in SINK_FORMS if form.name == scheme)
    options: dict[str, str] = {}
    if form.options and (found := _OPTIONS.search(target)):
        target = target[: found.start()]
        options = dict(parse_qsl(found["options"], keep_blank_values=True))
    for name in options:
        if name not in form.options:
            raise UsageError(
                f"The sink '{scheme}' has no option '{name}'.", remedy=known_names(name, form.options, "options")
            )
    return _Request(text, scheme, target, options)


def _example(name: str) -> str:
    return next(form.example for form in SINK_FORMS if form.name == name)


def _needs_target(request: _Request) -> str:
    if not request.target:
        raise UsageError(
            f"The sink '{request.name}' needs a path.", remedy=f"Write it as in '{_example(request.name)}'."
        )
    return request.target


def _takes_no_target(request: _Request) -> None:
    if request.target:
        raise UsageError(f"Nothing can follow '{request.name}' in '{request.text}'.", remedy=f"Write '{request.name}'.")


# Each imports its sink only when it is asked for.


def _window(request: _Request, settings: SinkSettings) -> Sink:
    from edge_i2i.live.sinks.window import WindowSink

    _takes_no_target(request)
    return WindowSink(clock=settings.clock, on_key=settings.on_key)


def _file(request: _Request, settings: SinkSettings) -> Sink:
    from edge_i2i.live.sinks.file import FileSink

    path = Path(_needs_target(request))
    return FileSink(path, source_times=settings.source_times, sound_of=settings.sound_of)


def _folder(request: _Request, settings: SinkSettings) -> Sink:
    from edge_i2i.live.sinks.folder import FolderSink

    folder = Path(_needs_target(request))
    return FolderSink(folder, format=request.options.get("type", "png"), every=request.number("every", 1))


def _mjpeg(request: _Request, settings: SinkSettings) -> Sink:
    from edge_i2i.live.sinks.mjpeg import DEFAULT_PORT, DEFAULT_QUALITY, MjpegSink
    from edge_i2i.live.sinks.page_server import Address

    address = Address.parse(request.target, DEFAULT_PORT)
    return MjpegSink(address, quality=request.number("quality", DEFAULT_QUALITY), clock=settings.clock)


def _webrtc(request: _Request, settings: SinkSettings) -> Sink:
    from edge_i2i.live.sinks.page_server import Address
    from edge_i2i.live.sinks.webrtc import DEFAULT_PORT, WebRtcSink

    return WebRtcSink(Address.parse(request.target, DEFAULT_PORT), clock=settings.clock)


def _vcam(request: _Request, settings: SinkSettings) -> Sink:
    from edge_i2i.live.sinks.vcam import VirtualCameraSink

    return VirtualCameraSink(request.target or None)


def _null(request: _Request, settings: SinkSettings) -> Sink:
    from edge_i2i.live.sinks.null import NullSink

    _takes_no_target(request)
    return NullSink()


_MAKERS: Mapping[str, Callable[[_Request, SinkSettings], Sink]] = MappingProxyType(
    {
        "window": _window,
        "file": _file,
        "folder": _folder,
        "mjpeg": _mjpeg,
        "webrtc": _webrtc,
        "vcam": _vcam,
        "null": _null,
    }
)
