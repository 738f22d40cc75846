"""What ``import`` writes never replaces what it did not write, and where it cannot write is found out first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from edge_i2i.errors import EdgeI2IError, OutputError, UsageError
from edge_i2i.models.checkpoints.importing import find_family, import_checkpoint
from edge_i2i.models.cyclegan.networks import ResnetGenerator


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save(ResnetGenerator(3, 3, ngf=8, n_blocks=1).state_dict(), tmp_path / "latest_net_G.pth")
    return tmp_path / "latest_net_G.pth"


def _import(checkpoint: Path, output: Path) -> None:
    import_checkpoint(checkpoint, find_family(checkpoint), output)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("net.json", '{"my": "notes"}'),
        ("net.json", "[1, 2"),
        ("net.json", '{"model": 1, "config": 2, "more": 3}'),
        ("net.safetensors", "something of mine"),
        ("net.safetensors", "\x80\x02not weights"),
    ],
)
def test_what_is_not_its_own_is_left_as_it_is(checkpoint: Path, name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match=f"{name}' is there already and is not") as caught:
        _import(checkpoint, tmp_path / "net.safetensors")
    assert caught.value.exit_code == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_checkpoint_itself_is_not_replaced(checkpoint: Path, tmp_path: Path) -> None:
    before = checkpoint.read_bytes()
    with pytest.raises(OutputError):
        _import(checkpoint, checkpoint)
    assert checkpoint.read_bytes() == before


def test_its_own_files_and_empty_ones_are_written_anew(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "net.json").touch()
    for _ in range(2):
        _import(checkpoint, tmp_path / "net.safetensors")
    assert json.loads((tmp_path / "net.json").read_text())["model"] == "cyclegan"


def test_weights_under_the_configs_name_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the config would replace the weights"):
        _import(checkpoint, tmp_path / "net.json")


@pytest.mark.parametrize("place", ["/proc/net.safetensors", "/dev/null", "folder"])
def test_a_place_where_nothing_can_be_written_is_a_sentence(checkpoint: Path, place: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(EdgeI2IError, match="cannot be written") as caught:
        _import(checkpoint, tmp_path / place)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
