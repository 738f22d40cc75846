"""HEIC and AVIF as phones make them: right, turned as the container says, of 8 bits; refused or missing otherwise."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from edge_i2i.errors import PictureError
from edge_i2i.media.headers import describe_unreadable
from edge_i2i.media.heif import HeifFormat, MissingDecoderError, sniff_heif
from edge_i2i.media.pictures import decode_picture, read_picture

pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heif: pip install -e '.[heif]'")

_SMOOTH = cv2.GaussianBlur(np.random.default_rng(0).random((64, 96, 3)), (0, 0), 7)
PHOTO = ((_SMOOTH - _SMOOTH.min()) / np.ptp(_SMOOTH) * 255).astype(np.uint8)


def heic(picture: Image.Image, *, exif: Image.Exif | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    held = pillow_heif.from_bytes(picture.mode, picture.size, picture.tobytes())
    if exif is not None:
        held[0].info["exif"] = exif.tobytes()  # its orientation is written as the container's, too
    held.save(file, quality=95, **options)
    return file.getvalue()


def avif(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "AVIF", quality=98, subsampling="4:4:4", **options)
    return file.getvalue()


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


MAKERS = {"a.heic": heic, "a.avif": avif}


@pytest.mark.parametrize("name", MAKERS)
def test_colours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(MAKERS[name](Image.fromarray(PHOTO)))
    read = read_picture(tmp_path / name)
    assert read.dtype == np.uint8 and read.shape == PHOTO.shape and read.flags.c_contiguous
    assert np.abs(read.astype(int) - PHOTO).mean() < 3


@pytest.mark.parametrize("name", MAKERS)
def test_grey(name: str) -> None:
    grey = Image.fromarray(PHOTO).convert("L")
    read = decode_picture(MAKERS[name](grey), name)
    assert np.abs(read.astype(int) - np.asarray(grey)[..., None]).mean() < 3


@pytest.mark.parametrize("name", MAKERS)
def test_transparency_over_white(name: str) -> None:
    rgba = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    rgba[:32, :, 3] = 0
    read = decode_picture(MAKERS[name](Image.fromarray(rgba)), name)
    assert read[:30].min() >= 250
    assert np.abs(read[34:].astype(int) - PHOTO[34:]).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", MAKERS)
def test_the_turn_is_applied_once(name: str, orientation: int) -> None:
    picture = Image.fromarray(PHOTO)
    data = MAKERS[name](picture, exif=with_orientation(orientation))
    wanted = np.asarray(ImageOps.exif_transpose(_with_exif(PHOTO, with_orientation(orientation))))
    read = decode_picture(data, name)
    assert read.shape == wanted.shape
    assert np.abs(read.astype(int) - wanted).mean() < 3


def _with_exif(pixels: np.ndarray, exif: Image.Exif) -> Image.Image:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    return Image.open(file)


@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_eight_bits_a_channel(bits: int) -> None:
    deep = PHOTO.astype(np.uint16) * 257
    file = io.BytesIO()
    options = {"SAVE_HDR_TO_12_BIT": bits == 12}
    before = {key: getattr(pillow_heif.options, key) for key in options}
    try:
        for key, value in options.items():
            setattr(pillow_heif.options, key, value)
        pillow_heif.from_bytes("RGB;16", deep.shape[1::-1], deep.tobytes()).save(file, quality=95)
    finally:
        for key, value in before.items():
            setattr(pillow_heif.options, key, value)
    assert pillow_heif.open_heif(file, convert_hdr_to_8bit=False).info["bit_depth"] == bits
    assert np.abs(decode_picture(file.getvalue(), "a.heic").astype(int) - PHOTO).mean() < 3


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_curves_are_refused(transfer: int) -> None:
    data = heic(Image.fromarray(PHOTO), transfer_characteristics=transfer, color_primaries=9)
    assert data.count(b"colrnclx") >= 1
    with pytest.raises(PictureError, match="HDR"):
        decode_picture(data, "a.heic")


def test_an_animated_avif_is_refused() -> None:
    file = io.BytesIO()
    frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1])]
    frames[0].save(file, "AVIF", save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match="animation"):
        decode_picture(file.getvalue(), "a.avif")


@pytest.mark.parametrize("kept", [0.02, 0.2, 0.6, 0.95])
@pytest.mark.parametrize("name", MAKERS)
def test_a_cut_file_is_damaged(name: str, kept: float) -> None:
    data = MAKERS[name](Image.fromarray(PHOTO))
    with pytest.raises(PictureError):
        decode_picture(data[: int(len(data) * kept)], name)


@pytest.mark.parametrize("name", MAKERS)
def test_a_size_beyond_the_limits_is_refused_before_it_is_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = MAKERS[name](Image.fromarray(PHOTO))
    size = struct.pack(">II", PHOTO.shape[1], PHOTO.shape[0])
    large = data.replace(b"ispe\0\0\0\0" + size, b"ispe\0\0\0\0" + struct.pack(">II", 30000, 30000))
    assert large != data
    monkeypatch.setattr("edge_i2i.media.heif._decoded", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(PictureError):
        decode_picture(large, name)


@pytest.mark.parametrize("name", MAKERS)
def test_without_the_extra_the_error_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = MAKERS[name](Image.fromarray(PHOTO))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "PIL.AvifImagePlugin", None)
    with pytest.raises(MissingDecoderError) as caught:
        decode_picture(data, name)
    assert caught.value.exit_code == 3 and "edge-i2i[heif]" in caught.value.remedy


@pytest.mark.parametrize(
    ("major", "compatible", "kind"),
    [
        (b"heic", [b"mif1"], HeifFormat.HEIC),
        (b"mif1", [b"heic"], HeifFormat.HEIC),
        (b"mif1", [b"miaf", b"avif"], HeifFormat.AVIF),
        (b"avis", [b"avif", b"msf1"], HeifFormat.AVIF),
        (b"isom", [b"mp42"], None),
        (b"crx ", [b"isom"], None),
        (b"qt  ", [], None),
    ],
)
def test_the_kinds_of_containers(major: bytes, compatible: list[bytes], kind: HeifFormat | None) -> None:
    body = major + bytes(4) + b"".join(compatible)
    head = struct.pack(">I", 8 + len(body)) + b"ftyp" + body
    assert sniff_heif(head) is kind
    assert kind is not None or describe_unreadable(head) in ("a video", "a camera's raw file")
