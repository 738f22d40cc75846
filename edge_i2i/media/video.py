"""Video files to frames, with PyAV (the extra ``video``).

Every frame comes in display order, upright, as uint8 RGB with its own time stamp. A file that ends before the length
it declares (MP4, MOV, AVI, Matroska, WebM), or that cannot be decoded to its end, is an error and never a shorter
video. The other containers declare no length that can be relied on: of those, a missing end cannot be seen.

Colours follow the file's marks; without marks, BT.709 for high definition and BT.601 below, as players do. High
dynamic range is read without tone mapping and looks flat; the log says so.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_i2i.errors import PictureError
from edge_i2i.media.rgb import FrameToRgb
from edge_i2i.models.contract import Size
from edge_i2i.requirements import require

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]

# Containers of films. Playlists are left out because they make the library open whatever they name.
_READABLE_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,h264,hevc,ivf,mxf"
FINE_TICK = Fraction(1, 90_000)  # the clock of MPEG and RTP: whole ticks a frame at 24, 25, 30, 30000/1001, 50, 60
_HDR_TRANSFERS = frozenset({16, 18})  # AVColorTransferCharacteristic: SMPTE 2084 (PQ) and ARIB STD-B67 (HLG)


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame: ``image`` is uint8 ``[H, W, 3]`` RGB, upright, and the caller's to keep.

    ``pts_seconds`` is exact, and counted from the earliest moment in the file (of picture or sound).
    ``duration_seconds`` is None where the file does not say.
    """

    index: int
    pts_seconds: Fraction
    image: Picture
    duration_seconds: Fraction | None = None


class VideoReader:
    """A video file's frames, once, in display order. A context manager.

    ``fps`` (average frames a second), ``size`` (upright), ``frame_count`` (declared, or None), ``time_base`` (seconds
    a tick), ``sample_aspect_ratio`` (width : height of a pixel, upright), ``origin`` (the file's own time, in seconds,
    that ``pts_seconds`` counts from).

    Raises:
        PictureError: the file is missing, empty, not a video, without a frame, or damaged at its start; while
            iterating: it is cut off or damaged, with the number of frames that were read.
        MissingRequirementError: PyAV is not installed.
    """

    def __init__(self, path: Path | str) -> None:
        require("av", extra="video", purpose="Reading video files")

        self.path = Path(path)
        self._container = _open_for_reading(self.path)
        try:
            self._stream = self._film_stream()
            self._stream.thread_type = "AUTO"
            self._tally = _Tally(self._stream)
            self._to_rgb = FrameToRgb()
            self.origin = _origin(self._container)
            self._decoded = self._decode()
            self._first = self._first_frame()
        except BaseException:
            self._container.close()
            raise
        self.time_base = self._stream.time_base or FINE_TICK
        self.fps = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self.frame_count = self._stream.frames or None
        self._upright = _Upright.of(self._first)
        self.size = self._upright.size(self._first.height, self._first.width)
        self.sample_aspect_ratio = self._upright.ratio(self._stream.sample_aspect_ratio or Fraction(1))

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        first = (self._first.height, self._first.width)
        for index, frame in enumerate(self._frames()):
            if (frame.height, frame.width) != first:
                raise self._broken(f"its frames change size after {index} frames")
            at = index / self.fps if frame.pts is None else frame.pts * self.time_base - self.origin
            duration = frame.duration * self.time_base if frame.duration else None
            yield VideoFrame(index, at, self._upright.turn(self._to_rgb(frame)), duration)

    def _film_stream(self) -> VideoStream:
        # Cover art is a "video stream" of one picture.
        films = [s for s in self._container.streams.video if not s.disposition & s.disposition.attached_pic]
        if not films:
            raise PictureError(
                f"The file '{self.path}' holds no video.", remedy="It may be sound only, or have been cut off early."
            )
        return films[0]

    def _first_frame(self) -> av.VideoFrame:
        first = next(self._decoded, None)
        if first is None:
            raise PictureError(f"The video '{self.path}' holds no frame.", remedy="Record or export it again.")
        if first.color_trc in _HDR_TRANSFERS:
            _log.warning("'%s' has a high dynamic range and is read without tone mapping: it looks flat.", self.path)
        return first

    def _frames(self) -> Iterator[av.VideoFrame]:
        yield self._first
        yield from self._decoded

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Every decoded frame; raises at the point where the file turns out not to be whole."""
        import av

        read = 0
        try:
            for packet in self._container.demux():
                self._tally.count(packet)
                if packet.stream_index == self._stream.index:
                    for frame in packet.decode():
                        yield frame  # type: ignore[misc]  # the stream is a video stream
                        read += 1
        except av.error.FFmpegError as error:
            raise self._broken(f"decoding failed after {read} frames ({error.strerror})") from error
        shortfall = self._tally.shortfall(self._container)
        if shortfall:
            raise self._broken(f"{read} frames were read, and {shortfall}")

    def _broken(self, why: str) -> PictureError:
        return PictureError(
            f"The video '{self.path}' is damaged or cut off: {why}.",
            remedy="Fetch or record it again. To use what is left of it, let a video tool rewrite the file first.",
        )


class _Tally:
    """What a container handed over of its film, to hold against what it declares."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._packets = 0
        self._cut_packet = False
        self._ends: dict[int, Fraction] = {}

    def count(self, packet: Packet[Stream]) -> None:
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None:  # the empty packet at the end
            return
        end = (at + (packet.duration or 0)) * packet.time_base
        self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, end))
        self._packets += packet.stream_index == self._stream.index
        self._cut_packet |= packet.is_corrupt

    def shortfall(self, container: InputContainer) -> str:
        """What is missing, as the end of a sentence; empty if nothing is."""
        if container.format.name == "mpegts":
            return ""  # recordings off the air begin and end anywhere
        if self._cut_packet:
            return "the file ends in the middle of a packet"
        if self._stream.frames and self._lacks_frames():
            return f"it declares {self._stream.frames}"
        if "matroska" in container.format.name and self._lacks_time(container):
            return f"the file ends before the {(container.duration or 0) / 1e6:.2f} s that it declares"
        return ""

    def _lacks_frames(self) -> bool:
        # Frames that an edit list cuts away are declared and not handed over: the duration must agree as well.
        wanted = self._seconds(self._stream.start_time) + self._seconds(self._stream.duration)
        return self._packets < self._stream.frames and self._end() + self._tolerance() < wanted

    def _lacks_time(self, container: InputContainer) -> bool:
        # The container's duration is that of its longest stream, which need not be the film.
        whole = Fraction(container.duration or 0, 1_000_000)
        film = _matroska_duration(self._stream) or whole
        return (
            max(self._ends.values(), default=0) + self._tolerance() < whole and self._end() + self._tolerance() < film
        )

    def _end(self) -> Fraction:
        return self._ends.get(self._stream.index, Fraction(0))

    def _tolerance(self) -> Fraction:
        """A frame and a half: containers round time stamps, and differ on whether the last frame lasts."""
        return Fraction(3, 2) / (self._stream.average_rate or Fraction(25))

    def _seconds(self, ticks: int | None) -> Fraction:
        return (ticks or 0) * (self._stream.time_base or Fraction(0))


