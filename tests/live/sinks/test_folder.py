"""Numbered pictures: whole, exact, and listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.errors import EdgeI2IError, OutputError, UsageError
from edge_i2i.live.sinks.folder import FolderSink
from edge_i2i.media.pictures import read_picture
from samples.live.sinks import SIZE, grey, primaries, result


def record(sink: FolderSink, seqs: list[int]) -> None:
    sink.open(SIZE)
    for seq in seqs:
        sink.write(grey(seq), result(grey(seq), seq, t_capture=100.0 + seq / 25))
    sink.close()


def test_pictures_are_numbered_by_their_frames_and_listed(tmp_path: Path) -> None:
    record(FolderSink(tmp_path / "new" / "frames"), [3, 4, 9])
    folder = tmp_path / "new" / "frames"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("00000003.png", "00000004.png", "00000009.png"),
        "frames.json",
    ]
    index = json.loads((folder / "frames.json").read_text())
    assert [entry["seq"] for entry in index] == [3, 4, 9]
    assert [entry["t_capture"] for entry in index] == pytest.approx([0, 0.04, 0.24])
    assert [entry["age_ms"] for entry in index] == pytest.approx([20, 20, 20])
    for entry in index:
        assert np.array_equal(read_picture(folder / entry["file"]), grey(entry["seq"]))


def test_every_third(tmp_path: Path) -> None:
    record(FolderSink(tmp_path, every=3), list(range(8)))
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == ["00000000", "00000003", "00000006"]


@pytest.mark.parametrize(("format", "bound"), [("png", 0), ("jpg", 6), ("webp", 24)])
def test_formats(tmp_path: Path, format: str, bound: int) -> None:
    sink = FolderSink(tmp_path, format=format)
    sink.open(SIZE)
    sink.write(primaries(), result(primaries()))
    sink.close()
    back = read_picture(tmp_path / f"00000000.{format}").astype(int)
    assert np.abs(back - primaries())[:, 8::16].max() <= bound


def test_an_earlier_recording_is_not_mixed_with_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("something else may be there")
    record(FolderSink(tmp_path), [0])
    with pytest.raises(UsageError, match="earlier recording") as caught:
        FolderSink(tmp_path).open(SIZE)
    assert caught.value.remedy


def test_two_recordings_into_one_folder_at_once(tmp_path: Path) -> None:
    first, second = FolderSink(tmp_path), FolderSink(tmp_path)
    first.open(SIZE)
    with pytest.raises(OutputError, match="Another run is writing"):
        second.open(SIZE)
    second.close()
    first.write(grey(1), result(grey(1), 1))
    first.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001.png", "frames.json"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "frames").write_text("")
    with pytest.raises(EdgeI2IError, match="cannot be written to"):
        FolderSink(tmp_path / "frames").open(SIZE)


def test_a_full_disk_is_said_once_and_leaves_no_half_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FolderSink(tmp_path)
    sink.open(SIZE)
    sink.write(grey(1), result(grey(1), 1))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EdgeI2IError, match="No space left"):
        sink.write(grey(2), result(grey(2), 2))
    sink.close()  # says nothing more
    assert [path.name for path in tmp_path.iterdir()] == ["00000001.png"]


def test_an_index_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FolderSink(tmp_path)
    sink.open(SIZE)
    sink.write(grey(1), result(grey(1), 1))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EdgeI2IError, match="No space left"):
        sink.close()
    sink.close()
