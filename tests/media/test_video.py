"""Video files as people have them: real files of every common container, whole, turned, cut off and damaged."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_i2i.contract import Size
from edge_i2i.errors import MissingRequirementError, PictureError
from edge_i2i.media.films.video import VideoReader
from samples.films import add_tone
from samples.pictures import soft_shapes

RATE = 25
HEIGHT, WIDTH = 48, 80


def marked(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Soft shapes that change with every frame; red to the left, blue at the bottom."""
    picture = soft_shapes(index, height, width)
    picture[: height // 2, : width // 4] = 255, 0, 0
    picture[-height // 4 :] = 0, 0, 255
    return picture


def film(
    path: Path,
    frames: int = 20,
    *,
    container: str = "mp4",
    codec: str = "libx264",
    sound: bool = False,
    sound_codec: str = "aac",
    sound_seconds: float | None = None,
    first_frame: int = 0,
    options: dict[str, str] | None = None,
    prepare: Callable[[av.VideoStream], None] | None = None,
) -> Path:
    """A film made with PyAV alone, independent of the code under test."""
    with av.open(str(path), "w", format=container, options=options or {}) as target:
        pictures = target.add_stream(codec, rate=RATE)
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        pictures.bit_rate = 2_000_000
        if prepare:
            prepare(pictures)
        audio = target.add_stream(sound_codec, rate=48000, layout="mono") if sound else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(marked(index), "rgb24")
            frame.pts, frame.time_base = index + first_frame, Fraction(1, RATE)
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        if audio is not None:
            add_tone(target, audio, 0, sound_seconds or frames / RATE)
    return path


def images(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def check_refused(path: Path, *words: str) -> None:
    with pytest.raises(PictureError) as caught:
        images(path)
    assert caught.value.exit_code == 4
    assert str(path) in caught.value.what and caught.value.remedy
    for word in words:
        assert word in str(caught.value)


# Whole films ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "container", "codec"),
    [
        ("a.mp4", "mp4", "libx264"),
        ("a.mov", "mov", "libx264"),
        ("a.mkv", "matroska", "libx264"),
        ("a.webm", "webm", "libvpx-vp9"),
        ("a.avi", "avi", "mpeg4"),
        ("a.ts", "mpegts", "libx264"),
    ],
)
def test_every_frame_of_every_container(tmp_path: Path, name: str, container: str, codec: str) -> None:
    path = film(tmp_path / name, container=container, codec=codec)
    with VideoReader(path) as reader:
        assert reader.size == Size(HEIGHT, WIDTH)
        assert reader.fps == RATE
        assert reader.frame_count in (20, None)
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(20))
    times = [float(frame.pts_seconds) for frame in frames]
    np.testing.assert_allclose(times, np.arange(20) / RATE, atol=1e-3)
    for frame in frames:
        assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - marked(frame.index)).mean() < 12


