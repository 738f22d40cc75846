"""Checkpoint files from strangers: read without being executed, refused with an explanation."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from edge_i2i.errors import CheckpointError
from edge_i2i.models.checkpoints.reading import file_sha256, read_checkpoint, read_metadata
from samples.models.hostile_files import Malicious

STATE = OrderedDict({"model.1.weight": torch.arange(24.0).reshape(2, 3, 2, 2), "model.1.bias": torch.ones(2)})


def _save_zip(value: object, path: Path) -> Path:
    torch.save(value, path)
    return path


def _save_legacy(value: object, path: Path) -> Path:
    """What torch before 1.6 wrote, and all official checkpoints of that time are."""
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


FORMS = pytest.mark.parametrize("save", [_save_zip, _save_legacy])
Save = Callable[[object, Path], Path]


def _refused(path: Path, message: str) -> CheckpointError:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    assert str(path) in caught.value.what
    assert caught.value.remedy
    assert caught.value.exit_code == 4
    return caught.value


@FORMS
def test_a_state_dict_is_read(save: Save, tmp_path: Path) -> None:
    state = read_checkpoint(save(STATE, tmp_path / "latest_net_G.pth"))
    assert list(state) == list(STATE)
    assert all(torch.equal(state[key], STATE[key]) for key in STATE)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(dict(STATE), tmp_path / "net.safetensors", metadata={"family": "pix2pixhd"})
    state = read_checkpoint(tmp_path / "net.safetensors")
    assert torch.equal(state["model.1.weight"], STATE["model.1.weight"])
    assert read_metadata(tmp_path / "net.safetensors") == {"family": "pix2pixhd"}


def test_files_without_metadata_have_none(tmp_path: Path) -> None:
    save_file(dict(STATE), tmp_path / "net.safetensors")
    assert read_metadata(tmp_path / "net.safetensors") == {}
    assert read_metadata(_save_zip(STATE, tmp_path / "net.pth")) == {}


def test_the_hash_is_the_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = _refused(tmp_path / "none.pth", "There is no checkpoint")
    assert error.remedy == "Check the path."


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    _refused(tmp_path, "There is no checkpoint")


@pytest.mark.parametrize("name", ["empty.pth", "empty.safetensors"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    _refused(tmp_path / name, "is empty")


@FORMS
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_called_truncated(save: Save, share: float, tmp_path: Path) -> None:
    path = save(STATE, tmp_path / "net.pth")
    content = path.read_bytes()
    path.write_bytes(content[: max(int(len(content) * share), 3)])
    _refused(path, "looks truncated or damaged")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_safetensors_are_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(dict(STATE), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share) or 1])
    _refused(path, "is not a whole safetensors file")


@pytest.mark.parametrize(
    "content",
    [
        b"This is the README of a repository.\n",
        b"<!DOCTYPE html><title>404 Not Found</title>",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        bytes(range(255, 0, -1)),
        b"\x80",
    ],
)
def test_other_files_are_no_checkpoints(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    _refused(tmp_path / "net.pth", "is not a checkpoint: neither a torch file nor safetensors")


def _pickled(protocol: int) -> Save:
    def save(value: object, path: Path) -> Path:
        path.write_bytes(pickle.dumps(value, protocol=protocol))
        return path

    return save


@pytest.mark.parametrize("save", [_save_zip, _save_legacy, *map(_pickled, (2, 3, 4, 5))])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_malicious_pickle_is_refused_and_not_executed(save: Save, hidden: bool, tmp_path: Path) -> None:
    sentinel = tmp_path / "executed"
    evil = Malicious(sentinel)
    path = save({"model.1.weight": 0, "evil": evil} if hidden else evil, tmp_path / "net.pth")
    error = _refused(path, r"was refused: it holds Python objects .*would execute code when loaded the ordinary way")
    assert "system" in error.what
    assert "state_dict" in error.remedy
    assert not sentinel.exists()


def test_the_malicious_pickle_of_these_tests_is_a_real_one(tmp_path: Path) -> None:
    path = _save_legacy(Malicious(tmp_path / "executed"), tmp_path / "net.pth")
    torch.load(path, weights_only=False)
    assert (tmp_path / "executed").exists()


@FORMS
def test_a_whole_module_is_refused(save: Save, tmp_path: Path) -> None:
    error = _refused(save(nn.Conv2d(3, 2, 2), tmp_path / "net.pth"), "was refused: it holds Python objects")
    assert "torch.nn.modules.conv.Conv2d" in error.what


def test_a_torchscript_archive_is_told_apart_from_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "traced.pt"
    torch.jit.save(torch.jit.script(nn.ReLU()), path)
    error = _refused(path, "TorchScript")
    assert "damaged" not in error.what


def test_a_newer_pickle_protocol_is_read_or_named(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "net.pth", pickle_protocol=4)
    error = _refused(tmp_path / "net.pth", "was written with pickle protocol 4, which is not read")
    assert "safetensors" in error.remedy


def test_tensors_pickled_without_torch_save_are_refused(tmp_path: Path) -> None:
    """Their storages are rebuilt by a call of torch.load, which would execute whatever lies inside."""
    path = _pickled(2)(dict(STATE), tmp_path / "net.pth")
    assert "_load_from_bytes" in _refused(path, "was refused: it holds Python objects").what


@FORMS
def test_a_list_is_no_state_dict(save: Save, tmp_path: Path) -> None:
    _refused(save([torch.ones(2)], tmp_path / "net.pth"), "holds a list, not a state dict")


@FORMS
def test_an_empty_dict_is_no_state_dict(save: Save, tmp_path: Path) -> None:
    _refused(save({}, tmp_path / "net.pth"), "no tensors")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"epoch": 3, "state_dict": dict(STATE)}, "by name: epoch."),
        ({"a": dict(STATE), "b": {"w": 1.0}}, "by name: b.w."),
        (dict[object, object](STATE) | {5: torch.ones(1)}, "5"),
    ],
)
def test_entries_that_are_no_tensors_are_named(content: object, named: str, tmp_path: Path) -> None:
    error = _refused(_save_zip(content, tmp_path / "net.pth"), "is not a plain state dict")
    assert named in error.what


def test_several_state_dicts_in_one_file_are_one_with_their_names_before_the_keys(tmp_path: Path) -> None:
    state = read_checkpoint(_save_zip({"a": dict(STATE), "b": {"dec": dict(STATE)}}, tmp_path / "gen.pt"))
    assert set(state) == {f"a.{key}" for key in STATE} | {f"b.dec.{key}" for key in STATE}


def test_a_safetensors_header_of_absurd_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes((2**60).to_bytes(8, "little") + b"{}")
    _refused(path, "is not a whole safetensors file")


@pytest.mark.parametrize("dtype", ["X9", "F99"])
def test_unknown_safetensors_types_are_refused(dtype: str, tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": dtype, "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    _refused(tmp_path / "net.safetensors", "is not a whole safetensors file")


def test_metadata_of_a_damaged_file_is_our_own_error(tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"\x01")
    with pytest.raises(CheckpointError, match="is not a whole safetensors file"):
        read_metadata(tmp_path / "net.safetensors")


def _content(form: str, folder: Path) -> bytes:
    path = folder / f"whole.{form}"
    if form == "safetensors":
        save_file(dict(STATE), path)
    else:
        (_save_zip if form == "zip" else _save_legacy)(STATE, path)
    return path.read_bytes()


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=120, deadline=None)
def test_a_changed_byte_or_a_cut_never_escapes(
    at: int, byte: int, cut: bool, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Numbers may change unnoticed (a checkpoint carries no checksum); every other damage is our own error."""
    folder = tmp_path_factory.getbasetemp()
    content = bytearray(_content(form, folder))
    at %= len(content)
    if cut:
        del content[at:]
    else:
        content[at] = byte
    path = folder / ("changed.safetensors" if form == "safetensors" else "changed.pth")
    path.write_bytes(content)
    try:
        read_checkpoint(path)
    except CheckpointError:
        return
    assert not cut


@given(data=st.binary(max_size=300), head=st.sampled_from([b"", b"PK", b"PK\x03\x04", b"\x80\x02", b"\x80\x04"]))
@settings(max_examples=60, deadline=None)
def test_random_bytes_are_refused(data: bytes, head: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "random.pth"
    path.write_bytes(head + data)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