@dataclass(frozen=True)
class _Upright:
    """How the stored frames are turned for display: transposed first, then mirrored."""

    transposed: bool = False
    mirrored: bool = False
    upside_down: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> _Upright:
        """From the display matrix ``[a b u; c d v; x y w]``: x' = a x + c y, y' = b x + d y (ISO 14496-12, 6.2.2)."""
        stored = frame.side_data.get("DISPLAYMATRIX")
        if stored is None:
            return cls()
        a, b, _, c, d, *_ = np.frombuffer(bytes(stored), np.int32)  # type: ignore[call-overload]
        if abs(b) > abs(a):
            return cls(True, mirrored=bool(c < 0), upside_down=bool(b < 0))
        return cls(False, mirrored=bool(a < 0), upside_down=bool(d < 0))

    def turn(self, image: Picture) -> Picture:
        if self.transposed:
            image = image.transpose(1, 0, 2)
        image = image[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        return np.ascontiguousarray(image)

    def size(self, height: int, width: int) -> Size:
        return Size(width, height) if self.transposed else Size(height, width)

    def ratio(self, sample_aspect_ratio: Fraction) -> Fraction:
        return 1 / sample_aspect_ratio if self.transposed else sample_aspect_ratio


def _open_for_reading(path: Path) -> InputContainer:
    import av

    if not path.is_file():
        raise PictureError(f"There is no video '{path}'.", remedy="Check the path.")
    if path.stat().st_size == 0:
        raise PictureError(f"The video '{path}' is empty: 0 bytes.", remedy="Fetch or record it again.")
    try:
        options = {"format_whitelist": _READABLE_FORMATS}
        return av.open(f"file:{path}", "r", options=options, metadata_errors="ignore")
    except av.error.FFmpegError as error:
        raise PictureError(
            f"The file '{path}' cannot be read as a video: {error.strerror}.",
            remedy="It is not a video, or it was cut off: an MP4 whose end is missing cannot be read at all.",
        ) from error


def _origin(container: InputContainer) -> Fraction:
    starts = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))


def _matroska_duration(stream: Stream) -> Fraction | None:
    """A track's own duration in seconds, which Matroska writers leave in a tag as ``00:01:02.345000000``."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3]) if match else None
