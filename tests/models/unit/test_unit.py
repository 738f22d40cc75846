"""UNIT's second code base: reading its files, telling them from MUNIT's, its graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edge_i2i.contract import Role, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.family import Direction
from edge_i2i.models.munit.blocks import Activation, Padding
from edge_i2i.models.munit.discriminators import MsImageDis
from edge_i2i.models.munit.networks import AdaINGen
from edge_i2i.models.pix2pixhd import model as pix2pixhd
from edge_i2i.models.unit.model import FAMILY, AutoencoderPair, Unit, UnitConfig
from edge_i2i.models.unit2017 import model as unit2017


def _tiny(seed: int = 3, **options: object) -> Unit:
    config = replace(FAMILY.tiny(FAMILY.full_config()), **options)  # type: ignore[arg-type]
    return FAMILY.random(config, seed)


def _state(model: Unit) -> dict[str, Tensor]:
    return dict(model.networks.state_dict())


@pytest.mark.parametrize("options", [{}, {"n_downsample": 0}, {"n_downsample": 3, "n_res": 2, "dim": 2}])
def test_the_architecture_is_read_off_the_file(options: dict[str, int]) -> None:
    model = _tiny(**options)
    state = _state(model)
    assert FAMILY.recognise(state) is not None
    assert FAMILY.infer_config({"generator": state}, {}) == model.config
    loaded = FAMILY.load({"generator": state}, model.config)
    assert all(torch.equal(value, state[key]) for key, value in _state(loaded).items())


def test_a_learned_activation_shows_in_the_file() -> None:
    model = _tiny(activ=Activation.PRELU)
    config = FAMILY.infer_config({"generator": _state(model)}, {})
    assert config.activ is Activation.PRELU
    FAMILY.load({"generator": _state(model)}, config)


def test_what_a_file_does_not_say_can_be_given() -> None:
    given = FAMILY.parse_overrides({"pad_type": "zero", "activ": "lrelu", "direction": "b2a"})
    config = FAMILY.infer_config({"generator": _state(_tiny())}, given)
    assert (config.pad_type, config.activ) == (Padding.ZERO, Activation.LRELU)
    assert config.direction is Direction.B2A
    with pytest.raises(UsageError, match="reflect, replicate, zero"):
        FAMILY.parse_overrides({"pad_type": "mirror"})


def test_running_statistics_of_old_files_are_dropped() -> None:
    model = _tiny()
    state = _state(model)
    for key, module in model.networks.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            state |= {f"{key}.running_mean": torch.zeros(4), f"{key}.running_var": torch.ones(4)}
    assert len(state) > len(_state(model))
    config = FAMILY.infer_config({"generator": state}, {})
    assert _state(FAMILY.load({"generator": state}, config)).keys() == _state(model).keys()


def test_munits_and_other_networks_are_not_claimed() -> None:
    munit = nn.ModuleDict({domain: AdaINGen(dim=4, n_res=1, mlp_dim=8) for domain in "ab"}).state_dict()
    hd, old = pix2pixhd.FAMILY, unit2017.FAMILY
    others = [
        munit,
        hd.random(hd.tiny(hd.full_config()), 0).generator.state_dict(),
        old.random(old.tiny(old.full_config()), 0).generator.state_dict(),
        {},
    ]
    assert [FAMILY.recognise(state) for state in others] == [None] * 4
    assert old.recognise(_state(_tiny())) is None
    with pytest.raises(CheckpointError, match="not a UNIT checkpoint"):
        FAMILY.infer_config({"generator": munit}, {})


@pytest.mark.parametrize("prefix", ["a.", ""])
def test_a_file_of_one_domain_alone_is_refused_with_what_is_missing(prefix: str) -> None:
    one = _tiny().networks.a.state_dict()
    state = {prefix + key: value for key, value in one.items()}
    described = FAMILY.recognise(state)
    assert described is not None
    assert "other's is missing" in described
    with pytest.raises(CheckpointError, match="one domain's auto-encoder"):
        FAMILY.infer_config({"generator": state}, {})


def test_a_discriminators_file_is_not_claimed() -> None:
    state = nn.ModuleDict({domain: MsImageDis(dim=4) for domain in "ab"}).state_dict()
    assert FAMILY.recognise(state) is None
    with pytest.raises(CheckpointError, match=r"dis_\*\.pt holds the discriminators"):
        FAMILY.infer_config({"generator": state}, {})


def test_a_linear_network_is_refused() -> None:
    with pytest.raises(UsageError, match="linear"):
        UnitConfig(activ=Activation.NONE)


def test_a_missing_layer_is_named() -> None:
    state = _state(_tiny())
    del state["b.dec.model.2.norm.gamma"]
    config = FAMILY.infer_config({"generator": state}, {})
    with pytest.raises(CheckpointError, match=r"missing: b\.dec\.model\.2\.norm\.gamma"):
        FAMILY.load({"generator": state}, config)


@pytest.mark.parametrize("direction", list(Direction))
@torch.no_grad()
def test_the_frame_graph_is_one_domains_encoder_and_the_others_decoder(direction: Direction) -> None:
    model = _tiny(direction=direction)
    (frame,) = model.graphs(Size(16, 24))
    source, target = (model.networks.a, model.networks.b)[:: 1 if direction is Direction.A2B else -1]
    picture = torch.rand(1, 3, 16, 24) * 2 - 1
    translated = frame.module(picture)
    assert torch.equal(translated, target.decode(source.encode(picture)))
    assert not torch.allclose(translated, source.decode(target.encode(picture)), atol=0.05)
    assert [spec.role for spec in (*frame.declaration.inputs, *frame.declaration.outputs)] == [Role.FRAME, Role.IMAGE]


def test_the_frame_graph_holds_one_direction_only() -> None:
    with torch.device("meta"):
        model = Unit(UnitConfig(), AutoencoderPair(UnitConfig()))
    (frame,) = model.graphs(FAMILY.full_size)
    assert sum(weight.numel() for weight in frame.module.parameters()) == 11_140_483


@pytest.mark.parametrize("n_downsample", [0, 1, 2, 3])
@torch.no_grad()
def test_the_smallest_size_works_and_odd_ones_are_refused(n_downsample: int) -> None:
    model = _tiny(n_downsample=n_downsample, dim=2)
    rule = model.size_rule
    side = rule.minimum
    (frame,) = model.graphs(Size(side, side))
    assert frame.module(torch.rand(1, 3, side, side)).shape == (1, 3, side, side)
    with pytest.raises(UsageError, match="cannot take"):
        model.graphs(Size(side - 1, side))


def test_there_is_no_companion_file(tmp_path: Path) -> None:
    assert FAMILY.companion_files(tmp_path / "gen.pt") == {"generator": tmp_path / "gen.pt"}


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"n_downsample": 11}, {"n_res": 0}])
def test_impossible_architectures_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="out of range"):
        UnitConfig(**wrong)  # type: ignore[arg-type]
