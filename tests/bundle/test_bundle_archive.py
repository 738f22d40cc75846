"""The zip form: what a stranger's zip may hold, and what a bomb or a cut download does."""

from __future__ import annotations

import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_i2i.bundle.archive import LARGEST_DIRECTORY, MOST_MEMBERS, ArchiveStorage
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.errors import BundleError
from samples.bundles import FP32, GOLDEN, stored, write_sample, zip_by_hand


def refusal(bundle: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle).verify_checksums()
    assert caught.value.exit_code == 4
    assert str(bundle) in caught.value.what
    assert caught.value.remedy
    return str(caught.value)


def add_member(bundle: Path, member: str | zipfile.ZipInfo, data: bytes = b"x") -> Path:
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr(member, data)
    return bundle


def test_both_forms_hold_the_same(folder_bundle: Path, zip_bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zip_bundle) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked.i2i")
    files = sorted(path.relative_to(folder_bundle) for path in folder_bundle.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "unpacked.i2i") for path in (tmp_path / "unpacked.i2i").rglob("*") if path.is_file()
    )
    assert all((folder_bundle / name).read_bytes() == (tmp_path / "unpacked.i2i" / name).read_bytes() for name in files)
    open_bundle(tmp_path / "unpacked.i2i").verify_checksums()


def test_a_folder_that_was_zipped_by_python(folder_bundle: Path, tmp_path: Path) -> None:
    bundle = open_bundle(zip_by_hand(folder_bundle, tmp_path / "by-hand.i2i"))
    bundle.verify_checksums()
    assert bundle.golden().keys() == GOLDEN.keys()


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs the zip program")
def test_a_folder_that_was_zipped_by_zip(folder_bundle: Path, tmp_path: Path) -> None:
    subprocess.run(["zip", "-0", "-q", "-r", str(tmp_path / "z.zip"), "."], cwd=folder_bundle, check=True)
    open_bundle((tmp_path / "z.zip").rename(tmp_path / "z.i2i")).verify_checksums()


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs the unzip program")
def test_unzip_finds_nothing_wrong(zip_bundle: Path) -> None:
    subprocess.run(["unzip", "-t", "-q", str(zip_bundle)], check=True)


def test_compressed_members_are_refused(folder_bundle: Path, tmp_path: Path) -> None:
    bundle = zip_by_hand(folder_bundle, tmp_path / "x.i2i", compression=zipfile.ZIP_DEFLATED)
    assert "is compressed; only uncompressed zips are read (zip -0)" in refusal(bundle)


def test_a_zip_bomb_is_refused_unopened(zip_bundle: Path) -> None:
    bomb = zipfile.ZipInfo("bomb.bin")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    assert "'bomb.bin' is compressed" in refusal(add_member(zip_bundle, bomb, bytes(10_000_000)))


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "C:/x", "C:x", "a\\..\\b", "a//b", "./a"])
def test_member_names_that_lead_out(zip_bundle: Path, name: str) -> None:
    message = refusal(add_member(zip_bundle, name))
    assert "is refused: its path" in message and repr(name) in message


def test_a_folder_name_that_leads_out(zip_bundle: Path) -> None:
    assert "'../outside' points outside" in refusal(add_member(zip_bundle, "../outside/", b""))


