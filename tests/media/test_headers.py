"""Headers are read without decoding, and no sequence of bytes makes the reader fail in any way but its own."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_i2i.contract import Size
from edge_i2i.media.headers import DamagedHeaderError, PictureFormat, describe_unreadable, read_header, sniff

MODES = {
    PictureFormat.JPEG: [("RGB", {}), ("L", {}), ("CMYK", {}), ("RGB", {"progressive": True})],
    PictureFormat.PNG: [("RGB", {}), ("RGBA", {}), ("P", {}), ("I;16", {}), ("1", {})],
    PictureFormat.WEBP: [("RGB", {}), ("RGB", {"lossless": True}), ("RGBA", {}), ("RGBA", {"lossless": True})],
    PictureFormat.BMP: [("RGB", {}), ("L", {})],
    PictureFormat.TIFF: [("RGB", {}), ("L", {}), ("RGB", {"compression": "tiff_deflate"})],
}
SIZE = Size(21, 34)
CASES = [(kind, mode, options) for kind, modes in MODES.items() for mode, options in modes]


def encoded(kind: PictureFormat, mode: str, size: Size = SIZE, **options: object) -> bytes:
    rgb = np.random.default_rng(3).integers(0, 256, (size.height, size.width, 3)).astype(np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(rgb[..., 0].astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(rgb).convert(mode)
    file = io.BytesIO()
    picture.save(file, kind.value, **options)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "mode", "options"), CASES)
def test_format_and_size_of_every_kind(kind: PictureFormat, mode: str, options: dict[str, object]) -> None:
    data = encoded(kind, mode, **options)
    assert sniff(data[:16]) is kind
    header = read_header(data, kind)
    assert header.size == SIZE
    assert header.damage == "" and header.unsupported == "" and header.orientation == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP])
def test_orientation_is_found_in_every_format_that_carries_exif(kind: PictureFormat, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_header(encoded(kind, "RGB", exif=exif), kind).orientation == orientation


def test_a_damaged_exif_block_does_not_matter() -> None:
    data = encoded(PictureFormat.JPEG, "RGB", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_header(data, PictureFormat.JPEG).orientation == 1


@pytest.mark.parametrize("kind", [PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_a_cut_file_is_seen_as_damaged(kind: PictureFormat, kept: float) -> None:
    data = encoded(kind, "RGB")
    assert read_header(data[: int(len(data) * kept)], kind).damage != ""


def test_the_end_marker_of_an_embedded_thumbnail_is_not_taken_for_the_pictures_own() -> None:
    thumbnail = encoded(PictureFormat.JPEG, "RGB", Size(8, 8))
    data = encoded(PictureFormat.JPEG, "RGB", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0" + thumbnail)
    assert b"\xff\xd9" in data[: len(data) // 2]
    assert read_header(data, PictureFormat.JPEG).damage == ""
    assert read_header(data[:-2], PictureFormat.JPEG).damage != ""


def test_what_follows_a_jpeg_does_not_matter() -> None:
    data = encoded(PictureFormat.JPEG, "RGB") + b"a motion photo's film" * 100
    assert read_header(data, PictureFormat.JPEG).damage == ""


def test_a_flipped_byte_in_a_png_is_seen() -> None:
    data = bytearray(encoded(PictureFormat.PNG, "RGB"))
    data[len(data) // 2] ^= 1
    assert "checksum" in read_header(bytes(data), PictureFormat.PNG).damage


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GIF89a" + bytes(10), "GIF"),
        (b"\0\0\0\x20ftypheic" + bytes(4), "HEIC"),
        (b"\0\0\0\x20ftypisom" + bytes(4), "video"),
        (b"\x76\x2f\x31\x01" + bytes(12), "OpenEXR"),
        (b"hello, I am text", "not a picture"),
        (b"", "not a picture"),
    ],
)
def test_other_files_are_named(head: bytes, name: str) -> None:
    assert sniff(head) is None
    assert name in describe_unreadable(head)


@settings(max_examples=300)
@given(st.sampled_from(CASES[:-1]), st.data())
def test_mutated_files_either_parse_or_are_called_damaged(
    case: tuple[PictureFormat, str, dict[str, object]], data: st.DataObject
) -> None:
    kind, mode, options = case
    original = bytearray(encoded(kind, mode, Size(5, 7), **options))
    for _ in range(data.draw(st.integers(1, 6))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    mutated = bytes(original[: data.draw(st.integers(0, len(original)))])
    try:
        header = read_header(mutated, kind)
    except DamagedHeaderError as error:
        assert str(error)
    else:
        assert header.size.height >= 1 and header.size.width >= 1 and 1 <= header.orientation <= 8


@settings(max_examples=200)
@given(st.sampled_from(list(PictureFormat)), st.binary(max_size=200))
def test_arbitrary_bytes_either_parse_or_are_called_damaged(kind: PictureFormat, data: bytes) -> None:
    try:
        read_header(data, kind)
    except DamagedHeaderError as error:
        assert str(error)
