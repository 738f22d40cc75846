"""Cameras, with a stand-in for OpenCV's capture; one test is for a machine that has a real one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.contract import Size
from edge_i2i.sources import source_spec
from edge_i2i.sources.camera import CameraSource, NumberedCamera
from edge_i2i.sources.source import SourceLostError
from edge_i2i.sources.v4l import LinuxCamera, VideoDevices
from samples.sources.made import ODD, FakeCapture, primaries

SMALL, LARGE = Size(48, 64), Size(96, 128)
BGR = np.ascontiguousarray(primaries()[..., ::-1])

Plug = Callable[..., list[FakeCapture]]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Have OpenCV open stand-ins; returns the list of those that were opened."""

    def plug_in(samples: np.ndarray = BGR, **options: object) -> list[FakeCapture]:
        opened: list[FakeCapture] = []

        def capture(where: str | int, backend: int) -> FakeCapture:
            opened.append(FakeCapture(where, backend, samples, **options))  # type: ignore[arg-type]
            return opened[-1]

        monkeypatch.setattr(cv2, "VideoCapture", capture)
        return opened

    return plug_in


@pytest.mark.parametrize(
    ("platform", "backend"),
    [("linux", cv2.CAP_V4L2), ("darwin", cv2.CAP_AVFOUNDATION), ("win32", cv2.CAP_MSMF)],
)
def test_each_system_has_its_back_end(plug: Plug, platform: str, backend: int) -> None:
    opened = plug()
    CameraSource(NumberedCamera(3, platform), platform=platform).open()
    assert [(capture.where, capture.backend) for capture in opened] == [(3, backend)]


def test_nothing_is_asked_for_but_a_short_queue(plug: Plug) -> None:
    opened = plug()
    info = CameraSource(NumberedCamera(0)).open()
    assert opened[0].asked == [(cv2.CAP_PROP_BUFFERSIZE, 1)]
    assert (info.size, info.fps, info.frames) == (ODD, 30.0, None)


@pytest.mark.parametrize(
    ("formats", "asked", "used", "given"),
    [
        ({"YUYV": [SMALL], "MJPG": [SMALL, LARGE]}, LARGE, "MJPG", LARGE),
        ({"YUYV": [SMALL, LARGE], "MJPG": [SMALL]}, LARGE, "YUYV", LARGE),
        ({"YUYV": [SMALL, LARGE]}, LARGE, "YUYV", LARGE),
        ({"YUYV": [SMALL], "MJPG": [SMALL]}, LARGE, "YUYV", SMALL),
        ({"YUYV": [SMALL], "MJPG": [SMALL]}, None, "MJPG", SMALL),
    ],
)
def test_mjpg_is_used_where_it_comes_in_the_size(
    plug: Plug,
    caplog: pytest.LogCaptureFixture,
    formats: dict[str, list[Size]],
    asked: Size | None,
    used: str,
    given: Size,
) -> None:
    opened = plug(formats=formats)
    with caplog.at_level(logging.WARNING):
        info = CameraSource(NumberedCamera(0), size=asked, fps=60.0).open()
    assert (opened[0].format, info.size) == (used, given)
    assert (cv2.CAP_PROP_FPS, 60.0) in opened[0].asked
    assert (f"not of {asked}" in caplog.text) == (asked not in (None, given))


@pytest.mark.parametrize(
    ("formats", "asked", "used", "told"),
    [
        ({"YUYV": [SMALL], "MJPG": [SMALL]}, "MJPG", "MJPG", ""),
        ({"MJPG": [SMALL], "YUYV": [SMALL]}, "YUYV", "YUYV", ""),
        ({"YUYV": [SMALL, LARGE], "MJPG": [SMALL, LARGE]}, "NV12", "YUYV", "as YUYV, not as NV12"),
    ],
)
def test_a_pixel_format_is_asked_for_and_what_is_given_is_said(
    plug: Plug, caplog: pytest.LogCaptureFixture, formats: dict[str, list[Size]], asked: str, used: str, told: str
) -> None:
    opened = plug(formats=formats)
    with caplog.at_level(logging.WARNING):
        CameraSource(NumberedCamera(0), size=SMALL, pixel_format=asked).open()
    assert opened[0].format == used
    assert (told in caplog.text) if told else ("not as" not in caplog.text)


