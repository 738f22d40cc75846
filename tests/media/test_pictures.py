"""Picture files as people have them: every kind becomes the RGB that a viewer shows, and a bad one is named."""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from edge_i2i.errors import EdgeI2IError, PictureError, UsageError
from edge_i2i.media.pictures import (
    read_instance_map,
    read_label_map,
    read_picture,
    write_picture,
)


@pytest.fixture
def photo() -> np.ndarray:
    """A smooth, asymmetric picture, so that lossy formats stay close and every flip shows."""
    noise = np.random.default_rng(0).random((48, 80, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


def check_refused(path: Path, *words: str) -> PictureError:
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert caught.value.exit_code == 4
    assert str(path) in caught.value.what
    for word in words:
        assert word in str(caught.value)
    return caught.value


# What is handled ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.tif", {}, 0),
        ("a.tiff", {"compression": "tiff_lzw"}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.jpg", {"quality": 97, "subsampling": 0}, 4),
        ("a.jpeg", {"quality": 97, "subsampling": 0, "progressive": True}, 4),
    ],
)
def test_colour_pictures(tmp_path: Path, photo: np.ndarray, name: str, options: dict, tolerance: int) -> None:
    read = read_picture(save(tmp_path / name, Image.fromarray(photo), **options))
    assert read.dtype == np.uint8 and read.shape == photo.shape and read.flags.c_contiguous
    assert np.abs(read.astype(int) - photo).max() <= tolerance


def test_the_suffix_does_not_matter(tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jpg"), photo)


def test_names_beyond_ascii(tmp_path: Path, photo: np.ndarray) -> None:
    path = tmp_path / "Größe 写真 🐈.png"
    write_picture(path, photo)
    np.testing.assert_array_equal(read_picture(path), photo)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_is_repeated(tmp_path: Path, photo: np.ndarray, mode: str) -> None:
    grey = Image.fromarray(photo).convert(mode)
    read = read_picture(save(tmp_path / "a.png", grey))
    np.testing.assert_array_equal(read, np.repeat(np.asarray(grey.convert("L"))[..., None], 3, axis=2))


def test_transparency_is_composited_over_white_with_straight_alpha(tmp_path: Path, photo: np.ndarray) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, photo.shape[:2]).astype(np.uint8)
    alpha[0, :2] = 0, 255
    read = read_picture(save(tmp_path / "a.png", Image.fromarray(np.dstack([photo, alpha]))))
    share = alpha[..., None] / 255
    np.testing.assert_array_equal(read, np.round(photo * share + 255 * (1 - share)).astype(np.uint8))
    np.testing.assert_array_equal(read[0, 0], 255)
    np.testing.assert_array_equal(read[0, 1], photo[0, 1])


def test_grey_with_transparency(tmp_path: Path, photo: np.ndarray) -> None:
    grey, alpha = photo[..., 0], photo[..., 1]
    picture = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    read = read_picture(save(tmp_path / "a.png", picture))
    share = alpha / 255
    np.testing.assert_array_equal(read[..., 0], np.round(grey * share + 255 * (1 - share)).astype(np.uint8))
    np.testing.assert_array_equal(read[..., 0], read[..., 2])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_divided_by_257_and_rounded(tmp_path: Path, suffix: str, channels: int) -> None:
    values = np.arange(0, 65536, 13, dtype=np.uint16)[: 60 * 80].reshape(60, 80)
    stored = values if channels == 1 else np.dstack([values, values[::-1], values[:, ::-1]])
    cv2.imwrite(str(tmp_path / f"a{suffix}"), stored if channels == 1 else stored[..., ::-1])
    read = read_picture(tmp_path / f"a{suffix}")
    wanted = np.round(stored / 257.0).astype(np.uint8)
    np.testing.assert_array_equal(read, wanted if channels == 3 else np.repeat(wanted[..., None], 3, axis=2))


def test_sixteen_bits_with_transparency(tmp_path: Path) -> None:
    stored = np.random.default_rng(2).integers(0, 65536, (9, 9, 4)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    colours, share = np.round(stored[..., 2::-1] / 257), np.round(stored[..., 3:] / 257) / 255
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), np.round(colours * share + 255 * (1 - share)))


def test_cmyk_jpeg(tmp_path: Path, photo: np.ndarray) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(photo).convert("CMYK"), quality=97)
    with Image.open(path) as opened:
        assert opened.mode == "CMYK"
    assert np.abs(read_picture(path).astype(int) - photo).max() <= 5


