"""What a source of frames is: opened, read and closed by one thread, and replaced rather than repaired."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypedDict

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError
from edge_i2i.media.tone_mapping import Hdr


@dataclass(frozen=True, eq=False)
class Captured:
    """What a source read: a picture, owned by the receiver, and its time in seconds on the source's own time line."""

    image: Picture
    t_source: float | None = None


class SourceLostError(EdgeI2IError):
    """A source that was there is gone, or does not come up: worth trying again where it is live."""

    exit_code = 3


@dataclass(frozen=True)
class SourceInfo:
    """What a source says about itself when it is opened.

    ``label``: for people, without credentials. ``size``: of the first picture. ``fps``: declared; a label, never used
    for control. ``frames``: how many there will be; None: not known, or no end.
    """

    label: str
    size: Size
    fps: float | None = None
    frames: int | None = None


class Source(ABC):
    """Gives frames. One object is one opening: after ``close`` or an error, another is made.

    ``live``: frames come whether or not anybody takes them, there is no last one, and a loss is answered by opening
    anew. Others are played to their end. ``repeats_mean_stall``: a device whose pictures never repeat exactly (a
    sensor's noise), so that identical ones mean that its driver gives the same buffer again and again.
    """

    live: ClassVar[bool] = False
    repeats_mean_stall: ClassVar[bool] = False

    @abstractmethod
    def open(self) -> SourceInfo:
        """Get ready to be read.

        Raises:
            SourceLostError: it is not there (now).
            EdgeI2IError: it is there and cannot be used: another try would fail, too.
        """

    @abstractmethod
    def read(self) -> Captured | None:
        """Wait for the next picture; None: the source has ended.

        Raises:
            SourceLostError: the source is gone.
            EdgeI2IError: it cannot be used: another try would fail, too.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the device or file. Called by the thread that reads, after ``read`` has returned."""


@dataclass(frozen=True)
class SourceSpec:
    """A source that can be opened again and again.

    ``uri``: as given, with credentials left out. ``place``: the file, folder or device that it reads, if it does.
    ``scheme``: of the kind in the registry that the text named (``camera``, ``file``, ``rtsp``, …); empty: a program's
    own source.
    """

    uri: str
    live: bool
    make: Callable[[], Source]
    place: Path | None = None
    scheme: str = ""


class Asked(TypedDict, total=False):
    """What a source is asked for besides frames: the options that ``source_spec`` and ``collect`` both take.

    ``size``: of the pictures. ``fps``: frames a second. ``pixel_format``: of a camera: mjpg, yuyv, nv12, …; None, each
    of them: what the source likes. ``hdr``: what becomes of films and streams of a high dynamic range.
    """

    size: Size | None
    fps: float | None
    pixel_format: str | None
    hdr: Hdr
