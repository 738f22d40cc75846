"""Frames out of real files, and out of a camera that the test plays."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.collect.frames import CameraSource, Sampling, open_source
from edge_i2i.errors import MissingRequirementError, PictureError, UsageError
from samples.films import RATE, film_of
from samples.pictures import soft_shapes


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


class Player:
    """A camera of 8 frames a second and the clock that goes with it."""

    def __init__(self, frames: int) -> None:
        self.left, self.now, self.closed = frames, 100.0, False

    def clock(self) -> float:
        return self.now

    def read(self) -> np.ndarray | None:
        self.now += 0.125
        self.left -= 1
        return soft_shapes(self.left) if self.left >= 0 else None

    def close(self) -> None:
        self.closed = True


def test_a_camera_is_looked_at_for_its_seconds_after_it_has_settled() -> None:
    player = Player(1000)
    source = CameraSource("0", Sampling(seconds=2, every=0.5), lambda: player, player.clock)
    times = [frame.position.seconds for frame in source.frames()]
    assert len(times) == source.total == 4
    assert times == [0.0, 0.5, 1.0, 1.5]
    assert player.closed and player.now == pytest.approx(103, abs=0.13)


def test_a_camera_that_is_left_early_is_closed() -> None:
    player = Player(1000)
    frames = CameraSource("0", Sampling(every=0), lambda: player, player.clock).frames()
    next(frames)
    frames.close()
    assert player.closed


def test_a_camera_that_stops_gives_what_it_gave(caplog: pytest.LogCaptureFixture) -> None:
    player = Player(25)
    source = CameraSource("0", Sampling(every=0), lambda: player, player.clock)
    with caplog.at_level(logging.WARNING, logger="edge_i2i"):
        assert len(list(source.frames())) == 25 - 7  # the first at 0.125 s, the settling over at 1 s
    assert "stopped after 25 frames" in caplog.text


def test_a_camera_without_pictures_is_a_missing_requirement() -> None:
    player = Player(0)
    with pytest.raises(MissingRequirementError, match="gives no picture"):
        list(CameraSource("0", Sampling(), lambda: player, player.clock).frames())
    assert player.closed


@pytest.mark.parametrize("name", ["97", "/dev/video97"])
def test_a_camera_that_is_not_there_is_a_missing_requirement(tmp_path: Path, name: str) -> None:
    source = open_source(name, tmp_path / "out", Sampling())
    assert (source.kind, source.name) == ("camera", name)
    with pytest.raises(MissingRequirementError) as caught:
        next(source.frames())
    assert caught.value.exit_code == 3 and "plugged in" in caught.value.remedy


def test_a_folder_named_like_a_camera_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("97").mkdir()
    cv2.imwrite("97/a.png", soft_shapes(1))
    assert open_source("97", Path("out"), Sampling()).kind == "folder"
