"""Reading TensorFlow checkpoints, on files that TensorFlow's own Saver wrote in this test."""

from __future__ import annotations

import builtins
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_i2i.errors import CheckpointError, MissingRequirementError
from edge_i2i.models.checkpoints.tensorflow import (
    is_tensorflow_checkpoint,
    read_tensorflow_checkpoint,
    tensorflow_files,
    tensorflow_prefix,
)

tf: Any = pytest.importorskip(
    "tensorflow", reason="TensorFlow is not installed: it writes the checkpoints that are read here"
)
v1 = tf.compat.v1

KERNEL = np.random.RandomState(0).normal(size=(3, 3, 2, 4)).astype(np.float32)
NAME = "UNIT.model-0"


def _save(folder: Path, variables: dict[str, Any], name: str = "UNIT.model") -> Path:
    """Write a checkpoint as the authors' trainers do: a TensorFlow 1 graph, a session and a Saver."""
    with tf.Graph().as_default(), v1.Session() as session:
        made = [v1.get_variable(key, initializer=value, use_resource=False) for key, value in variables.items()]
        session.run(v1.global_variables_initializer())
        v1.train.Saver(made).save(session, str(folder / name), global_step=0)
    return folder / f"{name}-0"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(
        tmp_path_factory.mktemp("written"),
        {
            "UNIT/encoder_A/conv_0/conv2d/kernel": KERNEL,
            "UNIT/encoder_A/conv_0/conv2d/kernel/Adam": KERNEL * 2,
            "half": np.array([0.5, 1.0], np.float16),
            "brain": np.array([0.5, 1.0], tf.bfloat16.as_numpy_dtype),
            "double": np.array([0.25], np.float64),
            "global_step": np.int64(7),
            "bytes": np.array([1, 255], np.uint8),
            "text": "not a number",
            "truth": np.array([True]),
            "complex": np.array([1j], np.complex64),
        },
    )


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written.parent, tmp_path / "copied")
    return tmp_path / "copied" / NAME


def test_variables_come_back_under_their_names_in_tensorflows_layout(written: Path) -> None:
    state = read_tensorflow_checkpoint(written)
    assert set(state) == {
        *("UNIT/encoder_A/conv_0/conv2d/kernel", "UNIT/encoder_A/conv_0/conv2d/kernel/Adam"),
        *("half", "brain", "double", "global_step", "bytes"),
    }
    np.testing.assert_array_equal(state["UNIT/encoder_A/conv_0/conv2d/kernel"].numpy(), KERNEL)
    np.testing.assert_array_equal(state["UNIT/encoder_A/conv_0/conv2d/kernel/Adam"].numpy(), KERNEL * 2)


def test_numbers_become_float32_or_int64(written: Path) -> None:
    state = read_tensorflow_checkpoint(written)
    for name in ("half", "brain"):
        assert state[name].dtype == torch.float32
        assert state[name].tolist() == [0.5, 1.0]
    assert (state["double"].dtype, state["double"].tolist()) == (torch.float32, [0.25])
    assert (state["global_step"].dtype, state["global_step"].item()) == (torch.int64, 7)
    assert state["bytes"].tolist() == [1, 255]


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001", ".meta"])
def test_every_name_of_a_checkpoint_is_known(written: Path, suffix: str) -> None:
    path = written.with_name(written.name + suffix)
    assert is_tensorflow_checkpoint(path)
    assert tensorflow_prefix(path) == written
    assert len(read_tensorflow_checkpoint(path)) == 7


def test_the_savers_text_file_leads_to_its_newest_checkpoint(copied: Path) -> None:
    """The path in it is the training machine's: the checkpoint is looked for beside the text file."""
    pointer = copied.with_name("checkpoint")
    pointer.write_text(f'model_checkpoint_path: "/home/author/logs/{NAME}"\n')
    for path in (pointer, copied.parent):
        assert is_tensorflow_checkpoint(path)
        assert tensorflow_prefix(path) == copied


def test_the_files_of_a_checkpoint_are_listed(written: Path) -> None:
    assert [file.name for file in tensorflow_files(written)] == [f"{NAME}.index", f"{NAME}.data-00000-of-00001"]


