"""Every layout of TIFF is the picture that independent readers see, or it is refused with its reason."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_i2i.errors import PictureError
from edge_i2i.media.headers import DamagedHeaderError, PictureFormat, read_header
from edge_i2i.media.pictures import decode_picture

_SMOOTH = cv2.GaussianBlur(np.random.default_rng(0).random((40, 56, 3)), (0, 0), 4)
PHOTO = ((_SMOOTH - _SMOOTH.min()) / np.ptp(_SMOOTH) * 255).astype(np.uint8)
GREY = PHOTO[..., 1]
GREY_SEEN = np.repeat(GREY[..., None], 3, axis=2)


def written(samples: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def seen_or_refused(data: bytes, wanted: np.ndarray, apart: int = 1) -> str:
    """The reason of the refusal, or an empty text where the picture is right."""
    try:
        read = decode_picture(data, "a.tif")
    except PictureError as error:
        assert "a.tif" in error.what and error.remedy
        return error.what
    assert read.shape == wanted.shape
    assert np.abs(read.astype(int) - wanted).max() <= apart
    return ""


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("bits", [8, 16])
def test_colours_in_every_arrangement(bits: int, planes: str) -> None:
    samples = PHOTO if bits == 8 else PHOTO.astype(np.uint16) * 257
    samples = samples if planes == "contig" else np.ascontiguousarray(samples.transpose(2, 0, 1))
    reasons = {
        seen_or_refused(
            written(
                samples,
                photometric="rgb",
                planarconfig=planes,
                byteorder=order,
                compression=packing,
                predictor=predictor,
                tile=tile,
            ),
            PHOTO,
        )
        for order, (packing, predictor), tile in itertools.product(
            "<>", ((None, None), ("zlib", None), ("zlib", 2)), (None, (16, 32))
        )
    }
    if (bits, planes) == (16, "separate"):
        assert all("planes of their own" in reason for reason in reasons)
    else:  # OpenCV refuses some uncompressed tiles of 8 bits
        assert reasons <= {
            "",
            "The picture 'a.tif' cannot be decoded: it is damaged, or stored in a way that is not read.",
        }


def made(fields: list[tuple[int, int, int, int]], body: bytes = b"") -> bytes:
    """A little-endian TIFF of these fields: tag, type, count, value; ``AT_BODY`` stands for where ``body`` begins."""
    begins = 8 + 2 + 12 * len(fields) + 4
    entries = b"".join(
        struct.pack("<HHII", *field[:3], begins if field[3] == AT_BODY else field[3]) for field in fields
    )
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + body


AT_BODY = 0xFFFFFFFF
SMALL = [
    (256, 4, 1, 10),
    (257, 4, 1, 10),
    (258, 3, 1, 8),
    (259, 3, 1, 1),
    (262, 3, 1, 1),
    (273, 4, 1, AT_BODY),
    (279, 4, 1, 100),
]


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows of numbers, the highest bit first, each row beginning with a byte."""
    wide = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(*values.shape, 2), axis=2)[..., -bits:]
    return np.packbits(wide.reshape(len(values), -1), axis=1).tobytes()


def grey_tiff(values: np.ndarray, bits: int, meaning: int) -> bytes:
    height, width = values.shape
    body = values.astype("<u2").tobytes() if bits == 16 else packed(values, bits)
    return made(
        [
            *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, meaning)),
            *((273, 4, 1, AT_BODY), (279, 4, 1, len(body))),
        ],
        body,
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16])
def test_grey_of_every_depth(bits: int) -> None:
    top = 2**bits - 1
    samples = np.round(GREY / 255.0 * top).astype(np.uint16)
    wanted = np.repeat(np.round(samples / top * 255)[..., None], 3, axis=2)
    positive = seen_or_refused(grey_tiff(samples, bits, 1), wanted)
    assert positive == "" if bits in (1, 8, 10, 12, 14, 16) else f"{bits} bits" in positive
    negative = seen_or_refused(grey_tiff(top - samples, bits, 0), wanted)
    assert negative == "" if bits in (1, 8) else "white-is-zero" in negative