def test_frames_are_the_callers_to_keep(tmp_path: Path) -> None:
    kept = images(film(tmp_path / "a.mp4"))
    again = images(tmp_path / "a.mp4")
    for first, second in zip(kept, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert kept[0].flags.writeable


def test_sound_that_is_longer_or_shorter_than_the_film_is_no_damage(tmp_path: Path) -> None:
    for name, container in (("a.mp4", "mp4"), ("a.mkv", "matroska")):
        for seconds in (0.3, 2.5):
            path = film(tmp_path / name, container=container, sound=True, sound_seconds=seconds)
            assert len(images(path)) == 20


def test_a_film_trimmed_by_an_edit_list_is_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", first_frame=-8, options={"movflags": "faststart"})
    assert b"elst" in path.read_bytes()
    with VideoReader(path) as reader:
        assert len(list(reader)) == 12


def test_time_counts_from_the_start_of_the_film(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", container="mpegts", first_frame=1000)
    with VideoReader(path) as reader:
        assert [frame.pts_seconds for frame in reader] == [Fraction(index, RATE) for index in range(20)]


def test_a_film_that_starts_after_its_sound_stays_behind_it(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", container="matroska", first_frame=10, sound=True, sound_seconds=1.2)
    with VideoReader(path) as reader:
        assert float(next(iter(reader)).pts_seconds) == pytest.approx(0.4, abs=0.03)


def test_cover_art_is_not_the_film(tmp_path: Path) -> None:
    cover = cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    song = tmp_path / "a.mp4"
    with av.open(str(song), "w") as target:
        art = target.add_mux_stream("png", width=16, height=16)
        art.disposition = av.stream.Disposition.attached_pic
        audio = target.add_stream("aac", rate=48000, layout="mono")
        packet = av.Packet(cover)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = art, 0, 0, True
        target.mux(packet)
        add_tone(target, audio, 0, 0.5)
    check_refused(song, "no video")


# Turned films ---------------------------------------------------------------------------------------------------


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write a display matrix into the track header, as a telephone that is held on its side does."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, at, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),  # an iPhone held upright: a quarter turn clockwise
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),  # a front camera
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_films_are_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    stored = images(film(tmp_path / "a.mp4", frames=3))
    with VideoReader(with_matrix(tmp_path / "a.mp4", *matrix)) as reader:
        for frame, plain in zip(reader, stored, strict=True):
            np.testing.assert_array_equal(frame.image, turn(plain))
            assert reader.size == Size(*frame.image.shape[:2])


def test_a_turned_film_agrees_with_pyavs_own_rotation(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", frames=2, prepare=lambda stream: stream.set_display_rotation(90))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 90  # anticlockwise
    assert np.argmax(images(path)[0][-WIDTH // 8, HEIGHT // 8]) == 0  # the red left upper corner is now the lower one


def test_pixels_that_are_not_square_are_said_and_turned(tmp_path: Path) -> None:
    def anamorphic(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = film(tmp_path / "a.mp4", frames=2, prepare=anamorphic)
    with VideoReader(path) as reader:
        assert reader.sample_aspect_ratio == Fraction(4, 3)
    with VideoReader(with_matrix(path, 0, 1, -1, 0)) as reader:
        assert reader.sample_aspect_ratio == Fraction(3, 4)


# Colours --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", None])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("side", [64, 1280])
def test_marked_and_unmarked_colours(tmp_path: Path, matrix: str | None, full_range: bool, side: int) -> None:
    """Flat yuv planes computed by hand from the standards' formulas are read as the colour they stand for."""
    meant = np.array([200.0, 60.0, 90.0])
    used = matrix or ("bt709" if side == 1280 else "smpte170m")
    red, blue = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114)}[used]
    luma = meant @ [red, 1 - red - blue, blue]
    chroma = np.array([(meant[2] - luma) / (2 - 2 * blue), (meant[0] - luma) / (2 - 2 * red)])
    y, uv = (luma, chroma + 128) if full_range else (16 + luma * 219 / 255, 128 + chroma * 224 / 255)
    planes = np.full((side * 3 // 2, side), round(y), np.uint8)
    planes[side : side * 5 // 4], planes[side * 5 // 4 :] = round(uv[0]), round(uv[1])
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=RATE, options={"crf": "0"})
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_range = 2 if full_range else 1
        if matrix:
            stream.codec_context.colorspace = {"bt709": 1, "smpte170m": 6}[matrix]
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.color_range = 2 if full_range else 1
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    assert np.abs(images(path)[0] - meant).max() <= 3


def test_high_dynamic_range_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def hlg(stream: av.VideoStream) -> None:
        stream.codec_context.color_trc = 18

    with caplog.at_level(logging.WARNING):
        images(film(tmp_path / "a.mp4", frames=2, prepare=hlg))
    assert "high dynamic range" in caplog.text


# Bad films ------------------------------------------------------------------------------------------------------


def test_missing(tmp_path: Path) -> None:
    check_refused(tmp_path / "a.mp4", "There is no video")


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    check_refused(tmp_path / "a.mp4", "empty")


@pytest.mark.parametrize("content", ["text", "picture", "playlist"])
def test_not_a_video(tmp_path: Path, content: str) -> None:
    data = {
        "text": b"dear diary, today I was renamed\n" * 50,
        "picture": cv2.imencode(".png", marked(0))[1].tobytes(),
        "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
    }[content]
    (tmp_path / "a.mp4").write_bytes(data)
    check_refused(tmp_path / "a.mp4", "cannot be read as a video")


def test_sound_only(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as target:
        add_tone(target, target.add_stream("aac", rate=48000, layout="mono"), 0, 0.5)
    check_refused(tmp_path / "a.mp4", "holds no video")


@pytest.mark.parametrize(
    ("name", "container", "words"),
    [
        ("a.mp4", "mp4", "holds no video"),
        ("a.mkv", "matroska", "cannot be read as a video: End of file"),
        ("a.avi", "avi", "holds no frame"),
    ],
)
def test_zero_frames(tmp_path: Path, name: str, container: str, words: str) -> None:
    with av.open(str(tmp_path / name), "w", format=container) as target:
        stream = target.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        target.start_encoding()
    check_refused(tmp_path / name, words)


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    data = film(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) // 2])
    check_refused(tmp_path / "a.mp4", "cannot be read as a video", "cut off")


@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize("kept", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(
    ("name", "container", "codec", "options"),
    [
        ("a.mp4", "mp4", "libx264", {"movflags": "faststart"}),
        ("a.mkv", "matroska", "libx264", {}),
        ("a.avi", "avi", "mpeg4", {}),
    ],
)
def test_cut_off(
    tmp_path: Path, name: str, container: str, codec: str, options: dict[str, str], kept: float, sound: bool
) -> None:
    path = film(tmp_path / name, 60, container=container, codec=codec, options=options, sound=sound)
    data = path.read_bytes()
    if container == "avi":  # its index at the end is not needed
        data = data[: data.index(b"idx1")]
    path.write_bytes(data[: int(len(data) * kept)])
    check_refused(path, "cut off", "frames")


def test_the_number_of_frames_that_were_read_is_said(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 60, container="matroska")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    read = 0
    with VideoReader(path) as reader, pytest.raises(PictureError) as caught:
        for _ in reader:
            read += 1
    assert 0 < read < 60
    assert f"{read} frames were read" in str(caught.value)


def test_a_hole_in_the_middle(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 60, options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[start : start + 2000] = bytes(2000)
    path.write_bytes(data)
    check_refused(path, "damaged", "frames")


def test_frames_that_change_size(tmp_path: Path) -> None:
    """Two raw H.264 streams, one after the other, as a broken joiner makes them."""
    parts = []
    for height in (48, 64):
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, height, "yuv420p", Fraction(1, RATE)
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(marked(index, height, 64), "rgb24").reformat(format="yuv420p")
            frame.pts = index
            parts += encoder.encode(frame)
        parts += encoder.encode(None)
    (tmp_path / "a.mpg").write_bytes(b"".join(bytes(packet) for packet in parts))
    check_refused(tmp_path / "a.mpg", "change size after 3 frames")


def test_without_pyav_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingRequirementError, match="av") as caught:
        VideoReader(tmp_path / "a.mp4")
    assert caught.value.exit_code == 3 and "edge-i2i[video]" in caught.value.remedy
