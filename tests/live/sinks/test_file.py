"""Recordings: every frame at its time, whole or not there, with the sound of the film they were made of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import pytest

from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.live.sinks.file import FileSink
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.films.video_writer import VideoWriter
from samples.films import add_tone, levels, read, sound_packets
from samples.live.sinks import SIZE, grey, result

AV_TICK = 1 / 90_000


def stamps(path: Path) -> list[float]:
    with VideoReader(path) as reader:
        return [float(frame.pts_seconds) for frame in reader]


def film_with_sound(path: Path, frames: int = 25) -> Path:
    with av.open(str(path), "w", format="matroska") as target:
        pictures = target.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = SIZE.width, SIZE.height, "yuv420p"
        sound = target.add_stream("aac", rate=48000, layout="mono")
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(grey(20 + index * 8), "rgb24")
            frame.pts, frame.time_base = index + 5, Fraction(1, 25)  # the sound begins before the pictures
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        add_tone(target, sound, 0, 1)
    return path


def errors_of(steps: list[Callable[[], None]]) -> list[str]:
    """Everything that is done, whatever was said before; a session would stop at the first error."""
    said = []
    for step in steps:
        try:
            step()
        except EdgeI2IError as error:
            said.append(str(error))
    return said


def test_frames_keep_the_times_at_which_they_were_captured(tmp_path: Path) -> None:
    times = [1000.0, 1000.033, 1000.041, 1000.5, 1003.25]
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(SIZE)
    for seq, at in enumerate(times):
        sink.write(grey(50 + 30 * seq), result(grey(0), seq, t_capture=at, t_source=77.0))
    sink.close()
    assert stamps(tmp_path / "out.mp4") == pytest.approx([at - 1000 for at in times], abs=AV_TICK)
    assert levels(read(tmp_path / "out.mp4")) == pytest.approx([50, 80, 110, 140, 170], abs=3)
    assert sink.finished == [tmp_path / "out.mp4"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_film_keeps_its_own_times(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4", source_times=True)
    sink.open(SIZE)
    for seq in range(5):
        sink.write(grey(90), result(grey(0), seq, t_capture=3.0 + seq * 0.9, t_source=12.0 + seq / 24))
    sink.close()
    assert stamps(tmp_path / "out.mp4") == pytest.approx([seq / 24 for seq in range(5)], abs=AV_TICK)


def test_a_source_without_times_gives_those_of_its_capture(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4", source_times=True)
    sink.open(SIZE)
    for seq in range(3):
        sink.write(grey(90), result(grey(0), seq, t_capture=3.0 + seq * 0.5))
    sink.close()
    assert stamps(tmp_path / "out.mp4") == pytest.approx([0, 0.5, 1.0], abs=AV_TICK)


def test_times_that_jump_back_lose_no_frame(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4", source_times=True)
    sink.open(SIZE)
    for seq, at in enumerate([5.0, 5.1, 2.0, None, 5.2]):
        sink.write(grey(90), result(grey(0), seq, t_source=at))
    sink.close()
    written = stamps(tmp_path / "out.mp4")
    assert len(written) == 5 and written == sorted(set(written))


def test_sound_is_kept_beside_its_pictures(tmp_path: Path) -> None:
    source = film_with_sound(tmp_path / "source.mkv")
    sink = FileSink(tmp_path / "out.mp4", sound_of=source)
    sink.open(SIZE)
    with VideoReader(source) as reader:
        wanted = [float(frame.pts_seconds) for frame in reader]
    for seq, at in enumerate(wanted):
        sink.write(grey(20 + seq * 8), result(grey(0), seq, t_capture=50.0 + seq, t_source=at))
    sink.close()
    assert stamps(tmp_path / "out.mp4") == pytest.approx(wanted, abs=1e-3)
    before, after = sound_packets(source), sound_packets(tmp_path / "out.mp4")
    assert [data for _, data in after] == [data for _, data in before]
    assert after[1][0] - after[0][0] == pytest.approx(1024 / 48000, abs=1e-3)
    assert wanted[0] - before[0][0] == pytest.approx(stamps(tmp_path / "out.mp4")[0] - after[0][0], abs=0.03)


def test_another_size_is_another_part(tmp_path: Path) -> None:
    (tmp_path / "out-2.mp4").write_bytes(b"somebody else's")
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(SIZE)
    sizes = [SIZE, SIZE, Size(48, 64), Size(48, 64), SIZE]
    for seq, size in enumerate(sizes):
        sink.write(grey(90, size), result(grey(0), seq, t_capture=9 + seq * 0.1))
    sink.close()
    names = ["out.mp4", "out-3.mp4", "out-4.mp4"]
    assert [path.name for path in sink.finished] == names
    for name, at, size in zip(names, ([0, 0.1], [0, 0.1], [0]), (SIZE, Size(48, 64), SIZE), strict=True):
        assert stamps(tmp_path / name) == pytest.approx(at, abs=AV_TICK)
        with VideoReader(tmp_path / name) as reader:
            assert reader.size == size
    assert (tmp_path / "out-2.mp4").read_bytes() == b"somebody else's"


def test_a_first_picture_of_another_size_than_announced_is_no_part_of_its_own(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(SIZE)
    sink.write(grey(90, Size(48, 64)), result(grey(0)))
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"before")
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(SIZE)
    sink.close()
    assert (tmp_path / "out.mp4").read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_odd_sides(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(Size(47, 63))
    for seq in range(2):
        sink.write(grey(90, Size(47, 63)), result(grey(0), seq, t_capture=seq))
    sink.close()
    assert levels(read(tmp_path / "out.mp4")) == pytest.approx([90, 90], abs=3)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "nowhere" / "out.mp4")
    with pytest.raises(EdgeI2IError, match="cannot be written: No such file") as caught:
        sink.open(SIZE)
    assert "folder exists" in caught.value.remedy
    sink.close()


# What survives -----------------------------------------------------------------------------------------------------

RECORD = """
import os, resource, signal, sys
import numpy as np
from edge_i2i.errors import EdgeI2IError
from edge_i2i.live.frame import Frame, Result
from edge_i2i.live.sinks.file import FileSink
from edge_i2i.contract import Size

