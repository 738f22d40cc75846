"""Streams over the network: RTSP cameras, MJPEG and HLS over HTTP, and whatever else FFmpeg reads there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.media.films.decoder import FilmDecoder, bounds
from edge_i2i.media.rgb import FrameToRgb
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.requirements import require
from edge_i2i.sources.addresses import without_credentials
from edge_i2i.sources.pace import Pace
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceLostError, SourceSpec
from edge_i2i.sources.uri import SourceRequest

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

# What an address may lead to: never from the network to this machine's files (a playlist names what it likes).
_RTSP_PROTOCOLS = "rtsp,rtsps,rtp,udp,tcp,tls,srtp,http,https"
_HTTP_PROTOCOLS = "http,https,httpproxy,tcp,tls,crypto,data"

_MULTIPART, _MARKED = "mpjpeg", "mjpeg"  # FFmpeg's names: JPEGs in parts with headers, and one after the other

_PICTURES = "_pipe"  # what FFmpeg's names of formats end with that are one picture, or some, and nothing else
_ASK_EVERY = 0.1  # seconds between two requests to a camera that gives one picture for each

_LONGEST_WAIT = 2.0  # seconds between two frames of a stream that is played by its time stamps


@dataclass(frozen=True)
class Timeouts:
    """Seconds: ``opening`` until the first picture is described, ``reading`` for each that follows.

    Reading has to outlast the pause of an HLS stream between two segments, 6 to 10 s; a camera that is silent for much
    less is given up by whoever watches it.
    """

    opening: float = 8.0
    reading: float = 12.0


class NetworkSource(Source):
    """A stream by its address (``rtsp://``, ``http://``, …); needs the extra ``video``.

    RTSP goes over TCP: over UDP, a lost packet smears the picture until the next key frame. What does not come as it is
    filmed (HLS comes in segments, a film over HTTP as fast as the line allows) is played by its time stamps. There is
    no end: where the stream ends, it is lost. ``t_source`` is the stream's, where it has times of its own. MJPEG whose
    parts are not as the rules say (no or another type, wrong lengths, texts between the pictures) is read by the marks
    of the JPEGs themselves, which costs the delay of one picture. A camera that answers each request with one picture
    is asked again and again, ten times a second at most. Pictures larger than those of films may be are refused.

    Args:
        address: the URL; a user name and password in it are used, and never shown.
        clock: what the pace is kept by.
        timeouts: how long the network may take; None: the defaults.
        hdr: what becomes of a stream of a high dynamic range.
    """

    live = True

    def __init__(
        self, address: str, *, clock: Clock, timeouts: Timeouts | None = None, hdr: Hdr = Hdr.TONE_MAP
    ) -> None:
        require("av", extra="video", purpose="Reading streams from the network")
        self._address, self._clock = address, clock
        self._label = without_credentials(address)
        self._timeouts = timeouts or Timeouts()
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._to_rgb = FrameToRgb(f"The stream '{self._label}'", hdr)
        self._pace: Pace | None = None
        self._has_times = True
        self._by_marks = self._gave_picture = False
        self._asked_at = 0.0

    def open(self) -> SourceInfo:
        """Connect, and wait for the first picture.

        Raises:
            SourceLostError: nobody answers, in time, with a video.
            PictureError: what answers is sound without pictures, or pictures that are too large.
        """
        try:
            stream = self._begin()
            first = self._next_frame()
        except BaseException:
            self.close()
            raise
        self._frames = _with_first(first, self._frames)
        return SourceInfo(self._label, Size(first.height, first.width), self._declared_fps(stream))

    def read(self) -> Captured:
        """The next picture."""
        frame = self._next_frame()
        moment = frame.time if self._has_times else None
        if self._pace is not None and moment is not None:
            self._pace.wait_until(moment)
        return Captured(self._to_rgb(frame), moment)

    def close(self) -> None:
        """Close the connection."""
        if self._container is not None:
            self._container.close()

    def _begin(self) -> VideoStream:
        self._container = container = self._connect()
        stream = self._film(container)
        self._frames = self._decode(container, stream)
        return stream

    def _begin_by_marks(self) -> None:
        """Open the same address again, and look for the pictures' own first and last bytes."""
        self.close()
        self._by_marks = True
        self._begin()

    def _connect(self) -> InputContainer:
        import av

        times = (self._timeouts.opening, self._timeouts.reading)
        self._asked_at = self._clock.now()
        try:
            return av.open(
                self._address,
                "r",
                format=_MARKED if self._by_marks else None,
                options=self._options(),
                timeout=times,
                metadata_errors="ignore",
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, av.error.InvalidDataError) and not self._by_marks and self._is_http:
                self._by_marks = True  # its type names parts, and none of them come
                return self._connect()
            # Not "from error": FFmpeg's own text names the address, with its password.
            raise self._lost(f"did not open ({_reason(error)})") from None

    def _options(self) -> dict[str, str]:
        # No "nobuffer": it throws away the key frame that the stream is recognised by, and with it the pictures up to
        # the next. What was buffered while opening is read at once.
        options = {"flags": "low_delay", "analyzeduration": "1000000"} | bounds()  # microseconds
        if self._is_http:
            # Bytes until the kind of stream is decided: a camera that does not name it has given some pictures by then.
            return options | {"protocol_whitelist": _HTTP_PROTOCOLS, "formatprobesize": "32768"}
        return options | {"rtsp_transport": "tcp", "protocol_whitelist": _RTSP_PROTOCOLS}

    def _film(self, container: InputContainer) -> VideoStream:
        if not container.streams.video:
            raise PictureError(
                f"The stream '{self._label}' holds no pictures.", remedy="Ask the camera for its video stream."
            )
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"  # threads by frame would hold back one frame each
        # MJPEG carries no times: FFmpeg counts 25 a second, whatever comes.
        self._has_times = container.format.name not in (_MULTIPART, _MARKED) and not self._gives_pictures(container)
        if container.format.name == "hls" or container.duration is not None:
            self._pace = Pace(self._clock, _LONGEST_WAIT)
        return stream

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        import av

        decoder = FilmDecoder(stream, f"The stream '{self._label}'")
        for packet in container.demux(stream):
            with suppress(av.error.InvalidDataError):  # a damaged packet: those after it may be whole
                for frame in decoder.decode(packet):
                    self._gave_picture = True
                    yield frame

    def _next_frame(self) -> av.VideoFrame:
        import av

        try:
            frame = next(self._frames, None)
        except (av.error.FFmpegError, OSError) as error:
            if isinstance(error, av.error.InvalidDataError) and self._is_multipart():
                self._begin_by_marks()
                return self._next_frame()
            if not self._is_answered_in_pictures():
                raise self._lost(f"broke off ({_reason(error)})") from None
            frame = None
        if frame is not None:
            return frame
        if not self._is_answered_in_pictures():
            raise self._lost("ended" if self._gave_picture else "did not open (it ended without a picture)")
        self._ask_again()
        return self._next_frame()

    def _ask_again(self) -> None:
        """Another request, for another picture."""
        self.close()
        self._clock.sleep(max(0.0, self._asked_at + _ASK_EVERY - self._clock.now()))
        self._gave_picture = False
        self._begin()

    @property
    def _is_http(self) -> bool:
        return not self._address.startswith("rtsp")

    def _is_multipart(self) -> bool:
        return self._container is not None and self._container.format.name == _MULTIPART

    def _is_answered_in_pictures(self) -> bool:
        """Whether this answer was pictures, and over: there is one for each request."""
        return self._container is not None and self._gave_picture and self._gives_pictures(self._container)

    def _gives_pictures(self, container: InputContainer) -> bool:
        return container.format.name.endswith(_PICTURES)

    def _declared_fps(self, stream: VideoStream) -> float | None:
        rate = stream.average_rate or stream.guessed_rate if self._has_times else None
        return float(rate) if rate else None

    def _lost(self, what: str) -> SourceLostError:
        return SourceLostError(
            f"The stream '{self._label}' {what}.",
            remedy="Check that the camera is on and that address, user and password are right (try it in a player).",
        )


def _with_first(first: av.VideoFrame, rest: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    yield first
    yield from rest


def _reason(error: Exception) -> str:
    """What FFmpeg says in its own words, which name no address."""
    import av

    if isinstance(error, av.error.ExitError):
        return "no answer in time"
    return getattr(error, "strerror", None) or type(error).__name__


def network_spec(request: SourceRequest) -> SourceSpec:
    """The source that an address (``rtsp://…``, ``http://…``) names.

    Raises:
        UsageError: there is no host, or what no address may hold.
    """
    scheme = request.text.partition(":")[0].lower()  # FFmpeg knows them in small letters only
    if not re.match(r"//[^/]", request.rest):
        raise UsageError(f"'{scheme}:' lacks a host.", remedy=f"Write {scheme}://HOST/PATH.")
    if re.search(r"[\s\x00-\x1f\x7f]", request.rest):
        raise UsageError(f"The '{scheme}:' address holds a blank.", remedy="Escape it: %20. In a password, too.")
    return request.spec(
        lambda: NetworkSource(f"{scheme}:{request.rest}", clock=request.clock, hdr=request.hdr), live=True
    )
