"""What every kind of source owes whoever reads it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.media.pictures import write_picture
from edge_i2i.sources.camera import CameraSource, NumberedCamera
from edge_i2i.sources.film import FilmSource
from edge_i2i.sources.folder import FolderSource
from edge_i2i.sources.gstreamer import GStreamerSource
from edge_i2i.sources.network import NetworkSource
from edge_i2i.sources.pattern import PatternClip, PatternSource
from edge_i2i.sources.photo import PhotoSource
from edge_i2i.sources.screen import ScreenSource
from edge_i2i.sources.source import Captured, Source
from samples.live.virtual_clock import VirtualClock
from samples.sources.fake_gst import install_fake_gst
from samples.sources.made import EVEN, ODD, Case, FakeCapture, FakeScreens, film_of_primaries, primaries, worst_colour
from samples.sources.stream_server import StreamServer

YUV_LEVELS = 2  # 8 bits of limited range hold 220 shades: half a step is 0.6 of a level, three channels add up
JPEG_LEVELS = 3  # quality 98 over 4:4:4, flat blocks
PAN_LEVELS = 1  # a position between pixels, rounded


@pytest.fixture
def case(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream_server: StreamServer
) -> Case:
    made: Case = _MAKERS[request.param](tmp_path, monkeypatch, stream_server)
    return made


def _film(times: list[Fraction], *, as_live: bool = False) -> Callable[..., Case]:
    def make(folder: Path, _: pytest.MonkeyPatch, __: StreamServer) -> Case:
        path = film_of_primaries(folder / "a.mp4", times)
        return Case(
            lambda clock: FilmSource(path, clock=clock, as_live=as_live), EVEN, False, YUV_LEVELS, count=len(times)
        )

    return make


def _folder(folder: Path, _: pytest.MonkeyPatch, __: StreamServer) -> Case:
    for name in ("1.png", "2.bmp", "10.tif", "11.webp"):
        cv2.imwrite(str(folder / name), primaries()[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])
    return Case(lambda clock: FolderSource(folder, clock=clock, fps=5.0), ODD, False, count=4)


def _photo(folder: Path, _: pytest.MonkeyPatch, __: StreamServer) -> Case:
    write_picture(folder / "a.png", np.full((300, 400, 3), (255, 0, 0), np.uint8))
    return Case(lambda clock: PhotoSource(folder / "a.png", clock=clock, size=ODD), ODD, True, None)


def _camera(samples: np.ndarray) -> Callable[..., Case]:
    def make(_: Path, monkeypatch: pytest.MonkeyPatch, __: StreamServer) -> Case:
        monkeypatch.setattr(cv2, "VideoCapture", lambda where, backend: FakeCapture(where, backend, samples))
        return Case(lambda _: CameraSource(NumberedCamera(0)), ODD, True, 0, repeats_mean_stall=True)

    return make


def _http(_: Path, __: pytest.MonkeyPatch, server: StreamServer) -> Case:
    address = server.address("/endless", user="me:secret@")
    return Case(lambda clock: NetworkSource(address, clock=clock), EVEN, True, JPEG_LEVELS)


def _screen(_: Path, monkeypatch: pytest.MonkeyPatch, __: StreamServer) -> Case:
    monkeypatch.setitem(sys.modules, "mss", FakeScreens())
    return Case(lambda clock: ScreenSource(clock=clock), ODD, True)


def _gst_by_opencv(_: Path, monkeypatch: pytest.MonkeyPatch, __: StreamServer) -> Case:
    bgr = np.ascontiguousarray(primaries()[..., ::-1])
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _: True)
    monkeypatch.setattr(cv2, "VideoCapture", lambda where, backend: FakeCapture(where, backend, bgr))
    return Case(lambda _: GStreamerSource("videotestsrc", label="a pipeline"), ODD, True)


def _gst_by_gi(_: Path, monkeypatch: pytest.MonkeyPatch, __: StreamServer) -> Case:
    install_fake_gst(monkeypatch, primaries())
    return Case(lambda _: GStreamerSource("videotestsrc", label="a pipeline"), ODD, True)


def _plain(make: Callable[[Clock], Source], live: bool, count: int | None = None) -> Callable[..., Case]:
    return lambda *_: Case(make, ODD, live, None, count=count)


_GREY = np.full((ODD.height, ODD.width), 90, np.uint8)
_BGRA = cv2.cvtColor(primaries(), cv2.COLOR_RGB2BGRA)
_CFR = [Fraction(n, 25) for n in range(6)]
_VFR = [Fraction(n, 1000) for n in (0, 40, 41, 500, 2_000, 2_033)]

_MAKERS: dict[str, Callable[..., Case]] = {
    "film": _film(_CFR),
    "film of varying rate": _film(_VFR),
    "film as live": _film(_VFR, as_live=True),
    "folder": _folder,
    "photo": _photo,
    "pattern": _plain(lambda clock: PatternSource(ODD, 30.0, clock=clock), True),
    "finite pattern": _plain(lambda clock: PatternClip(4, ODD, clock=clock), False, 4),
    "camera, BGR": _camera(np.ascontiguousarray(primaries()[..., ::-1])),
    "camera, BGRA": _camera(_BGRA),
    "http": _http,
    "screen": _screen,
    "gst by OpenCV": _gst_by_opencv,
    "gst by PyGObject": _gst_by_gi,
}

every_kind = pytest.mark.parametrize("case", [*_MAKERS], indirect=True)


def read_some(source: Source) -> list[Captured]:
    """Up to five pictures."""
    return [captured for _ in range(5) if (captured := source.read()) is not None]


@every_kind
def test_it_says_what_it_gives(case: Case) -> None:
    with VirtualClock() as clock:
        source = case.make(clock)
        info = source.open()
        first = source.read()
        source.close()
    assert first is not None and info.size == Size(*first.image.shape[:2]) == case.size
    assert info.label and "secret" not in info.label
    assert info.frames == case.count and (info.fps is None or info.fps > 0)
    assert (source.live, source.repeats_mean_stall) == (case.live, case.repeats_mean_stall)


@every_kind
def test_pictures_are_rgb_and_the_receivers_own(case: Case) -> None:
    with VirtualClock() as clock:
        source = case.make(clock)
        source.open()
        first = source.read()
        assert first is not None
        kept = first.image.copy()
        later = read_some(source)
        np.testing.assert_array_equal(first.image, kept)  # not overwritten by what came after
        untouched = later[0].image.copy()
        first.image[...] = 7
        np.testing.assert_array_equal(later[0].image, untouched)
        source.close()
        later[0].image[...] = 7  # also when the source is gone
    for captured in (first, *later):
        image = captured.image
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        assert image.flags.c_contiguous and image.flags.writeable


@every_kind
def test_known_colours_come_through(case: Case) -> None:
    if case.levels is None:
        pytest.skip("it shows another picture, which has its own test")
    with VirtualClock() as clock:
        source = case.make(clock)
        source.open()
        worst = max(worst_colour(captured.image) for captured in read_some(source))
        source.close()
    assert worst <= case.levels


@every_kind
def test_times_do_not_go_back(case: Case) -> None:
    with VirtualClock() as clock:
        source = case.make(clock)
        source.open()
        times = [captured.t_source for captured in read_some(source)]
        source.close()
    assert None in times or times == sorted(times)  # type: ignore[type-var]


@every_kind
def test_it_ends_where_it_should_and_stays_ended(case: Case) -> None:
    with VirtualClock() as clock:
        source = case.make(clock)
        source.open()
        count = 0
        while count < 12 and source.read() is not None:
            count += 1
        assert count == (case.count or 12)
        assert case.count is None or source.read() is None
        source.close()


@every_kind
def test_it_can_be_closed_at_any_time_and_opened_anew_as_another(case: Case) -> None:
    with VirtualClock() as clock:
        case.make(clock).close()  # never opened
        for _ in range(2):
            source = case.make(clock)
            source.open()
            assert source.read() is not None
            source.close()
            source.close()
