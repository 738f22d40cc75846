"""GStreamer pipelines: their text, both ways to run one, and what is said where there is none.

Neither a Jetson nor GStreamer is needed: OpenCV's capture and PyGObject have stand-ins here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge_i2i.contract import Size
from edge_i2i.errors import MissingRequirementError, UsageError
from edge_i2i.sources import source_spec
from edge_i2i.sources.gstreamer import csi_pipeline, with_sink
from edge_i2i.sources.source import SourceLostError
from samples.sources.fake_gst import FakeGst, install_fake_gst
from samples.sources.made import ODD, FakeCapture, primaries, worst_colour

BGR = np.ascontiguousarray(primaries()[..., ::-1])


@pytest.fixture
def gst(monkeypatch: pytest.MonkeyPatch) -> FakeGst:
    """PyGObject."""
    return install_fake_gst(monkeypatch, primaries())


@pytest.fixture
def opencv_with_gstreamer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[FakeCapture]]:
    """An OpenCV that was built with it; returns what it opens."""

    def install(**options: object) -> list[FakeCapture]:
        opened: list[FakeCapture] = []

        def capture(where: str | int, backend: int) -> FakeCapture:
            opened.append(FakeCapture(where, backend, BGR, **options))  # type: ignore[arg-type]
            return opened[-1]

        monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda backend: backend == cv2.CAP_GSTREAMER)
        monkeypatch.setattr(cv2, "VideoCapture", capture)
        return opened

    return install


@pytest.mark.parametrize(
    "pipeline",
    [
        "videotestsrc ! videoscale",
        "videotestsrc ! videoscale !",
        "videotestsrc ! videoscale ! appsink",
        "videotestsrc ! videoscale ! appsink drop=false max-buffers=9 name=mine",
    ],
)
def test_a_pipeline_ends_in_a_sink_that_keeps_the_newest_picture(pipeline: str) -> None:
    elements = with_sink(pipeline).split(" ! ")
    assert elements[:2] == ["videotestsrc", "videoscale"]
    assert [element.split()[0] for element in elements].count("appsink") == 1
    assert {"drop=true", "max-buffers=1", "sync=false"} <= set(elements[-1].split())
    assert elements[-2] == "video/x-raw,format=BGR"


@pytest.mark.parametrize(("fps", "text"), [(30.0, "30/1"), (29.97, "2997/100"), (30000 / 1001, "30000/1001")])
def test_a_csi_camera_is_asked_for_size_and_rate(fps: float, text: str) -> None:
    pipeline = csi_pipeline(1, Size(720, 1280), fps)
    assert "nvarguscamerasrc sensor-id=1 !" in pipeline
    assert f"(memory:NVMM),width=1280,height=720,framerate={text} " in pipeline


@pytest.mark.parametrize("text", ["csi:1", "gst:csi:1", "csi:", "gst:csi"])
def test_the_short_forms_open_a_csi_camera(opencv_with_gstreamer: Callable[..., list[FakeCapture]], text: str) -> None:
    opened = opencv_with_gstreamer()
    info = source_spec(text, size=Size(480, 640), fps=60.0).make().open()
    pipeline = str(opened[0].where)
    assert f"sensor-id={1 if '1' in text else 0} " in pipeline and "width=640,height=480,framerate=60/1" in pipeline
    assert opened[0].backend == cv2.CAP_GSTREAMER and info.label.startswith("CSI camera")


def test_opencv_comes_first_and_pygobject_where_it_cannot(
    gst: FakeGst, opencv_with_gstreamer: Callable[..., list[FakeCapture]]
) -> None:
    source_spec("gst:videotestsrc").make().open()
    assert len(gst.pipelines) == 1  # this OpenCV has no GStreamer
    opened = opencv_with_gstreamer()
    source_spec("gst:videotestsrc").make().open()
    assert len(opened) == len(gst.pipelines) == 1
    opened = opencv_with_gstreamer(opens=False)
    source_spec("gst:videotestsrc").make().open()
    assert opened[0].released and len(gst.pipelines) == 2


def test_neither_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gi", None)
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _: False)
    with pytest.raises(MissingRequirementError) as caught:
        source_spec("gst:videotestsrc").make().open()
    assert "apt install python3-gi" in caught.value.remedy and "OpenCV" in caught.value.remedy


def test_pictures_through_pygobject(gst: FakeGst) -> None:
    source = source_spec("gst:videotestsrc").make()
    assert source.open().size == ODD
    for _ in range(3):
        captured = source.read()
        assert captured is not None and worst_colour(captured.image) == 0
    source.close()
    assert gst.states == ["playing", "null"] and gst.mapped == 0
    assert "appsink name=edge_i2i" in gst.pipelines[0]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("", "no picture for"), ("eos", "has ended"), ("cannot open rtsp://me:secret@host/x", "failed (cannot open")],
)
def test_a_pipeline_that_gives_nothing_more_is_lost(gst: FakeGst, trouble: str, words: str) -> None:
    gst.pictures, gst.trouble = 1, trouble
    source = source_spec("gst:rtspsrc location=rtsp://me:secret@host/x ! decodebin").make()
    source.open()
    source.read()
    with pytest.raises(SourceLostError) as caught:
        source.read()
    assert words in str(caught.value) and "secret" not in str(caught.value)
    source.close()
    assert gst.states[-1] == "null"


def test_a_capture_of_opencv_that_fails_is_lost(
    monkeypatch: pytest.MonkeyPatch, opencv_with_gstreamer: Callable[..., list[FakeCapture]]
) -> None:
    monkeypatch.setitem(sys.modules, "gi", None)
    opened = opencv_with_gstreamer(pictures=1)
    source = source_spec("gst:videotestsrc").make()
    source.open()
    source.read()
    with pytest.raises(SourceLostError, match="gives no picture"):
        source.read()
    source.close()
    assert opened[0].released
    opencv_with_gstreamer(opens=False)
    with pytest.raises(SourceLostError, match="does not start"):
        source_spec("gst:videotestsrc").make().open()


def test_an_element_that_is_not_installed_is_named(gst: FakeGst) -> None:
    with pytest.raises(UsageError, match="nosuchelement") as caught:
        source_spec("gst:nosuchelement").make().open()
    assert "gst-launch-1.0" in caught.value.remedy
