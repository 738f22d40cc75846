"""Films that are transparent, of a high dynamic range, or larger than any: as pictures are, or refused."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edge_i2i.cli.main import run_command
from edge_i2i.errors import PictureError
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.rgb import FrameToRgb
from edge_i2i.media.tone_mapping import BT2020, HLG, PQ, Hdr, tone_mapped
from samples.animations import frames, save

SIDE = 64
OVER_WHITE = 147  # of 40 with an alpha of 128


def write(path: Path, codec: str, form: str, pictures: list[np.ndarray], layout: str, **marks: int) -> Path:
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=10, options={"crf": "1"} if codec == "libvpx-vp9" else {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = form
        for name, value in marks.items():
            setattr(stream.codec_context, name, value)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, layout)
            for name, value in marks.items():
                setattr(frame, name, value)
            frame = frame.reformat(format=form)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def middle(path: Path) -> list[list[int]]:
    with VideoReader(path) as reader:
        return [frame.image[SIDE // 2, SIDE // 2].tolist() for frame in reader]


# Transparency ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("vp9.webm", "libvpx-vp9", "yuva420p"),
        ("prores.mov", "prores_ks", "yuva444p10le"),
        ("animation.mov", "qtrle", "argb"),
        ("png.mov", "png", "rgba"),
        ("ffv1.mkv", "ffv1", "yuva420p"),
        ("huffyuv.avi", "ffvhuff", "bgra"),
        ("stickers.apng", "apng", "rgba"),
    ],
)
def test_what_is_transparent_comes_over_white(tmp_path: Path, name: str, codec: str, form: str) -> None:
    picture = np.full((SIDE, SIDE, 4), (40, 40, 40, 128), np.uint8)
    shown = middle(write(tmp_path / name, codec, form, [picture] * 3, "rgba"))
    assert len(shown) == 3
    assert np.array(shown) == pytest.approx(OVER_WHITE, abs=3)


def test_a_film_that_could_be_transparent_and_is_not_keeps_its_colours(tmp_path: Path) -> None:
    picture = np.full((SIDE, SIDE, 4), (200, 40, 90, 255), np.uint8)
    assert middle(write(tmp_path / "a.mov", "qtrle", "argb", [picture], "rgba")) == [[200, 40, 90]]


def test_a_gif_that_is_cut_off_is_an_error_and_never_shorter(tmp_path: Path) -> None:
    path = save(tmp_path / "whole.gif", frames(), [40, 100, 0, 250, 70])
    whole, cut = path.read_bytes(), tmp_path / "cut.gif"
    with VideoReader(path) as reader:
        assert len(list(reader)) == 5
    for kept in range(20, len(whole), 9):
        cut.write_bytes(whole[:kept])
        with pytest.raises(PictureError, match=r"cut\.gif"), VideoReader(cut) as reader:
            list(reader)
    cut.write_bytes(whole + b"what a download left behind it")
    with VideoReader(cut) as reader:
        assert len(list(reader)) == 5


def test_an_animated_gif_is_a_film_with_its_own_times_over_white(tmp_path: Path) -> None:
    from PIL import Image

    clear = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    dot = clear.copy()
    dot.paste((255, 0, 0, 255), (0, 0, 8, 8))
    moved = clear.copy()
    moved.paste((255, 0, 0, 255), (20, 20, 28, 28))
    path = tmp_path / "a.gif"
    dot.save(path, save_all=True, append_images=[moved, dot], duration=[100, 300, 50], disposal=2, loop=0)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [float(frame.pts_seconds) for frame in frames] == pytest.approx([0, 0.1, 0.4])
    for frame, (at, cleared) in zip(frames, [(4, 24), (24, 4), (4, 24)], strict=True):
        assert frame.image[at, at].tolist() == [255, 0, 0]
        assert frame.image[cleared, cleared].tolist() == [255, 255, 255]  # what was there before is taken away


# High dynamic range ----------------------------------------------------------------------------------------------


def pq(nits: float) -> float:
    """The inverse curve, as SMPTE ST 2084 prints it."""
    power = (nits / 10000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def grey(value: float) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), round(value * 65535), np.uint16)


@pytest.mark.parametrize(("nits", "shown"), [(0, 0), (2.03, 37), (20.3, 98), (101.5, 191), (203, 234), (1000, 255)])
def test_greys_keep_their_light_below_the_knee_and_white_is_light(nits: float, shown: int) -> None:
    assert tone_mapped(grey(pq(nits)), PQ, BT2020)[0, 0].tolist() == pytest.approx([shown] * 3, abs=2)


def test_the_two_curves_agree_on_white() -> None:
    """BT.2408: 75 % of HLG and 58 % of PQ are one white."""
    of_hlg, of_pq = tone_mapped(grey(0.75), HLG, BT2020), tone_mapped(grey(pq(203)), PQ, BT2020)
    assert of_hlg[0, 0].tolist() == pytest.approx(of_pq[0, 0].tolist(), abs=2)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_brighter_is_never_darker(transfer: int) -> None:
    ramp = np.repeat(np.arange(0, 65536, 16, dtype=np.uint16)[None, :, None], 3, axis=2)
    shown = tone_mapped(ramp, transfer, BT2020)[0, :, 0].astype(int)
    assert (np.diff(shown) >= 0).all() and shown[0] == 0 and shown[-1] == 255


def test_colours_become_those_of_bt709_and_keep_their_hue() -> None:
    red_of_bt709 = np.linalg.inv([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    light = red_of_bt709 @ [60.0, 0, 0]
    code = np.array([[[round(pq(max(0, nits)) * 65535) for nits in light]]], np.uint16)
    red, green, blue = tone_mapped(code, PQ, BT2020)[0, 0].tolist()
    assert red == pytest.approx(153, abs=2) and max(green, blue) < 12


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx265"), ("a.mp4", "libx264"), ("b.mkv", "ffv1")])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_films_of_high_dynamic_range_are_tone_mapped_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str, transfer: int
) -> None:
    code = pq(203) if transfer == PQ else 0.75
    path = write(
        tmp_path / name,
        codec,
        "yuv420p10le",
        [grey(code)] * 2,
        "rgb48le",
        color_trc=transfer,
        color_primaries=BT2020,
        colorspace=9,
    )
    assert np.array(middle(path)) == pytest.approx(234, abs=4)
    assert "tone-mapped" in caplog.text


def patches(luma: np.ndarray, blue: np.ndarray, red: np.ndarray, transfer: int) -> av.VideoFrame:
    """A frame of ten bits in squares of eight pixels, each of one Y'CbCr."""
    height, width = (8 * side for side in luma.shape)
    frame = av.VideoFrame(width, height, "yuv420p10le")
    for plane, codes, side in zip(frame.planes, (luma, blue, red), (8, 4, 4), strict=True):
        rows = np.zeros((plane.height, plane.line_size // 2), "<u2")
        rows[:, : plane.width] = np.kron(codes, np.ones((side, side), int))
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, BT2020
    return frame


def rgb_of(luma: np.ndarray, blue: np.ndarray, red: np.ndarray) -> np.ndarray:
    """R'G'B' in 16 bits by the formulas of BT.2020, table 4 and 5; what lies outside is cut off."""
    light, cb, cr = (luma - 64) / 876, (blue - 512) / 896, (red - 512) / 896
    r, b = light + 1.4746 * cr, light + 1.8814 * cb
    g = (light - 0.2627 * r - 0.0593 * b) / 0.6780
    return np.rint(np.clip(np.stack([r, g, b], axis=2), 0, 1) * 65535).astype(np.uint16)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_every_colour_of_a_film_of_high_dynamic_range_is_the_one_that_was_written(transfer: int) -> None:
    """Saturated ones lost their green: FFmpeg's scaler overflows where it writes packed colours of 16 bits."""
    rng = np.random.default_rng(0)
    luma, blue, red = rng.integers(64, 941, (16, 16)), *(rng.integers(64, 961, (2, 16, 16)))
    shown = FrameToRgb("The film")(patches(luma, blue, red, transfer))[4::8, 4::8]
    wanted = tone_mapped(rgb_of(luma, blue, red), transfer, BT2020)
    assert np.abs(shown.astype(int) - wanted).max() <= 8  # the two round codes in their own ways


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_films_of_high_dynamic_range_are_refused_on_request(tmp_path: Path, transfer: int) -> None:
    marks = {"color_trc": transfer, "color_primaries": BT2020, "colorspace": 9}
    path = write(tmp_path / "a.mkv", "ffv1", "yuv420p10le", [grey(0.5)] * 2, "rgb48le", **marks)
    with VideoReader(path, Hdr.REFUSE) as reader, pytest.raises(PictureError, match="high dynamic range"):
        next(iter(reader))
    ordinary = write(tmp_path / "b.mkv", "ffv1", "yuv420p10le", [grey(0.5)], "rgb48le")
    with VideoReader(ordinary, Hdr.REFUSE) as reader:
        assert len(list(reader)) == 1


@pytest.mark.parametrize("verb", ["translate", "live"])
def test_hdr_on_the_command_line(
    tmp_path: Path, rgb_bundle: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    marks = {"color_trc": PQ, "color_primaries": BT2020, "colorspace": 9}
    film = str(write(tmp_path / "a.mkv", "ffv1", "yuv420p10le", [grey(0.5)] * 2, "rgb48le", **marks))
    network = ["--engine", "onnxruntime", "--threads", "1"]
    where = ["--output", str(tmp_path / "o.mp4")] if verb == "translate" else ["--sink", "null"]
    source = [film] if verb == "translate" else ["--source", film]
    line = [verb, str(rgb_bundle), *source, *where, *network, "--hdr"]
    assert run_command([*line, "refuse"]) == 4
    assert "high dynamic range, which is to be refused" in capsys.readouterr().err
    assert not (tmp_path / "o.mp4").exists()
    assert run_command([*line, "squash"]) == 2
    assert run_command([*line, "tone-map"]) == 0


def test_ten_bits_alone_are_no_high_dynamic_range(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", "ffv1", "yuv420p10le", [grey(0.5)], "rgb48le")
    assert np.array(middle(path)) == pytest.approx(128, abs=1)


# Bounds ----------------------------------------------------------------------------------------------------------


def test_a_frame_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mkv", "libx264", "yuv420p", [np.zeros((SIDE, SIDE, 3), np.uint8)], "rgb24")
    monkeypatch.setattr("edge_i2i.media.films.decoder.LARGEST_FRAME", SIDE * SIDE - 1)
    with pytest.raises(PictureError, match="too large: 64x64"):
        VideoReader(path)


@pytest.mark.parametrize("codec", ["mjpeg", "ffv1", "libx264", "libvpx-vp9", "libx265"])
def test_a_stream_that_says_less_than_its_frames_hold_is_refused_by_the_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    monkeypatch.setattr("edge_i2i.media.films.decoder.LARGEST_FRAME", SIDE * SIDE - 1)
    form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write(tmp_path / "a.mkv", codec, form, [np.zeros((SIDE, SIDE, 3), np.uint8)], "rgb24")
    with pytest.raises(PictureError, match=r"too large|larger than"):
        VideoReader(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_no_film(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(PictureError, match="a pipe"):
        VideoReader(tmp_path / "pipe.mp4")