def test_palette_png(tmp_path: Path, photo: np.ndarray) -> None:
    picture = Image.fromarray(photo).convert("P", palette=Image.Palette.ADAPTIVE)
    read = read_picture(save(tmp_path / "a.png", picture))
    np.testing.assert_array_equal(read, np.asarray(picture.convert("RGB")))


def test_palette_png_with_a_transparent_colour(tmp_path: Path) -> None:
    indices = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    indices.putpalette([200, 0, 0, 0, 100, 0])
    read = read_picture(save(tmp_path / "a.png", indices, transparency=0))
    np.testing.assert_array_equal(read, [[[255, 255, 255], [0, 100, 0]]])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_exif_orientation_is_applied(tmp_path: Path, photo: np.ndarray, suffix: str, orientation: int) -> None:
    options: dict[str, object] = {"tiffinfo": {0x0112: orientation}}
    if suffix != ".tif":
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"exif": exif} | ({"lossless": True} if suffix == ".webp" else {})
    path = save(tmp_path / f"a{suffix}", Image.fromarray(photo), **options)
    with Image.open(path) as opened:
        wanted = np.asarray(ImageOps.exif_transpose(opened).convert("RGB")).astype(int)
    read = read_picture(path)
    assert read.shape == wanted.shape and read.flags.c_contiguous
    assert np.abs(read - wanted).max() <= 2


def test_orientation_and_transparency_together(tmp_path: Path, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    rgba = np.dstack([photo, photo[..., 0]])
    plain = read_picture(save(tmp_path / "plain.png", Image.fromarray(rgba)))
    turned = read_picture(save(tmp_path / "turned.png", Image.fromarray(rgba), exif=exif))
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))


def test_the_undefined_fourth_channel_of_a_bmp_is_ignored(tmp_path: Path, photo: np.ndarray) -> None:
    zero_alpha = np.dstack([photo[..., ::-1], np.zeros(photo.shape[:2], np.uint8)])
    cv2.imwrite(str(tmp_path / "a.bmp"), zero_alpha)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.bmp"), photo)


# What is refused ------------------------------------------------------------------------------------------------


def test_missing(tmp_path: Path) -> None:
    check_refused(tmp_path / "nowhere.png", "There is no picture")


def test_a_folder(tmp_path: Path) -> None:
    check_refused(tmp_path, "cannot be opened")


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    check_refused(tmp_path / "a.png", "empty")


def test_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("dear diary, today I was renamed")
    check_refused(tmp_path / "a.png", "not a picture", "JPEG, PNG, WebP")


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.97, 0.999])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif"])
def test_truncated(tmp_path: Path, photo: np.ndarray, name: str, kept: float) -> None:
    data = save(tmp_path / name, Image.fromarray(photo)).read_bytes()
    (tmp_path / name).write_bytes(data[: min(len(data) - 2, max(20, int(len(data) * kept)))])
    check_refused(tmp_path / name, "damaged", "Fetch it again")


def test_truncated_progressive_jpeg(tmp_path: Path, photo: np.ndarray) -> None:
    data = save(tmp_path / "a.jpg", Image.fromarray(photo), progressive=True).read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) * 2 // 3])
    check_refused(tmp_path / "a.jpg", "end-of-image")


