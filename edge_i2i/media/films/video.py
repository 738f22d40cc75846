"""Video files to frames, with PyAV (the extra ``video``).

Every frame comes in display order, upright, as uint8 RGB with its own time stamp. A file that ends before the length
it declares (MP4, MOV, AVI, Matroska, WebM) or its end mark (GIF), or that cannot be decoded to its end, is an error and
never a shorter video. The other containers declare no length that can be relied on: of those, a missing end cannot be
seen.

Colours follow the file's marks; without marks, BT.709 for high definition and BT.601 below, as players do. High
dynamic range (PQ, HLG) is tone-mapped (``media.tone_mapping``), or refused; the log says so. What is transparent
comes over white, as in pictures.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError
from edge_i2i.media.films.decoder import FilmDecoder, bounds
from edge_i2i.media.films.packets import FilmPackets, film_stream
from edge_i2i.media.films.reader import FINE_TICK, FilmReader, VideoFrame
from edge_i2i.media.films.tally import FilmTally
from edge_i2i.media.films.times import WITHOUT_DISPLAY_TIMES, timed
from edge_i2i.media.rgb import LARGEST_FRAME, FrameToRgb
from edge_i2i.media.tone_mapping import TRANSFERS, Hdr
from edge_i2i.requirements import require

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

_log = logging.getLogger(__name__)


# Containers of films. Playlists are left out because they make the library open whatever they name.
_READABLE_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,h264,hevc,ivf,mxf,mpegvideo,m4v,mjpeg,yuv4mpegpipe,dv,rm,obu,"
    "nut,wtv,gif,apng"
)
_NO_TIMES = 0x80  # avformat.h: AVFMT_NOTIMESTAMPS, of raw streams
_FASTEST = 1000  # frames a second; what claims more counts ticks


class VideoReader(FilmReader):
    """A ``FilmReader`` of a video file. ``hdr``: what becomes of a high dynamic range.

    Raises:
        PictureError: the file is missing, empty, not a video, without a frame, or damaged at its start; while
            iterating: it is cut off or damaged, with the number of frames that were read.
        MissingRequirementError: PyAV is not installed.
    """

    def __init__(self, path: Path | str, hdr: Hdr = Hdr.TONE_MAP) -> None:
        require("av", extra="video", purpose="Reading video files")

        self.path = Path(path)
        self.sound_path: Path | None = self.path
        self._container = _open_for_reading(self.path)
        try:
            self._stream = self._film_stream()
            self._stream.thread_type = "AUTO"
            self._decoder = FilmDecoder(self._stream, f"The video '{self.path}'")
            self._tally = FilmTally(self.path, self._stream)
            self._to_rgb = FrameToRgb(f"The video '{self.path}'", hdr)
            self._is_tone_mapped = hdr is Hdr.TONE_MAP
            self.origin = _origin(self._container)
            self.fps = self._rate()
            self._decoded = timed(self._decode(), guessed=self._is_guessed)
            self._first, self._begins = self._first_frame()
        except BaseException:
            self._container.close()
            raise
        self.time_base = self._stream.time_base or FINE_TICK
        self.frame_count = self._stream.frames or None
        self._upright = _Upright.of(self._first)
        self.size = self._upright.size(self._first.height, self._first.width)
        self.sample_aspect_ratio = self._upright.ratio(self._stream.sample_aspect_ratio or Fraction(1))

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        first = (self._first.height, self._first.width)
        end = Fraction(0)
        for index, (frame, at) in enumerate(self._frames()):
            if (frame.height, frame.width) != first:
                raise self._broken(f"its frames change size after {index} frames")
            duration = frame.duration * self.time_base if frame.duration and self._has_times else None
            shown_at = end if at is None else at
            end = shown_at + (duration or 1 / self.fps)
            yield VideoFrame(index, shown_at, self._upright.turn(self._picture(frame)), duration)

    @property
    def _has_times(self) -> bool:
        """Whether the container knows any; a bare stream of pictures does not, and the library counts 25 a second."""
        return not self._container.format.flags & _NO_TIMES

    @property
    def _is_guessed(self) -> bool:
        return self._container.format.name == WITHOUT_DISPLAY_TIMES

    def _rate(self) -> Fraction:
        stream = self._stream
        rates = [stream.average_rate if self._has_times else None, stream.guessed_rate, stream.base_rate]
        return next((rate for rate in rates if rate and rate <= _FASTEST), Fraction(25))

    def _film_stream(self) -> VideoStream:
        stream = film_stream(self._container)
        if stream is None:
            raise PictureError(
                f"The file '{self.path}' holds no video.", remedy="It may be sound only, or have been cut off early."
            )
        return stream

    def _first_frame(self) -> tuple[av.VideoFrame, Fraction | None]:
        first = next(self._decoded, None)
        if first is None:
            raise PictureError(f"The video '{self.path}' holds no frame.", remedy="Record or export it again.")
        if self._is_tone_mapped and first[0].color_trc in TRANSFERS:
            _log.warning("'%s' has a high dynamic range, and is tone-mapped to that of ordinary films.", self.path)
        return first

    def _frames(self) -> Iterator[tuple[av.VideoFrame, Fraction | None]]:
        """Frames with their times from the origin; None: it follows the one before."""
        origin = self.origin
        if self._is_guessed and self._begins is not None:  # guesses begin with what decoders hold back
            origin = self._begins - self._tally.lead(self.origin)
        for frame, at in chain([(self._first, self._begins)], self._decoded):
            yield frame, at - origin if at is not None and self._has_times else None

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Every decoded frame; raises at the point where the file turns out not to be whole."""
        import av

        try:
            for packet in FilmPackets(self._container):
                self._tally.count_packet(packet)
                if packet.stream.index == self._stream.index:
                    for frame in self._decoder.decode(packet):  # type: ignore[arg-type]  # a video stream
                        self._tally.count_frame(frame)
                        yield frame
        except (av.error.FFmpegError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            if not (self._stream.width or self._tally.frames):  # a size that was refused while the file was opened
                why = f"{why}; or they are larger than {LARGEST_FRAME:,} pixels"
            raise self._broken(f"decoding failed after {self._tally.frames} frames ({why})") from error
        shortfall = self._tally.shortfall(self._container)
        if shortfall:
            raise self._broken(f"{self._tally.frames} frames were read, and {shortfall}")

    def _picture(self, frame: av.VideoFrame) -> Picture:
        import av

        try:
            return self._to_rgb(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise self._broken(f"its pixels ({frame.format.name}) cannot be converted") from error

    def _broken(self, why: str) -> PictureError:
        return PictureError(
            f"The video '{self.path}' is damaged or cut off: {why}.",
            remedy="Fetch or record it again. To use what is left of it, let a video tool rewrite the file first.",
        )


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

    if path.exists() and not path.is_file():
        raise PictureError(
            f"'{path}' is no video file but a folder, a pipe or a device.", remedy="Save the film in a file first."
        )
    if not path.is_file():
        raise PictureError(f"There is no video '{path}'.", remedy="Check the path.")
    if path.stat().st_size == 0:
        raise PictureError(f"The video '{path}' is empty: 0 bytes.", remedy="Fetch or record it again.")
    try:
        options = {"format_whitelist": _READABLE_FORMATS} | bounds()
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
