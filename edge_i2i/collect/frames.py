"""Where calibration frames come from: pictures, videos, and cameras, each as one stream of frames with positions."""

from __future__ import annotations

import logging
import math
import os
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Role
from edge_i2i.errors import BadInputError, MissingRequirementError, UsageError
from edge_i2i.media.film import is_film, open_film
from edge_i2i.media.heif import MissingDecoderError
from edge_i2i.media.pictures import read_picture
from edge_i2i.translate.plan import make_plan

_log = logging.getLogger(__name__)


CAMERA_SECONDS = 30.0
EVERY_SECONDS = 0.2  # neighbours at 25 frames a second are near-duplicates: looking at each of them costs time only
# Cameras begin dark, green or blown out while exposure and white balance settle. Such frames lie far from all others,
# so farthest-point sampling would choose them first.
_WARM_UP_SECONDS = 1.0
_CAMERA_PATH = re.compile(r"/dev/(video\d+|v4l/.+)")


@dataclass(frozen=True)
class SourcePosition:
    """Where a frame was: its file (below the source's folder; empty for a camera), its number there, its time.

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
    """Which moments of a video or a camera are looked at.

    ``every``: seconds from one to the next; 0: every frame. ``seconds``: how long; None: a video to its end, a camera
    for ``CAMERA_SECONDS``.
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

    ``kind`` is ``picture``, ``folder``, ``pattern``, ``video`` or ``camera``; ``total`` the number of frames, where it
    is known beforehand; ``unreadable`` what was passed over so far.
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
            MissingRequirementError: there is no such camera, or PyAV is missing.
        """
        ...


def open_source(source: str, output: Path, sampling: Sampling) -> FrameSource:
    """A picture, a video, a folder, a glob pattern, or a camera: its number, its device or a link to it.

    A folder is searched with its sub-folders; hidden files and ``output`` are passed over. A file or folder whose name
    is a number goes before a camera of that number.

    Args:
        source: what a person named: a path, a glob pattern, or a camera's number, device or link.
        output: where the frames will go; it may not lie in the way.
        sampling: which moments of a video or camera are looked at.

    Raises:
        PictureError: there is no such file or folder, or it holds no picture and no video.
        UsageError: the source lies in the output folder.
    """
    path = Path(source)
    if (source.isdecimal() or _CAMERA_PATH.fullmatch(source) or path.is_char_device()) and not (
        path.is_file() or path.is_dir()
    ):
        return CameraSource(source, sampling, lambda: OpenCVCamera(source))
    if path.is_file():
        _check_apart(path, output)
        return FileSource("video" if is_film(path) else "picture", path.name, path.parent, (path,), sampling)
    files = tuple(item.source for item in make_plan({Role.FRAME: source}, output).items)
    if path.is_dir():
        return FileSource("folder", path.resolve().name, path, files, sampling)
    root = Path(os.path.commonpath([file.parent for file in files]))
    return FileSource("pattern", path.name, root, files, sampling)


@dataclass(frozen=True)
class FileSource:
    """Picture and video files, one after the other; ``root`` is the folder that positions are told from."""

    kind: str
    name: str
    root: Path
    files: tuple[Path, ...]
    sampling: Sampling = field(default_factory=Sampling)
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
        with open_film(path) as reader:
            for frame in reader:
                if self.sampling.seconds is not None and frame.pts_seconds >= self.sampling.seconds:
                    return
                if ticks.due(frame.pts_seconds):
                    at = round(float(frame.pts_seconds), 6)
                    yield SourceFrame(frame.image, SourcePosition(name, frame.index, at))


def _check_apart(path: Path, output: Path) -> None:
    if output.resolve() in path.resolve().parents:
        raise UsageError(f"The source '{path}' lies in the output '{output}'.", remedy="Name another output folder.")


class Camera(Protocol):
    """A camera as ``CameraSource`` uses it."""

    def read(self) -> Picture | None:
        """Wait for the next frame, uint8 ``[H, W, 3]`` RGB, the caller's to keep; None: there will be no more."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


@dataclass(frozen=True)
class CameraSource:
    """The frames of a camera that ``connect`` opens, by the wall time at which each one arrives."""

    name: str
    sampling: Sampling
    connect: Callable[[], Camera]
    clock: Callable[[], float] = time.monotonic
    kind: str = "camera"
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def total(self) -> int | None:
        """About how many frames will be looked at."""
        return math.ceil(self._seconds / self.sampling.every) if self.sampling.every else None

    @property
    def _seconds(self) -> float:
        return CAMERA_SECONDS if self.sampling.seconds is None else self.sampling.seconds

    def frames(self) -> Generator[SourceFrame, None, None]:
        """The frames, after the second in which exposure settles, for as long as the sampling says."""
        camera = self.connect()
        ticks = _Ticks(self.sampling.every)
        begin = self.clock() + _WARM_UP_SECONDS
        index = 0
        try:
            while (image := camera.read()) is not None:
                at = self.clock() - begin
                if at >= self._seconds:
                    return
                if at >= 0 and ticks.due(Fraction(at)):
                    yield SourceFrame(image, SourcePosition("", index, round(at, 6)))
                index += 1
        finally:
            camera.close()
        self._ended_early(index)

    def _ended_early(self, frames: int) -> None:
        if frames == 0:
            raise MissingRequirementError(
                f"The camera '{self.name}' opens, but gives no picture.",
                remedy="Close other programs that use it, check its cable, or name another one, such as /dev/video2.",
            )
        _log.warning("The camera '%s' stopped after %d frames.", self.name, frames)


class OpenCVCamera:
    """A camera through OpenCV, by its number or its device file.

    Raises:
        MissingRequirementError: it cannot be opened.
    """

    def __init__(self, name: str) -> None:
        import cv2

        self._capture = cv2.VideoCapture(int(name) if name.isdecimal() else str(Path(name).resolve()))
        if not self._capture.isOpened():
            raise MissingRequirementError(
                f"The camera '{name}' cannot be opened.",
                remedy="Check that it is plugged in, that you may use it (on Linux: the group 'video'), and that no "
                "other program holds it; or name a video file or a folder of pictures.",
            )

    def read(self) -> Picture | None:
        """The next frame, uint8 ``[H, W, 3]`` RGB, or None after the last one."""
        import cv2

        received, image = self._capture.read()
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8) if received else None

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()


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
