"""Getting networks with weights through the door that the programs use."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from edge_i2i.contract import GraphKind, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.checkpoints import loading
from edge_i2i.models.checkpoints.loading import WeightsOrigin, load_checkpoint, load_demo, load_random
from edge_i2i.models.checkpoints.reading import file_sha256
from edge_i2i.models.pix2pixhd.model import FAMILY, Pix2PixHD, Pix2PixHDConfig
from edge_i2i.models.pix2pixhd.networks import FeatureEncoder

SMALL = Pix2PixHDConfig(label_nc=0, instance_edges=False, ngf=4, n_downsample_global=2, n_blocks_global=1)
WITH_FEATURES = replace(SMALL, label_nc=35, instance_edges=True, feat_num=3, nef=2, n_downsample_E=1)


def _network(config: Pix2PixHDConfig, seed: int = 0) -> Pix2PixHD:
    return FAMILY.random(config, seed)


def _save(network: torch.nn.Module | None, path: Path) -> Path:
    assert network is not None
    torch.save(network.state_dict(), path)
    return path


def _same_weights(a: torch.nn.Module | None, b: torch.nn.Module | None) -> bool:
    assert a is not None
    assert b is not None
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_an_official_generator_file_is_loaded(tmp_path: Path) -> None:
    wanted = _network(SMALL, seed=5)
    path = _save(wanted.generator, tmp_path / "latest_net_G.pth")
    loaded = load_checkpoint("pix2pixhd", path)
    assert loaded.origin is WeightsOrigin.CHECKPOINT
    assert (loaded.checkpoint, loaded.checkpoint_sha256) == (path, file_sha256(path))
    assert loaded.config == asdict(SMALL)
    assert isinstance(loaded.model, Pix2PixHD)
    assert _same_weights(loaded.model.generator, wanted.generator)


def test_the_encoder_beside_the_generator_is_loaded_with_it(tmp_path: Path) -> None:
    wanted = _network(WITH_FEATURES)
    path = _save(wanted.generator, tmp_path / "latest_net_G.pth")
    _save(wanted.encoder, tmp_path / "latest_net_E.pth")
    _save(_network(WITH_FEATURES, 9).encoder, tmp_path / "10_net_E.pth")
    model = load_checkpoint("pix2pixhd", path).model
    assert isinstance(model, Pix2PixHD)
    assert model.config == WITH_FEATURES
    assert _same_weights(model.encoder, wanted.encoder)
    kinds = [graph.declaration.kind for graph in model.graphs(Size(32, 32))]
    assert kinds == [GraphKind.FRAME, GraphKind.CONDITION]


def test_without_the_encoder_file_the_generator_takes_features_from_outside(tmp_path: Path) -> None:
    path = _save(_network(WITH_FEATURES).generator, tmp_path / "latest_net_G.pth")
    model = load_checkpoint("pix2pixhd", path).model
    assert isinstance(model, Pix2PixHD)
    assert model.encoder is None
    assert model.config.feat_num == 3  # 39 input channels are the release's one-hot, edge and features
    assert [graph.declaration.name for graph in model.graphs(Size(32, 32))] == ["frame"]


def test_a_damaged_encoder_file_is_named(tmp_path: Path) -> None:
    path = _save(_network(WITH_FEATURES).generator, tmp_path / "latest_net_G.pth")
    (tmp_path / "latest_net_E.pth").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"latest_net_E\.pth is empty"):
        load_checkpoint("pix2pixhd", path)


def test_a_generator_in_the_encoders_place_is_refused(tmp_path: Path) -> None:
    path = _save(_network(WITH_FEATURES).generator, tmp_path / "latest_net_G.pth")
    _save(_network(SMALL).generator, tmp_path / "latest_net_E.pth")
    with pytest.raises(CheckpointError, match="encoder") as caught:
        load_checkpoint("pix2pixhd", path)
    assert caught.value.exit_code == 4


def test_an_encoder_in_the_generators_place_is_refused(tmp_path: Path) -> None:
    path = _save(FeatureEncoder(3, 3, 4, 2), tmp_path / "latest_net_E.pth")
    with pytest.raises(CheckpointError, match="This is not a pix2pixHD generator"):
        load_checkpoint("pix2pixhd", path)


def test_files_of_parallel_training_are_loaded(tmp_path: Path) -> None:
    wanted = _network(WITH_FEATURES)
    assert wanted.encoder is not None
    for module, letter in ((wanted.generator, "G"), (wanted.encoder, "E")):
        state = {f"module.{key}": value for key, value in module.state_dict().items()}
        torch.save(state, tmp_path / f"latest_net_{letter}.pth")
    model = load_checkpoint("pix2pixhd", tmp_path / "latest_net_G.pth").model
    assert isinstance(model, Pix2PixHD)
    assert model.config == WITH_FEATURES
    assert _same_weights(model.generator, wanted.generator)


def test_files_of_torch_before_0_4_are_loaded(tmp_path: Path) -> None:
    """Old format, with running statistics of every instance norm."""
    wanted = _network(SMALL)
    state = dict(wanted.generator.state_dict())
    state |= {f"model.{i}.{name}": torch.zeros(4) for i in (2, 5, 8) for name in ("running_mean", "running_var")}
    torch.save(state, tmp_path / "1_net_G.pth", _use_new_zipfile_serialization=False)
    model = load_checkpoint("pix2pixhd", tmp_path / "1_net_G.pth").model
    assert isinstance(model, Pix2PixHD)
    assert _same_weights(model.generator, wanted.generator)


def _safetensors(path: Path, **metadata: str) -> Path:
    state = {key: tensor.half().contiguous() for key, tensor in _network(SMALL).generator.state_dict().items()}
    save_file(state, path, metadata=metadata)
    return path


def test_our_own_file_brings_its_architecture(tmp_path: Path) -> None:
    path = _safetensors(tmp_path / "net.safetensors", family="pix2pixhd", config=json.dumps(asdict(SMALL)))
    assert load_checkpoint("pix2pixhd", path).model.config == SMALL


def test_safetensors_without_metadata_are_inferred(tmp_path: Path) -> None:
    assert load_checkpoint("pix2pixhd", _safetensors(tmp_path / "net.safetensors")).model.config == SMALL


def test_a_file_of_another_family_is_refused(tmp_path: Path) -> None:
    path = _safetensors(tmp_path / "net.safetensors", family="munit")
    with pytest.raises(CheckpointError, match=r"net\.safetensors holds a munit network, not pix2pixhd") as caught:
        load_checkpoint("pix2pixhd", path)
    assert "--model munit" in caught.value.remedy
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("config", ["{", "[1, 2]", '"text"', "null", '{"ngf": "many"}', '{"of_the_future": 1}'])
def test_a_recorded_architecture_that_is_none_is_the_files_fault(config: str, tmp_path: Path) -> None:
    path = _safetensors(tmp_path / "net.safetensors", family="pix2pixhd", config=config)
    with pytest.raises(CheckpointError, match=r"net\.safetensors") as caught:
        load_checkpoint("pix2pixhd", path)
    assert caught.value.exit_code == 4


def test_overrides_reach_the_architecture(tmp_path: Path) -> None:
    path = _save(_network(WITH_FEATURES).generator, tmp_path / "latest_net_G.pth")
    model = load_checkpoint("pix2pixhd", path, {"feat_num": "0", "instance_edges": "false"}).model
    assert isinstance(model, Pix2PixHD)
    assert (model.config.label_nc, model.config.input_nc) == (39, 39)


def test_an_unknown_override_is_a_wrong_request(tmp_path: Path) -> None:
    path = _save(_network(SMALL).generator, tmp_path / "latest_net_G.pth")
    with pytest.raises(UsageError, match="has no 'lable_nc'"):
        load_checkpoint("pix2pixhd", path, {"lable_nc": "3"})


def test_random_networks_are_seeded() -> None:
    small = {"ngf": "2", "n_blocks_global": "1", "n_downsample_global": "1"}
    a, b, c = (load_random("pix2pixhd", small, seed=seed) for seed in (1, 1, 2))
    assert a.origin is WeightsOrigin.RANDOM
    assert (a.checkpoint, a.checkpoint_sha256) == (None, None)
    models: list[Any] = [item.model for item in (a, b, c)]
    assert _same_weights(models[0].generator, models[1].generator)
    assert not _same_weights(models[0].generator, models[2].generator)
    assert a.config["label_nc"] == 0  # the full network's mode unless overridden


@pytest.mark.parametrize(
    "override",
    [
        *({"ngf": "0"}, {"ngf": "-8"}, {"output_nc": "0"}, {"nef": "0", "feat_num": "3"}, {"label_nc": "-1"}),
        *({"n_downsample_global": "-1"}, {"n_local_enhancers": "-1"}, {"n_blocks_global": "-1"}),
        *({"label_nc": "257"}, {"feat_num": "-3"}, {"n_downsample_global": "40"}, {"output_nc": "4"}),
    ],
)
def test_architectures_that_cannot_be_are_refused(override: dict[str, str]) -> None:
    key = next(iter(override))
    with pytest.raises(UsageError, match=rf"{key}={override[key]}") as caught:
        load_random("pix2pixhd", {"ngf": "2", **override})
    assert caught.value.exit_code == 2


def test_demo_weights_of_a_family_without_are_a_wrong_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(FAMILY), "demo_weights", None)
    with pytest.raises(UsageError, match="No demo weights are shipped for pix2pixhd") as caught:
        load_demo("pix2pixhd")
    assert "--random-weights" in caught.value.remedy


def test_demo_weights_are_loaded_from_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert FAMILY.demo_weights is not None
    path = _safetensors(tmp_path / FAMILY.demo_weights, family="pix2pixhd", config=json.dumps(asdict(SMALL)))
    monkeypatch.setattr(loading, "WEIGHTS_FOLDER", tmp_path)
    loaded = load_demo("pix2pixhd")
    assert (loaded.origin, loaded.checkpoint, loaded.model.config) == (WeightsOrigin.DEMO, path, SMALL)
