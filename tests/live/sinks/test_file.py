"""Recordings: every frame at its time, whole or not there, with the sound of the film they were made of."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from sink_samples import SIZE, grey, result

from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.live.sinks.file import FileSink
from edge_i2i.media.video import VideoReader
from edge_i2i.media.video_writer import VideoWriter
from edge_i2i.models.contract import Size

AV_TICK = 1 / 90_000


def stamps(path: Path) -> list[float]:
    with VideoReader(path) as reader:
        return [float(frame.pts_seconds) for frame in reader]


def levels(path: Path) -> list[int]:
    with VideoReader(path) as reader:
        return [round(float(frame.image.mean())) for frame in reader]


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
        for start in range(0, 48000, 1024):
            wave = 0.3 * np.sin(2 * np.pi * 440 * (start + np.arange(1024)) / 48000)
            samples = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 48000, start, Fraction(1, 48000)
            target.mux(sound.encode(samples))
        target.mux(sound.encode(None))
    return path


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(stream) if p.pts is not None]


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
    assert not (tmp_path / "out.mp4").exists()
    sink.close()
    assert stamps(tmp_path / "out.mp4") == pytest.approx([at - 1000 for at in times], abs=AV_TICK)
    assert levels(tmp_path / "out.mp4") == pytest.approx([50, 80, 110, 140, 170], abs=3)
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
    assert levels(tmp_path / "out.mp4") == pytest.approx([90, 90], abs=3)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "nowhere" / "out.mp4")
    with pytest.raises(EdgeI2IError, match="cannot be written: No such file") as caught:
        sink.open(SIZE)
    assert "folder exists" in caught.value.remedy
    sink.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file is a link to a device that is always full."""
    real = av.open

    def full(file: str, *args: object, **options: object) -> object:
        Path(file.removeprefix("file:")).symlink_to("/dev/full")
        return real(file, *args, **options)

    monkeypatch.setattr(av, "open", full)
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    sink = FileSink(tmp_path / "out.mkv")
    sink.open(Size(256, 256))
    steps = [lambda seq=seq: sink.write(noise, result(noise, seq, t_capture=seq / 30)) for seq in range(60)]
    assert ["No space left" in said for said in errors_of([*steps, sink.close, sink.close])] == [True]
    assert list(tmp_path.iterdir()) == [] and sink.finished == []


def test_a_disk_that_fills_while_recording_ends_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(SIZE)
    steps = [lambda seq=seq: sink.write(grey(90), result(grey(90), seq, t_capture=seq / 30)) for seq in range(60)]
    assert errors_of(steps[:30]) == []

    def full(*_: object) -> None:
        raise EdgeI2IError("The video cannot be written: No space left on device.")

    monkeypatch.setattr(VideoWriter, "write", full)
    assert len(errors_of([*steps[30:], sink.close, sink.close])) == 1
    assert list(tmp_path.iterdir()) == [] and sink.finished == []


def test_a_name_that_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.gif"):
        FileSink(tmp_path / "out.gif")
