"""Putting a finished bundle under its name: in one step, over bundles only, and mended after a kill."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edge_i2i.bundle import staging as staging_module
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.staging import Staging
from edge_i2i.errors import BundleError
from samples.bundles import FP32, stored, write_sample

LAYOUTS = ["file", "directory"]


def content(bundle: Path) -> bytes:
    opened = open_bundle(bundle)
    opened.verify_checksums()
    return stored(opened.graph("frame", "fp32"))


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("before", LAYOUTS)
@pytest.mark.parametrize("after", LAYOUTS)
def test_a_bundle_replaces_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(staging_module, "exchange", lambda *_: False)
    target = write_sample(tmp_path / "x.i2i", before, payload=b"old")
    assert content(target) == b"old"
    write_sample(target, after)
    assert content(target) == FP32
    assert target.is_dir() == (after == "directory")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path: Path, layout: str) -> None:
    target = tmp_path / "x.i2i"
    target.mkdir()
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="something other than a bundle in it, and is left as it is") as caught:
        write_sample(target, layout)
    assert caught.value.exit_code == 2
    assert (target / "thesis.tex").read_text() == "years of work"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_folder_gives_way(tmp_path: Path, layout: str) -> None:
    (tmp_path / "x.i2i").mkdir()
    assert content(write_sample(tmp_path / "x.i2i", layout)) == FP32


def test_a_link_is_replaced_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    real = write_sample(tmp_path / "real.i2i", "directory", payload=b"old")
    (tmp_path / "x.i2i").symlink_to(real)
    write_sample(tmp_path / "x.i2i", "directory")
    assert content(real) == b"old" and content(tmp_path / "x.i2i") == FP32
    assert not (tmp_path / "x.i2i").is_symlink()


@pytest.mark.parametrize("remains", ["folder", "file", "link"])
def test_what_a_killed_export_left_is_cleared(tmp_path: Path, remains: str, caplog: pytest.LogCaptureFixture) -> None:
    left, elsewhere = tmp_path / ".x.i2i.staging", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    if remains == "folder":
        (left / "tree/graphs").mkdir(parents=True)
        (left / "tree/graphs/half.onnx").write_bytes(b"half")
    elif remains == "file":
        left.touch()
    else:
        left.symlink_to(elsewhere)
    with caplog.at_level(logging.INFO):
        assert content(write_sample(tmp_path / "x.i2i")) == FP32
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "x.i2i"]
    assert (elsewhere / "kept").exists()
    assert ("interrupted export" in caplog.text) == (remains == "folder")


def test_a_bundle_that_was_set_aside_when_the_kill_came_is_brought_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = write_sample(tmp_path / "x.i2i", "directory", payload=b"old")
    (tmp_path / ".x.i2i.staging").mkdir()
    target.rename(tmp_path / ".x.i2i.staging/previous")
    staging = Staging(target)
    staging.create()
    assert content(target) == b"old"
    assert "the bundle from before is back" in caplog.text
    staging.discard()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_fault_between_the_two_steps_brings_the_old_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    target = write_sample(tmp_path / "x.i2i", "directory", payload=b"old")
    monkeypatch.setattr(staging_module, "exchange", lambda *_: False)
    real = Path.replace

    def fail_for_the_new_one(self: Path, to: Path) -> Path:
        if self.name == "tree":
            raise error
        return real(self, to)

    monkeypatch.setattr(Path, "replace", fail_for_the_new_one)
    with pytest.raises((BundleError, KeyboardInterrupt)):
        write_sample(target, "directory")
    assert content(target) == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_remains_that_cannot_be_removed_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(staging_module.shutil, "rmtree", refuse)
    write_sample(tmp_path / "x.i2i")
    assert "could not remove" in caplog.text and "the next export" in caplog.text
    monkeypatch.undo()
    write_sample(tmp_path / "x.i2i")
    assert [path.name for path in tmp_path.iterdir()] == ["x.i2i"]


def test_a_second_interrupt_does_not_stop_the_tidying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = staging_module.shutil.rmtree, []

    def interrupted_once(folder: Path) -> None:
        calls.append(folder)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(folder)

    monkeypatch.setattr(staging_module.shutil, "rmtree", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "x.i2i")
    assert [path.name for path in tmp_path.iterdir()] == ["x.i2i"]
