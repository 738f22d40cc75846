"""From what a person writes to a source, or to an error that helps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.sources import SOURCE_KINDS, source_spec
from edge_i2i.sources.camera import CameraSource
from edge_i2i.sources.film import FilmSource
from edge_i2i.sources.folder import FolderSource
from edge_i2i.sources.gstreamer import GStreamerSource
from edge_i2i.sources.network import NetworkSource
from edge_i2i.sources.pattern import PatternClip, PatternSource
from edge_i2i.sources.photo import PhotoSource
from edge_i2i.sources.screen import ScreenSource
from edge_i2i.sources.source import SourceLostError
from samples.live.virtual_clock import VirtualClock


@pytest.mark.parametrize(
    ("text", "kind", "live"),
    [
        ("0", CameraSource, True),
        ("12", CameraSource, True),
        ("camera:1", CameraSource, True),
        ("CAMERA:1", CameraSource, True),
        ("film.mp4", FilmSource, False),
        ("C:\\films\\a.mp4", FilmSource, False),
        ("/films/a", FilmSource, False),
        ("file:film", FilmSource, False),
        ("file:///films/a%20b.mp4", FilmSource, False),
        ("folder:pictures", FolderSource, False),
        ("photo:a.jpg", PhotoSource, True),
        ("pattern:", PatternSource, True),
        ("pattern:64x96", PatternSource, True),
        ("pattern:@12.5", PatternSource, True),
        ("pattern:64x96@15?frames=9", PatternClip, False),
        ("rtsp://camera/stream", NetworkSource, True),
        ("https://camera/a.m3u8", NetworkSource, True),
        ("screen:", ScreenSource, True),
        ("screen:2", ScreenSource, True),
        ("csi:0", GStreamerSource, True),
        ("gst:csi:1", GStreamerSource, True),
        ("gst:videotestsrc ! videoscale", GStreamerSource, True),
    ],
)
def test_what_a_text_means(text: str, kind: type, live: bool) -> None:
    spec = source_spec(text)
    source = spec.make()
    assert type(source) is kind
    assert (spec.uri, spec.live, source.live) == (text, live, live)
    assert spec.make() is not source  # one object is one opening


@pytest.mark.parametrize("text", ["/dev/video0", "/dev/video12", "/dev/v4l/by-id/usb-Logitech_C920-video-index0"])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has paths for cameras")
def test_the_path_of_a_device_is_a_camera_also_while_it_is_away(text: str) -> None:
    assert type(source_spec(text).make()) is CameraSource
    with pytest.raises(SourceLostError, match="camera") as caught:
        source_spec(text.replace("video", "video99")).make().open()
    assert caught.value.exit_code == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has paths for cameras")
def test_a_link_to_a_device_is_a_camera(tmp_path: Path) -> None:
    (tmp_path / "front-door").symlink_to("/dev/null")  # a character device that is everywhere
    assert type(source_spec(str(tmp_path / "front-door")).make()) is CameraSource


def test_a_film_in_a_folder_called_dev_is_a_film() -> None:
    assert type(source_spec("dev/video0.mp4").make()) is FilmSource


@pytest.mark.parametrize("name", ["mjpg", "YUYV", "mjpeg", "y16", "nv12"])
def test_a_camera_is_asked_for_a_pixel_format(name: str) -> None:
    assert type(source_spec("0", pixel_format=name).make()) is CameraSource


@pytest.mark.parametrize(("text", "name"), [("0", "motion jpeg"), ("0", ""), ("0", "ÄÖÜß"), ("pattern:", "mjpg")])
def test_what_is_no_pixel_format_or_cannot_be_asked_for_it(text: str, name: str) -> None:
    with pytest.raises(UsageError, match="pixel format"):
        source_spec(text, pixel_format=name)


def test_a_path_that_exists_needs_no_scheme(tmp_path: Path) -> None:
    assert isinstance(source_spec(str(tmp_path)).make(), FolderSource)
    odd = tmp_path / "camera:of my own"
    odd.touch()
    assert isinstance(source_spec(str(odd)).make(), FilmSource)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("camra:0", ["'camra'", "Did you mean 'camera:'?"]),
        ("patern:", ["Did you mean 'pattern:'?"]),
        ("webcam", ["'webcam' names no source"]),
        ("rstp://me:secret@host/x", ["'rstp'", "Did you mean 'rtsp:'?"]),
        ("1rtsp://me:secret@host/x", ["'1rtsp'"]),
        ("", ["names no source"]),
        ("street.jpg", ["is a picture", "photo:street.jpg"]),
        ("photo:", ["lacks the path"]),
        ("file:", ["lacks the path"]),
        ("camera:front", ["names no camera"]),
        ("screen:left", ["names no monitor"]),
        ("csi:x", ["names no CSI camera"]),
        ("gst:", ["pipeline is missing"]),
        ("http:", ["lacks a host"]),
        ("rtsp:///stream", ["lacks a host"]),
        ("pattern:64x", ["pattern:480x640@30"]),
        ("pattern:64x96@1.2.3", ["no number"]),
        ("pattern:@0", ["frames a second"]),
        ("pattern:8x8", ["no room"]),
        ("pattern:0x64", ["out of range"]),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        source_spec(text)
    assert caught.value.remedy and caught.value.exit_code == 2
    assert "secret" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["file:a.mp4", "folder:a", "screen:", "http://host/x", "gst:videotestsrc"])
def test_a_size_is_refused_where_the_source_has_its_own(text: str) -> None:
    with pytest.raises(UsageError):
        source_spec(text, size=Size(480, 640))


@pytest.mark.parametrize("text", ["file:a.mp4", "rtsp://host/x", "gst:videotestsrc"])
def test_a_rate_is_refused_where_the_source_has_its_own(text: str) -> None:
    with pytest.raises(UsageError):
        source_spec(text, fps=30.0)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 1e6])
def test_a_rate_that_nobody_can_give_is_refused(fps: float) -> None:
    with pytest.raises(UsageError):
        source_spec("pattern:", fps=fps)


def test_size_and_rate_are_given_once() -> None:
    assert source_spec("pattern:@15", size=Size(64, 96)).make().open().size == Size(64, 96)
    for given_twice in ({"size": Size(64, 96)}, {"fps": 10.0}):
        with pytest.raises(UsageError):
            source_spec("pattern:80x96@15", **given_twice)  # type: ignore[arg-type]


def test_credentials_are_hidden_and_still_used() -> None:
    spec = source_spec("RTSP://me:secret@camera/stream")
    assert "secret" not in spec.uri and "me" not in spec.uri.partition("camera")[0]
    assert spec.make()._address == "rtsp://me:secret@camera/stream"  # type: ignore[attr-defined]


def test_the_clock_is_handed_on() -> None:
    with VirtualClock() as clock:
        source = source_spec("pattern:64x96@10", clock=clock).make()
        source.open()
        for _ in range(11):
            source.read()
        assert clock.now() == pytest.approx(1.0)


def test_every_example_is_one() -> None:
    for kind in SOURCE_KINDS:
        assert kind.meaning and source_spec(kind.example).uri == kind.example
        if kind.takes_size and kind.scheme != "pattern":
            source_spec(kind.example, size=Size(64, 96))
        if kind.takes_fps and kind.scheme != "pattern":
            source_spec(kind.example, fps=12.0)


_SCHEMES = st.sampled_from([kind.scheme for kind in SOURCE_KINDS])


@given(st.one_of(st.text(), st.builds("{}:{}".format, _SCHEMES, st.text(max_size=30))))
def test_any_text_gives_a_source_or_a_remedy(text: str) -> None:
    try:
        spec = source_spec(text)
    except EdgeI2IError as error:
        assert error.exit_code == 2 and error.remedy
    else:
        assert spec.make().live == spec.live


@given(
    st.integers(56, 400),
    st.integers(64, 400),
    st.floats(0.1, 1000).map(lambda fps: round(fps, 3)),
    st.none() | st.integers(0, 10**9),
)
def test_patterns_say_what_was_written(height: int, width: int, fps: float, frames: int | None) -> None:
    spec = source_spec(f"pattern:{height}x{width}@{fps:.3f}" + ("" if frames is None else f"?frames={frames}"))
    info = spec.make().open()
    assert (info.size, info.fps, info.frames) == (Size(height, width), fps, frames)
    assert spec.live == (frames is None)


@given(
    st.text(min_size=1).filter(lambda text: not text.isascii() or "@" not in text), st.sampled_from(["rtsp", "http"])
)
def test_no_password_is_shown(password: str, scheme: str) -> None:
    secret = "S3cret" + password.replace("@", "").replace("/", "") + "S3cret"
    try:
        shown = source_spec(f"{scheme}://me:{secret}@host/x").uri
    except UsageError as error:
        shown = str(error)
    assert "S3cret" not in shown
