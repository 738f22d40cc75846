"""A file is either there and whole, or not there."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from edge_i2i.files.whole import replacing


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("written", [False, True])
def test_nothing_changes_when_the_block_fails(tmp_path: Path, error: type[BaseException], written: bool) -> None:
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(error), replacing(tmp_path / "a.txt") as temporary:
        if written:
            temporary.write_text("half")
        raise error
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_writers_of_one_path_do_not_mix(tmp_path: Path) -> None:
    gate = threading.Barrier(4)

    def write(letter: str) -> None:
        with replacing(tmp_path / "a.txt") as temporary, temporary.open("w") as file:
            for _ in range(50):
                file.write(letter * 100)
            gate.wait(10)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = (tmp_path / "a.txt").read_text()
    assert len(content) == 5000 and len(set(content)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_result_that_was_never_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass


def test_a_durable_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        assert os.fstat(descriptor).st_size == len("whole") and not (tmp_path / "a.txt").exists()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), replacing(tmp_path / "a.txt", durable=True) as temporary:
        temporary.write_text("whole")
    assert list(tmp_path.iterdir()) == []
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no modes")
def test_a_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.key", private=True) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        temporary.write_text("secret")
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert (tmp_path / "a.key").read_text() == "secret"
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("open")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask


def test_the_first_of_two_writers_stays_where_that_is_asked_for(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.key", first_stays=True) as temporary:
        temporary.write_text("second")
        (tmp_path / "a.key").write_text("first")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["first"]
    (tmp_path / "a.key").unlink()
    with replacing(tmp_path / "a.key", first_stays=True) as temporary:
        temporary.write_text("second")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["second"]
