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
from edge_i2i.media.pictures import holds_picture
from edge_i2i.media.tone_mapping import Hdr


def is_film(path: Path) -> bool:
    """Whether a source file is read frame by frame: it is named as a film, or begins as an animation; a folder is none.

    Reads a few bytes of what is not named as a film, decodes nothing, and waits for no pipe.
    """
    return (suffixes.is_video(path) and not path.is_dir()) or animation_kind(path) is not None


def is_picture(path: Path) -> bool:
    """Whether a source file is read as one picture: by its name, or, where that is of no known kind, by its content.

    Animations are none, whatever they are called. ``suffixes.named_as_picture`` looks at the name alone,
    ``pictures.holds_picture`` at the content alone.
    """
    known = path.suffix.lower() in suffixes.LISTED_SUFFIXES
    return (suffixes.named_as_picture(path) if known else holds_picture(path)) and not is_film(path)


def open_film(path: Path | str, hdr: Hdr = Hdr.TONE_MAP) -> FilmReader:
    """The reader of a film or an animation, by its content. ``hdr``: what becomes of a high dynamic range.

    Raises:
        PictureError: the file is missing, empty, no film, without a frame, too large, or damaged at its start.
        MissingRequirementError: it needs a package that is not installed.
    """
    path = Path(path)
    kind = animation_kind(path)
    return VideoReader(path, hdr) if kind is None else AnimationReader(path, kind)
