"""Pipelines of the system's GStreamer, above all for the CSI cameras of a Jetson.

Through OpenCV where it was built with GStreamer (JetPack's is, the wheels are not), else through PyGObject.
"""

from __future__ import annotations

import importlib
import re
from fractions import Fraction
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_i2i.contract import Size
from edge_i2i.errors import MissingRequirementError, UsageError
from edge_i2i.sources.addresses import without_credentials
from edge_i2i.sources.pixels import to_rgb
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceLostError, SourceSpec
from edge_i2i.sources.uri import SourceRequest

CSI_SIZE = Size(720, 1280)
CSI_FPS = 30.0

_SINK = "edge_i2i"
# The sink holds one picture, the newest, and does not wait for the time at which to show it.
_ENDING = f"videoconvert ! video/x-raw,format=BGR ! appsink name={_SINK} drop=true max-buffers=1 sync=false"
_OWN_SINK = re.compile(r"\s*!\s*appsink\b[^!]*\Z")
_PATIENCE = 5  # seconds until a pipeline that gives nothing is taken for lost

_REMEDY = (
    "On a Jetson, Debian or Ubuntu: 'sudo apt install python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good', and a virtual environment made with --system-site-packages. "
    "Or use an OpenCV that was built with GStreamer (JetPack's own: pip uninstall opencv-python-headless)."
)


class Pipeline(Protocol):
    """A running pipeline. ``fps``: declared, or None."""

    fps: float | None

    def pull(self) -> NDArray[np.uint8]:
        """The newest BGR picture, once.

        Raises:
            SourceLostError: none comes.
        """
        ...

    def close(self) -> None:
        """Stop the pipeline."""
        ...


class GStreamerSource(Source):
    """What a pipeline gives, the newest picture each time. ``pipeline``: in the notation of ``gst-launch-1.0``.

    Its end (conversion to BGR and the sink) is added here; a sink of its own is replaced. GStreamer's times depend on
    the pipeline, so pictures have none.
    """

    live = True

    def __init__(self, pipeline: str, *, label: str) -> None:
        self._text, self._label = with_sink(pipeline), label
        self._pipeline: Pipeline | None = None
        self._first: Captured | None = None

    def open(self) -> SourceInfo:
        """Start the pipeline and wait for the first picture.

        Raises:
            MissingRequirementError: neither OpenCV nor PyGObject brings GStreamer.
            UsageError: GStreamer does not know the pipeline.
        """
        self._pipeline = pipeline = _open_pipeline(self._text, self._label)
        self._first = first = Captured(to_rgb(pipeline.pull()))
        return SourceInfo(self._label, Size(*first.image.shape[:2]), pipeline.fps)

    def read(self) -> Captured:
        """The next picture."""
        first, self._first = self._first, None
        if first is not None:
            return first
        if self._pipeline is None:
            raise SourceLostError(f"The pipeline '{self._label}' is not open.")
        return Captured(to_rgb(self._pipeline.pull()))

    def close(self) -> None:
        """Stop the pipeline."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()


def with_sink(pipeline: str) -> str:
    """A pipeline that ends in our sink, whether or not it had one.

    >>> with_sink("videotestsrc ! appsink sync=false").split(" ! ")[:3]
    ['videotestsrc', 'videoconvert', 'video/x-raw,format=BGR']
    """
    return f"{_OWN_SINK.sub('', pipeline).rstrip(' !')} ! {_ENDING}"


def csi_pipeline(sensor: int, size: Size, fps: float) -> str:
    """A pipeline for the camera at a Jetson's CSI connector, through NVIDIA's image signal processor.

    Args:
        sensor: number of the camera, from 0.
        size: of the pictures, in pixels.
        fps: frames a second.
    """
    rate = Fraction(fps).limit_denominator(1001)
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),width={size.width},height={size.height},"
        f"framerate={rate.numerator}/{rate.denominator} ! nvvidconv ! video/x-raw,format=BGRx"
    )


def gst_spec(request: SourceRequest) -> SourceSpec:
    """The source that ``gst:PIPELINE`` names.

    Raises:
        UsageError: there is no pipeline.
    """
    if not request.rest.strip():
        raise UsageError("A pipeline is missing.", remedy="Write it behind 'gst:', as for gst-launch-1.0.")
    label = without_credentials(request.text)
    return request.spec(lambda: GStreamerSource(request.rest, label=label), live=True)


def csi_spec(request: SourceRequest) -> SourceSpec:
    """The source that ``csi:N`` or ``gst:csi:N`` names: the camera at a Jetson's CSI connector.

    Raises:
        UsageError: N is no number.
    """
    if not re.fullmatch(r"[0-9]{0,2}", request.rest):
        raise UsageError(f"'{request.text}' names no CSI camera.", remedy="Give its number: csi:0.")
    sensor = int(request.rest or 0)
    pipeline = csi_pipeline(sensor, request.size or CSI_SIZE, request.fps or CSI_FPS)
    return request.spec(lambda: GStreamerSource(pipeline, label=f"CSI camera {sensor}"), live=True)


# The two ways to GStreamer ----------------------------------------------------------------------------------------


def _open_pipeline(text: str, label: str) -> Pipeline:
    import cv2

    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        capture = cv2.VideoCapture(text, cv2.CAP_GSTREAMER)
        if capture.isOpened():
            return _OpenCvPipeline(capture, label)
        capture.release()
    gst = _gst()
    if gst is not None:
        return _GiPipeline(gst, text, label)
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise _lost(label, "does not start")
    raise MissingRequirementError(
        "A GStreamer pipeline needs GStreamer, and neither this OpenCV was built with it nor can PyGObject ('gi') be "
        "imported.",
        remedy=_REMEDY,
    )


def _gst() -> ModuleType | None:
    """PyGObject's ``Gst``, ready for use, if it is here."""
    try:
        gi = importlib.import_module("gi")
        gi.require_version("Gst", "1.0")
        gst = importlib.import_module("gi.repository.Gst")
    except (ImportError, ValueError):  # no PyGObject; no typelib of GStreamer
        return None
    gst.init(None)
    return gst


