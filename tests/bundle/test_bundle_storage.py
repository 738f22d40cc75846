"""The folder form: nothing outside the bundle is opened, and only regular files are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.storage import FolderStorage
from edge_i2i.errors import BundleError
from samples.bundles import FP32, stored

GRAPH = "graphs/frame.fp32.onnx"


def move_out(bundle: Path, name: str) -> Path:
    """Put a file or folder of a bundle beside the bundle, with a link in its place."""
    outside = bundle.parent / "outside"
    (bundle / name).rename(outside)
    (bundle / name).symlink_to(outside)
    return outside


@pytest.mark.parametrize("name", [GRAPH, "graphs", "bundle.json"])
def test_links_that_lead_out_are_refused(folder_bundle: Path, name: str) -> None:
    move_out(folder_bundle, name)
    with pytest.raises(BundleError, match="is a link to something outside the bundle") as caught:
        open_bundle(folder_bundle)
    assert "cp -rL" in caught.value.remedy
    assert caught.value.exit_code == 4


def test_links_that_stay_inside_are_followed(folder_bundle: Path) -> None:
    (folder_bundle / GRAPH).rename(folder_bundle / "graphs/elsewhere")
    (folder_bundle / GRAPH).symlink_to("elsewhere")
    assert stored(open_bundle(folder_bundle).graph("frame", "fp32")) == FP32


def test_a_bundle_behind_a_link(folder_bundle: Path) -> None:
    link = folder_bundle.with_name("link.i2i")
    link.symlink_to(folder_bundle)
    open_bundle(link).verify_checksums()


def test_links_in_a_circle(folder_bundle: Path) -> None:
    (folder_bundle / GRAPH).unlink()
    (folder_bundle / GRAPH).symlink_to("frame.fp32.onnx")
    with pytest.raises(BundleError, match=GRAPH):
        open_bundle(folder_bundle)


def test_a_dangling_link(folder_bundle: Path) -> None:
    (folder_bundle / GRAPH).unlink()
    (folder_bundle / GRAPH).symlink_to("nowhere")
    with pytest.raises(BundleError, match="is missing"):
        open_bundle(folder_bundle)


def test_a_folder_in_place_of_a_file(folder_bundle: Path) -> None:
    (folder_bundle / GRAPH).unlink()
    (folder_bundle / GRAPH).mkdir()
    with pytest.raises(BundleError, match="is not a regular file"):
        open_bundle(folder_bundle)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
@pytest.mark.parametrize("name", [GRAPH, "bundle.json"])
def test_a_pipe_in_place_of_a_file_does_not_hang(folder_bundle: Path, name: str) -> None:
    (folder_bundle / name).unlink()
    os.mkfifo(folder_bundle / name)
    with pytest.raises(BundleError, match="is not a regular file"):
        open_bundle(folder_bundle)


def test_a_pipe_in_place_of_a_bundle_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.i2i")
    with pytest.raises(BundleError, match="but a pipe or a device"):
        open_bundle(tmp_path / "x.i2i")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(folder_bundle: Path) -> None:
    (folder_bundle / GRAPH).chmod(0)
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(folder_bundle)


def test_names_lists_links_to_folders_but_does_not_enter_them(folder_bundle: Path) -> None:
    move_out(folder_bundle, "graphs")
    names = FolderStorage(folder_bundle).names()
    assert "graphs" in names and GRAPH not in names


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a\\b", "C:x"])
def test_unsafe_names_are_never_looked_up(folder_bundle: Path, name: str) -> None:
    with pytest.raises(BundleError, match="is refused"):
        FolderStorage(folder_bundle).read(name)