def test_other_files_are_not_claimed(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "latest_net_G.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "checkpoint")
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "checkpoint").write_bytes(b"x" * 70_000)
    names = ("latest_net_G.pth", "checkpoint", "absent.index", "absent", "large", "absent/absent.index")
    assert not any(is_tensorflow_checkpoint(tmp_path / name) for name in names)
    assert not is_tensorflow_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="There is no TensorFlow checkpoint"):
        read_tensorflow_checkpoint(tmp_path / "absent.index")


@pytest.mark.parametrize("missing", [".data-00000-of-00001", ".index"])
def test_a_missing_file_is_named(copied: Path, missing: str) -> None:
    copied.with_name(NAME + missing).unlink()
    assert is_tensorflow_checkpoint(copied)
    with pytest.raises(CheckpointError, match=f"{NAME}{missing} is missing") as caught:
        read_tensorflow_checkpoint(copied)
    assert f"Copy {NAME}{missing}" in caught.value.remedy


def test_a_missing_shard_is_named(copied: Path) -> None:
    copied.with_name(f"{NAME}.data-00000-of-00001").rename(copied.with_name(f"{NAME}.data-00001-of-00002"))
    with pytest.raises(CheckpointError, match="data-00000-of-00002 is missing"):
        read_tensorflow_checkpoint(copied)


def test_a_graph_without_weights_is_refused(copied: Path) -> None:
    for suffix in (".index", ".data-00000-of-00001"):
        copied.with_name(NAME + suffix).unlink()
    with pytest.raises(CheckpointError, match=r"\.index is missing"):
        read_tensorflow_checkpoint(copied.with_name(f"{NAME}.meta"))


@pytest.mark.parametrize("suffix", [".data-00000-of-00001", ".index"])
def test_an_empty_file_is_named(copied: Path, suffix: str) -> None:
    copied.with_name(NAME + suffix).write_bytes(b"")
    with pytest.raises(CheckpointError, match=f"{NAME}{suffix} is empty"):
        read_tensorflow_checkpoint(copied)


def _cut(content: bytes) -> bytes:
    return content[: len(content) - 20]


def _flip(content: bytes) -> bytes:
    return content[:30] + bytes([content[30] ^ 0xFF]) + content[31:]


def _nonsense(content: bytes) -> bytes:
    return b"nonsense" * (len(content) // 8)


@pytest.mark.parametrize("suffix", [".data-00000-of-00001", ".index"])
@pytest.mark.parametrize("harm", [_cut, _flip, _nonsense])
def test_damage_is_an_error_of_ours(copied: Path, suffix: str, harm: Callable[[bytes], bytes]) -> None:
    file = copied.with_name(NAME + suffix)
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(CheckpointError, match="truncated or damaged") as caught:
        read_tensorflow_checkpoint(copied)
    assert "again" in caught.value.remedy


def test_a_checkpoint_without_numbers_is_refused(tmp_path: Path) -> None:
    prefix = _save(tmp_path, {"text": "nothing here"})
    with pytest.raises(CheckpointError, match="no numeric variables"):
        read_tensorflow_checkpoint(prefix)


def test_without_tensorflow_the_extra_is_named(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert is_tensorflow_checkpoint(written)
    with pytest.raises(MissingRequirementError, match="tensorflow") as caught:
        read_tensorflow_checkpoint(written)
    assert "edge-i2i[tensorflow]" in caught.value.remedy


def test_the_environment_is_left_as_it_was(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    before = dict(os.environ)
    read_tensorflow_checkpoint(written)
    assert dict(os.environ) == before


def test_telling_checkpoints_apart_needs_no_tensorflow(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        assert not name.startswith("tensorflow")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert is_tensorflow_checkpoint(written)


@pytest.mark.parametrize("left", [0.9, 0.5, 0.01])
def test_an_index_that_says_more_than_the_shards_hold_is_refused_before_it_is_believed(
    left: float, tmp_path: Path
) -> None:
    """What is said of a variable is what its reading would reserve."""
    prefix = _save(tmp_path, {"w": np.zeros((64, 1024), np.float32)})
    shard = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    shard.write_bytes(shard.read_bytes()[: int(left * 64 * 1024 * 4)])
    with pytest.raises(CheckpointError, match=r"says that it holds more than is in its files \(w, 64x1024\)"):
        read_tensorflow_checkpoint(prefix)
