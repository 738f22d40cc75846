"""Written films: every frame, every time stamp, the colours, the sound, and nothing half-written."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, MissingRequirementError, PictureError, UsageError
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.films.video_writer import VideoWriter
from samples.films import add_tone, copy_film, read, sound_packets

SIZE = Size(48, 80)
FPS = Fraction(25)
BARS = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191)]


def colour_bars(size: Size) -> np.ndarray:
    """Seven bars at 75 %, as a test-picture generator shows them, above a grey ramp."""
    columns = np.arange(size.width) * len(BARS) // size.width
    picture = np.array(BARS, np.uint8)[columns][None].repeat(size.height, axis=0)
    ramp = np.linspace(0, 255, size.width).astype(np.uint8)
    picture[size.height * 3 // 4 :] = ramp[None, :, None]
    return np.ascontiguousarray(picture)


def numbered(index: int, size: Size = SIZE) -> np.ndarray:
    """A flat picture whose grey says which frame it is."""
    return np.full((size.height, size.width, 3), 10 + index * 7 % 240, np.uint8)


def write(path: Path, frames: int = 10, size: Size = SIZE, fps: Fraction = FPS) -> Path:
    with VideoWriter(path, fps, size) as writer:
        for index in range(frames):
            writer.write(numbered(index, size))
    return path


# Colours and sizes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [Size(144, 176), Size(720, 1280)])
def test_colour_bars_come_back(tmp_path: Path, size: Size) -> None:
    bars = colour_bars(size)
    with VideoWriter(tmp_path / "a.mp4", FPS, size) as writer:
        for _ in range(3):
            writer.write(bars)
    for frame in read(tmp_path / "a.mp4"):
        error = np.abs(frame.image.astype(int) - bars)
        edges = np.abs(np.diff(bars.astype(int), axis=1, append=0)).max(axis=2) > 20
        # 4:2:0 blurs colour at edges, and the codec's ripple reaches as far as its largest block.
        away = cv2.dilate(edges.astype(np.uint8), np.ones((17, 17), np.uint8)) == 0
        away[size.height * 3 // 4 - 8 : size.height * 3 // 4 + 8] = False
        assert away.mean() > 0.2
        assert error[away].max() <= 4
        assert error[away].mean() < 1


@pytest.mark.parametrize(("size", "matrix"), [(Size(144, 176), 6), (Size(720, 1280), 1)])
def test_colours_are_marked(tmp_path: Path, size: Size, matrix: int) -> None:
    with av.open(str(write(tmp_path / "a.mp4", 2, size))) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range) == (matrix, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)


def test_a_player_that_ignores_the_marks_sees_the_colours_too(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", FPS, Size(144, 176)) as writer:
        writer.write(colour_bars(Size(144, 176)))
    with av.open(str(tmp_path / "a.mp4")) as container:
        planes = next(container.decode(video=0)).to_ndarray().astype(float)
    luma, blue, red = planes[20, 60], planes[144 + 5, 30], planes[144 + 36 + 5, 30]
    assert np.abs(np.array([luma, blue, red]) - [131.4, 156.2, 44.3]).max() <= 3  # BT.601, 75 % cyan


@pytest.mark.parametrize("size", [Size(47, 80), Size(48, 79), Size(47, 79), Size(1, 1)])
def test_odd_sides_are_padded_with_the_last_row_and_column(tmp_path: Path, size: Size) -> None:
    shades = np.linspace(40, 200, size.height * size.width).reshape(size.height, size.width, 1)
    picture = shades.repeat(3, axis=2).astype(np.uint8)
    with VideoWriter(tmp_path / "a.mp4", FPS, size, quality=1) as writer:
        writer.write(picture)
    (frame,) = read(tmp_path / "a.mp4")
    assert frame.image.shape == (size.height + size.height % 2, size.width + size.width % 2, 3)
    padded = np.pad(picture, ((0, size.height % 2), (0, size.width % 2), (0, 0)), mode="edge")
    assert np.abs(frame.image.astype(int) - padded).max() <= 3


# Time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(24), Fraction(15, 2)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_constant_rate(tmp_path: Path, fps: Fraction, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", 12, fps=fps)
    with VideoReader(path) as reader:
        assert float(reader.fps) == pytest.approx(float(fps), rel=2e-3)
        frames = list(reader)
    exact = suffix != ".mkv"  # Matroska counts in milliseconds
    for frame in frames:
        wanted = frame.index / fps
        assert frame.pts_seconds == wanted if exact else abs(frame.pts_seconds - wanted) <= Fraction(1, 1000)
        assert np.abs(frame.image.astype(int) - numbered(frame.index)).max() <= 3
    assert len(frames) == 12
    with av.open(str(path)) as container:
        assert container.duration / 1e6 == pytest.approx(float(12 / fps), abs=2e-3)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(1, 900), min_size=1, max_size=12),
    st.sampled_from([Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 12_800), Fraction(1001, 30_000)]),
)
def test_a_variable_rate_keeps_every_time_stamp(tmp_path: Path, steps: list[int], tick: Fraction) -> None:
    stamps = [0, *np.cumsum(steps).tolist()]
    with VideoWriter(tmp_path / "a.mp4", FPS, Size(16, 16), time_base=tick, preset="ultrafast") as writer:
        for index, stamp in enumerate(stamps):
            writer.write(numbered(index, Size(16, 16)), stamp * tick, tick * 5)
    frames = read(tmp_path / "a.mp4")
    assert [frame.pts_seconds for frame in frames] == [stamp * tick for stamp in stamps]
    for frame in frames:
        assert np.abs(frame.image.astype(int) - numbered(frame.index)[:16, :16]).max() <= 4


def test_a_time_stamp_that_does_not_advance_is_moved_and_no_frame_is_lost(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", FPS, SIZE, time_base=Fraction(1, 1000)) as writer:
        for index, stamp in enumerate([0, 40, 40, 30, 120]):
            writer.write(numbered(index), Fraction(stamp, 1000))
    stamps = [frame.pts_seconds * 1000 for frame in read(tmp_path / "a.mp4")]
    assert stamps == [0, 40, 41, 42, 120]


def test_the_last_frame_keeps_its_duration(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", FPS, SIZE, time_base=Fraction(1, 1000)) as writer:
        writer.write(numbered(0), Fraction(0), Fraction(1, 2))
        writer.write(numbered(1), Fraction(1, 2), Fraction(2))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.duration / 1e6 == pytest.approx(2.5, abs=0.01)


def test_the_shape_of_pixels_is_kept(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", FPS, SIZE, sample_aspect_ratio=Fraction(4, 3)) as writer:
        writer.write(numbered(0))
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert reader.sample_aspect_ratio == Fraction(4, 3)


# Sound ----------------------------------------------------------------------------------------------------------


def with_sound(path: Path, container: str, codec: str, *, first_frame: int = 0, layout: str = "mono") -> Path:
    with av.open(str(path), "w", format=container) as target:
        pictures = target.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = SIZE.width, SIZE.height, "yuv420p"
        audio = target.add_stream(codec, rate=48000, layout=layout)
        for index in range(30):
            frame = av.VideoFrame.from_ndarray(numbered(index), "rgb24")
            frame.pts, frame.time_base = index + first_frame, Fraction(1, 25)
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        add_tone(target, audio, 0, 1)
    return path


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "aac"), ("matroska", "aac"), ("matroska", "libopus"), ("avi", "libmp3lame"), ("matroska", "flac")],
)
def test_sound_is_copied_packet_for_packet(tmp_path: Path, container: str, codec: str) -> None:
    source = with_sound(tmp_path / "source", container, codec)
    copy_film(source, tmp_path / "a.mp4")
    before, after = sound_packets(source), sound_packets(tmp_path / "a.mp4")
    assert [data for _, data in after] == [data for _, data in before]
    np.testing.assert_allclose([at for at, _ in after], [at for at, _ in before], atol=0.03)
    assert len(read(tmp_path / "a.mp4")) == 30


@pytest.mark.parametrize("container", ["matroska", "mpegts"])
def test_picture_and_sound_stay_together(tmp_path: Path, container: str) -> None:
    source = with_sound(tmp_path / "source", container, "aac" if container == "matroska" else "mp2", first_frame=8)
    copy_film(source, tmp_path / "a.mp4")

    def lead(path: Path) -> float:
        with av.open(str(path)) as opened:
            picture, sound = opened.streams.video[0], opened.streams.audio[0]
            return float(picture.start_time * picture.time_base - sound.start_time * sound.time_base)

    assert lead(tmp_path / "a.mp4") == pytest.approx(lead(source), abs=0.03)
    assert lead(source) > 0.25


def test_a_silent_film_stays_silent(tmp_path: Path) -> None:
    copy_film(write(tmp_path / "source.mp4"), tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not container.streams.audio


# What goes wrong ------------------------------------------------------------------------------------------------


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[Path]:
    """A path where another file lies already; afterwards it must lie there still, and nothing beside it."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"what was there before")
    yield path
    assert path.read_bytes() == b"what was there before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("error", [RuntimeError("the network failed"), KeyboardInterrupt()])
