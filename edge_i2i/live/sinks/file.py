"""A recording: H.264 with the frames' real times, which can be played whatever becomes of the session."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryFile
from typing import ClassVar

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, OutputError, UsageError
from edge_i2i.files.places import check_file, fitting, name_limit
from edge_i2i.live.frame import Frame, Origin, Result
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.media.film import open_film
from edge_i2i.media.films.reader import FINE_TICK, FilmReader
from edge_i2i.media.films.video_writer import WRITABLE_VIDEO_SUFFIXES, VideoWriter
from edge_i2i.requirements import require

_log = logging.getLogger(__name__)

NOMINAL_FPS = Fraction(30)
"""What the file declares, and how long its last frame is shown; every frame has its own time stamp."""


class FileSink(Sink):
    """Records every result into a video file; not what is passed through while the network loads.

    It grows under its name: after a crash, a power cut or a full disk, what was recorded until a second or two before
    can be played. No file that is there is replaced: the recording goes to ``out-2.mp4`` beside ``out.mp4``, or the
    next number that is free, and so does another part, which a picture of another size starts.
    ``finished``: the files that hold a recording.

    Args:
        path: ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``.
        source_times: frames get the times of their source (a file that is played in full) instead of those at which
            they were captured. Where a source has none, their capture times serve.
        sound_of: the video file that is the session's source; its sound is copied, and ``source_times`` is implied.
            The sound belongs to the first part.

    Raises:
        UsageError: the suffix is not one of these.
        MissingRequirementError: PyAV is not installed.
        PictureError: ``sound_of`` cannot be read.
    """

    name: ClassVar[str] = "file"
    wants_every: ClassVar[bool] = True

    def __init__(self, path: Path | str, *, source_times: bool = False, sound_of: Path | None = None) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in WRITABLE_VIDEO_SUFFIXES:
            raise UsageError(
                f"'{path}' does not name a video that can be written.",
                remedy=f"Use one of {', '.join(sorted(WRITABLE_VIDEO_SUFFIXES))}.",
            )
        require("av", extra="video", purpose="Recording into a video file")
        self.finished: list[Path] = []
        self._film = _look_at(sound_of) if sound_of is not None else None
        self._source_times = source_times or sound_of is not None
        self._timeline = _Timeline(self._source_times, from_zero=self._film is None)
        self._part: _Part | None = None
        self._ended = False

    @property
    def place(self) -> Path:
        """The file that it writes."""
        return self.path

    def check(self) -> None:
        """See ``Sink.check``."""
        check_file(self.path)

    def open(self, size: Size) -> None:
        """Begin the file.

        Raises:
            EdgeI2IError: the folder is missing or cannot be written to.
        """
        _check_writable(self.path)
        self._part = self._begin(self._free_name(), size, self._film)

    def write(self, picture: Picture, result: Result) -> None:
        """Add a frame.

        Raises:
            EdgeI2IError: the file cannot be written; what was recorded until then is kept.
        """
        if self._ended or result.origin is Origin.PASSED_THROUGH:
            return
        size = Size(*picture.shape[:2])
        try:
            if self._part is None or self._part.writer.size != size:
                self._next_part(size)
            if self._part is not None:
                self._part.write(picture, self._timeline.at(result.frame))
        except EdgeI2IError as error:
            raise self._give_up(error) from error

    def close(self) -> None:
        """Complete the file. One without a frame is not written.

        Raises:
            EdgeI2IError: it cannot be completed.
        """
        if self._ended:
            return
        self._ended = True
        try:
            self._finish_part()
        except EdgeI2IError as error:
            raise self._give_up(error) from error

    def _next_part(self, size: Size) -> None:
        first = self._part is None or not self._part.frames
        self._finish_part()
        if not first:
            if self._film is not None:
                _log.warning("The pictures change size to %s: '%s' goes on in a part without sound.", size, self.path)
            self._timeline = _Timeline(self._source_times, from_zero=True)
        self._part = self._begin(self._free_name(), size, self._film if first else None)

    def _begin(self, path: Path, size: Size, film: FilmReader | None) -> _Part:
        if film is None:
            return _Part(VideoWriter(path, NOMINAL_FPS, size, time_base=FINE_TICK, grows=True))
        ratio = film.sample_aspect_ratio if size == film.size else Fraction(1)
        return _Part(
            VideoWriter(
                path,
                film.fps,
                size,
                time_base=film.time_base,
                audio_from=film,
                sample_aspect_ratio=ratio,
                grows=True,
            )
        )

    def _free_name(self) -> Path:
        limit, stem, suffix = name_limit(self.path.parent), self.path.stem, self.path.suffix
        others = (self.path.with_name(fitting(f"{stem}-{number}{suffix}", limit)) for number in count(2))
        free = next(name for name in chain([self.path], others) if not os.path.lexists(name))
        if free != self.path and not self.finished and not self.notes:
            self.notes = (f"'{self.path}' is there already and stays: the recording goes to '{free}'",)
        return free

    def _finish_part(self) -> None:
        part = self._part
        if part is not None and part.frames:
            part.finish()
            self.finished.append(part.writer.path)
        elif part is not None:
            part.abandon(_NothingWrittenError())
        self._part = None

    def _give_up(self, error: EdgeI2IError) -> EdgeI2IError:
        """Keep what was recorded until now; returns the error that says so."""
        self._ended = True
        part, self._part = self._part, None
        if part is None:
            return error
        part.abandon(error)
        if not part.writer.path.exists():
            return error
        self.finished.append(part.writer.path)
        told = EdgeI2IError(
            f"{error.what} What was recorded until then is kept in '{part.writer.path}'.", remedy=error.remedy
        )
        told.exit_code = error.exit_code
        return told


def _look_at(film: Path) -> FilmReader:
    """What a film says about itself; its sound is read from another opening of the file."""
    with open_film(film) as reader:
        return reader


def _check_writable(path: Path) -> None:
    # FFmpeg makes the file with its first packet, which comes seconds later.
    try:
        with TemporaryFile(dir=path.parent):
            return
    except OSError as error:
        raise OutputError(
            f"The video '{path}' cannot be written: {error.strerror or error}.",
            remedy="Check that the folder exists, and that you may write to it.",
        ) from error


class _NothingWrittenError(Exception):
    """Raised inside a part that got no frame, so that its file is taken away."""


class _Part:
    """One file that is being written."""

    def __init__(self, writer: VideoWriter) -> None:
        self.writer = writer.__enter__()
        self.frames = 0

    def write(self, picture: Picture, seconds: Fraction | None) -> None:
        self.writer.write(picture, seconds)
        self.frames += 1

    def finish(self) -> None:
        self.writer.__exit__(None, None, None)

    def abandon(self, why: Exception) -> None:
        """Nothing more comes; what there is of it stays."""
        self.writer.__exit__(type(why), why, None)


class _Timeline:
    """The time of each frame in the file, in seconds.

    ``from_zero``: the first frame is at 0; otherwise at its own time in the source, where the sound has its own, too.
    """

    def __init__(self, source_times: bool, *, from_zero: bool) -> None:
        self._source_times, self._from_zero = source_times, from_zero
        self._first: float | None = None

    def at(self, frame: Frame) -> Fraction | None:
        """The time of a frame in the file; None for a source without times, whose frame follows the last one."""
        if self._first is None:
            self._source_times &= frame.t_source is not None
        seconds = frame.t_source if self._source_times else frame.t_capture
        if seconds is None:
            return None
        if self._first is None:
            self._first = 0.0 if self._source_times and not self._from_zero else seconds
        return Fraction(seconds - self._first)
