"""Frames to video files, with PyAV (the extra ``video``).

H.264 (libx264) in 4:2:0 at constant quality. Frames keep the time stamps they are given, so a variable frame rate
stays one. 4:2:0 needs even sides: an odd one gets its last row or column twice, which leaves every other pixel where
it is. Colours are marked with what was used: matrix BT.709 for high definition and BT.601 below, limited range;
players that ignore the marks assume the same.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, MissingRequirementError, OutputError, PictureError, UsageError
from edge_i2i.files.whole import replacing
from edge_i2i.media.films.audio import AudioCopy
from edge_i2i.media.films.growing import growing
from edge_i2i.media.films.reader import FINE_TICK, FilmReader
from edge_i2i.media.rgb import is_high_definition
from edge_i2i.requirements import require

if TYPE_CHECKING:
    import av
    from av.video.stream import VideoStream

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
WRITABLE_VIDEO_SUFFIXES = frozenset(_FORMATS)

# How each format is written so that it can be played before it is complete: in pieces, each from a key frame on, of
# which there is one a second. An MP4 is turned into an ordinary one at the end.
_PIECES = {"movflags": "hybrid_fragmented+frag_keyframe+delay_moov+default_base_moof"}
_GROWING = {"mp4": _PIECES, "mov": _PIECES, "matroska": {"cluster_time_limit": "1000"}}  # milliseconds
_MATROSKA = b"\x1a\x45\xdf\xa3"
_PIECE_S = Fraction(1)
_PROMPT = {"forced-idr": "1", "x264-params": "rc-lookahead=10:sync-lookahead=0"}  # what the encoder holds back

_BT709, _SMPTE170M = 1, 6  # AVColorSpace; BT.601's matrix is SMPTE 170M's
_LIMITED_RANGE, _FULL_RANGE = 1, 2  # AVColorRange: MPEG, JPEG
_EXACT_TO_YUV = 0x2 | 0x40000 | 0x4000  # swscale.h: SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP


class VideoWriter:
    """Writes an H.264 file that appears under its name only when it is complete. A context manager.

    With ``grows``, for what cannot be made again, it is there from the first frame: it can be played at any moment up
    to the last second or two, stays after an error, and takes the place of no other file.

    Args:
        path: the file; its suffix chooses the format.
        fps: frames a second: the declared rate, and that of frames without a time stamp.
        size: of the frames, any; an odd side is padded to even.
        time_base: seconds a tick, for time stamps that must be kept exactly (take it from the reader); None: a fine
            one.
        audio_from: a reader whose file's first audio stream is copied; None: the film is silent.
        sample_aspect_ratio: the width of a pixel by its height.
        quality: x264's constant rate factor: 0 is lossless, 18 hardly to be told from the original, 51 the worst.
        preset: x264's, from ``ultrafast`` to ``veryslow``: the slower, the smaller the file.
        grows: whether the file is there, and can be played, while it is written.

    Raises:
        UsageError: the suffix is none of ``.mp4``, ``.m4v``, ``.mov``, ``.mkv``.
        MissingRequirementError: PyAV is not installed, or was built without libx264.
        OutputError: the file cannot be written (no such folder, no space, no permission).
    """

    def __init__(
        self,
        path: Path | str,
        fps: Fraction,
        size: Size,
        *,
        time_base: Fraction | None = None,
        audio_from: FilmReader | None = None,
        sample_aspect_ratio: Fraction = Fraction(1),
        quality: int = 18,
        preset: str = "fast",
        grows: bool = False,
    ) -> None:
        require("av", extra="video", purpose="Writing video files")
        from av.video.reformatter import VideoReformatter

        self.path, self.fps, self.size = Path(path), fps, size
        self._format = _output_format(self.path)
        self._tick = time_base or FINE_TICK
        self._ratio = sample_aspect_ratio
        self._options = {"crf": str(quality), "preset": preset} | (_PROMPT if grows else {})
        self._grows = grows
        self._piece_began: Fraction | None = None
        self._audio_from = audio_from
        self._hd = is_high_definition(size.height, size.width)
        self._reformatter = VideoReformatter()
        self._last_tick: int | None = None
        self._cleanup = ExitStack()

    def __enter__(self) -> VideoWriter:
        import av

        with _explained(self.path), ExitStack() as stack:
            if self._grows:
                self._container = av.open(
                    stack.enter_context(growing(self.path)), "w", format=self._format, options=_GROWING[self._format]
                )
            else:
                temporary = stack.enter_context(replacing(self.path))
                options = {"movflags": "+faststart"} if self._format in ("mp4", "mov") else {}
                self._container = av.open(f"file:{temporary}", "w", format=self._format, options=options)
            stack.callback(self._close_container)
            self._stream = self._add_stream()
            self._audio = self._add_audio(stack)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with _explained(self.path), self._cleanup:
                if self._last_tick is None:
                    raise ValueError(f"no frame was written to {self.path}")
                self._complete()
        elif self._grows and self._last_tick is not None:
            with self._cleanup, suppress(EdgeI2IError), _explained(self.path):
                self._complete()
        else:
            self._cleanup.__exit__(kind, error, trace)

    def _complete(self) -> None:
        self._container.mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.copy_until(None)
        self._container.close()

    def write(
        self, image: Picture, pts_seconds: Fraction | None = None, duration_seconds: Fraction | None = None
    ) -> None:
        """Add a frame.

        Args:
            image: uint8 ``[H, W, 3]`` RGB of the writer's size; it may be reused afterwards.
            pts_seconds: when the frame is shown; None: it follows the last one at ``fps``. A time that does not lie
                after the last one is moved to the next tick: H.264 has no two frames at one time.
            duration_seconds: how long it is shown; None: one frame at ``fps``.

        Raises:
            PictureError: the frame is not of the writer's size or type.
            OutputError: the file cannot be written.
        """
        if image.dtype != np.uint8 or image.shape != (self.size.height, self.size.width, 3):
            raise PictureError(
                f"A frame of '{self.path}' must be uint8 [{self.size.height}, {self.size.width}, 3], "
                f"not {image.dtype}{list(image.shape)}."
            )
        frame = self._to_yuv(image)
        frame.pts, frame.time_base = self._next_tick(pts_seconds), self._tick
        frame.duration = round((duration_seconds or 1 / self.fps) / self._tick)
        if self._grows:
            self._begin_piece(frame)
        with _explained(self.path):
            if self._audio is not None:
                self._audio.copy_until(frame.pts * self._tick)
            self._container.mux(self._stream.encode(frame))

    def _begin_piece(self, frame: av.VideoFrame) -> None:
        """Make a frame a key frame where a second has passed since the last one."""
        from av.video.frame import PictureType

        at = (frame.pts or 0) * self._tick
        if self._piece_began is None or at >= self._piece_began + _PIECE_S:
            frame.pict_type, self._piece_began = PictureType.I, at

    def _next_tick(self, pts_seconds: Fraction | None) -> int:
        if pts_seconds is not None:
            tick = round(pts_seconds / self._tick)
        else:
            tick = 0 if self._last_tick is None else self._last_tick + round(1 / self.fps / self._tick)
        self._last_tick = tick if self._last_tick is None else max(tick, self._last_tick + 1)
        return self._last_tick

    def _to_yuv(self, image: Picture) -> av.VideoFrame:
        import av
        from av.video.reformatter import Colorspace

        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709 if self._hd else Colorspace.ITU601,
            src_color_range=_FULL_RANGE,
            dst_color_range=_LIMITED_RANGE,
            interpolation=_EXACT_TO_YUV,
        )

    def _add_stream(self) -> VideoStream:
        import av
        from av.codec.context import Flags

        if "libx264" not in av.codecs_available:
            raise MissingRequirementError(
                "Writing video files needs an FFmpeg with libx264, and this PyAV has none.",
                remedy="pip install --force-reinstall --no-deps --only-binary av av",
            )
        stream = self._container.add_stream("libx264", rate=self.fps, options=self._options)
        stream.width, stream.height = self.size.width + self.size.width % 2, self.size.height + self.size.height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = self._tick
        context.sample_aspect_ratio = self._ratio
        context.colorspace = _BT709 if self._hd else _SMPTE170M
        context.color_primaries, context.color_trc = _BT709, _BT709  # sRGB's primaries; its curve as films name it
        context.color_range = _LIMITED_RANGE
        context.flags |= Flags.frame_duration  # otherwise the last frame's duration is lost
        return stream

    def _add_audio(self, stack: ExitStack) -> AudioCopy | None:
        if self._audio_from is None or self._audio_from.sound_path is None:
            return None
        audio = AudioCopy(self._audio_from.sound_path, self._container, self._audio_from.origin)
        stack.callback(audio.close)
        return audio if audio.present else None

    def _close_container(self) -> None:
        # After an error the trailer may not fit either; closing twice is harmless.
        import av

        with suppress(av.error.FFmpegError, OSError):
            self._container.close()


def holds_written_video(path: Path) -> bool:
    """Whether a file begins as one of those that are written, whatever it is called."""
    with path.open("rb") as file:
        head = file.read(8)
    return head[4:] == b"ftyp" or head.startswith(_MATROSKA)


def _output_format(path: Path) -> str:
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(
            f"'{path}' does not name a video that can be written.", remedy=f"Use one of {', '.join(sorted(_FORMATS))}."
        )
    return _FORMATS[path.suffix.lower()]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what FFmpeg and the file system say about an output into an error that names it."""
    import av

    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        if error.errno == errno.EINVAL or isinstance(error, av.error.InvalidDataError | av.error.PatchWelcomeError):
            raise PictureError(  # nothing is wrong with the place: other films may well be written there
                f"The video '{path}' cannot be written: its format refuses what the film holds ({error.strerror}).",
                remedy="Write another kind of file, for example .mkv.",
            ) from error
        raise OutputError(
            f"The video '{path}' cannot be written: {error.strerror or error}.",
            remedy="Check that the folder exists, that you may write to it, and that the disk has room.",
        ) from error
