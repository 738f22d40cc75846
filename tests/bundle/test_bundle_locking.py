"""Two exports to one path at once: the second fails at once, and no lock outlives its holder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_i2i.bundle.locking import LockHeldError, export_lock, write_lock
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.errors import BundleError
from samples.bundles import CHILD, FRAME_GRAPH, child_environment, finish, stored, write_sample


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), *map(str, arguments)]
    return subprocess.Popen(command, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_process_fails_at_once_and_the_first_is_not_disturbed(tmp_path: Path) -> None:
    target = tmp_path / "x.i2i"
    with start("hold", target) as first:
        assert first.stdout is not None and first.stdout.readline() == "ready\n"
        with pytest.raises(BundleError, match=r"Another export is writing '.*x\.i2i'") as caught:
            write_sample(target)
        assert caught.value.exit_code == 2 and "Wait until it has finished" in caught.value.remedy
        assert not target.exists()
        assert first.communicate()[0] == "done\n"
    assert stored(open_bundle(target).graph("frame", "fp32")) == b"held"
    assert list(tmp_path.iterdir()) == [target]


def test_two_exports_in_one_process(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "x.i2i"):
        with pytest.raises(BundleError, match="Another export"):
            write_sample(tmp_path / "x.i2i")
        write_sample(tmp_path / "y.i2i")
    write_sample(tmp_path / "x.i2i")


def test_one_place_has_one_lock_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "real")
    with BundleWriter(tmp_path / "real/x.i2i"):
        for spelling in ("x.i2i", tmp_path / "link/x.i2i", tmp_path / "real/../real/x.i2i"):
            with pytest.raises(BundleError, match="Another export"):
                write_sample(Path(spelling))


def test_a_lock_file_that_was_left_behind_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / ".x.i2i.lock").touch()
    write_sample(tmp_path / "x.i2i")
    assert [path.name for path in tmp_path.iterdir()] == ["x.i2i"]


def test_processes_that_contend(tmp_path: Path) -> None:
    children = [start("contend", tmp_path / "x.i2i", 10) for _ in range(3)]
    assert [child.communicate()[0] for child in children] == ["done\n"] * 3
    open_bundle(tmp_path / "x.i2i").verify_checksums()
    assert [path.name for path in tmp_path.iterdir()] == ["x.i2i"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file, so this cannot happen there")
def test_a_lock_file_that_goes_between_opening_and_locking_is_not_mistaken_for_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, lock = tmp_path / "x.i2i", tmp_path / ".x.i2i.lock"
    real_open, opened = os.open, []

    def open_and_lose(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(path, flags, mode)
        opened.append(path)
        if len(opened) == 1:
            lock.unlink()  # as its last holder does
        return descriptor

    monkeypatch.setattr(os, "open", open_and_lose)
    with export_lock(target):
        assert len(opened) == 2
        assert lock.exists()
    assert not lock.exists()


@pytest.mark.parametrize("end", [lambda: None, lambda: 1 / 0])
def test_the_lock_is_freed_however_the_block_ends(tmp_path: Path, end: Callable[[], object]) -> None:
    for _ in range(2):
        try:
            with export_lock(tmp_path / "x.i2i"):
                end()
        except ZeroDivisionError:
            pass
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No bundle can be written to"), export_lock(tmp_path / "none/x.i2i"):
        pass


def test_a_lock_does_not_pass_to_programs_that_are_started(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer:
        sleeper = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        writer.add_graph(FRAME_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=b"x")
        finish(writer)
    try:
        write_sample(tmp_path / "x.i2i")
    finally:
        sleeper.communicate()


def test_the_lock_of_a_killed_process_locks_nobody_out(tmp_path: Path) -> None:
    with start("hold", tmp_path / "x.i2i") as killed:
        assert killed.stdout is not None and killed.stdout.readline() == "ready\n"
        with pytest.raises(LockHeldError), write_lock(tmp_path / "x.i2i"):
            pass
        killed.kill()
        killed.wait()
    with write_lock(tmp_path / "x.i2i"):
        assert (tmp_path / ".x.i2i.lock").exists()
    assert not (tmp_path / ".x.i2i.lock").exists()


def test_any_path_may_be_locked_and_what_it_holds_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "painted").mkdir()
    (tmp_path / "painted/a.png").write_bytes(b"a")
    with (
        write_lock(tmp_path / "painted"),
        pytest.raises(LockHeldError, match="painted"),
        write_lock(tmp_path / "painted"),
    ):
        pass
    assert (tmp_path / "painted/a.png").read_bytes() == b"a"


def test_no_folder_is_made_for_a_lock(tmp_path: Path) -> None:
    with pytest.raises(OSError), write_lock(tmp_path / "none/x"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"a")
    (tmp_path / ".x.i2i.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(BundleError, match="No bundle can be written to"), export_lock(tmp_path / "x.i2i"):
        pass
    assert (tmp_path / "precious").read_bytes() == b"a"
