"""What a source file is, a film or a picture, and the reader for it.

Names decide, and for what is not named as a film the file's first bytes: animated pictures (PNG, WebP, AVIF) are short
films, whatever they are called. Results are named by their suffix alone (``suffixes.is_video``).
"""

from __future__ import annotations

from pathlib import Path

from edge_i2i.media import suffixes
from edge_i2i.media.animations.reader import AnimationReader, animation_kind
from edge_i2i.media.films.reader import FilmReader
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.tone_mapping import Hdr


def is_film(path: Path) -> bool:
    """Whether a source file is read frame by frame: it is named as a film, or begins as an animation; a folder is none.

    Reads a few bytes of what is not named as a film, decodes nothing, and waits for no pipe.
    """
    return (suffixes.is_video(path) and not path.is_dir()) or animation_kind(path) is not None


def open_film(path: Path | str, hdr: Hdr = Hdr.TONE_MAP) -> FilmReader:
    """The reader of a film or an animation, by its content. ``hdr``: what becomes of a high dynamic range.

    Raises:
        PictureError: the file is missing, empty, no film, without a frame, too large, or damaged at its start.
        MissingRequirementError: it needs a package that is not installed.
    """
    path = Path(path)
    kind = animation_kind(path)
    return VideoReader(path, hdr) if kind is None else AnimationReader(path, kind)
