"""The virtual camera, against a back end of pyvirtualcam's registry that keeps what it is sent."""

from __future__ import annotations

import numpy as np
import pytest

from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, MissingRequirementError
from edge_i2i.live.sinks.vcam import VirtualCameraSink
from samples.live.fake_camera import Camera
from samples.live.sinks import SIZE, grey, primaries, result

pyvirtualcam = pytest.importorskip("pyvirtualcam", reason="pip install 'edge-i2i[vcam]'")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Camera, "opened", [])
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {})
    pyvirtualcam.register_backend("fake", Camera)


def test_pictures_arrive_in_rgb() -> None:
    sink = VirtualCameraSink()
    sink.open(SIZE)
    sink.write(primaries(), result(primaries()))
    sink.close()
    sink.close()
    (camera,) = Camera.opened
    assert np.array_equal(camera.sent[0], primaries()) and camera.closed == 1
    assert camera.fourcc == pyvirtualcam.util.encode_fourcc(pyvirtualcam.PixelFormat.RGB.value)
    assert "/dev/video42" in sink.notes[0]


def test_the_device_that_was_named() -> None:
    sink = VirtualCameraSink("/dev/video7")
    sink.open(SIZE)
    sink.close()
    assert Camera.opened[0].device() == "/dev/video7"


@pytest.mark.parametrize(
    ("size", "rows", "columns"), [(Size(96, 64), (0, 96), (32, 96)), (Size(48, 128), (24, 72), (0, 128))]
)
def test_later_sizes_are_laid_into_the_first(size: Size, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    sink = VirtualCameraSink()
    sink.open(SIZE)
    sink.write(grey(200), result(grey(200)))
    sink.write(grey(90, size), result(grey(90, size)))
    sink.write(grey(200), result(grey(200)))
    sink.close()
    _, between, after = Camera.opened[0].sent
    inside = np.zeros((SIZE.height, SIZE.width), bool)
    inside[slice(*rows), slice(*columns)] = True
    assert np.all(between[inside] == 90) and np.all(between[~inside] == 0)
    assert np.all(after == 200)


def test_odd_sides_become_even() -> None:
    sink = VirtualCameraSink()
    sink.open(Size(47, 63))
    sink.write(grey(77, Size(47, 63)), result(grey(0)))
    sink.close()
    (picture,) = Camera.opened[0].sent
    assert picture.shape == (48, 64, 3) and np.all(picture[:47, :63] == 77)


def test_no_camera_says_how_to_get_one() -> None:
    sink = VirtualCameraSink("/dev/none")
    with pytest.raises(MissingRequirementError, match=r"/dev/none.*no such device") as caught:
        sink.open(SIZE)
    assert "v4l2loopback" in caught.value.remedy or "OBS" in caught.value.remedy
    sink.close()


def test_a_camera_that_goes_away() -> None:
    sink = VirtualCameraSink()
    sink.open(SIZE)
    Camera.opened[0].gone = True
    with pytest.raises(EdgeI2IError, match="the device is gone") as caught:
        sink.write(grey(1), result(grey(1)))
    assert caught.value.remedy
    sink.close()
    assert Camera.opened[0].closed == 1
