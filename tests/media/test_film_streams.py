"""Films with more in them than a film, or less: every frame at its time, or an error that says why not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edge_i2i.contract import Size
from edge_i2i.errors import PictureError
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.films.video_writer import VideoWriter
from edge_i2i.media.suffixes import VIDEO_SUFFIXES
from samples.films import RATE, SIDE, Film, add_tone, level, levels, make_film, read, seconds

TICK = 2e-3  # Matroska and FLV count in milliseconds


def check_whole(path: Path, frames: int, rate: int = RATE) -> None:
    film = read(path)
    begin = seconds(film)[0]
    assert begin < 0.03  # sound may begin a little earlier
    assert [at - begin for at in seconds(film)] == pytest.approx([index / rate for index in range(frames)], abs=TICK)
    assert levels(film) == pytest.approx([level(index) for index in range(frames)], abs=3)


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("timecode.mp4", Film(data="bin_data")),
        ("telephone.mp4", Film(data="bin_data", sound="aac", sound_first=True)),
        ("drone.ts", Film(data="klv")),
        ("broadcast.ts", Film(data="klv", sound="mp2", sound_first=True, reordered=True)),
        ("fonts.mkv", Film(font=True)),
        ("concert.mkv", Film(font=True, sound="libopus", sound_first=True, reordered=True)),
        ("cover.mkv", Film(cover=True, sound="flac")),
        ("sound_first.flv", Film(codec="flv1", sound="aac", sound_first=True)),
    ],
)
def test_a_film_beside_other_streams(tmp_path: Path, name: str, film: Film) -> None:
    check_whole(make_film(tmp_path / name, film), film.frames)


def test_of_several_films_the_large_one_is_read(tmp_path: Path) -> None:
    """A drone's preview comes first."""
    with av.open(str(tmp_path / "a.mkv"), "w") as target:
        streams = []
        for side in (16, SIDE):
            stream = target.add_stream("libx264", rate=RATE)
            stream.width = stream.height = side
            stream.pix_fmt, stream.disposition = "yuv420p", av.stream.Disposition(0)
            streams.append(stream)
        for index in range(5):
            for stream in streams:
                picture = np.full((stream.height, stream.width, 3), level(index), np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                target.mux(stream.encode(frame))
        for stream in streams:
            target.mux(stream.encode(None))
    with VideoReader(tmp_path / "a.mkv") as reader:
        assert reader.size == Size(SIDE, SIDE) and len(list(reader)) == 5


def test_sound_that_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as target:
        pictures = target.add_stream("libx264", rate=RATE)
        pictures.width, pictures.height, pictures.pix_fmt = SIDE, SIDE, "yuv420p"
        sounds = [target.add_stream("aac", rate=48000, layout="stereo") for _ in range(3)]
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), level(index), np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        for sound in sounds:
            add_tone(target, sound, 0, 0.4)
    with (
        VideoReader(tmp_path / "a.mkv") as reader,
        VideoWriter(tmp_path / "b.mp4", reader.fps, reader.size, audio_from=reader) as writer,
    ):
        for one in reader:
            writer.write(one.image, one.pts_seconds)
    assert "2 other sound tracks are left out" in caplog.text


# Containers without display times -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form", "film"),
    [
        ("a.h264", "h264", Film(reordered=True)),
        ("a.264", "h264", Film(rate=30)),
        ("a.avi", "avi", Film(frames=20, reordered=True)),
        ("b.avi", "avi", Film(frames=20, codec="mpeg4", reordered=True)),
        ("a.m2v", "mpeg2video", Film(codec="mpeg2video", reordered=True)),
        ("a.mjpeg", "mjpeg", Film(codec="mjpeg")),
        ("a.ivf", "ivf", Film(codec="libvpx")),
    ],
)
def test_frames_whose_container_knows_no_display_time(tmp_path: Path, name: str, form: str, film: Film) -> None:
    path = make_film(tmp_path / name, film, form=form)
    check_whole(path, film.frames, film.rate)
    assert path.suffix in VIDEO_SUFFIXES


def test_display_times_that_are_those_of_decoding_are_put_in_order(tmp_path: Path) -> None:
    """An MP4 whose writer forgot that frames are reordered."""
    make_film(tmp_path / "a.mp4", Film(frames=20, reordered=True))
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "b.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.pts = packet.dts = packet.dts + 2 * 512
                packet.stream = stream
                target.mux(packet)
    times = seconds(read(tmp_path / "b.mp4"))
    assert len(times) == 20 and times == sorted(times)
    steps = np.diff(times)
    assert (steps > 0).mean() > 0.8  # the first few were given before it showed


# Times that begin anew ------------------------------------------------------------------------------------------


def joined(path: Path, *pieces: Path) -> Path:
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return path