@pytest.mark.parametrize("packing", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_what_pillow_writes(mode: str, packing: str) -> None:
    file = io.BytesIO()
    picture = Image.fromarray(PHOTO).convert(mode)
    picture.save(file, "TIFF", compression=packing)
    assert seen_or_refused(file.getvalue(), np.asarray(picture.convert("RGB"))) == ""


@pytest.mark.parametrize("packing", ["group3", "group4", "tiff_ccitt"])
def test_fax(packing: str) -> None:
    file = io.BytesIO()
    picture = Image.fromarray(PHOTO).convert("1")
    picture.save(file, "TIFF", compression=packing)
    assert seen_or_refused(file.getvalue(), np.asarray(picture.convert("RGB"))) == ""


@pytest.mark.parametrize("mode", ["RGB", "YCbCr", "L"])
def test_jpeg_inside(mode: str) -> None:
    file = io.BytesIO()
    Image.fromarray(PHOTO).convert(mode).save(file, "TIFF", compression="jpeg")
    with Image.open(file) as opened:
        assert seen_or_refused(file.getvalue(), np.asarray(opened.convert("RGB")), apart=3) == ""


def test_palettes_of_sixteen_bits_a_colour() -> None:
    colours = np.random.default_rng(1).integers(0, 65536, (3, 256), dtype=np.uint16)
    data = written(GREY, photometric="palette", colormap=colours)
    assert seen_or_refused(data, np.round(colours.T / 257)[GREY]) == ""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_sixteen_bits(orientation: int) -> None:
    tag = [(274, 3, 1, orientation, False)]
    deep = decode_picture(written(PHOTO.astype(np.uint16) * 257, photometric="rgb", extratags=tag), "a.tif")
    np.testing.assert_array_equal(deep, decode_picture(written(PHOTO, photometric="rgb", extratags=tag), "a.tif"))


def test_the_first_of_several_pages() -> None:
    assert seen_or_refused(written(np.stack([GREY, 255 - GREY]), photometric="minisblack"), GREY_SEEN) == ""


@pytest.mark.parametrize(
    ("samples", "options", "reason"),
    [
        (GREY.astype(np.float16), {"photometric": "minisblack"}, "floating-point"),
        (PHOTO.astype(np.float32), {"photometric": "rgb"}, "floating-point"),
        (GREY.astype(np.int16), {"photometric": "minisblack"}, "whole numbers"),
        (GREY.astype(np.uint32), {"photometric": "minisblack"}, "32 bits"),
        (np.stack([GREY, GREY]), {"photometric": "minisblack", "volumetric": True}, "volume"),
        (PHOTO, {"photometric": "cielab"}, "CIELab"),
        (np.dstack([PHOTO, GREY]), {"photometric": "separated"}, "CMYK"),
        (np.dstack([PHOTO, GREY]), {"photometric": "rgb", "extrasamples": ("assocalpha",)}, "transparency"),
        (np.dstack([PHOTO, GREY]), {"photometric": "rgb", "extrasamples": ("unassalpha",)}, "transparency"),
        (np.dstack([GREY, GREY]), {"photometric": "minisblack", "planarconfig": "contig"}, "transparency"),
        (GREY, {"photometric": "cfa", "extratags": [(33421, 3, 2, (2, 2), False)]}, "raw file"),
        (PHOTO, {"photometric": 34892}, "raw file"),
        (PHOTO, {"photometric": "rgb", "extratags": [(50706, 1, 4, b"\1\4\0\0", False)]}, "raw file"),
        (PHOTO, {"photometric": "rgb", "subfiletype": 1}, "preview"),
        (PHOTO, {"photometric": "rgb", "bigtiff": True}, "BigTIFF"),
    ],
)
def test_layouts_that_decoders_differ_in_are_refused(samples: np.ndarray, options: dict, reason: str) -> None:
    with pytest.raises(PictureError, match=reason) as caught:
        decode_picture(written(samples, **options), "a.tif")
    assert caught.value.exit_code == 4 and caught.value.remedy


@pytest.mark.parametrize(
    "field",
    [
        (256, 4, 1, 30000),
        (257, 3, 1, 30000),
        (258, 3, 1, 16),
        (259, 3, 1, 8),
        (262, 3, 1, 0),
        (277, 3, 1, 1),
        (322, 4, 1, 16),
    ],
)
def test_what_is_said_twice_is_refused(field: tuple[int, int, int, int]) -> None:
    twice = [*SMALL, field] if field[0] in {tag for tag, *_ in SMALL} else [*SMALL, field, field]
    for order in (twice, twice[::-1]):
        with pytest.raises(DamagedHeaderError, match="twice"):
            read_header(made(order), PictureFormat.TIFF)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([*SMALL, (317, 3, 1, 2)], "predictor"),
        ([*SMALL[:3], (259, 3, 1, 8), *SMALL[4:], (317, 3, 1, 3)], "predictor"),
        ([*SMALL[:3], (259, 3, 1, 32773), *SMALL[4:], (317, 3, 1, 2)], "predictor"),
        ([*SMALL, (266, 3, 1, 2)], "reversed"),
        ([*SMALL[:3], (259, 3, 1, 4), *SMALL[4:]], "not meant for 8 bits"),
        ([*SMALL[:3], (259, 3, 1, 6), *SMALL[4:]], "number 6"),
        ([*SMALL[:3], (259, 3, 1, 50000), *SMALL[4:]], "number 50000"),
        ([*SMALL[:4], (262, 3, 1, 6), *SMALL[5:], (277, 3, 1, 3)], "YCbCr"),
        ([*SMALL[:4], (262, 3, 1, 4), *SMALL[5:]], "kind 4"),
        ([*SMALL[:4], (262, 3, 1, 2), *SMALL[5:]], "1 channels of kind 2"),
        ([*SMALL, (277, 3, 1, 4)], "4 channels of kind 1"),
        ([(254, 4, 1, 4), *SMALL], "preview or a mask"),
    ],
)
def test_what_decoders_pass_over_is_refused(fields: list[tuple[int, int, int, int]], reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        decode_picture(made(fields, bytes(400)), "a.tif")


@pytest.mark.parametrize("kind", [2, 5, 6, 8, 9, 11, 12, 16])
def test_a_size_of_another_type_is_refused(kind: int) -> None:
    with pytest.raises(DamagedHeaderError):
        read_header(made([(256, kind, 1, 10), *SMALL[1:]]), PictureFormat.TIFF)


@pytest.mark.parametrize("tags", [(322, 323), (323, 322)])
def test_tiles_larger_than_the_picture_are_refused(tags: tuple[int, int]) -> None:
    tiles = [(tags[0], 4, 1, 30000), (tags[1], 4, 1, 16)]
    assert "tiles" in read_header(made([*SMALL, *tiles]), PictureFormat.TIFF).unsupported


def test_a_directory_without_end_is_refused() -> None:
    data = made([(40000 + number % 20000, 3, 1, 0) for number in range(5000)])
    with pytest.raises(DamagedHeaderError, match="5000 fields"):
        read_header(data, PictureFormat.TIFF)


def test_a_strip_that_unfolds_beyond_the_picture_is_no_harm() -> None:
    strip = zlib.compress(bytes(50 << 20))
    fields = [*SMALL[:3], (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, AT_BODY), (279, 4, 1, len(strip))]
    reason = seen_or_refused(made(fields, strip), np.zeros((10, 10, 3)))
    assert reason == "" or "cannot be decoded" in reason


@settings(max_examples=150)
@given(st.data())
def test_mutated_layouts_are_read_or_refused(data: st.DataObject) -> None:
    original = bytearray(written(PHOTO[:6, :5].astype(np.uint16), photometric="rgb", compression="zlib"))
    for _ in range(data.draw(st.integers(1, 4))):
        original[data.draw(st.integers(4, min(len(original) - 1, 260)))] = data.draw(st.integers(0, 255))
    try:
        read = decode_picture(bytes(original), "a.tif")
    except PictureError:
        return
    assert read.dtype == np.uint8 and read.ndim == 3