def test_a_flipped_byte_in_a_png(tmp_path: Path, photo: np.ndarray) -> None:
    data = bytearray(save(tmp_path / "a.png", Image.fromarray(photo)).read_bytes())
    data[len(data) // 2] ^= 0x10
    (tmp_path / "a.png").write_bytes(data)
    check_refused(tmp_path / "a.png", "checksum")


def bomb(side: int) -> bytes:
    """A PNG header that declares side x side pixels, in a file of a hundred bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(50))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize("side", [16385, 15000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(bomb(side))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    check_refused(tmp_path / "a.png", "too large", f"{side}x{side}")


@pytest.mark.parametrize("name", ["a.hdr", "a.tif"])
def test_floating_point(tmp_path: Path, photo: np.ndarray, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), photo.astype(np.float32) / 255)
    check_refused(tmp_path / name, "float")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations(tmp_path: Path, photo: np.ndarray, name: str) -> None:
    frames = [Image.fromarray(photo), Image.fromarray(photo[::-1])]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    check_refused(tmp_path / name, "GIF" if name == "a.gif" else "animation")


@pytest.mark.parametrize(("mode", "word"), [("CMYK", "CMYK"), ("RGBA", "transparency"), ("LAB", "Lab")])
def test_tiffs_that_decoders_read_differently(tmp_path: Path, photo: np.ndarray, mode: str, word: str) -> None:
    picture = Image.fromarray(photo)
    picture = Image.merge("LAB", picture.split()) if mode == "LAB" else picture.convert(mode)
    check_refused(save(tmp_path / "a.tif", picture), word, "Save it as a PNG")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_without_permission(tmp_path: Path, photo: np.ndarray) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(photo))
    path.chmod(0)
    check_refused(path, "cannot be opened")


# Writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "tolerance"), [("a.png", 0), ("a.jpg", 6), ("a.JPEG", 6), ("a.webp", 20)])
def test_written_pictures_read_back(tmp_path: Path, photo: np.ndarray, name: str, tolerance: int) -> None:
    write_picture(tmp_path / name, photo)
    assert np.abs(read_picture(tmp_path / name).astype(int) - photo).max() <= tolerance
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_views_are_written_as_they_look(tmp_path: Path, photo: np.ndarray) -> None:
    view = photo[5:25, ::-2]
    write_picture(tmp_path / "a.png", view)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), view)


def test_a_written_picture_has_ordinary_permissions(tmp_path: Path, photo: np.ndarray) -> None:
    write_picture(tmp_path / "a.png", photo)
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_an_unknown_suffix_is_a_usage_error(tmp_path: Path, photo: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"\.png") as caught:
        write_picture(tmp_path / "a.gif", photo)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_what_is_no_picture_is_not_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError, match="uint8"):
        write_picture(tmp_path / "a.png", np.zeros(shape, np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_said(tmp_path: Path, photo: np.ndarray) -> None:
    with pytest.raises(EdgeI2IError, match="cannot be written: No such file") as caught:
        write_picture(tmp_path / "nowhere" / "a.png", photo)
    assert caught.value.exit_code == 2 and "folder exists" in caught.value.remedy


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_behind_when_writing_stops(
    tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"what was there before")
    real = Path.write_bytes

    def half(self: Path, data: bytes) -> int:
        real(self, data[: len(data) // 2])
        raise error

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises((EdgeI2IError, KeyboardInterrupt)):
        write_picture(path, photo)
    assert path.read_bytes() == b"what was there before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


# Maps -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ids() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 35, (12, 17)).astype(np.uint8)


def test_label_map(tmp_path: Path, ids: np.ndarray) -> None:
    read = read_label_map(save(tmp_path / "a.png", Image.fromarray(ids)))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, ids)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_map_gives_its_indices(tmp_path: Path, bits: int) -> None:
    indices = np.random.default_rng(5).integers(0, 2**bits, (11, 13)).astype(np.uint8)
    picture = Image.fromarray(indices, "P")
    picture.putpalette([(37 * n) % 256 for n in range(3 * 2**bits)])
    path = save(tmp_path / "a.png", picture, bits=bits, transparency=0)
    assert path.read_bytes()[24] == bits
    np.testing.assert_array_equal(read_label_map(path), indices)
    np.testing.assert_array_equal(read_instance_map(path), indices)


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits, packed by hand: no common writer makes one of ids."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = values.shape
    planes = np.unpackbits(values[..., None], axis=2)[..., -bits:].reshape(height, -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in planes)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_ids_and_not_shades(tmp_path: Path, bits: int) -> None:
    values = np.random.default_rng(6).integers(0, 2**bits, (9, 10)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(grey_png(values, bits))
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_instance_map(tmp_path: Path, dtype: type) -> None:
    instances = np.random.default_rng(7).integers(0, np.iinfo(dtype).max + 1, (12, 17)).astype(dtype)
    cv2.imwrite(str(tmp_path / "a.png"), instances)
    read = read_instance_map(tmp_path / "a.png")
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, instances)


def test_colours_are_no_label_map(tmp_path: Path, photo: np.ndarray) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(photo))
    for read, name in ((read_label_map, "label map"), (read_instance_map, "instance map")):
        with pytest.raises(PictureError, match=f"{name}.*3 channels") as caught:
            read(path)
        assert caught.value.exit_code == 4 and "labelIds" in caught.value.remedy


def test_sixteen_bits_are_no_label_map(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4), np.uint16))
    with pytest.raises(PictureError, match="16-bit") as caught:
        read_label_map(tmp_path / "a.png")
    assert "instance map" in caught.value.remedy


def test_a_lossy_label_map_is_refused(tmp_path: Path, ids: np.ndarray) -> None:
    with pytest.raises(PictureError, match="JPEG") as caught:
        read_label_map(save(tmp_path / "a.jpg", Image.fromarray(ids)))
    assert "exactly" in caught.value.remedy


def test_a_truncated_label_map(tmp_path: Path, ids: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(ids).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue()[:-20])
    with pytest.raises(PictureError, match="damaged"):
        read_label_map(tmp_path / "a.png")