@pytest.mark.parametrize(("suffix", "codec"), [(".ts", "libx264"), (".mpg", "mpeg2video")])
@pytest.mark.parametrize("reordered", [False, True])
def test_joined_films_go_on_after_their_last_frame(tmp_path: Path, suffix: str, codec: str, reordered: bool) -> None:
    one = make_film(tmp_path / f"one{suffix}", Film(codec=codec, reordered=reordered))
    film = read(joined(tmp_path / f"three{suffix}", one, one, one))
    assert seconds(film) == pytest.approx([index / RATE for index in range(30)], abs=0.01)
    assert levels(film) == pytest.approx([level(index % 10) for index in range(30)], abs=3)


@pytest.mark.parametrize("first", [25_000, 400, 7])
def test_a_recorder_that_starts_anew(tmp_path: Path, first: int) -> None:
    """The clock goes back by a thousand seconds, which the library takes for one that ran over; or by a few."""
    late = make_film(tmp_path / "late.ts", Film(first=first))
    early = make_film(tmp_path / "early.ts", Film(frames=8))
    film = read(joined(tmp_path / "joined.ts", late, early, late))
    assert seconds(film) == pytest.approx([index / RATE for index in range(28)], abs=0.01)


def test_a_short_gap_stays_and_a_clock_set_ahead_does_not(tmp_path: Path) -> None:
    one = make_film(tmp_path / "one.ts")
    after_a_gap = make_film(tmp_path / "two.ts", Film(first=110))
    much_later = make_film(tmp_path / "three.ts", Film(first=90_000))
    gap = seconds(read(joined(tmp_path / "gap.ts", one, after_a_gap)))
    assert gap[10] == pytest.approx(110 / RATE, abs=0.1)
    jump = seconds(read(joined(tmp_path / "jump.ts", one, much_later)))
    assert jump[10] == pytest.approx(10 / RATE, abs=0.01)


def test_a_long_gap_of_a_container_with_one_clock_stays(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mkv", Fraction(RATE), Size(SIDE, SIDE)) as writer:
        for at in (0, 1, 3600, 3601):
            writer.write(np.full((SIDE, SIDE, 3), 90, np.uint8), Fraction(at))
    assert seconds(read(tmp_path / "a.mkv")) == pytest.approx([0, 1, 3600, 3601])


@pytest.mark.parametrize("sound", ["aac", "mp2"])
@pytest.mark.parametrize("target", ["a.mp4", "a.mkv"])
def test_joined_sound_stays_with_its_pictures(tmp_path: Path, sound: str, target: str) -> None:
    one = make_film(tmp_path / "one.ts", Film(frames=25, sound=sound))
    late = make_film(tmp_path / "late.ts", Film(frames=25, sound=sound, first=500))
    source = joined(tmp_path / "joined.ts", late, one, one)
    with (
        VideoReader(source) as reader,
        VideoWriter(tmp_path / target, reader.fps, reader.size, audio_from=reader) as writer,
    ):
        for frame in reader:
            writer.write(frame.image, frame.pts_seconds, frame.duration_seconds)
    with av.open(str(tmp_path / target)) as film:
        stream = film.streams.audio[0]
        starts = [float(p.pts * p.time_base) for p in film.demux(stream) if p.pts is not None]
    steps = np.diff(starts)
    assert steps.min() > 0 and steps.max() < 0.15  # at a join, up to what sound is longer or shorter than pictures
    assert starts[-1] == pytest.approx(3, abs=0.3)
    assert seconds(read(tmp_path / target))[-1] == pytest.approx(74 / RATE, abs=0.15)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "libx264"), (".mov", "libx264"), (".flv", "flv1"), (".mkv", "libx264")]
)
def test_films_that_were_joined_where_nobody_finds_the_second_are_refused(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    one = make_film(tmp_path / f"one{suffix}", Film(codec=codec))
    check_whole(one, 10)
    both = joined(tmp_path / f"all{suffix}", one, one, one, one)
    try:
        assert len(read(both)) == 40
    except PictureError as error:
        assert "another film was copied behind it" in str(error)


# Less than was promised -----------------------------------------------------------------------------------------


def test_a_tally_counts_frames_that_came_out(tmp_path: Path) -> None:
    """Every packet is there, and half of them hold nothing that can be shown."""
    make_film(tmp_path / "a.mp4", Film(frames=20, codec="mpeg4"))
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "b.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(source.demux()):
            if packet.dts is None:
                continue
            if index >= 10:
                pts, base = packet.pts, packet.time_base
                packet = av.Packet(b"\0" * 8)
                packet.pts = packet.dts = pts
                packet.time_base = base
            packet.stream = stream
            target.mux(packet)
    with pytest.raises(PictureError, match=r"damaged or cut off"):
        read(tmp_path / "b.mp4")