@pytest.mark.parametrize("again", ["graphs/frame.fp32.onnx", "GRAPHS/frame.fp32.onnx", "bundle.json"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name(zip_bundle: Path, again: str) -> None:
    assert f"'{again}' is there twice" in refusal(add_member(zip_bundle, again))


def test_a_symbolic_link(zip_bundle: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "'link' is a symbolic link" in refusal(add_member(zip_bundle, link, b"/etc/passwd"))


def test_a_folder_with_contents(zip_bundle: Path) -> None:
    assert "is a folder with contents" in refusal(add_member(zip_bundle, "graphs/", b"x"))


@pytest.mark.parametrize("name", [b"\0raphs/style.fp32.onnx", b"graphs/style\0fp32.onnx"])
def test_a_name_with_a_zero_byte_which_python_ends_there_and_others_do_not(zip_bundle: Path, name: bytes) -> None:
    zip_bundle.write_bytes(zip_bundle.read_bytes().replace(b"graphs/style.fp32.onnx", name))
    assert "control character" in refusal(zip_bundle)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="older Pythons do not read the extra field for Unicode names")
def test_a_second_name_in_an_extra_field(zip_bundle: Path) -> None:
    name, second = b"extra.bin", b"\xc3\xa9.bin"
    member = zipfile.ZipInfo(name.decode())
    field = struct.pack("<BI", 1, zlib.crc32(name)) + second
    member.extra = struct.pack("<HH", 0x7075, len(field)) + field
    assert "goes by a second name" in refusal(add_member(zip_bundle, member))


def test_an_unlisted_member_is_ignored_until_verify(zip_bundle: Path) -> None:
    add_member(zip_bundle, "extra.bin")
    open_bundle(zip_bundle)
    assert "does not list: extra.bin" in refusal(zip_bundle)


def test_a_missing_member(folder_bundle: Path, tmp_path: Path) -> None:
    (folder_bundle / "graphs/style.fp32.onnx").unlink()
    message = refusal(zip_by_hand(folder_bundle, tmp_path / "x.i2i"))
    assert "'graphs/style.fp32.onnx' is missing from the bundle" in message


def test_a_zip_that_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/picture.png").write_bytes(b"x")
    assert "'bundle.json' is missing" in refusal(zip_by_hand(tmp_path / "folder", tmp_path / "x.i2i"))


@pytest.mark.parametrize("data", [b"", b"P", b"PK", b"\x89PNG\r\n", b"#!/bin/sh\n", bytes(100)])
def test_files_that_are_no_zip(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.i2i").write_bytes(data)
    assert "is not an edge-i2i bundle" in refusal(tmp_path / "x.i2i")


@pytest.mark.parametrize("rest", [4, 21, 22, 30, 100, 0.25, 0.5, 0.75, -22, -21, -1])
def test_a_cut_download(zip_bundle: Path, rest: float) -> None:
    data = zip_bundle.read_bytes()
    zip_bundle.write_bytes(data[: int(len(data) * rest) if isinstance(rest, float) else rest])
    assert "it was cut short" in refusal(zip_bundle)


@pytest.mark.parametrize(
    "change", [lambda data: data + b"x", lambda data: data + data, lambda data: data[:-2] + b"\1\0x"]
)
def test_something_appended(zip_bundle: Path, change: Callable[[bytes], bytes]) -> None:
    zip_bundle.write_bytes(change(zip_bundle.read_bytes()))
    refusal(zip_bundle)


def test_something_put_before(zip_bundle: Path) -> None:
    data = zip_bundle.read_bytes()
    zip_bundle.write_bytes(b"#!/bin/sh\n" + data)
    assert "is not an edge-i2i bundle" in refusal(zip_bundle)
    zip_bundle.write_bytes(data[:40] + data)
    assert "points to the wrong places" in refusal(zip_bundle)


def test_too_many_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.i2i", "w") as archive:
        for number in range(MOST_MEMBERS + 1):
            archive.writestr(f"{number}", b"")
    assert f"its zip has {MOST_MEMBERS + 1:,} members" in refusal(tmp_path / "x.i2i")


def test_a_huge_table_of_contents(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.i2i", "w") as archive:
        for number in range(20):
            member = zipfile.ZipInfo(f"{number}")
            member.comment = bytes(60_000)
            archive.writestr(member, b"")
    assert f"and {LARGEST_DIRECTORY:,} are accepted" in refusal(tmp_path / "x.i2i")


def rewrite(bundle: Path, signature: bytes, offset: int, packed: bytes) -> Path:
    """Put bytes at an offset behind the last occurrence of a zip signature."""
    data = bytearray(bundle.read_bytes())
    at = data.rindex(signature) + offset
    data[at : at + len(packed)] = packed
    bundle.write_bytes(data)
    return bundle


def test_an_end_record_that_miscounts(zip_bundle: Path) -> None:
    assert "count different numbers of members" in refusal(rewrite(zip_bundle, b"PK\5\6", 10, struct.pack("<H", 3)))


@pytest.mark.parametrize("size", [0, 1, len(FP32), 1 << 20, 0xFFFFFFFE])
def test_sizes_that_lie(zip_bundle: Path, size: int) -> None:
    refusal(rewrite(zip_bundle, b"PK\1\2", 20, struct.pack("<II", size, size)))


def test_members_that_claim_to_be_larger_than_the_file(zip_bundle: Path) -> None:
    rewrite(zip_bundle, b"PK\1\2", 20, struct.pack("<II", 1 << 30, 1 << 30))
    assert "claim to be larger than the whole file" in refusal(zip_bundle)


def test_sizes_that_differ(zip_bundle: Path) -> None:
    assert "is compressed" in refusal(rewrite(zip_bundle, b"PK\1\2", 24, struct.pack("<I", 1 << 30)))


def test_an_encrypted_member(zip_bundle: Path) -> None:
    assert "is encrypted or patched" in refusal(rewrite(zip_bundle, b"PK\1\2", 8, struct.pack("<H", 1)))


def large_form(bundle: Path, entries: int, directory: int) -> Path:
    """Give a zip the end records of archives above 4 GiB (zip64)."""
    data = bundle.read_bytes()
    _, _, _, _, count, size, start, _ = struct.unpack("<4sHHHHIIH", data[-22:])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, entries, directory or size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(data) - 22, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    bundle.write_bytes(data[:-22] + record + locator + end)
    return bundle


def test_the_large_form_is_read(zip_bundle: Path) -> None:
    members = len(zipfile.ZipFile(zip_bundle).infolist())
    open_bundle(large_form(zip_bundle, members, 0)).verify_checksums()


@pytest.mark.parametrize(("entries", "directory"), [(1 << 40, 0), (8, 1 << 40)])
def test_the_large_form_is_bounded_too(zip_bundle: Path, entries: int, directory: int) -> None:
    assert "are accepted" in refusal(large_form(zip_bundle, entries, directory))


def test_the_large_form_without_its_record(zip_bundle: Path) -> None:
    rewrite(large_form(zip_bundle, 8, 0), b"PK\6\6", 0, b"XXXX")
    assert "zip64 end record is missing" in refusal(zip_bundle)


def test_nothing_stays_open(zip_bundle: Path) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("lists open files as Linux does")
    stored(open_bundle(zip_bundle).graph("frame", "fp32"))
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert str(zip_bundle) not in {str(link.readlink()) for link in links if link.is_symlink()}


def test_unsafe_names_are_never_looked_up(zip_bundle: Path) -> None:
    with pytest.raises(BundleError, match="points outside"):
        ArchiveStorage(zip_bundle).read("../x")


@pytest.mark.skipif(sys.platform == "win32", reason="measures with resource")
def test_a_large_graph_is_read_once_into_memory(tmp_path: Path) -> None:
    import tracemalloc

    size = 48 << 20
    bundle = open_bundle(write_sample(tmp_path / "x.i2i", payload=bytes(size)))
    tracemalloc.start()
    try:
        data = stored(bundle.graph("frame", "fp32"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data) == size and peak < 1.25 * size
