"""Whatever somebody gives in place of a checkpoint is called what it is, with what to do."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.errors import BundleError, CheckpointError
from edge_i2i.files.kinds import BUNDLE, SAFETENSORS, TORCH, TORCHSCRIPT, file_kind
from edge_i2i.models.checkpoints.reading import check_checkpoint, read_checkpoint

STATE = {"w": torch.ones(3)}


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def _torch_bytes() -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream)
    return stream.getvalue()


def _zip_of(names: dict[str, bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in names.items():
                archive.writestr(name, content)

    return write


def _tar(path: Path, names: tuple[str, ...]) -> None:
    with tarfile.open(path, "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))


def _npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, w=np.ones(3))


KINDS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "web page": (_bytes(b"<!DOCTYPE html>\n<html><title>Log in</title>"), "a web page", "Download the file itself"),
    "web page, spaces first": (_bytes(b"\n\n  <HTML lang=en>"), "a web page", "Download the file itself"),
    "git lfs": (
        _bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "Git LFS",
        "git lfs pull",
    ),
    "text": (_bytes(b"# Weights of our paper\n"), "a text file, which begins with '# Weights of our paper'", ".pth"),
    "json": (_bytes(b'{"message": "rate limit"}'), "a text file, which begins with", ".pth"),
    "zero bytes": (_bytes(bytes(4096)), "zero bytes at its beginning", "copy it again"),
    "gzip": (_bytes(gzip.compress(_torch_bytes())), "compressed with gzip", "Unpack it"),
    "zip of a checkpoint": (
        _zip_of({"run/G.pth": _torch_bytes(), "README": b""}),
        "a zip archive",
        "It holds run/G.pth.",
    ),
    "zip of nothing": (_zip_of({}), "a zip archive", "There is nothing in it"),
    "tar of a checkpoint": (lambda path: _tar(path, ("G.pth",)), "a tar archive", "Unpack it"),
    "torch 0.1": (lambda path: _tar(path, ("sys_info", "pickle", "storages")), "torch 0.1", "weights_only=False"),
    "npy": (_npy, "a NumPy array", "state_dict"),
    "npz": (_npz, r"NumPy arrays \(\.npz\)", "state_dict"),
    "hdf5": (_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64)), "a Keras file", "not read"),
    "keras": (_zip_of({"config.json": b"{}", "model.weights.h5": b""}), "a Keras file", "not read"),
    "onnx": (_bytes(b"\x08\x08\x12\x07pytorch\x1a\x03"), "an ONNX graph", "exported from"),
    "tflite": (_bytes(b"\x1c\0\0\0TFL3" + bytes(32)), "TensorFlow Lite", "converted from"),
    "tensorrt": (_bytes(b"ptrt" + bytes(32)), "a TensorRT engine", "built from"),
    "png": (_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64)), "a picture", "edge-i2i translate"),
    "jpeg": (_bytes(b"\xff\xd8\xff\xe0" + bytes(64)), "a picture", "edge-i2i translate"),
    "webp": (_bytes(b"RIFF\x20\0\0\0WEBPVP8 " + bytes(64)), r"a picture \(WebP\)", "edge-i2i translate"),
    "tiff": (_bytes(b"II*\0\x08\0\0\0" + bytes(64)), r"a picture \(TIFF\)", "edge-i2i translate"),
    "bmp": (_bytes(b"BM\x36\x30\0\0\0\0\0\0" + bytes(64)), r"a picture \(BMP\)", "edge-i2i translate"),
    "mp4": (_bytes(b"\0\0\0\x18ftypmp42" + bytes(64)), "a film or a picture", "edge-i2i translate"),
    "mkv": (_bytes(b"\x1aE\xdf\xa3" + bytes(64)), "a film", "edge-i2i translate"),
    "avi": (_bytes(b"RIFF\x20\0\0\0AVI LIST" + bytes(64)), "a film", "edge-i2i translate"),
    "openvino": (
        _bytes(b'<?xml version="1.0"?>\n<net name="g" version="11">'),
        "an OpenVINO network",
        "converted from",
    ),
    "xml of a bucket": (_bytes(b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>'), "an XML text", "read it"),
    "a page in XML": (_bytes(b'<?xml version="1.0"?><!DOCTYPE html><html>'), "a web page", "Download the file itself"),
    "shards": (_bytes(b'{"metadata": {}, "weight_map": {"w": "model-1-of-2.safetensors"}}'), "several files", "in one"),
    "zip of pictures": (
        _zip_of({"a.jpg": b"", "b.jpg": b""}),
        "a zip archive",
        "It holds no checkpoint, but a.jpg, b.jpg",
    ),
    "pdf": (_bytes(b"%PDF-1.7\n"), "a PDF", ".pth"),
    "exported program": (_zip_of({"net/archive_format": b"pt2"}), "torch.export", "state_dict"),
}


@pytest.mark.parametrize("case", KINDS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ""])
def test_another_kind_of_file_is_called_what_it_is(case: str, suffix: str, tmp_path: Path) -> None:
    write, what, remedy = KINDS[case]
    path = tmp_path / f"latest_net_G{suffix}"
    write(path)
    with pytest.raises(CheckpointError, match=what) as caught:
        check_checkpoint(path)
    assert remedy in caught.value.remedy
    assert str(path) in caught.value.what
    assert not any(
        word in str(caught.value) for word in ("truncated", "damaged", "Download or copy it again and compare")
    )


def test_a_bundle_is_called_finished(tmp_path: Path) -> None:
    _zip_of({"bundle.json": b"{}"})(tmp_path / "city.i2i")
    (tmp_path / "folder.i2i").mkdir()
    (tmp_path / "folder.i2i" / "bundle.json").write_text("{}")
    for name in ("city.i2i", "folder.i2i"):
        assert file_kind(tmp_path / name) is BUNDLE
        with pytest.raises(CheckpointError, match="is a finished bundle, not a checkpoint") as caught:
            read_checkpoint(tmp_path / name)
        assert "edge-i2i inspect" in caught.value.remedy


def test_a_folder_names_what_lies_in_it(tmp_path: Path) -> None:
    for name in ("latest_net_G.pth", "latest_net_D.pth", "opt.txt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="it is a folder") as caught:
        read_checkpoint(tmp_path)
    assert "latest_net_D.pth, latest_net_G.pth" in caught.value.remedy


def _torch_folder(path: Path) -> None:
    (path / "net" / "data").mkdir(parents=True)
    (path / "net" / "data.pkl").write_bytes(b"x")


def _distributed(path: Path) -> None:
    for name in (".metadata", "__0_0.distcp"):
        (path / name).write_bytes(b"x")


def _saved_model(path: Path) -> None:
    (path / "saved_model.pb").write_bytes(b"x")


FOLDERS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "nothing": (lambda path: None, "an empty folder", ".pth"),
    "notes": (lambda path: (path / "notes.txt").write_text("x") and None, "without a checkpoint in it", ".pth"),
    "unpacked": (_torch_folder, "a torch file that was unpacked", "the file itself"),
    "distributed": (_distributed, "a distributed checkpoint of torch", "dcp_to_torch"),
    "SavedModel without variables": (_saved_model, "a SavedModel folder", "variables are missing"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_is_called_what_it_is(case: str, tmp_path: Path) -> None:
    write, what, remedy = FOLDERS[case]
    folder = tmp_path / "net"
    folder.mkdir()
    write(folder)
    with pytest.raises(CheckpointError, match=what) as caught:
        read_checkpoint(folder)
    assert remedy in caught.value.remedy
    assert "Give one file of it" not in caught.value.remedy
    with pytest.raises(BundleError, match=r"it has no bundle\.json"):
        open_bundle(folder)


@pytest.mark.parametrize("case", KINDS)
def test_in_place_of_a_bundle_it_is_called_the_same(case: str, tmp_path: Path) -> None:
    write, what, _ = KINDS[case]
    write(tmp_path / "net.i2i")
    with pytest.raises(BundleError) as caught:
        open_bundle(tmp_path / "net.i2i")
    if case not in ("zip of pictures", "zip of nothing"):  # bundles that have lost their header, perhaps
        assert re.search(f"is not an edge-i2i bundle, but .*{what}", caught.value.what)
    assert caught.value.remedy


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="a pipe or a device"):
        read_checkpoint(tmp_path / "net.pth")


def test_contents_decide_and_not_the_name(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "renamed.pth", metadata={"family": "pix2pixhd"})
    torch.save(STATE, tmp_path / "renamed.safetensors")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "traced.safetensors")
    assert file_kind(tmp_path / "renamed.pth") is SAFETENSORS
    assert file_kind(tmp_path / "renamed.safetensors") is TORCH
    assert file_kind(tmp_path / "traced.safetensors") is TORCHSCRIPT
    for name in ("renamed.pth", "renamed.safetensors"):
        assert torch.equal(read_checkpoint(tmp_path / name)["w"], STATE["w"])


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_left_to_the_survey(protocol: int, tmp_path: Path) -> None:
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"epoch": 3}, protocol))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "net.pkl")
    assert "web page" not in str(caught.value)


@given(content=st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_bytes_have_a_kind_or_none(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(content)
    kind = file_kind(path)
    assert kind is None or (kind.what and kind.remedy)
