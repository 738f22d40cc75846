"""Places where nothing can be written are found out, and looking leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_i2i.errors import OutputError
from edge_i2i.files.places import beside, check_file, check_folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "astray").symlink_to("nowhere/at/all")
    return tmp_path


@pytest.mark.parametrize("name", ["new", "file", "folder/new", "n" * 255])
def test_a_file_that_can_be_written(place: Path, name: str) -> None:
    before = sorted(place.rglob("*"))
    check_file(place / name)
    assert sorted(place.rglob("*")) == before and (place / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder", "it is a folder"),
        ("missing/new", "its folder is not there"),
        ("file/new", "is a file, not a folder"),
        ("n" * 256, "too long"),
        ("ä" * 200, "too long"),
        ("missing/" + "n" * 256, "longer than"),
        ("x/" * 3000 + "x", "too long"),
        ("loop/new", "in a circle"),
        ("astray/new", "leads nowhere"),
    ],
)
def test_a_file_that_cannot(place: Path, name: str, reason: str) -> None:
    with pytest.raises(OutputError, match=reason) as caught:
        check_file(place / name)
    assert caught.value.exit_code == 2 and caught.value.remedy


@pytest.mark.parametrize("name", ["folder", "a/b/c", "n" * 255])
def test_a_folder_that_can_be_made(place: Path, name: str) -> None:
    before = sorted(place.rglob("*"))
    check_folder(place / name)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("name", ["file", "file/a/b", "a/" + "n" * 256, "loop", "astray", "astray/a"])
def test_a_folder_that_cannot(place: Path, name: str) -> None:
    with pytest.raises(OutputError):
        check_folder(place / name)


def test_the_folder_of_a_file_may_be_made_by_who_writes_it(place: Path) -> None:
    check_file(place / "a/b/new", makes_folder=True)
    with pytest.raises(OutputError):
        check_file(place / "file/b/new", makes_folder=True)


def test_more_than_the_disk_has(place: Path) -> None:
    with pytest.raises(OutputError, match="are free"):
        check_file(place / "new", needed=1 << 62)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("path", ["/dev/full", "/dev/null"])
def test_a_device_is_never_replaced(path: str) -> None:
    with pytest.raises(OutputError, match="device"):
        check_file(Path(path))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and /sys are Linux's")
@pytest.mark.parametrize("path", ["/proc/x", "/sys/x", "/proc/self/x"])
def test_folders_of_the_kernel(path: str) -> None:
    for check in (check_file, check_folder):
        with pytest.raises(OutputError, match="takes no file"):
            check(Path(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe(place: Path) -> None:
    os.mkfifo(place / "pipe")
    with pytest.raises(OutputError, match="pipe"):
        check_file(place / "pipe")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; mounting one needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        done = False
    if not done:
        pytest.skip("no disk can be mounted here (run as root: pytest tests/files/test_places.py)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    check_file(small_disk / "new")
    (small_disk / "big").write_bytes(bytes(64 << 10))
    with pytest.raises(OutputError, match="No space left"):
        check_file(small_disk / "new")


def test_a_disk_that_is_read_only(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for check in (check_file, check_folder):
        with pytest.raises(OutputError, match="Read-only"):
            check(small_disk / "new")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(place: Path) -> None:
    (place / "folder").chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        check_file(place / "folder/new")


@pytest.mark.parametrize("name", ["out.mp4", "n" * 255, "é" * 127, b"caf\xe9".decode("utf-8", "surrogateescape") * 40])
def test_hidden_names_fit_wherever_the_name_itself_does(place: Path, name: str) -> None:
    one, other = beside(place / name, "part"), beside(place / (name[:-1] + "x"), "part")
    assert len(os.fsencode(one.name)) <= 143 and one.name.startswith(".") and one.name.endswith(".part")
    assert one != other and one.parent == place
    one.touch()