@pytest.mark.parametrize(("asked", "told"), [(30.0, False), (29.97, False), (60.0, True), (15.0, True)])
def test_another_rate_than_asked_for_is_said(
    plug: Plug, caplog: pytest.LogCaptureFixture, asked: float, told: bool
) -> None:
    plug()
    with caplog.at_level(logging.WARNING):
        CameraSource(NumberedCamera(0), fps=asked).open()
    assert (f"30 frames a second, not {asked:g}" in caplog.text) == told


@pytest.mark.parametrize("samples", [np.full((97, 131), 90, np.uint8), np.full((97, 131, 1), 90, np.uint8)])
def test_grey_cameras_are_read(plug: Plug, samples: np.ndarray) -> None:
    plug(samples)
    source = CameraSource(NumberedCamera(0))
    source.open()
    captured = source.read()
    assert (captured.image[10:] == 90).all() and captured.image.shape == (97, 131, 3)


@pytest.mark.parametrize("samples", [np.zeros((97, 131, 2), np.uint8), np.zeros((97, 131, 3), np.uint16)])
def test_what_is_no_picture_is_a_loss(plug: Plug, samples: np.ndarray) -> None:
    opened = plug(samples)
    with pytest.raises(SourceLostError, match="no grey, BGR or BGRA"):
        CameraSource(NumberedCamera(0)).open()
    assert opened[0].released


def test_the_drivers_times_are_handed_on(plug: Plug) -> None:
    plug()
    source = CameraSource(NumberedCamera(0))
    source.open()
    assert [source.read().t_source for _ in range(3)] == [1.04, 1.08, 1.12]


def test_a_read_that_fails_is_a_loss(plug: Plug) -> None:
    opened = plug(pictures=2)
    source = CameraSource(NumberedCamera(0))
    source.open()
    source.read(), source.read()
    with pytest.raises(SourceLostError, match="gives no picture") as caught:
        source.read()
    assert caught.value.remedy and caught.value.exit_code == 3
    source.close()
    assert opened[0].released


@pytest.mark.parametrize("options", [{"opens": False}, {"pictures": 0}])
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_camera_that_does_not_open_is_a_loss_and_let_go(plug: Plug, options: dict[str, int], platform: str) -> None:
    opened = plug(**options)
    source = CameraSource(NumberedCamera(7, platform), platform=platform)
    with pytest.raises(SourceLostError, match="camera 7") as caught:
        source.open()
    assert caught.value.remedy and opened[0].released


# Linux: found again under another number --------------------------------------------------------------------------


class Desk:
    """Folders like ``/dev`` and ``/sys/class/video4linux``, to plug cameras into."""

    def __init__(self, folder: Path) -> None:
        self.devices = VideoDevices(folder / "dev", folder / "sys")
        self._links = self.devices.nodes / "v4l" / "by-id"
        self._links.mkdir(parents=True)
        self.devices.facts.mkdir()

    def plug(self, number: int, name: str, link: str = "", index: int = 0) -> Path:
        node = self.devices.nodes / f"video{number}"
        node.touch()
        facts = self.devices.facts / f"video{number}"
        facts.mkdir()
        (facts / "name").write_text(f"{name}\n")
        (facts / "index").write_text(f"{index}\n")
        if link:
            (self._links / link).symlink_to(f"../../{node.name}")
        return node

    def unplug(self, number: int) -> None:
        for link in self._links.iterdir():
            if link.resolve().name == f"video{number}":
                link.unlink()
        (self.devices.nodes / f"video{number}").unlink()
        for fact in (self.devices.facts / f"video{number}").iterdir():
            fact.unlink()
        (self.devices.facts / f"video{number}").rmdir()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """With nothing plugged in."""
    return Desk(tmp_path)


def open_and_close(camera: LinuxCamera, opened: list[FakeCapture]) -> str:
    """The name of the device that one opening led to."""
    source = CameraSource(camera, platform="linux")
    source.open()
    source.close()
    return Path(str(opened[-1].where)).name


@pytest.mark.parametrize("link", ["usb-Acme_Cam_0815-video-index0", ""])
def test_a_camera_is_found_again_under_another_number(plug: Plug, desk: Desk, link: str) -> None:
    opened = plug()
    desk.plug(0, "Acme Cam", link)
    camera = LinuxCamera(0, desk.devices)
    assert open_and_close(camera, opened) == "video0"
    desk.unplug(0)
    with pytest.raises(SourceLostError, match="gone"):
        open_and_close(camera, opened)
    desk.plug(0, "Another Cam", "usb-Another-video-index0")  # not taken for it
    with pytest.raises(SourceLostError, match="gone") as caught:
        open_and_close(camera, opened)
    assert "Another Cam" in caught.value.remedy
    desk.plug(4, "Acme Cam", link)
    assert open_and_close(camera, opened) == "video4"


def test_of_two_nodes_of_a_camera_the_same_one_is_found(plug: Plug, desk: Desk) -> None:
    opened = plug()
    desk.plug(0, "Acme Cam")
    desk.plug(1, "Acme Cam", index=1)  # its metadata
    camera = LinuxCamera(0, desk.devices)
    open_and_close(camera, opened)
    desk.unplug(0), desk.unplug(1)
    desk.plug(2, "Acme Cam", index=1)
    desk.plug(3, "Acme Cam")
    assert open_and_close(camera, opened) == "video3"


def test_a_camera_that_never_opened_is_not_remembered(plug: Plug, desk: Desk) -> None:
    opened = plug(opens=False)
    desk.plug(0, "Acme Cam", "acme")
    camera = LinuxCamera(0, desk.devices)
    with pytest.raises(SourceLostError, match="cannot be opened"):
        open_and_close(camera, opened)
    desk.unplug(0)
    desk.plug(0, "Another Cam", "another")
    opened = plug()
    assert open_and_close(camera, opened) == "video0"


def test_who_names_a_link_gets_what_it_leads_to(plug: Plug, desk: Desk) -> None:
    opened = plug()
    desk.plug(0, "Acme Cam", "left-port")
    camera = LinuxCamera(desk.devices.nodes / "v4l" / "by-id" / "left-port", desk.devices)
    assert open_and_close(camera, opened) == "video0"
    desk.unplug(0)
    desk.plug(3, "Another Cam", "left-port")
    assert open_and_close(camera, opened) == "video3"


def test_an_absent_camera_comes_with_a_list_of_what_there_is(desk: Desk) -> None:
    desk.plug(10, "Large Cam")
    desk.plug(2, "Small Cam")
    with pytest.raises(SourceLostError, match="no camera 0") as caught:
        LinuxCamera(0, desk.devices).locate()
    assert caught.value.remedy.index("Small Cam") < caught.value.remedy.index("Large Cam")
    desk.unplug(2), desk.unplug(10)
    with pytest.raises(SourceLostError) as caught:
        LinuxCamera(0, desk.devices).locate()
    assert "plug a camera in" in caught.value.remedy


def test_a_machine_without_any_video_device_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceLostError) as caught:
        LinuxCamera(0, VideoDevices(tmp_path / "dev", tmp_path / "sys")).locate()
    assert "plug a camera in" in caught.value.remedy


def test_a_camera_that_one_may_not_use_names_the_group(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.plug(0, "Acme Cam")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SourceLostError, match="may not") as caught:
        LinuxCamera(0, desk.devices).locate()
    assert "video" in caught.value.remedy


def test_one_specification_remembers_its_camera(plug: Plug) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux says which camera is which")
    spec = source_spec("camera:0")
    first, second = spec.make(), spec.make()
    assert first is not second and first._device is second._device  # type: ignore[attr-defined]


# A real one -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    "EDGE_I2I_CAMERA" not in os.environ,
    reason="needs a camera: EDGE_I2I_CAMERA=0 pytest tests/sources/test_camera.py -k real",
)
def test_a_real_camera_gives_new_pictures() -> None:
    source = source_spec(f"camera:{os.environ['EDGE_I2I_CAMERA']}", size=Size(480, 640)).make()
    info = source.open()
    pictures = [captured.image for _ in range(20) if (captured := source.read()) is not None]
    source.close()
    assert info.size == Size(*pictures[0].shape[:2])
    assert len({picture.tobytes() for picture in pictures}) > 10


def test_opencv_is_not_imported_to_name_a_source() -> None:
    program = "import sys; from edge_i2i.sources import source_spec; source_spec('0'); source_spec('screen:')"
    check = "assert not {'cv2', 'av', 'mss', 'torch', 'gi'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{program}; {check}"], check=True)
