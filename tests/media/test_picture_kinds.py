"""What cameras, browsers and tools write besides the usual: read as an independent reader sees it, or refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_i2i.errors import PictureError
from edge_i2i.media.pictures import decode_picture, read_picture

_SMOOTH = cv2.GaussianBlur(np.random.default_rng(0).random((33, 45, 3)), (0, 0), 4)
PHOTO = ((_SMOOTH - _SMOOTH.min()) / np.ptp(_SMOOTH) * 255).astype(np.uint8)
GREY = PHOTO[..., 1]
HEIGHT, WIDTH = GREY.shape


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


# PNM ------------------------------------------------------------------------------------------------------------


def pnm(kind: int, body: bytes, highest: str = "255", between: str = "\n") -> bytes:
    return f"P{kind}{between}{WIDTH}{between}{HEIGHT}{between}{highest}".encode().rstrip() + b"\n" + body


@pytest.mark.parametrize("between", ["\n", " ", "\t \r\n", "\n# by a scanner\n"])
def test_pnm(between: str) -> None:
    np.testing.assert_array_equal(decode_picture(pnm(6, PHOTO.tobytes(), between=between), "a.ppm"), PHOTO)
    np.testing.assert_array_equal(decode_picture(pnm(5, GREY.tobytes(), between=between), "a.pgm")[..., 2], GREY)


def test_pnm_of_sixteen_bits_and_of_one() -> None:
    deep = (PHOTO.astype(">u2") * 257).tobytes()
    np.testing.assert_array_equal(decode_picture(pnm(6, deep, "65535"), "a.ppm"), PHOTO)
    bitmap = pnm(4, np.packbits(GREY < 128, axis=1).tobytes(), "")
    np.testing.assert_array_equal(decode_picture(bitmap, "a.pbm"), by_pillow(bitmap))


@pytest.mark.parametrize(("highest", "wide"), [("1", 1), ("15", 1), ("100", 1), ("1023", 2), ("4095", 2), ("65534", 2)])
def test_a_pnm_whose_white_decoders_show_as_grey_is_refused(highest: str, wide: int) -> None:
    with pytest.raises(PictureError, match=f"white is {highest}"):
        decode_picture(pnm(5, bytes(GREY.size * wide), highest), "a.pgm")


@pytest.mark.parametrize(
    "data",
    [
        pnm(6, PHOTO.tobytes()[:-1]),
        b"P5\n#" + b"x" * 10_000,
        b"P5\n0 5\n255\n",
        b"P6\n-3 4\n255\n" + bytes(99),
        b"P4\n9999999999 1\n",
        b"P5 10 10",
    ],
)
def test_a_damaged_pnm(data: bytes) -> None:
    with pytest.raises(PictureError, match="damaged"):
        decode_picture(data, "a.pnm")


@pytest.mark.parametrize(
    ("head", "name"), [(b"P2\n1 1\n255\n7", "plain text"), (b"P7\nWIDTH 1\n", "PAM"), (b"Pf\n1 1\n", "PFM")]
)
def test_other_netpbm_pictures_are_named(head: bytes, name: str) -> None:
    with pytest.raises(PictureError, match=name):
        decode_picture(head, "a.pnm")


# BMP ------------------------------------------------------------------------------------------------------------


def bmp(
    bits: int, rows: bytes, *, palette: bytes = b"", height: int = HEIGHT, packing: int = 0, masks: bytes = b""
) -> bytes:
    length = 124 if masks else 40
    head = struct.pack("<IiiHHIIiiII", length, WIDTH, height, 1, bits, packing, len(rows), 2835, 2835, 0, 0)
    head += masks.ljust(length - 40, b"\0") if masks else b""
    begins = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", begins + len(rows), 0, 0, begins) + head + palette + rows


def rows_of(values: np.ndarray, *, from_the_top: bool = False) -> bytes:
    lines = np.ascontiguousarray(values if from_the_top else values[::-1]).reshape(HEIGHT, -1)
    return np.pad(lines, ((0, 0), (0, -lines.shape[1] % 4))).tobytes()


COLOURS = b"".join(bytes([number, 255 - number, number * 7 % 256, 0]) for number in range(256))
BGRA = np.dstack([PHOTO[..., ::-1], GREY])
RUNS = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in GREY[::-1]) + b"\0\1"
BITMAPS = {
    "8 bits": bmp(8, rows_of(GREY), palette=COLOURS),
    "1 bit": bmp(1, rows_of(np.packbits(GREY > 127, axis=1)), palette=COLOURS[:4] + COLOURS[800:804]),
    "from the top": bmp(24, rows_of(PHOTO[..., ::-1], from_the_top=True), height=-HEIGHT),
    "32 bits": bmp(32, rows_of(BGRA)),
    "runs": bmp(8, RUNS, palette=COLOURS, packing=1),
}


@pytest.mark.parametrize("name", BITMAPS)
def test_bitmaps(name: str) -> None:
    np.testing.assert_array_equal(decode_picture(BITMAPS[name], "a.bmp"), by_pillow(BITMAPS[name]))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 1, 0, 3), (3, 2, 1, 0)])
def test_channels_of_a_bitmap_in_any_order(order: tuple[int, ...]) -> None:
    stored = np.dstack([BGRA[..., order.index(place)] for place in range(4)])
    masks = struct.pack("<4I", *(0xFF << 8 * order[channel] for channel in (2, 1, 0, 3)))
    np.testing.assert_array_equal(decode_picture(bmp(32, rows_of(stored), packing=3, masks=masks), "a.bmp"), PHOTO)


def test_a_bitmap_whose_white_decoders_show_as_grey_is_refused() -> None:
    with pytest.raises(PictureError, match="16 bits a pixel"):
        decode_picture(bmp(16, bytes(HEIGHT * (WIDTH * 2 + 2))), "a.bmp")


# PNG ------------------------------------------------------------------------------------------------------------


def png(bits: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    header = (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, 0))
    every = (header, *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in every
    )


def lines(values: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(values).reshape(HEIGHT, -1))


def over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.round(colours * share + 255 * (1 - share))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_becomes_white(bits: int) -> None:
    stored = PHOTO if bits == 8 else PHOTO.astype(">u2") * 257
    clear = (b"tRNS", struct.pack(">3H", *(int(value) for value in stored[5, 5])))
    wanted = np.where((PHOTO[5, 5] == PHOTO).all(axis=2)[..., None], 255, PHOTO)
    np.testing.assert_array_equal(
        decode_picture(png(bits, 2, lines(stored.astype(">u2" if bits == 16 else "u1")), clear), "a"), wanted
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_shade_becomes_white(bits: int) -> None:
    top = 2**bits - 1
    shades = np.round(GREY / 255 * top).astype(np.uint16)
    clear = int(shades[5, 5])
    planes = np.unpackbits(shades.astype(">u2").view(np.uint8).reshape(HEIGHT, WIDTH, 2), axis=2)[..., -bits:]
    rows = np.packbits(planes.reshape(HEIGHT, -1), axis=1)
    wanted = np.where(shades == clear, 255, np.round(shades / top * 255))
    read = decode_picture(png(bits, 0, lines(rows), (b"tRNS", struct.pack(">H", clear))), "a.png")
    np.testing.assert_array_equal(read, np.repeat(wanted[..., None], 3, axis=2))


def test_sixteen_bits_with_transparency_of_their_own() -> None:
    stored = (np.dstack([PHOTO, GREY]).astype(np.uint16) * 257).astype(">u2")
    np.testing.assert_array_equal(decode_picture(png(16, 6, lines(stored)), "a.png"), over_white(PHOTO, GREY))


@pytest.mark.parametrize(
    "chunk",
    [
        (b"gAMA", struct.pack(">I", 100000)),
        (b"sBIT", b"\5\5\5"),
        (b"bKGD", struct.pack(">3H", 0, 255, 0)),
        (b"acTL", struct.pack(">II", 1, 0)),
        (b"cICP", b"\x01\x0d\0\1"),
        (b"iCCP", b"Display P3\0\0" + zlib.compress(b"\0" * 200)),
    ],
)
def test_what_is_said_of_the_pixels_does_not_change_them(chunk: tuple[bytes, bytes]) -> None:
    np.testing.assert_array_equal(decode_picture(png(8, 2, lines(PHOTO), chunk), "a.png"), PHOTO)


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG")])
def test_a_png_of_hdr_is_refused(curve: int, name: str) -> None:
    with pytest.raises(PictureError, match=f"HDR picture .{name}"):
        decode_picture(png(8, 2, lines(PHOTO), (b"cICP", bytes([9, curve, 0, 1]))), "a.png")


def test_a_png_that_says_its_size_twice_is_refused() -> None:
    again = (b"IHDR", struct.pack(">IIBBBBB", 16000, 12000, 8, 2, 0, 0, 0))
    with pytest.raises(PictureError, match="twice"):
        decode_picture(png(8, 2, lines(PHOTO), again), "a.png")


# JPEG -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 2}])
def test_jpegs(mode: str, options: dict[str, object]) -> None:
    data = encoded(Image.fromarray(PHOTO).convert(mode), "JPEG", quality=95, **options)
    assert np.abs(decode_picture(data, "a.jpg").astype(int) - by_pillow(data)).max() <= 2


def test_a_jpeg_whose_colours_are_stored_as_rgb() -> None:
    data = encoded(Image.fromarray(PHOTO), "JPEG", quality=95, keep_rgb=True)
    assert np.abs(decode_picture(data, "a.jpg").astype(int) - by_pillow(data)).max() <= 2


def frame_header(data: bytes) -> tuple[int, bytes]:
    at = next(data.index(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data)
    return at, data[at : at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_says_its_size_twice_is_refused(progressive: bool) -> None:
    data = encoded(Image.fromarray(PHOTO), "JPEG", progressive=progressive)
    at, header = frame_header(data)
    large = header[:5] + struct.pack(">HH", 12000, 16000) + header[9:]
    for twice in (data[:at] + large + data[at:], data[: at + len(header)] + large + data[at + len(header) :]):
        with pytest.raises(PictureError, match="twice"):
            decode_picture(twice, "a.jpg")


@pytest.mark.parametrize(("at", "value", "reason"), [(1, 0xC3, "lossless"), (1, 0xC7, "lossless"), (4, 12, "12 bits")])
def test_other_jpegs_are_refused(at: int, value: int, reason: str) -> None:
    data = bytearray(encoded(Image.fromarray(PHOTO), "JPEG"))
    data[frame_header(bytes(data))[0] + at] = value
    with pytest.raises(PictureError, match=reason):
        decode_picture(bytes(data), "a.jpg")


def test_a_jpeg_of_more_scans_than_pictures_have_is_refused() -> None:
    data = encoded(Image.fromarray(PHOTO), "JPEG", progressive=True)
    at, header = frame_header(data)
    large = data[:at] + header[:5] + struct.pack(">HH", 14000, 14000) + data[at + 9 :]
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0)
    with pytest.raises(PictureError, match="more often"):
        decode_picture(large[:-2] + scan * 1000 + large[-2:], "a.jpg")


# Other files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"MM\0+\0\x08\0\0", "BigTIFF"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(40), "raw file"),
        (b"FUJIFILMCCD-RAW 0201", "raw file"),
        (b"IIU\0\x18\0\0\0", "raw file"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "raw file"),
        (b"<svg xmlns=", "SVG"),
    ],
)
def test_what_is_not_read_is_named(head: bytes, name: str) -> None:
    with pytest.raises(PictureError, match=name):
        decode_picture(head + bytes(40), "a")


@pytest.mark.parametrize("suffix", [".nef", ".DNG", ".arw"])
def test_a_raw_files_preview_is_not_taken_for_the_picture(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(encoded(Image.fromarray(PHOTO), "TIFF"))
    with pytest.raises(PictureError, match="raw file"):
        read_picture(tmp_path / f"a{suffix}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PictureError, match="a pipe or a device"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    "head", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0", b"II*\0", b"BM", b"P6\n1 1\n255\n"]
)
def test_a_file_longer_than_any_picture_is_not_read(
    tmp_path: Path, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(head)
    os.truncate(path, 6 << 30)  # nothing but a hole: the disk keeps the head only
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(PictureError, match="too large"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_headers_that_hardly_advance_end_soon(kind: str) -> None:
    endless = {
        "JPEG": b"\xff\xd8" + b"\xff\xe0\0\2" * 2_000_000,
        "PNG": b"\x89PNG\r\n\x1a\n"
        + b"\0\0\0\rIHDR"
        + bytes(17)
        + (bytes(4) + b"aAAa" + struct.pack(">I", zlib.crc32(b"aAAa"))) * 600_000,
        "WEBP": b"RIFF"
        + struct.pack("<I", 8_000_000)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + bytes(10)
        + bytes(8_000_000),
    }[kind]
    with pytest.raises(PictureError):
        decode_picture(endless, "a")


def test_a_jpeg_of_nothing_but_fill_bytes_ends_soon() -> None:
    with pytest.raises(PictureError, match="damaged"):
        decode_picture(b"\xff\xd8" + b"\xff" * 50_000_000, "a.jpg")
