"""A file is either there and whole, or not there."""

from __future__ import annotations

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
