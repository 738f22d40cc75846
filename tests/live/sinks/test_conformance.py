"""What holds for every sink: colours, changing sizes, failing, ending twice, and nothing left behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.live.sinks.file import FileSink
from edge_i2i.live.sinks.folder import FolderSink
from edge_i2i.live.sinks.mjpeg import MjpegSink
from edge_i2i.live.sinks.null import NullSink
from edge_i2i.live.sinks.page_server import Address
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.sinks.window import WindowSink
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.pictures import read_picture
from samples.live.fake_camera import Camera
from samples.live.fake_gui import GUI_BUILD, FakeGui
from samples.live.peers import Peer
from samples.live.sinks import (
    PRIMARIES,
    SIZE,
    colour_error,
    decode_jpeg,
    get,
    grey,
    left_since,
    no_thread_left,
    passed_through,
    primaries,
    result,
    until,
)

OTHER_SIZES = [Size(48, 64), Size(97, 131), SIZE]


@dataclass(frozen=True)
class Case:
    """A sink to test, and how to see what came out: the newest picture, asked before it is closed, or after."""

    sink: Sink
    before: Callable[[], Picture] | None = None
    after: Callable[[], Picture] | None = None


def null(folder: Path) -> Case:
    sink = NullSink()

    def last() -> Picture:
        assert sink.last is not None
        return sink.last

    return Case(sink, before=last)


def folder(folder: Path) -> Case:
    return Case(FolderSink(folder), after=lambda: read_picture(max(folder.glob("*.png"))))


def file(folder: Path) -> Case:
    def last() -> Picture:
        with VideoReader(max(folder.glob("*.mp4"))) as reader:
            return list(reader)[-1].image

    return Case(FileSink(folder / "a.mp4"), after=last)


def mjpeg(folder: Path) -> Case:
    sink = MjpegSink(Address())
    return Case(sink, before=lambda: decode_jpeg(get(f"{sink.url}snapshot.jpg")))


def window(folder: Path) -> Case:
    gui = FakeGui()

    def last() -> Picture:
        until(lambda: bool(gui.shown))
        return gui.shown[-1]

    sink = WindowSink(make_gui=lambda: gui, build_information=GUI_BUILD, environment={"DISPLAY": ":0"})
    return Case(sink, before=last)


def vcam(folder: Path) -> Case:
    pytest.importorskip("pyvirtualcam", reason="pip install 'edge-i2i[vcam]'")
    from edge_i2i.live.sinks.vcam import VirtualCameraSink

    return Case(VirtualCameraSink(), before=lambda: Camera.opened[-1].sent[-1])


def webrtc(folder: Path) -> Case:
    pytest.importorskip("aiortc", reason="pip install 'edge-i2i[webrtc]'")
    from edge_i2i.live.sinks.webrtc import WebRtcSink

    sink = WebRtcSink(Address())

    def watch() -> Picture:
        peer = Peer(sink.url)
        try:
            peer.wait_for(1)
        finally:
            peer.close()
        return peer.received[0][1]

    return Case(sink, before=watch)


MAKERS: list[Callable[[Path], Case]] = [null, folder, file, mjpeg, window, vcam, webrtc]
# Levels. JPEG, H.264 and VP8 keep colour at half the resolution (4:2:0) and round it to their own scale.
BOUNDS = {"null": 0, "folder": 0, "window": 0, "vcam": 0, "file": 6, "mjpeg": 6, "webrtc": 12}


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    """Each sink in turn. Behind every test stands what this one asserts at its end: no thread of the sink is left."""
    if request.param is vcam:
        pyvirtualcam = pytest.importorskip("pyvirtualcam", reason="pip install 'edge-i2i[vcam]'")
        monkeypatch.setattr(Camera, "opened", [])
        monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {})
        pyvirtualcam.register_backend("fake", Camera)
    with no_thread_left():
        made: Case = request.param(tmp_path)
        yield made
        with contextlib.suppress(Exception):
            made.sink.close()


def test_it_has_a_name(case: Case) -> None:
    assert case.sink.name


def test_colours(case: Case) -> None:
    case.sink.open(SIZE)
    for seq in range(3):
        case.sink.write(primaries(), result(primaries(), seq, t_capture=seq / 30))
    shown = case.before() if case.before else None
    case.sink.close()
    if case.after is not None:
        shown = case.after()
    assert shown is not None and shown.shape == primaries().shape
    assert len(PRIMARIES) == 8 and colour_error(shown) <= BOUNDS[case.sink.name]


def test_pictures_of_changing_size(case: Case) -> None:
    case.sink.open(SIZE)
    for seq, size in enumerate([SIZE, *OTHER_SIZES, *OTHER_SIZES]):
        case.sink.write(grey(90, size), result(grey(90, size), seq, t_capture=seq / 30))
    if case.before is not None:
        assert abs(int(case.before()[20, 30, 0]) - 90) <= 3
    case.sink.close()
    if case.after is not None:
        assert abs(int(case.after()[20, 30, 0]) - 90) <= 3


def test_what_it_was_given_is_not_written_to(case: Case) -> None:
    picture = primaries()
    picture.flags.writeable = False
    case.sink.open(SIZE)
    case.sink.write(picture, result(picture))
    small = grey(3, Size(48, 64))
    small.flags.writeable = False
    case.sink.write(small, result(small, 1, t_capture=0.1))
    case.sink.close()
    assert (picture == primaries()).all() and (small == 3).all()


def test_what_is_passed_through_is_shown_and_neither_recorded_nor_sent(case: Case, tmp_path: Path) -> None:
    before = grey(200, Size(48, 64))
    case.sink.open(Size(48, 64))
    case.sink.write(before, passed_through(before))
    if case.sink.for_display and case.before is not None:
        assert abs(int(case.before()[20, 30, 0]) - 200) <= 3
    case.sink.write(primaries(), result(primaries(), 1, t_capture=1.0))
    case.sink.close()
    if case.after is not None:
        assert len([path for path in tmp_path.iterdir() if path.suffix != ".json"]) == 1
        assert colour_error(case.after()) <= BOUNDS[case.sink.name]
    if case.sink.name == "vcam":
        assert len(Camera.opened[-1].sent) == 1


def test_closing_it_twice_takes_nothing_away(case: Case) -> None:
    case.sink.open(SIZE)
    case.sink.write(grey(90), result(grey(90)))
    case.sink.close()
    case.sink.close()
    if case.after is not None:
        assert abs(int(case.after()[20, 30, 0]) - 90) <= 3


@pytest.mark.parametrize("opened", [True, False])
def test_closed_without_a_picture_it_leaves_no_recording(case: Case, opened: bool, tmp_path: Path) -> None:
    if opened:
        case.sink.open(SIZE)
    case.sink.close()
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_views_of_larger_pictures_are_taken(case: Case) -> None:
    """A crop, a mirror image: arrays whose pixels do not lie one after the other."""
    case.sink.open(SIZE)
    crop = cv2.copyMakeBorder(primaries(), 8, 8, 16, 16, cv2.BORDER_CONSTANT)[8:-8, 16:-16]
    for seq, view in enumerate([crop, primaries()[:, ::-1]]):
        case.sink.write(view, result(view, seq, t_capture=seq / 30))
    mirrored = case.before() if case.before else None
    case.sink.close()
    if case.after is not None:
        mirrored = case.after()
    assert mirrored is not None and colour_error(mirrored[:, ::-1]) <= BOUNDS[case.sink.name]


def test_started_and_ended_again_and_again_it_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    for round_ in range(10):
        for make in (null, folder, file, mjpeg, window):
            place = tmp_path / f"{make.__name__}-{round_}"
            place.mkdir()
            sink = make(place).sink
            sink.open(SIZE)
            sink.write(grey(1), result(grey(1)))
            sink.close()
    assert left_since(before) == []
