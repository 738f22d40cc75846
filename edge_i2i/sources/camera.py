"""Cameras, through OpenCV."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.sources.pixels import to_rgb
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceLostError, SourceSpec
from edge_i2i.sources.uri import SourceRequest
from edge_i2i.sources.v4l import LinuxCamera

if TYPE_CHECKING:
    import cv2

_log = logging.getLogger(__name__)

# One a platform, chosen here: what OpenCV picks by itself may be FFmpeg or a file of pictures called "0".
_BACKENDS = {"linux": "CAP_V4L2", "darwin": "CAP_AVFOUNDATION", "win32": "CAP_MSMF"}

_SAME_RATE = 0.02  # 29.97 frames a second are as good as 30

_HINTS = {
    "darwin": "Allow your terminal (or program) under System Settings, Privacy & Security, Camera; then it is found "
    "at the next try.",
    "win32": "Allow it under Settings, Privacy & security, Camera, and end other programs that use it.",
}


class Device(Protocol):
    """A camera that can be looked for again and again. ``label``: for people."""

    label: str

    def locate(self) -> str | int:
        """Find the camera: the number or path that OpenCV opens now.

        Raises:
            SourceLostError: the camera is not there, or may not be used.
        """
        ...

    def opened(self, where: str | int) -> None:
        """Remember which camera it was that gave pictures at ``where``."""
        ...

    def absent(self, what: str) -> SourceLostError:
        """The error for a camera that does not open. ``what``: what went wrong, as a sentence without its full stop."""
        ...


class NumberedCamera:
    """A camera of a system that gives nothing but numbers to OpenCV (macOS, Windows)."""

    def __init__(self, number: int, platform: str = sys.platform) -> None:
        self._number = number
        self._hint = _HINTS.get(platform, "End other programs that use it.")
        self.label = f"camera {number}"

    def locate(self) -> int:
        """The camera's number, which OpenCV opens."""
        return self._number

    def opened(self, where: str | int) -> None:
        """Nothing to remember: the system tells nothing but the number."""

    def absent(self, what: str) -> SourceLostError:
        """The error that ``what`` says, with what the system may have against it as a remedy."""
        return SourceLostError(f"{what}.", remedy=f"Check that it is plugged in. {self._hint}")


class CameraSource(Source):
    """The pictures of a camera, as they come.

    The camera may give something else than it is asked for, which the log says. With a size or a rate and no format it
    is asked for MJPG first, because raw pictures of a USB camera leave no room for more than a few frames a second at
    larger sizes, and for its usual format where MJPG does not come in that size. ``t_source`` is the driver's, where it
    gives one.

    Args:
        device: finds the camera each time it is opened.
        size: of the pictures; None: what the camera likes.
        fps: frames a second; None: what the camera likes.
        pixel_format: four letters that the driver knows, as ``four_letters`` gives them; None: see above.
        platform: ``sys.platform``, which decides by which of OpenCV's back ends the camera is opened.
    """

    live = True
    repeats_mean_stall = True

    def __init__(
        self,
        device: Device,
        *,
        size: Size | None = None,
        fps: float | None = None,
        pixel_format: str | None = None,
        platform: str = sys.platform,
    ) -> None:
        self._device, self._size, self._fps, self._format = device, size, fps, pixel_format
        self._platform = platform
        self._capture: cv2.VideoCapture | None = None
        self._first: Captured | None = None

    def open(self) -> SourceInfo:
        """Find and open the camera, ask it for size, rate and format, and wait for the first picture.

        Raises:
            SourceLostError: it is not there, does not open or gives no picture.
        """
        import cv2

        where = self._device.locate()
        self._capture = capture = cv2.VideoCapture(where, getattr(cv2, _BACKENDS.get(self._platform, "CAP_ANY")))
        try:
            if not capture.isOpened():
                raise self._device.absent(f"The {self._device.label} cannot be opened")
            _ask(capture, self._size, self._fps, self._format)
            self._first = self._grab()
        except BaseException:
            self.close()
            raise
        self._device.opened(where)
        return self._info(capture, self._first.image)

    def read(self) -> Captured:
        """The next picture."""
        first, self._first = self._first, None
        return first or self._grab()

    def close(self) -> None:
        """Let go of the camera."""
        if self._capture is not None:
            self._capture.release()

    def _grab(self) -> Captured:
        import cv2

        capture = self._capture
        done, samples = capture.read() if capture is not None else (False, None)
        if capture is None or not done or samples is None:
            raise self._device.absent(f"The {self._device.label} gives no picture")
        milliseconds = capture.get(cv2.CAP_PROP_POS_MSEC)
        return Captured(to_rgb(samples), milliseconds / 1e3 if milliseconds > 0 else None)

    def _info(self, capture: cv2.VideoCapture, picture: Picture) -> SourceInfo:
        import cv2

        size = Size(*picture.shape[:2])
        if self._size not in (None, size):
            _log.warning("The %s gives pictures of %s, not of %s.", self._device.label, size, self._size)
        fps = capture.get(cv2.CAP_PROP_FPS) or None
        if self._fps is not None and fps is not None and abs(fps - self._fps) > _SAME_RATE * self._fps:
            _log.warning("The %s gives %g frames a second, not %g.", self._device.label, fps, self._fps)
        given = _letters(capture.get(cv2.CAP_PROP_FOURCC))
        if self._format not in (None, given) and given:
            _log.warning("The %s gives its pictures as %s, not as %s.", self._device.label, given, self._format)
        return SourceInfo(self._device.label, size, fps)


