"""Faults of the disk in plain words, on disks that are really full, and swapping two names."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_i2i.bundle import disk
from edge_i2i.bundle.disk import disk_faults, exchange, fsync_folder
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.errors import BundleError
from samples.bundles import CHILD, child_environment, write_sample


def report_of(command: list[str]) -> dict[str, object]:
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=True)
    report: dict[str, object] = json.loads(done.stdout)
    return report


def on_a_small_disk(place: Path, kibibytes: int, layout: str, before: str = "") -> dict[str, object]:
    """Export onto a real file system of that size, mounted where nobody else sees it."""
    mount = f"mount -t tmpfs -o size={kibibytes}k tmpfs '{place}'"
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, mount], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here (needs Linux with user namespaces)")
    child = f"'{sys.executable}' '{CHILD}' attempt '{place}/x.i2i' {layout}"
    return report_of([*namespace, f"{mount} && {before or 'true'} && {child}"])


@pytest.mark.parametrize("layout", ["file", "directory"])
@pytest.mark.parametrize("kibibytes", [12, 1024, 3000])
def test_a_full_disk_leaves_nothing(tmp_path: Path, layout: str, kibibytes: int) -> None:
    report = on_a_small_disk(tmp_path, kibibytes, layout)
    assert "The disk is full: 'graphs/frame.fp32.onnx' needs 3,145,728 bytes" in str(report["error"])
    assert "were free in" in str(report["error"])
    assert report["files"] == []


def test_a_disk_that_is_full_while_the_zip_is_packed(tmp_path: Path) -> None:
    report = on_a_small_disk(tmp_path, 4 * 1024, "file")  # holds the graph of 3 MiB once, but not its copy in the zip
    assert "The disk is full: the bundle needs 3," in str(report["error"])
    assert report["files"] == []


def test_a_full_disk_leaves_the_bundle_from_before(tmp_path: Path) -> None:
    before = write_sample(tmp_path / "before.i2i")
    place = tmp_path / "disk"
    place.mkdir()
    report = on_a_small_disk(place, 1024, "file", before=f"cp '{before}' '{place}/x.i2i'")
    assert "The disk is full" in str(report["error"])
    assert report["files"] == ["x.i2i"]
    assert report["bytes"] == before.stat().st_size


def test_a_disk_that_is_just_large_enough(tmp_path: Path) -> None:
    report = on_a_small_disk(tmp_path, 7 * 1024, "file")
    assert report["error"] is None and report["files"] == ["x.i2i"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file-size limit for a process")
@pytest.mark.parametrize("layout", ["file", "directory"])
@pytest.mark.parametrize("limit", [0, 10, 100_000, 3 * (1 << 20) - 1, 3 * (1 << 20)])
def test_a_limit_on_file_sizes_is_a_full_disk(tmp_path: Path, layout: str, limit: int) -> None:
    report = report_of([sys.executable, str(CHILD), "limited", str(tmp_path / "x.i2i"), layout, str(limit)])
    if report["error"] is None:  # a folder's largest file fits exactly; its zip is larger
        assert (layout, limit) == ("directory", 3 << 20)
        open_bundle(tmp_path / "x.i2i").verify_checksums()
    else:
        assert "The disk is full" in str(report["error"])
        assert list(tmp_path.iterdir()) == []


def test_other_faults_are_named(tmp_path: Path) -> None:
    told = r"'x\.i2i' cannot be written into '.*': Permission denied"
    with pytest.raises(BundleError, match=told) as caught, disk_faults(tmp_path, "'x.i2i'"):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert "you may write to that folder" in caught.value.remedy


def test_faults_in_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"5 bytes, and [1-9]"), disk_faults(tmp_path / "a/b", "it", 5):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_exchange_swaps_a_file_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").mkdir()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this system or disk cannot exchange two names")
    assert (tmp_path / "a").is_dir() and (tmp_path / "b").read_bytes() == b"a"


def test_exchange_of_what_is_not_there_says_no(tmp_path: Path) -> None:
    assert not exchange(tmp_path / "a", tmp_path / "b")


def test_shares_that_cannot_sync_a_folder_are_forgiven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(fault, "refused")

    monkeypatch.setattr(disk.os, "fsync", refuse)
    fault = errno.EINVAL
    fsync_folder(tmp_path)
    fault = errno.EIO
    with pytest.raises(OSError, match="refused"):
        fsync_folder(tmp_path)
