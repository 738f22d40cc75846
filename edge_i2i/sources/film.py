"""A video file: every frame with its exact time, as fast as it is asked for or as a camera would give it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_i2i.clock import Clock
from edge_i2i.media.film import open_film
from edge_i2i.media.films.reader import FilmReader, VideoFrame
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.sources.pace import Pace
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceSpec
from edge_i2i.sources.uri import SourceRequest, path_of

_LONGEST_WAIT = 30.0  # seconds between two frames; what lies further ahead is a clock that jumped


class FilmSource(Source):
    """Every frame of a video file or an animation, in display order; videos need the extra ``video``.

    No frame is left out here, at whatever pace. A file that is damaged or cut off is an error where it is noticed
    (PictureError), never a shorter film.

    Args:
        path: the file.
        clock: what the pace is kept by.
        as_live: give each frame at the moment that its time stamp says; a gap of more than 30 seconds is taken for a
            jump of the recorder's clock, said, and not waited for. Otherwise as fast as frames are taken.
        hdr: what becomes of a film of a high dynamic range.
    """

    def __init__(self, path: Path, *, clock: Clock, as_live: bool = False, hdr: Hdr = Hdr.TONE_MAP) -> None:
        self._path, self._hdr = path, hdr
        self._pace = Pace(clock, _LONGEST_WAIT) if as_live else None
        self._reader: FilmReader | None = None
        self._frames: Iterator[VideoFrame] = iter(())

    def open(self) -> SourceInfo:
        """Open the file and read what it says about itself; the errors are those of ``open_film``."""
        self._reader = reader = open_film(self._path, self._hdr)
        self._frames = iter(reader)
        return SourceInfo(self._path.name, reader.size, float(reader.fps), reader.frame_count)

    def read(self) -> Captured | None:
        """The next frame. ``t_source``: seconds from the earliest moment of the file."""
        frame = next(self._frames, None)
        if frame is None:
            return None
        moment = float(frame.pts_seconds)
        if self._pace is not None:
            self._pace.wait_until(moment)
        return Captured(frame.image, moment)

    def close(self) -> None:
        """Let go of the file."""
        if self._reader is not None:
            self._reader.close()


def film_spec(request: SourceRequest) -> SourceSpec:
    """The source that ``file:PATH``, or the path of a film, names."""
    path = path_of(request, "a video")
    return request.spec(
        lambda: FilmSource(path, clock=request.clock, as_live=request.as_live, hdr=request.hdr), live=False, place=path
    )
