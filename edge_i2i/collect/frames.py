"""Where calibration frames come from: files, and all that ``live`` reads, each as a stream of frames."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol, Unpack

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, SystemClock
from edge_i2i.contract import Role
from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.media.film import is_film, open_film
from edge_i2i.media.heif import MissingDecoderError
from edge_i2i.media.pictures import read_picture
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.sources.registry import SCHEMES, check_askable, source_spec
from edge_i2i.sources.source import Asked, Captured, Source, SourceLostError, SourceSpec
from edge_i2i.sources.uri import named_scheme, split_source
from edge_i2i.translate.plan import make_plan

_log = logging.getLogger(__name__)


CAMERA_SECONDS = 30.0
EVERY_SECONDS = 0.2  # neighbours at 25 frames a second are near-duplicates: looking at each of them costs time only
# Cameras begin dark, green or blown out while exposure and white balance settle. Such frames lie far from all others,
# so farthest-point sampling would choose them first.
_WARM_UP_SECONDS = 1.0
_SETTLING = frozenset({"camera", "csi", "gst"})
_KINDS = {"camera": "camera", "csi": "camera", "photo": "photo", "pattern": "test pattern", "screen": "screen"}
_KINDS |= {"gst": "pipeline", "rtsp": "stream", "rtsps": "stream", "http": "stream", "https": "stream"}
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class SourcePosition:
    """Where a frame was: its file (below the source's folder; empty where there is none), its number there, its time.

    ``seconds`` is None for a picture, and counts from the start of the video or of the recording otherwise.
    """

    file: str
    frame: int = 0
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """``image``: uint8 ``[H, W, 3]`` RGB. ``picture``: the file that it can be read from again, if it is one."""

    image: Picture
    position: SourcePosition
    picture: Path | None = None


@dataclass(frozen=True)
class Unreadable:
    """A file of a folder that was passed over, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Sampling:
    """Which moments of a video, a camera or a stream are looked at.

    ``every``: seconds from one to the next; 0: every frame. ``seconds``: how long; None: what has an end until there,
    all else for ``CAMERA_SECONDS``.
    """

    seconds: float | None = None
    every: float = EVERY_SECONDS

    def __post_init__(self) -> None:
        if not (math.isfinite(self.every) and self.every >= 0):
            raise UsageError(f"Frames cannot be taken every {self.every} seconds.", remedy="Give 0 or more seconds.")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise UsageError(f"Nothing can be taken from {self.seconds} seconds.", remedy="Give more than 0 seconds.")


class FrameSource(Protocol):
    """A stream of frames that is gone through once.

    ``kind`` is ``picture``, ``folder``, ``pattern`` (of files' names), ``video``, ``camera``, ``stream``, ``screen``,
    ``pipeline``, ``photo`` or ``test pattern``; ``total`` the number of frames, where it is known beforehand;
    ``unreadable`` what was passed over so far.
    """

    @property
    def kind(self) -> str:
        """What kind of source it is, in a word (see the class)."""
        ...

    @property
    def name(self) -> str:
        """The name of the source without the folders above it."""
        ...

    @property
    def total(self) -> int | None:
        """How many frames to expect; None: not known beforehand."""
        ...

    @property
    def unreadable(self) -> list[Unreadable]:
        """The files that could not be read so far, and why."""
        ...

    def frames(self) -> Generator[SourceFrame, None, None]:
        """The frames, in order; closing the generator lets go of files and devices.

        Raises:
            PictureError: the one file that the source consists of cannot be read (one of many is ``unreadable``).
            SourceLostError: the camera or stream is not there, or gives nothing.
            MissingRequirementError: a package is missing that the source needs.
        """
        ...


def open_source(
    source: str, output: Path, sampling: Sampling, *, clock: Clock | None = None, **asked: Unpack[Asked]
) -> FrameSource:
    """A picture, a video, a folder, a glob pattern, or whatever else ``live`` reads (``sources.registry``).

    A folder is searched with its sub-folders; hidden files and ``output`` are passed over. A file or folder whose name
    is a number goes before a camera of that number.

    Args:
        source: what a person named: a path, a glob pattern, a camera's number, or ``scheme:rest``.
        output: where the frames will go; it may not lie in the way.
        sampling: which moments of a video, camera or stream are looked at.
        clock: to wait by; None: the machine's.
        asked: what the source is asked for, as ``source_spec`` takes it.

    Raises:
        PictureError: there is no such file or folder, or it holds no picture and no video.
        UsageError: the text names no source, the source cannot be asked for that, or it lies in the output folder.
    """
    source, clock = source.strip(), clock or SystemClock()
    if not _names_files(source):
        spec = source_spec(source, clock=clock, **asked)
        if spec.scheme not in ("file", "folder"):
            if spec.place is not None:
                _check_apart(spec.place, output)
            return PlayedSource(spec, sampling, clock)
        source = str(spec.place)
    _refuse_asked(source, asked)
    return _open_files(source, output, sampling, asked.get("hdr", Hdr.TONE_MAP))


def _names_files(source: str) -> bool:
    """Whether a text is a path or a glob pattern, and nothing of another kind.

    Raises:
        UsageError: it is written like a source, but none is known under that scheme.
    """
    path = Path(source)
    if (named := named_scheme(source, SCHEMES)) is not None:
        return named[0] == "camera" and named[1] == source and (path.is_file() or path.is_dir())
    is_address = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", source) is not None
    if is_address and not path.exists() and ("://" in source or not _MAGIC.search(source)):
        split_source(source, SCHEMES)  # says which ones are known, and shows no password
    return True


def _refuse_asked(source: str, asked: Asked) -> None:
    """Files give what they hold. Their times are the film's own, and pictures of a folder are looked at one and all."""
    scheme = "folder" if Path(source).is_dir() else "file"
    size, fps, letters = asked.get("size"), asked.get("fps"), asked.get("pixel_format")
    check_askable(scheme, size=size, fps=fps, pixel_format=letters)
    if fps is not None:
        raise UsageError("Every picture of a folder is looked at, at no rate.", remedy="Leave the source's rate out.")


def _open_files(source: str, output: Path, sampling: Sampling, hdr: Hdr) -> FrameSource:
    path = Path(source)
    if path.is_file():
        _check_apart(path, output)
        return FileSource("video" if is_film(path) else "picture", path.name, path.parent, (path,), sampling, hdr)
    files = tuple(item.source for item in make_plan({Role.FRAME: source}, output).items)
    if path.is_dir():
        return FileSource("folder", path.resolve().name, path, files, sampling, hdr)
    root = Path(os.path.commonpath([file.parent for file in files]))
    return FileSource("pattern", path.name, root, files, sampling, hdr)


@dataclass(frozen=True)
class FileSource:
    """Picture and video files, one after the other; ``root`` is the folder that positions are told from."""

    kind: str
    name: str
    root: Path
    files: tuple[Path, ...]
    sampling: Sampling = field(default_factory=Sampling)
    hdr: Hdr = Hdr.TONE_MAP
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def total(self) -> int | None:
        """The number of pictures; unknown where there is a video among them."""
        return None if any(map(is_film, self.files)) else len(self.files)

    def frames(self) -> Generator[SourceFrame, None, None]:
        """The frames; where there are several files, one that cannot be read is noted and passed over."""
        for path in self.files:
            name = path.relative_to(self.root).as_posix()
            try:
                if is_film(path):
                    yield from self._of_video(path, name)
                else:
                    yield SourceFrame(read_picture(path), SourcePosition(name), path)
            except (BadInputError, MissingDecoderError) as error:
                if self.kind in ("picture", "video"):
                    raise
                self.unreadable.append(Unreadable(name, error.what))

    def _of_video(self, path: Path, name: str) -> Generator[SourceFrame, None, None]:
        ticks = _Ticks(self.sampling.every)
        with open_film(path, self.hdr) as reader:
            for frame in reader:
                if self.sampling.seconds is not None and frame.pts_seconds >= self.sampling.seconds:
                    return
                if ticks.due(frame.pts_seconds):
                    at = round(float(frame.pts_seconds), 6)
                    yield SourceFrame(frame.image, SourcePosition(name, frame.index, at))


def _check_apart(path: Path, output: Path) -> None:
    if output.resolve() in path.resolve().parents:
        raise UsageError(f"The source '{path}' lies in the output '{output}'.", remedy="Name another output folder.")


@dataclass(frozen=True)
class PlayedSource:
    """The frames of one of ``live``'s sources, opened once: nothing is opened anew after a loss.

    What is live is told by the time of the clock at which each frame arrives, all else by its own times.
    """

    spec: SourceSpec
    sampling: Sampling
    clock: Clock
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        return _KINDS.get(self.spec.scheme, "source")

    @property
    def name(self) -> str:
        """What was given, without credentials; of a picture that is panned over, its file's name."""
        place = self.spec.place
        return place.name if place is not None and self.spec.scheme == "photo" else self.spec.uri

    @property
    def total(self) -> int | None:
        """About how many frames will be looked at."""
        seconds = self._seconds
        return math.ceil(seconds / self.sampling.every) if self.sampling.every and seconds is not None else None

    @property
    def _seconds(self) -> float | None:
        return CAMERA_SECONDS if self.sampling.seconds is None and self.spec.live else self.sampling.seconds

    def frames(self) -> Generator[SourceFrame, None, None]:
        """The frames, of a camera after the second in which exposure settles, for as long as the sampling says.

        Raises:
            SourceLostError: it is not there, or gives no frame; one that is lost later ends with a warning.
            EdgeI2IError: it cannot be used.
        """
        source = self.spec.make()
        try:
            source.open()
            yield from self._sampled(source)
        finally:
            source.close()

    def _sampled(self, source: Source) -> Generator[SourceFrame, None, None]:
        ticks = _Ticks(self.sampling.every)
        begin = self.clock.now() + (_WARM_UP_SECONDS if self.spec.scheme in _SETTLING else 0.0)
        index = given = 0
        while (captured := self._next(source, index, given)) is not None:
            at = self.clock.now() - begin if self.spec.live else captured.t_source or 0.0
            if self._seconds is not None and at >= self._seconds:
                return
            if at >= 0 and ticks.due(Fraction(at)):
                given += 1
                yield SourceFrame(captured.image, SourcePosition("", index, round(at, 6)))
            index += 1
        if self.spec.live:
            _log.warning("The %s '%s' ended after %d frames.", self.kind, self.name, index)

    def _next(self, source: Source, index: int, given: int) -> Captured | None:
        """The next picture; None: the source has ended, or is lost after it gave something, which is said."""
        try:
            return source.read()
        except SourceLostError as error:
            if not given:
                raise
            _log.warning("%s What it gave in %d frames is used.", error.what, index)
            return None


class _Ticks:
    """Says which of many moments to take so that on average one is taken ``every`` so many seconds."""

    def __init__(self, every: float) -> None:
        self._every = Fraction(every)
        self._next: Fraction | None = None

    def due(self, at: Fraction) -> bool:
        if not self._every:
            return True
        if self._next is None:
            self._next = at
        if at < self._next:
            return False
        self._next += self._every * (1 + (at - self._next) // self._every)
        return True
