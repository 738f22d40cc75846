"""Frames out of real files, and out of a camera that the test plays."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge_i2i.clock import SystemClock
from edge_i2i.collect.file_source import FileSource
from edge_i2i.collect.frames import Sampling
from edge_i2i.collect.opening import open_source
from edge_i2i.collect.played_source import PlayedSource
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.sources.registry import source_spec
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceLostError, SourceSpec
from samples.films import RATE, film_of
from samples.live.virtual_clock import VirtualClock
from samples.pictures import soft_shapes
from samples.sources.made import FakeScreens
from samples.sources.rtsp_server import RtspServer


def positions(source: str | Path, sampling: Sampling, output: Path) -> list[tuple[str, int, float | None]]:
    opened = open_source(str(source), output, sampling)
    return [(frame.position.file, frame.position.frame, frame.position.seconds) for frame in opened.frames()]


# Files ----------------------------------------------------------------------------------------------------------


def test_a_video_is_sampled_by_its_time_stamps(tmp_path: Path) -> None:
    path = film_of(tmp_path / "a.mp4", map(soft_shapes, range(50)))
    found = positions(path, Sampling(seconds=1.5, every=0.3), tmp_path / "out")
    assert found == [("a.mp4", index, index / RATE) for index in (0, 8, 15, 23, 30)]  # 0.3 s are 7.5 frames


def test_every_0_is_every_frame(tmp_path: Path) -> None:
    path = film_of(tmp_path / "a.mp4", map(soft_shapes, range(12)))
    assert len(positions(path, Sampling(every=0), tmp_path / "out")) == 12


def test_a_folder_gives_its_pictures_and_videos_but_nothing_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    cv2.imwrite(str(folder / "sub" / "b.png"), soft_shapes(1))
    cv2.imwrite(str(folder / "c.jpg"), soft_shapes(2))
    cv2.imwrite(str(folder / ".hidden" / "d.png"), soft_shapes(3))
    (folder / "notes.txt").write_text("not a picture")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n half")
    film_of(folder / "a.mp4", map(soft_shapes, range(3)))
    source = open_source(str(folder), tmp_path / "out", Sampling(every=0))
    assert (source.kind, source.name, source.total) == ("folder", "in", None)
    assert [frame.position.file for frame in source.frames()] == ["a.mp4"] * 3 + ["c.jpg", "sub/b.png"]
    (passed_over,) = source.unreadable
    assert passed_over.file == "broken.png" and passed_over.reason


def test_a_pattern_and_a_single_picture(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), soft_shapes(1))
    assert [file for file, *_ in positions(tmp_path / "a*.png", Sampling(), tmp_path / "out")] == ["a1.png", "a2.png"]
    assert positions(tmp_path / "b1.png", Sampling(), tmp_path / "out") == [("b1.png", 0, None)]


@pytest.mark.parametrize("name", ["missing.mp4", "missing/", "empty", "none*.png"])
def test_a_source_without_pictures_is_bad_input(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError) as caught:
        open_source(str(tmp_path / name), tmp_path / "out", Sampling())
    assert caught.value.exit_code == 4 and caught.value.remedy


def test_a_damaged_video_alone_is_an_error(tmp_path: Path) -> None:
    whole = film_of(tmp_path / "a.mkv", map(soft_shapes, range(60))).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PictureError, match="cut off"):
        positions(tmp_path / "cut.mkv", Sampling(), tmp_path / "out")


def test_a_source_inside_the_output_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), soft_shapes(1))
    for source in (tmp_path, tmp_path / "a.png"):
        with pytest.raises(UsageError):
            open_source(str(source), tmp_path, Sampling())


@pytest.mark.parametrize("values", [{"every": -1}, {"every": float("nan")}, {"seconds": 0}, {"seconds": float("inf")}])
def test_senseless_sampling_is_wrong_usage(values: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Sampling(**values)


# Cameras --------------------------------------------------------------------------------------------------------


class Player(Source):
    """A camera of 8 frames a second and the clock that goes with it; it is lost after its frames."""

    def __init__(self, frames: int) -> None:
        self.left, self.frames, self.time, self.closed = frames, frames, 100.0, False

    def spec(self) -> SourceSpec:
        return SourceSpec("0", True, lambda: self, scheme="camera")

    def open(self) -> SourceInfo:
        return SourceInfo("camera 0", Size(48, 64))

    def read(self) -> Captured:
        self.time += 0.125
        self.left -= 1
        if self.left < 0:
            raise SourceLostError("The camera 0 gives no picture.", remedy="Plug it in.")
        return Captured(soft_shapes(self.left))

    def close(self) -> None:
        self.closed = True


class PlayersClock(SystemClock):
    """The time of a player."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def now(self) -> float:
        return self._player.time


def played(player: Player, sampling: Sampling) -> PlayedSource:
    return PlayedSource(player.spec(), sampling, PlayersClock(player))