path, how, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
rng = np.random.default_rng(0)
sink = FileSink(path)
sink.open(Size(64, 64))
try:
    for seq in range(frames):
        picture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        sink.write(picture, Result(picture, Frame(seq, 0, 5 + seq / 30, None, picture), 6 + seq / 30))
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sink.close()
except EdgeI2IError as error:
    print(error)
"""


def record(path: Path, how: str, frames: int = 180) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RECORD, str(path), how, str(frames)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def played(path: Path) -> list[float]:
    """What a player shows of a file that was not completed."""
    times: list[float] = []
    with av.open(str(path)) as film, suppress(av.error.FFmpegError):
        for frame in film.decode(video=0):
            times.append(float(frame.time or 0))
    return times


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_a_recording_can_be_played_after_a_kill(tmp_path: Path, name: str) -> None:
    assert record(tmp_path / name, "killed").returncode == -9
    assert [path.name for path in tmp_path.iterdir()] == [name]
    times = played(tmp_path / name)
    assert len(times) > 60 and times == pytest.approx([seq / 30 for seq in range(len(times))], abs=2e-3)


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_a_full_disk_ends_a_recording_loudly_and_keeps_it(tmp_path: Path, name: str) -> None:
    said = record(tmp_path / name, "full")
    assert said.returncode == 0 and said.stderr == ""
    assert "cannot be written: File too large" in said.stdout and "kept in" in said.stdout
    assert said.stdout.count("cannot be written") == 1 and [path.name for path in tmp_path.iterdir()] == [name]
    times = played(tmp_path / name)
    assert len(times) > 8 and times == pytest.approx([seq / 30 for seq in range(len(times))], abs=2e-3)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_killed_recording_is_no_hindrance_to_the_next(tmp_path: Path, name: str) -> None:
    record(tmp_path / name, "killed", 90)
    before = (tmp_path / name).read_bytes()
    sink = FileSink(tmp_path / name)
    sink.open(SIZE)
    sink.write(grey(90), result(grey(0)))
    sink.close()
    other = (tmp_path / name).with_stem("out-2")
    assert sink.finished == [other] and len(stamps(other)) == 1
    assert (tmp_path / name).read_bytes() == before
    assert len(sink.notes) == 1 and str(other) in sink.notes[0]


@pytest.mark.parametrize("what", ["file", "symlink", "dangling"])
def test_nothing_that_is_there_is_replaced(tmp_path: Path, what: str) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"before")
    if what == "file":
        (tmp_path / "out.mp4").write_bytes(b"before")
    else:
        (tmp_path / "out.mp4").symlink_to(tmp_path / ("holiday.mp4" if what == "symlink" else "nowhere.mp4"))
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(SIZE)
    sink.write(grey(90), result(grey(0)))
    sink.close()
    assert sink.finished == [tmp_path / "out-2.mp4"]
    assert (tmp_path / "holiday.mp4").read_bytes() == b"before" and not (tmp_path / "nowhere.mp4").exists()


def test_an_encoder_that_fails_is_said_once_and_keeps_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(SIZE)
    steps = [lambda seq=seq: sink.write(grey(90), result(grey(90), seq, t_capture=seq / 30)) for seq in range(60)]
    assert errors_of(steps[:30]) == []

    def full(*_: object) -> None:
        raise EdgeI2IError("The video cannot be written: No space left on device.")

    monkeypatch.setattr(VideoWriter, "write", full)
    said = errors_of([*steps[30:], sink.close, sink.close])
    assert len(said) == 1 and "What was recorded until then is kept" in said[0]
    assert len(stamps(tmp_path / "out.mp4")) == 30 and sink.finished == [tmp_path / "out.mp4"]


@pytest.mark.parametrize("times", [[0, 0.5, 1.0], [0.0], [seq * 0.1 for seq in range(31)], [0, 1, 2, 7, 7.04]])
@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_no_last_frame_is_lost_whenever_it_comes(tmp_path: Path, name: str, times: list[float]) -> None:
    sink = FileSink(tmp_path / name)
    sink.open(SIZE)
    for seq, at in enumerate(times):
        sink.write(grey(90), result(grey(0), seq, t_capture=9 + at))
    sink.close()
    assert stamps(tmp_path / name) == pytest.approx(times, abs=2e-3)


def test_a_name_that_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.gif"):
        FileSink(tmp_path / "out.gif")
