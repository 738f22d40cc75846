"""An official file is claimed by its own model and by no other, going by the authors' own key listings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.checkpoints import checkpoint as opened
from edge_i2i.models.checkpoints.importing import find_family, import_checkpoint
from edge_i2i.models.checkpoints.loading import load_checkpoint
from edge_i2i.models.checkpoints.recognise import recognise
from edge_i2i.models.checkpoints.weights_file import split_networks, write_weights_file
from edge_i2i.models.registry import get_family
from samples.models.reference import FIXTURES

Run = Callable[..., tuple[int, str, str]]

# model → its fixture, the listing there, and what stands before the keys in the official file
OFFICIAL = {
    "pix2pixhd": ("pix2pixhd", "G1", [""]),
    "cyclegan": ("cyclegan", "resnet_9blocks, instance", [""]),
    "pix2pix": ("cyclegan", "unet_256, batch", [""]),
    "munit": ("munit", "gen", ["a.", "b."]),
    "unit": ("unit", "gen", [""]),
    "unit2017": ("unit2017", "generator", [""]),
    "bicyclegan": ("bicyclegan", "unet_256, z at all levels", [""]),
    "lomit": ("lomit", "G", [""]),
    "egscit": ("egscit", "n_encoder 3", [""]),
    "bridgegan": ("bridgegan", "shapes", [""]),
}
NOT_ITS_OWN_FILE = {"init": "has MUNIT's keys by design"}


def official_state(model: str) -> dict[str, torch.Tensor]:
    fixture, name, prefixes = OFFICIAL[model]
    listing: Mapping[str, list[int]] = json.loads((FIXTURES / f"{fixture}_reference.json").read_text())["full"][name]
    return {
        f"{prefix}{key}": torch.zeros(shape, device="meta") for prefix in prefixes for key, shape in listing.items()
    }


@pytest.mark.parametrize("model", OFFICIAL)
def test_every_official_listing_is_claimed_by_its_model_alone(model: str) -> None:
    found = recognise(official_state(model))
    assert [item.family for item in found] == [model]
    assert found[0].what


@pytest.mark.parametrize("state", [{}, {"w": torch.zeros(3)}, {"fc.weight": torch.zeros(2, 2)}])
def test_other_files_are_claimed_by_nobody(state: dict[str, torch.Tensor]) -> None:
    assert recognise(state) == ()


@pytest.fixture
def cyclegan_file(tmp_path: Path) -> Path:
    family = get_family("cyclegan")
    state = family.random(family.tiny(family.full_config()), 3).generator.state_dict()
    path = tmp_path / "latest_net_G_A.pth"
    torch.save(state, path)
    return path


def test_a_checkpoint_of_another_model_says_which_one_it_looks_like(cyclegan_file: Path) -> None:
    with pytest.raises(CheckpointError, match="does not hold a bicyclegan network; it looks like CycleGAN") as error:
        load_checkpoint("bicyclegan", cyclegan_file)
    assert error.value.remedy == "Use --model cyclegan."
    assert str(cyclegan_file) in error.value.what


@pytest.mark.parametrize(
    "verb", [["import"], ["export", "onnx", "--size", "32x32", "--precision", "fp32", "--checkpoint"]]
)
def test_a_verb_reads_its_checkpoint_once_and_hashes_it_once(
    verb: list[str], cyclegan_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_verb: Run
) -> None:
    """Recognising, reading and recording are of one reading."""
    done: list[str] = []
    suffix = "safetensors" if verb == ["import"] else "i2i"
    for name in ("read_checkpoint", "checkpoint_sha256"):
        function = getattr(opened, name)
        monkeypatch.setattr(
            opened, name, lambda path, name=name, function=function: done.append(name) or function(path)
        )
    code, _, err = run_verb(*verb, cyclegan_file, "--output", tmp_path / f"made.{suffix}")
    assert code == 0, err
    assert sorted(done) == ["checkpoint_sha256", "read_checkpoint"]


def test_import_recognises_writes_and_loads_again(cyclegan_file: Path) -> None:
    output = cyclegan_file.with_name("horse.safetensors")
    summary = import_checkpoint(cyclegan_file, find_family(cyclegan_file), output)
    assert (summary.family, summary.weights) == ("cyclegan", output)
    assert json.loads(summary.config_file.read_text())["config"]["n_blocks"] == summary.config["n_blocks"]
    original, again = load_checkpoint("cyclegan", cyclegan_file), load_checkpoint("cyclegan", output)
    assert again.config == original.config
    frame = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.model.generator(frame), original.model.generator(frame))
    assert find_family(output).family == "cyclegan"
    with pytest.raises(CheckpointError, match="holds a cyclegan network, not pix2pixhd"):
        load_checkpoint("pix2pixhd", output)


def test_a_file_of_no_known_model_lists_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(CheckpointError, match="no network that is known here") as error:
        find_family(path)
    assert "pix2pixhd" in error.value.remedy


def test_import_asks_what_the_file_cannot_tell(tmp_path: Path) -> None:
    family = get_family("pix2pix")
    config = family.tiny(family.architectures()["U-Net-256, batch norm, eval"])
    source = tmp_path / "net_G.pth"
    torch.save(family.random(config, 3).generator.state_dict(), source)
    with pytest.raises(UsageError, match="batch norm") as error:
        import_checkpoint(source, find_family(source), tmp_path / "x.safetensors")
    assert "--norm-mode" in error.value.remedy
    assert not (tmp_path / "x.safetensors").exists()
    summary = import_checkpoint(source, find_family(source), tmp_path / "x.safetensors", {"norm_mode": "eval"})
    assert summary.config["norm_mode"] == "eval"
    assert load_checkpoint("pix2pix", tmp_path / "x.safetensors").config["norm_mode"] == "eval"


def test_several_networks_share_a_weights_file(tmp_path: Path) -> None:
    from edge_i2i.models.checkpoints.reading import read_checkpoint, read_metadata

    states = {"generator": {"w": torch.ones(2)}, "encoder": {"w": torch.zeros(3)}}
    path = write_weights_file(tmp_path / "two.safetensors", "bicyclegan", {"nz": 8}, states)
    again = split_networks(read_checkpoint(path), read_metadata(path), path)
    assert again is not None
    assert {name: {key: value.tolist() for key, value in state.items()} for name, state in again.items()} == {
        "generator": {"w": [1, 1]},
        "encoder": {"w": [0, 0, 0]},
    }
