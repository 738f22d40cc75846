"""What a source file is, a film or a picture, and the reader for it.

Names decide, and for what is not named as a film the file's first bytes: animated pictures (PNG, WebP, AVIF) are short
films, whatever they are called. Results are named by their suffix alone (``suffixes.is_video``).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from edge_i2i.contract import Size
from edge_i2i.media import suffixes
from edge_i2i.media.animations.reader import AnimationReader, animation_kind
from edge_i2i.media.films.video import VideoFrame, VideoReader
from edge_i2i.media.tone_mapping import Hdr


class FilmReader(Protocol):
    """A film's frames, once, in display order. A context manager.

    ``fps`` (average frames a second), ``size`` (upright), ``frame_count`` (declared, or None), ``time_base`` (seconds
    a tick), ``sample_aspect_ratio`` (width : height of a pixel, upright), ``origin`` (the file's own time, in seconds,
    that ``pts_seconds`` counts from), ``sound_path`` (the file that holds its sound; None: such files hold none).
    """

    path: Path
    fps: Fraction
    size: Size
    frame_count: int | None
    time_base: Fraction
    sample_aspect_ratio: Fraction
    origin: Fraction
    sound_path: Path | None

    def __enter__(self) -> Self:
        """Return the reader itself, which is open already."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, after an error as well."""
        ...

    def __iter__(self) -> Iterator[VideoFrame]:
        """The film's frames in display order; they can be gone through once.

        Raises:
            PictureError: the file is cut off or damaged, with the number of frames that were read.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def is_film(path: Path) -> bool:
    """Whether a source file is read frame by frame: it is named as a film, or begins as an animation.

    Reads a few bytes of what is not named as a film, decodes nothing, and waits for no pipe.
    """
    return suffixes.is_video(path) or animation_kind(path) is not None


def open_film(path: Path | str, hdr: Hdr = Hdr.TONE_MAP) -> FilmReader:
    """The reader of a film or an animation, by its content. ``hdr``: what becomes of a high dynamic range.

    Raises:
        PictureError: the file is missing, empty, no film, without a frame, too large, or damaged at its start.
        MissingRequirementError: it needs a package that is not installed.
    """
    path = Path(path)
    kind = animation_kind(path)
    return VideoReader(path, hdr) if kind is None else AnimationReader(path, kind)