def _ask(capture: cv2.VideoCapture, size: Size | None, fps: float | None, pixel_format: str | None) -> None:
    """Set what was asked for, as far as the camera can do it."""
    import cv2

    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the driver keeps the newest; what waits in a queue is old
    if pixel_format is not None:
        capture.set(cv2.CAP_PROP_FOURCC, float(cv2.VideoWriter.fourcc(*pixel_format)))
        _ask_size(capture, size)
    elif size is not None or fps is not None:
        _prefer_mjpg(capture, size)
    if fps is not None:
        capture.set(cv2.CAP_PROP_FPS, fps)


def _prefer_mjpg(capture: cv2.VideoCapture, size: Size | None) -> None:
    import cv2

    usual, mjpg = capture.get(cv2.CAP_PROP_FOURCC), float(cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FOURCC, mjpg)
    _ask_size(capture, size)
    if capture.get(cv2.CAP_PROP_FOURCC) != mjpg or size not in (None, _size_of(capture)):
        capture.set(cv2.CAP_PROP_FOURCC, usual)
        _ask_size(capture, size)


def _ask_size(capture: cv2.VideoCapture, size: Size | None) -> None:
    import cv2

    if size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size.height)


def _size_of(capture: cv2.VideoCapture) -> Size:
    import cv2

    return Size(int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))


def _letters(code: float) -> str:
    """A pixel format's letters; empty where the driver gives none."""
    number = int(code)
    letters = "".join(chr(number >> shift & 0xFF) for shift in (0, 8, 16, 24)) if number > 0 else ""
    return letters if letters.isascii() and letters.isprintable() else ""


def four_letters(name: str) -> str:
    """A pixel format as drivers know it.

    Raises:
        UsageError: it has no four letters.

    >>> four_letters("mjpg"), four_letters("yuy2"), four_letters("Y16")
    ('MJPG', 'YUYV', 'Y16 ')
    """
    known = {"MJPEG": "MJPG", "YUY2": "YUYV", "I420": "YU12", "GRAY": "GREY", "H265": "HEVC"}
    letters = known.get(name.upper(), name.upper()).ljust(4)
    if not re.fullmatch(r"[A-Z0-9 ]{4}", letters) or not letters.strip():
        raise UsageError(f"'{name}' is no pixel format.", remedy="Known to most cameras: mjpg, yuyv, nv12.")
    return letters


def camera_spec(request: SourceRequest) -> SourceSpec:
    """The source that ``camera:N``, ``camera:/dev/videoN`` or a number names.

    Raises:
        UsageError: it is neither a number nor, on Linux, a path.
    """
    device = _device(request)
    return request.spec(
        lambda: CameraSource(device, size=request.size, fps=request.fps, pixel_format=request.pixel_format),
        live=True,
        place=_path(request.rest or "0"),
    )


def _path(given: str) -> Path | None:
    """The path of the device that is meant; None: only the system knows it."""
    if given.isdecimal():
        return Path(f"/dev/video{int(given)}") if sys.platform == "linux" else None
    return Path(given)


def _device(request: SourceRequest) -> Device:
    given = request.rest or "0"
    number = int(given) if re.fullmatch(r"[0-9]{1,4}", given) else None
    if sys.platform == "linux" and (number is not None or given.startswith("/")):
        return LinuxCamera(Path(given) if number is None else number)
    if number is None:
        raise UsageError(
            f"'{request.text}' names no camera.",
            remedy="Give its number (camera:0) or, on Linux, the path of its device (camera:/dev/video0).",
        )
    return NumberedCamera(number)