class _OpenCvPipeline:
    def __init__(self, capture: Any, label: str) -> None:
        import cv2

        self._capture, self._label = capture, label
        self.fps = capture.get(cv2.CAP_PROP_FPS) or None

    def pull(self) -> NDArray[np.uint8]:
        done, samples = self._capture.read()
        if not done:
            raise _lost(self._label, "gives no picture")
        return np.asarray(samples, np.uint8)

    def close(self) -> None:
        self._capture.release()


class _GiPipeline:
    fps: float | None = None

    def __init__(self, gst: ModuleType, text: str, label: str) -> None:
        self._gst, self._label = gst, label
        try:
            self._pipeline = gst.parse_launch(text)
        except importlib.import_module("gi.repository.GLib").Error as error:
            raise UsageError(
                f"GStreamer does not know the pipeline: {without_credentials(str(error))}.",
                remedy="Try it with 'gst-launch-1.0' first; a missing element comes with a plugin package.",
            ) from None
        self._sink = self._pipeline.get_by_name(_SINK)
        self._pipeline.set_state(gst.State.PLAYING)

    def pull(self) -> NDArray[np.uint8]:
        sample = self._sink.emit("try-pull-sample", _PATIENCE * self._gst.SECOND)
        if sample is None:
            raise _lost(self._label, self._trouble())
        caps = sample.get_caps().get_structure(0)
        height, width = int(caps.get_value("height")), int(caps.get_value("width"))
        mapped, memory = sample.get_buffer().map(self._gst.MapFlags.READ)
        if not mapped:
            raise _lost(self._label, "gives a picture that cannot be read")
        try:
            rows = np.frombuffer(memory.data, np.uint8).reshape(height, -1)  # padded to multiples of 4 bytes
            return rows[:, : 3 * width].reshape(height, width, 3).copy()
        finally:
            sample.get_buffer().unmap(memory)

    def close(self) -> None:
        self._pipeline.set_state(self._gst.State.NULL)

    def _trouble(self) -> str:
        message = self._pipeline.get_bus().pop_filtered(self._gst.MessageType.ERROR | self._gst.MessageType.EOS)
        if message is None:
            return f"gives no picture for {_PATIENCE} s"
        if message.type == self._gst.MessageType.EOS:
            return "has ended"
        return f"failed ({without_credentials(str(message.parse_error()[0]))})"


def _lost(label: str, what: str) -> SourceLostError:
    return SourceLostError(
        f"The pipeline '{label}' {what}.",
        remedy="Try it with 'gst-launch-1.0'. A CSI camera that hangs: 'sudo systemctl restart nvargus-daemon'.",
    )