@pytest.mark.parametrize("frames", [0, 5])
def test_nothing_half_written(earlier: Path, error: BaseException, frames: int) -> None:
    with pytest.raises(type(error)), VideoWriter(earlier, FPS, SIZE) as writer:
        for index in range(frames):
            writer.write(numbered(index))
        raise error


def test_a_frame_of_another_size_is_refused(earlier: Path) -> None:
    with pytest.raises(PictureError, match=r"\[48, 80, 3\]"), VideoWriter(earlier, FPS, SIZE) as writer:
        writer.write(numbered(0))
        writer.write(numbered(1, Size(48, 82)))


def test_no_frame_is_no_film(earlier: Path) -> None:
    with pytest.raises(ValueError, match="no frame"), VideoWriter(earlier, FPS, SIZE):
        pass


def test_an_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.mp4"):
        VideoWriter(tmp_path / "a.gif", FPS, SIZE)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(EdgeI2IError, match="cannot be written: No such file") as caught:
        write(tmp_path / "nowhere" / "a.mp4")
    assert caught.value.exit_code == 2 and "folder exists" in caught.value.remedy


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("size", [SIZE, Size(256, 256)])
def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: Size) -> None:
    """The temporary file is a link to a device that is always full."""
    real = av.open

    def full(file: str, *args: object, **options: object) -> object:
        Path(file.removeprefix("file:")).symlink_to("/dev/full")
        return real(file, *args, **options)

    monkeypatch.setattr(av, "open", full)
    noise = np.random.default_rng(0).integers(0, 256, (size.height, size.width, 3)).astype(np.uint8)
    no_room = pytest.raises(EdgeI2IError, match="cannot be written: No space left")
    with no_room, VideoWriter(tmp_path / "a.mkv", FPS, size) as writer:
        for _ in range(60):
            writer.write(noise)
    assert list(tmp_path.iterdir()) == []


def test_without_libx264_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", frozenset({"mpeg4"}))
    with pytest.raises(MissingRequirementError, match="libx264") as caught:
        write(tmp_path / "a.mp4")
    assert caught.value.exit_code == 3 and "pip install" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []
