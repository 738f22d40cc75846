"""Animated pictures (PNG, WebP, AVIF) as short films: each frame as it is shown, at its own time.

The number of times that an animation shall be repeated is for viewers: here it is played once. A frame of 10 ms or
less lasts 100 ms, as in browsers (of GIF, which FFmpeg reads, only one of 0 ms).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import BinaryIO

from edge_i2i.errors import PictureError
from edge_i2i.media.animations.avif import AnimatedAvif, is_animated_avif
from edge_i2i.media.animations.canvas import Animation, DamagedAnimationError
from edge_i2i.media.animations.png import AnimatedPng, is_animated_png
from edge_i2i.media.animations.webp import AnimatedWebp, is_animated_webp
from edge_i2i.media.films.reader import FINE_TICK, FilmReader, VideoFrame
from edge_i2i.media.headers import SIGNATURE_BYTES, PictureFormat, sniff
from edge_i2i.media.heif import HeifFormat, sniff_heif
from edge_i2i.media.rgb import LARGEST_FRAME

_TOO_SHORT, _INSTEAD = Fraction(10, 1000), Fraction(100, 1000)  # seconds
_FINEST = 1_000_000  # ticks a second
_SLOWEST = 1001  # seconds a frame


@dataclass(frozen=True)
class AnimationKind:
    """``moves``: whether a file of the format has more than one frame, by its outline. ``read``: that outline."""

    moves: Callable[[BinaryIO], bool]
    read: Callable[[BinaryIO], Animation]


_KINDS: dict[PictureFormat | HeifFormat | None, AnimationKind] = {
    PictureFormat.PNG: AnimationKind(is_animated_png, AnimatedPng),
    PictureFormat.WEBP: AnimationKind(is_animated_webp, AnimatedWebp),
    HeifFormat.AVIF: AnimationKind(is_animated_avif, AnimatedAvif),
}


def animation_kind(path: Path) -> AnimationKind | None:
    """How the animation in a file is read, whatever the file is called; None: there is none. Decodes nothing."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(SIGNATURE_BYTES)
            kind = _KINDS.get(sniff(head) or sniff_heif(head))
            return kind if kind is not None and kind.moves(file) else None
    except (OSError, ValueError):
        return None


class AnimationReader(FilmReader):
    """A ``FilmReader`` of an animation.

    Raises:
        PictureError: it is damaged at its start, without a frame, too large, or of a high dynamic range; while
            iterating: it is cut off or damaged, with the number of frames that were read.
        MissingDecoderError: it is an AVIF, and the extra ``heif`` is not installed.
    """

    origin = Fraction(0)
    sample_aspect_ratio = Fraction(1)
    sound_path: Path | None = None

    def __init__(self, path: Path, kind: AnimationKind) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise PictureError(
                f"The animation '{path}' cannot be opened: {error.strerror or error}.",
                remedy="Name a file that you may read.",
            ) from error
        try:
            self._animation = self._opened(kind)
        except BaseException:
            self._file.close()
            raise
        self.size = self._animation.size
        self._durations = [_INSTEAD if one <= _TOO_SHORT else one for one in self._animation.durations]
        self.frame_count = len(self._durations) if not self._animation.damage else None
        self.fps = _rate(self._durations)
        self.time_base = _tick(self._durations)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        index, at = 0, Fraction(0)
        try:
            for image in self._animation.pictures():
                yield VideoFrame(index, at, image, self._durations[index])
                at += self._durations[index]
                index += 1
        except (DamagedAnimationError, OSError) as error:
            raise self._broken(f"decoding failed after {index} frames ({error})") from error
        if self._animation.damage:
            raise self._broken(f"{index} frames were read, and {self._animation.damage}")

    def _opened(self, kind: AnimationKind) -> Animation:
        try:
            animation = kind.read(self._file)
        except (DamagedAnimationError, OSError) as error:
            raise self._broken(f"decoding failed after 0 frames ({error})") from error
        if animation.size.height * animation.size.width > LARGEST_FRAME:
            raise PictureError(
                f"The animation '{self.path}' is too large: {animation.size} pixels.",
                remedy=f"Make it smaller: up to {LARGEST_FRAME:,} pixels a frame.",
            )
        if animation.unsupported:
            raise PictureError(
                f"The animation '{self.path}' cannot be read: {animation.unsupported}.",
                remedy="Convert it with a video tool.",
            )
        if not animation.durations:
            raise self._broken(f"0 frames were read, and {animation.damage or 'it holds none'}")
        return animation

    def _broken(self, why: str) -> PictureError:
        return PictureError(
            f"The animation '{self.path}' is damaged or cut off: {why}.",
            remedy="Fetch it again, or save it again as an animation.",
        )


def _rate(durations: list[Fraction]) -> Fraction:
    """Frames a second on average."""
    return max((len(durations) / sum(durations, Fraction(0))).limit_denominator(_SLOWEST), Fraction(1, _SLOWEST))


def _tick(durations: list[Fraction]) -> Fraction:
    """Seconds of a tick in which every time is whole, where there is one."""
    ticks = 1000
    for one in set(durations):
        ticks = lcm(ticks, one.denominator)
        if ticks > _FINEST:
            return FINE_TICK
    return Fraction(1, ticks)
