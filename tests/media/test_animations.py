"""Animated PNG, WebP and AVIF as films: every frame as it is shown, its time, and what is damaged."""

from __future__ import annotations

import io
import os
import struct
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_i2i.contract import Size
from edge_i2i.errors import MissingRequirementError, PictureError
from edge_i2i.media.film import is_film, open_film
from edge_i2i.media.films.reader import VideoFrame
from edge_i2i.media.heif import MissingDecoderError
from edge_i2i.media.pictures import read_label_map, read_picture, write_picture
from edge_i2i.media.samples import over_white
from samples.animations import (
    SIZE,
    SUFFIXES,
    frames,
    png,
    png_chunks,
    random_pictures,
    save,
    webp,
    webp_piece,
)


def read(path: Path) -> list[VideoFrame]:
    with open_film(path) as reader:
        return list(reader)


def over(image: Image.Image) -> np.ndarray:
    return over_white(np.asarray(image.convert("RGBA"), np.uint8))


def check_pixels(found: list[VideoFrame], wanted: list[np.ndarray], tolerance: int) -> None:
    assert len(found) == len(wanted)
    for index, (frame, picture) in enumerate(zip(found, wanted, strict=True)):
        assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous and frame.index == index
        assert np.abs(frame.image.astype(int) - picture).max() <= tolerance, index


# Frames and times -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_frame_is_shown_whole_at_its_time(tmp_path: Path, suffix: str, clear: bool) -> None:
    made, durations = frames(clear=clear), [40, 100, 20, 250, 70]
    path = save(tmp_path / f"a.{suffix}", made, durations)
    assert is_film(path)
    with open_film(path) as reader:
        assert (reader.size, reader.frame_count, reader.sound_path) == (Size(*SIZE), 5, None)
        assert reader.fps == Fraction(5, 1) / Fraction(480, 1000) and reader.origin == 0
        found = list(reader)
    check_pixels(found, [over(one) for one in made], 16 if suffix == "avif" else 0)
    assert [frame.duration_seconds for frame in found] == [Fraction(one, 1000) for one in durations]
    assert all(b.pts_seconds == a.pts_seconds + a.duration_seconds for a, b in pairwise(found))
    assert all((frame.pts_seconds / reader.time_base).denominator == 1 for frame in found)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_frame_of_10_ms_or_less_lasts_100_as_in_browsers(tmp_path: Path, suffix: str) -> None:
    found = read(save(tmp_path / f"a.{suffix}", frames(4), [10, 11, 5, 30]))
    assert [frame.duration_seconds for frame in found] == [Fraction(ms, 1000) for ms in (100, 11, 100, 30)]