def test_a_camera_is_looked_at_for_its_seconds_after_it_has_settled() -> None:
    player = Player(1000)
    source = played(player, Sampling(seconds=2, every=0.5))
    times = [frame.position.seconds for frame in source.frames()]
    assert len(times) == source.total == 4
    assert times == [0.0, 0.5, 1.0, 1.5]
    assert player.closed and player.time == pytest.approx(103, abs=0.13)


def test_a_camera_that_is_left_early_is_closed() -> None:
    player = Player(1000)
    frames = played(player, Sampling(every=0)).frames()
    next(frames)
    frames.close()
    assert player.closed


def test_a_camera_that_is_lost_gives_what_it_gave(caplog: pytest.LogCaptureFixture) -> None:
    player = Player(25)
    with caplog.at_level(logging.WARNING, logger="edge_i2i"):
        assert len(list(played(player, Sampling(every=0)).frames())) == 25 - 7  # the settling is over at 1 s
    assert "gives no picture. What it gave in 25 frames is used" in caplog.text and player.closed


@pytest.mark.parametrize("frames", [0, 5])
def test_a_camera_without_pictures_is_lost(frames: int) -> None:
    player = Player(frames)
    with pytest.raises(SourceLostError, match="gives no picture"):
        list(played(player, Sampling()).frames())
    assert player.closed


@pytest.mark.parametrize("name", ["97", "/dev/video97"])
def test_a_camera_that_is_not_there_is_the_error_that_live_gives(tmp_path: Path, name: str) -> None:
    source = open_source(name, tmp_path / "out", Sampling())
    assert (source.kind, source.name) == ("camera", name)
    with pytest.raises(SourceLostError) as caught:
        next(source.frames())
    with pytest.raises(SourceLostError) as of_live:
        source_spec(name).make().open()
    assert (caught.value.what, caught.value.remedy) == (of_live.value.what, of_live.value.remedy)
    assert caught.value.exit_code == 3


def test_a_folder_named_like_a_camera_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("97").mkdir()
    cv2.imwrite("97/a.png", soft_shapes(1))
    assert open_source("97", Path("out"), Sampling()).kind == "folder"
    assert open_source("camera:97", Path("out"), Sampling()).kind == "camera"


# All that live reads --------------------------------------------------------------------------------------------


def test_a_film_and_a_folder_by_their_schemes_are_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = film_of(folder / "a.mp4", map(soft_shapes, range(3)))
    every = Sampling(every=0)
    assert positions(f"file:{path}", every, tmp_path / "out") == positions(path, every, tmp_path / "out")
    assert positions(f"folder:{folder}", every, tmp_path / "out") == positions(folder, every, tmp_path / "out")


def test_a_test_pattern_with_an_end_has_its_own_times(tmp_path: Path) -> None:
    found = positions("pattern:64x96@10?frames=12", Sampling(seconds=1, every=0.5), tmp_path / "out")
    assert found == [("", 0, 0.0), ("", 5, 0.5)]


def test_a_screen_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mss", FakeScreens())
    with VirtualClock() as clock:
        source = open_source("screen:", tmp_path / "out", Sampling(1, 0.5), clock=clock, fps=10.0)
        found = [frame.position.frame for frame in source.frames()]
    assert (source.kind, source.name, source.total) == ("screen", "screen:", 2) and found == [0, 5]


def test_a_network_camera_ends_with_what_it_gave(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RtspServer([soft_shapes(seed) for seed in range(6)]) as server:
        source = open_source(server.address, tmp_path / "out", Sampling(every=0))
        with caplog.at_level(logging.WARNING, logger="edge_i2i"):
            frames = list(source.frames())
    assert source.kind == "stream" and "secret" not in source.name + caplog.text
    assert 1 <= len(frames) <= 6 and "frames" in caplog.text


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"size": Size(48, 64)}, "'file:' has a size of its own"),
        ({"fps": 5.0}, "'file:' has a rate of its own"),
        ({"pixel_format": "mjpg"}, "'file:' has a pixel format of its own"),
    ],
)
def test_a_film_cannot_be_asked_for_what_is_its_own(tmp_path: Path, asked: Any, complaint: str) -> None:
    path = film_of(tmp_path / "a.mp4", map(soft_shapes, range(1)))
    for text in (str(path), f"file:{path}"):
        with pytest.raises(UsageError, match=complaint):
            open_source(text, tmp_path / "out", Sampling(), **asked)


def test_the_pictures_of_a_folder_come_at_no_rate(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Every picture"):
        open_source(f"folder:{tmp_path}", tmp_path / "out", Sampling(), fps=5.0)


def test_an_unknown_scheme_is_said_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_source("rstp://me:secret@camera/stream?a=b", tmp_path / "out", Sampling())
    assert "names no source" in caught.value.what and "secret" not in str(caught.value)


def test_what_becomes_of_a_high_dynamic_range_is_handed_on(tmp_path: Path) -> None:
    source = open_source(
        str(film_of(tmp_path / "a.mp4", map(soft_shapes, range(1)))), tmp_path / "out", Sampling(), hdr=Hdr.REFUSE
    )
    assert isinstance(source, FileSource) and source.hdr is Hdr.REFUSE
