"""What would be written in the place of something that is read, or of another output, is refused before anything."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.cli.main import run_command
from edge_i2i.files.places import check_apart
from edge_i2i.media.pictures import write_picture
from samples.films import Film, make_film

REFUSED = 2
REASONS = (
    "while it is read",
    "have one place",
    "is not a trace",
    "is not a log of events",
    "is not a film",
    "its own source",
    "among their sources",
    "not a collection",
    "lies in the output",
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film under four names, a folder of pictures under two, and a folder with a bundle's name."""
    make_film(tmp_path / "film.mp4", Film(frames=5))
    (tmp_path / "link.mp4").symlink_to("film.mp4")
    os.link(tmp_path / "film.mp4", tmp_path / "hard.mp4")
    (tmp_path / "photos").mkdir()
    write_picture(tmp_path / "photos/1.png", np.full((32, 32, 3), 9, np.uint8))
    write_picture(tmp_path / "style.png", np.full((32, 32, 3), 9, np.uint8))
    (tmp_path / "album").symlink_to("photos")
    (tmp_path / "open.i2i").mkdir()
    (tmp_path / "package.json").write_text('{"name": "mine"}\n')
    (tmp_path / "diary.mp4").write_text("today")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "line",
    [
        "live BUNDLE --source film.mp4 --sink film.mp4",
        "live BUNDLE --source film.mp4 --sink ./photos/../film.mp4",
        "live BUNDLE --source link.mp4 --sink file:film.mp4",
        "live BUNDLE --source film.mp4 --sink link.mp4 --as-live",
        "live BUNDLE --source film.mp4 --sink hard.mp4",
        "live BUNDLE --source photos --sink folder:photos",
        "live BUNDLE --source folder:photos --sink folder:album?every=2",
        "live BUNDLE --source pattern: --sink a.mp4 --sink ./a.mp4",
        "live BUNDLE --source pattern: --sink a.mp4 --sink A.mp4",
        "live BUNDLE --source pattern: --sink folder:new --sink folder:new/",
        "live open.i2i --source pattern: --sink folder:open.i2i",
        "live BUNDLE --source film.mp4 --sink null --trace film.mp4",
        "live BUNDLE --source film.mp4 --sink null --events hard.mp4",
        "live BUNDLE --source photo:style.png --sink null --events style.png",
        "live BUNDLE --source pattern: --sink null --trace log.json --events log.json",
        "live BUNDLE --source pattern: --sink null --trace BUNDLE",
        "live BUNDLE --source pattern: --sink null --trace film.mp4",
        "live BUNDLE --source pattern: --sink null --trace package.json",
        "live BUNDLE --source pattern: --sink null --events package.json",
        "translate BUNDLE film.mp4 --output diary.mp4",
        "translate BUNDLE film.mp4 --output film.mp4",
        "translate BUNDLE film.mp4 --output hard.mp4",
        "translate BUNDLE link.mp4 --output film.mp4",
        "translate BUNDLE photos --output album",
        "translate BUNDLE photos/1.png --exemplar style.png --output style.png",
        "collect photos --output album",
        "collect photos --output photos",
        "collect photos/1.png --output album",
    ],
)
def test_nothing_is_touched(place: Path, rgb_bundle: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    before = content(place)
    words = [str(rgb_bundle) if word == "BUNDLE" else word for word in line.split()]
    assert run_command(words) == REFUSED
    told = capsys.readouterr()
    assert not told.out and "source-opened" not in told.err
    assert any(reason in told.err for reason in REASONS), told.err
    assert content(place) == before


def test_a_camera_is_not_written_while_it_is_read() -> None:
    with pytest.raises(Exception, match="while it is read"):
        check_apart([Path("/dev/null")], [Path("/dev/../dev/null")])


def test_names_that_no_disk_takes_are_nobody_elses() -> None:
    check_apart([Path("a.mp4"), Path("b" * 300)], [Path("c\0")])