def test_a_frame_of_0_ms_lasts_100_and_a_missing_denominator_is_100(tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(
        webp(SIZE, [webp_piece(one, ms=ms) for one, ms in zip(frames(2), (0, 20), strict=True)])
    )
    assert [frame.duration_seconds for frame in read(tmp_path / "a.webp")] == [Fraction(1, 10), Fraction(1, 50)]
    chunks = png_chunks(save(tmp_path / "a.png", frames(2)).read_bytes())
    changed = [
        (kind, body[:20] + struct.pack(">HH", 7, 0) + body[24:] if kind == b"fcTL" else body) for kind, body in chunks
    ]
    (tmp_path / "a.png").write_bytes(png(changed))
    assert [frame.duration_seconds for frame in read(tmp_path / "a.png")] == [Fraction(7, 100)] * 2


def test_times_that_no_millisecond_is_are_exact(tmp_path: Path) -> None:
    chunks = png_chunks(save(tmp_path / "a.png", frames(3)).read_bytes())
    rate = struct.pack(">HH", 1001, 30000)
    chunks = [(kind, body[:20] + rate + body[24:] if kind == b"fcTL" else body) for kind, body in chunks]
    (tmp_path / "a.png").write_bytes(png(chunks))
    with open_film(tmp_path / "a.png") as reader:
        assert reader.fps == Fraction(30000, 1001)
        assert [frame.pts_seconds for frame in reader] == [Fraction(1001 * n, 30000) for n in range(3)]


@pytest.mark.parametrize("seed", range(12))
def test_pieces_of_a_png_are_put_together_by_the_standard(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    disposals, blends = random.integers(0, 3, 6).tolist(), random.integers(0, 2, 6).tolist()
    path = tmp_path / "a.png"
    random_made = random_pictures(random, 6)
    save(path, random_made, [50 + n for n in range(6)], disposal=disposals, blend=blends)
    assert is_film(path)
    check_pixels(read(path), _by_the_standard(path.read_bytes()), 2)


@pytest.mark.parametrize("seed", range(12))
def test_pieces_of_a_webp_are_put_together_as_its_own_library_does(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    pieces = []
    for picture in random_pictures(random, 6):
        left, top = (2 * int(random.integers(0, side // 4)) for side in reversed(SIZE))
        part = picture.crop((left, top, left + int(random.integers(8, 17)), top + int(random.integers(6, 13))))
        pieces.append(webp_piece(part, left, top, blends=random.random() < 0.6, clears=random.random() < 0.4))
    path = tmp_path / "a.webp"
    path.write_bytes(webp(SIZE, pieces))
    image = Image.open(path)
    wanted = []
    for index in range(6):
        image.seek(index)
        wanted.append(over(image))
    check_pixels(read(path), wanted, 2)


def _by_the_standard(data: bytes) -> list[np.ndarray]:
    """A second way to the frames of a PNG of RGBA: in floating point, each frame decoded by Pillow."""
    parts: list[tuple[bytes, list[bytes]]] = []
    chunks = png_chunks(data)
    header = chunks[0][1]
    for kind, body in chunks:
        if kind == b"fcTL":
            parts.append((body, []))
        elif kind in (b"IDAT", b"fdAT") and parts:
            parts[-1][1].append(body if kind == b"IDAT" else body[4:])
    width, height = struct.unpack(">II", header[:8])
    canvas, shown = np.zeros((height, width, 4)), []
    for number, (control, pixels) in enumerate(parts):
        _, w, h, x, y, _, _, disposal, blend = struct.unpack(">IIIIIHHBB", control)
        still = png([(b"IHDR", struct.pack(">II", w, h) + header[8:]), (b"IDAT", b"".join(pixels)), (b"IEND", b"")])
        new = np.asarray(Image.open(io.BytesIO(still)).convert("RGBA"), float)
        before, place = canvas.copy(), canvas[y : y + h, x : x + w]
        if blend:
            near, far = new[..., 3:] / 255, place[..., 3:] / 255 * (1 - new[..., 3:] / 255)
            colour = (new[..., :3] * near + place[..., :3] * far) / np.maximum(near + far, 1e-9)
            place[...] = np.concatenate([colour, 255 * (near + far)], axis=2)
        else:
            place[...] = new
        alpha = canvas[..., 3:] / 255
        shown.append(np.rint(canvas[..., :3] * alpha + 255 * (1 - alpha)))
        if disposal == 1 or (disposal == 2 and number == 0):
            place[...] = 0
        elif disposal == 2:
            canvas = before
    return shown


@pytest.mark.parametrize("mode", ["P", "L", "LA", "1"])
def test_layouts_of_png(tmp_path: Path, mode: str) -> None:
    made = [one.convert(mode) for one in frames()]
    found = read(save(tmp_path / "a.png", made))
    check_pixels(found, [over(one) for one in made], 0)


def test_a_shade_that_is_transparent_and_16_bits(tmp_path: Path) -> None:
    grey = [Image.fromarray(np.full(SIZE, 10 * n, np.uint8)) for n in range(3)]
    save(tmp_path / "a.png", grey, transparency=10)
    assert [int(frame.image.mean()) for frame in read(tmp_path / "a.png")] == [0, 255, 20]
    (tmp_path / "b.png").write_bytes(_of_stills([np.full(SIZE, 257 * 60 * n + 9, np.uint16) for n in range(3)]))
    assert [int(frame.image.mean()) for frame in read(tmp_path / "b.png")] == [0, 60, 120]


def _of_stills(made: list[np.ndarray]) -> bytes:
    """An animated PNG of whole frames of any layout that OpenCV writes."""
    stills = [dict(png_chunks(cv2.imencode(".png", one)[1].tobytes())) for one in made]
    chunks = [(b"IHDR", stills[0][b"IHDR"]), (b"acTL", struct.pack(">II", len(made), 0))]
    for number, still in enumerate(stills):
        control = struct.pack(">IIIIIHHBB", 2 * number - bool(number), *reversed(SIZE), 0, 0, 1, 10, 0, 0)
        pixels = (b"fdAT", struct.pack(">I", 2 * number) + still[b"IDAT"]) if number else (b"IDAT", still[b"IDAT"])
        chunks += [(b"fcTL", control), pixels]
    return png([*chunks, (b"IEND", b"")])


def test_the_picture_for_old_viewers_is_no_frame(tmp_path: Path) -> None:
    made = frames(4)
    path = save(tmp_path / "a.png", made, default_image=True)
    check_pixels(read(path), [over(one) for one in made[1:]], 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_turn_is_applied(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = frames(3)
    path = save(tmp_path / f"a.{suffix}", made, **({} if suffix == "avif" else {"exif": exif}))
    if suffix == "avif":  # Pillow's writer crashes here: the track's colours become its turn
        data = path.read_bytes()
        at = data.index(b"colrnclx", data.index(b"moov")) - 4
        turn = b"\0\0\0\x09irot\x03" + b"\0\0\0\x0afree\0\0"
        path.write_bytes(data[:at] + turn + data[at + len(turn) :])
    with open_film(path) as reader:
        assert reader.size == Size(*reversed(SIZE))
        found = list(reader)
    check_pixels(found, [np.rot90(over(one), -1) for one in made], 16 if suffix == "avif" else 0)


# What is a film -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["a.jpg", "a", "a.gif", "a.webp_large", "a.apng", "a.avifs"])
def test_content_decides(tmp_path: Path, suffix: str, name: str) -> None:
    path = save(tmp_path / f"made.{suffix}", frames(3)).rename(tmp_path / name)
    assert is_film(path) and len(read(path)) == 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_stills_are_pictures(tmp_path: Path, suffix: str) -> None:
    made = frames(1)
    path = save(tmp_path / f"a.{suffix}", made)
    assert not is_film(path)
    assert np.abs(read_picture(path).astype(int) - over(made[0])).max() <= 16


@pytest.mark.parametrize("clear", [False, True])
def test_an_animation_of_one_frame_is_a_picture(tmp_path: Path, clear: bool) -> None:
    made = frames(2, clear=clear)
    (tmp_path / "a.webp").write_bytes(webp(SIZE, [webp_piece(made[0].crop((4, 2, 20, 14)), 4, 2)]))
    white = Image.new("RGBA", SIZE[::-1], (255, 255, 255, 255))
    cut = made[0].convert("RGBA").crop((4, 2, 20, 14))
    white.alpha_composite(cut, (4, 2))
    assert not is_film(tmp_path / "a.webp")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.webp"), over(white))
    chunks = png_chunks(save(tmp_path / "a.png", made).read_bytes())
    kept = [each for each in chunks if each[0] != b"fdAT"]
    kept = [(kind, struct.pack(">II", 1, 0) if kind == b"acTL" else body) for kind, body in kept]
    (tmp_path / "a.png").write_bytes(png(kept))
    assert not is_film(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), over(made[0]))


def test_an_announcement_behind_the_picture_is_none(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", over(frames(1)[0]))
    *most, end = png_chunks((tmp_path / "a.png").read_bytes())
    (tmp_path / "a.png").write_bytes(png([*most, (b"acTL", struct.pack(">II", 3, 0)), end]))
    assert not is_film(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), over(frames(1)[0]))


def test_what_is_no_file_is_no_film_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.webp")
    assert not any(is_film(tmp_path / name) for name in ("pipe.webp", "missing.png", "."))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_as_a_picture_it_is_refused_with_what_to_do(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", frames(2))
    with pytest.raises(PictureError, match=r"(?s)it is an animation.*one of its frames.*film"):
        read_picture(path)
    if suffix == "png":
        with pytest.raises(PictureError, match="it is an animation"):
            read_label_map(path)


def test_an_avif_without_its_package_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.avif", frames(2))
    monkeypatch.setitem(sys.modules, "PIL.AvifImagePlugin", None)
    assert is_film(path)
    with pytest.raises(MissingDecoderError, match=r"edge-i2i\[heif\]"):
        open_film(path)


def test_png_and_webp_need_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [save(tmp_path / f"a.{suffix}", frames(2)) for suffix in ("png", "webp")]
    for name in ("av", "PIL", "pillow_heif"):
        monkeypatch.setitem(sys.modules, name, None)
    assert [len(read(path)) for path in paths] == [2, 2]
    with pytest.raises(MissingRequirementError):
        open_film(tmp_path / "a.gif")


# Damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_film_that_is_cut_off_is_an_error_and_never_shorter(tmp_path: Path, suffix: str) -> None:
    random = np.random.default_rng(1)
    noise = [Image.fromarray(random.integers(0, 256, (*SIZE, 3)).astype(np.uint8)) for _ in range(5)]
    whole = save(tmp_path / f"a.{suffix}", noise).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    told = set()
    for kept in np.linspace(60, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:kept])
        with pytest.raises(PictureError, match=r"cut\.") as caught:
            read(path) if is_film(path) else read_picture(path)
        told.add(str(caught.value))
    last = 0 if suffix == "avif" else 2  # whose library takes a file whole or not at all
    assert any(f"after {last} frames" in one or f"{last} frames were read" in one for one in told), told


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_every_whole_frame_before_the_damage_is_given(tmp_path: Path, suffix: str) -> None:
    made = frames()
    path = save(tmp_path / f"a.{suffix}", made)
    path.write_bytes(path.read_bytes()[:-30])
    with open_film(path) as reader, pytest.raises(PictureError, match=r"a\..*[34] frames were read"):
        assert reader.frame_count is None
        for frame in reader:
            np.testing.assert_array_equal(frame.image, over(made[frame.index]))


def test_a_png_whose_pixels_or_order_are_damaged(tmp_path: Path) -> None:
    chunks = png_chunks(save(tmp_path / "a.png", frames()).read_bytes())
    whole = png(chunks)
    path = tmp_path / "b.png"
    third = [index for index, (kind, _) in enumerate(chunks) if kind == b"fdAT"][2]
    flipped = bytearray(whole)
    flipped[whole.index(chunks[third][1]) + 8] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(PictureError, match=r"after 3 frames.*checksum"):
        read(path)
    path.write_bytes(png(chunks[:third] + chunks[third + 1 :]))
    with pytest.raises(PictureError, match="a piece of it is missing"):
        read(path)
    path.write_bytes(png([(kind, struct.pack(">II", 9, 0) if kind == b"acTL" else body) for kind, body in chunks]))
    with pytest.raises(PictureError, match="5 frames were read, and it declares 9"):
        read(path)


def test_frames_beyond_the_canvas_or_of_two_sizes(tmp_path: Path) -> None:
    good, path = webp_piece(frames(1)[0]), tmp_path / "a.webp"
    path.write_bytes(webp(SIZE, [good, webp_piece(frames(1)[0], 2, 0), good]))
    with pytest.raises(PictureError, match=r"1 frames were read.*not on its"):
        read(path)
    path.write_bytes(webp(SIZE, [good, good[:6] + (SIZE[1] - 3).to_bytes(3, "little") + good[9:], good]))
    with pytest.raises(PictureError, match=r"after 1 frames.*not of the size"):
        read(path)


def test_too_large_a_canvas_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    piece = webp_piece(frames(1)[0])
    (tmp_path / "a.webp").write_bytes(webp((16384, 16384), [piece, piece]))
    chunks = png_chunks(save(tmp_path / "a.png", frames(2)).read_bytes())
    large = struct.pack(">II", 100_000, 100_000) + chunks[0][1][8:]
    (tmp_path / "a.png").write_bytes(png([(b"IHDR", large), *chunks[1:]]))
    for name in ("a.webp", "a.png"):
        with pytest.raises(PictureError, match=f"{name}.*too large"):
            open_film(tmp_path / name)


def test_a_high_dynamic_range_is_refused(tmp_path: Path) -> None:
    head, *rest = png_chunks(save(tmp_path / "a.png", frames(2)).read_bytes())
    (tmp_path / "a.png").write_bytes(png([head, (b"cICP", bytes([9, 16, 0, 1])), *rest]))
    with pytest.raises(PictureError, match="high dynamic range"):
        open_film(tmp_path / "a.png")


def test_a_high_dynamic_range_of_an_avif_is_refused(tmp_path: Path) -> None:
    data = save(tmp_path / "a.avif", frames(2)).read_bytes()
    at = data.index(b"colrnclx") + 10
    (tmp_path / "a.avif").write_bytes(data[:at] + b"\0\x10" + data[at + 2 :])
    with pytest.raises(PictureError, match="high dynamic range"):
        open_film(tmp_path / "a.avif")


def test_a_first_frame_that_is_not_the_picture(tmp_path: Path) -> None:
    chunks = png_chunks(save(tmp_path / "a.png", frames(3)).read_bytes())
    index = [kind for kind, _ in chunks].index(b"fcTL")
    chunks[index] = (b"fcTL", chunks[index][1][:4] + struct.pack(">II", 5, 5) + chunks[index][1][12:])
    (tmp_path / "a.png").write_bytes(png(chunks))
    with pytest.raises(PictureError, match="0 frames were read, and its frames are out of order"):
        open_film(tmp_path / "a.png")


def test_more_frames_than_are_read_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("png", "webp", "avif"):
        monkeypatch.setattr(f"edge_i2i.media.animations.{name}.MOST_FRAMES", 4)
        assert len(read(save(tmp_path / f"a.{name}", frames(4)))) == 4
        with pytest.raises(PictureError, match="more than"):
            open_film(save(tmp_path / f"b.{name}", frames(5)))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("seed", range(3))
def test_no_damage_ends_in_anything_but_a_film_or_a_sentence(tmp_path: Path, suffix: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    whole = save(tmp_path / f"a.{suffix}", frames(3)).read_bytes()
    path = tmp_path / f"b.{suffix}"
    for _ in range(40):
        data = bytearray(whole)
        for at in random.integers(0, len(data), 3):
            data[at] = random.integers(0, 256)
        path.write_bytes(data)
        try:
            read(path) if is_film(path) else read_picture(path)
        except PictureError as error:
            assert path.name in str(error)
