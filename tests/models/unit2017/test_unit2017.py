"""UNIT's 2017 release: reading its files, telling its two classes apart, its graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edge_i2i.contract import Role, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.family import Direction
from edge_i2i.models.pix2pixhd import model as pix2pixhd
from edge_i2i.models.unit2017.model import FAMILY, CocoGenerator, Unit2017, Unit2017Config, Variant

VARIANTS = list(FAMILY.architectures().values())


def _tiny(config: Unit2017Config, seed: int = 3) -> Unit2017:
    return FAMILY.random(FAMILY.tiny(config), seed)


def _with_statistics(generator: CocoGenerator) -> dict[str, Tensor]:
    """The state dict as torch before 0.4 wrote it: with running statistics for every instance norm."""
    state = dict(generator.state_dict())
    for key, module in generator.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            state |= {f"{key}.running_mean": torch.zeros(module.num_features)}
            state |= {f"{key}.running_var": torch.ones(module.num_features)}
    return state


@pytest.mark.parametrize("config", VARIANTS, ids=lambda config: config.variant)
def test_an_old_file_tells_which_class_wrote_it(config: Unit2017Config) -> None:
    small = replace(FAMILY.tiny(config), n_enc_res_blk=2, n_gen_shared_blk=3, res_dropout_ratio=0.0)
    state = _with_statistics(FAMILY.random(small, 1).generator)
    described = FAMILY.recognise(state)
    assert described == f"both directions of a generator, ch 4: {small.variant}"
    assert FAMILY.infer_config({"generator": state}, {}) == small
    loaded = FAMILY.load({"generator": state}, small)
    assert loaded.generator.state_dict().keys() == FAMILY.random(small, 1).generator.state_dict().keys()


def test_a_new_file_does_not_tell_its_class_so_it_must_be_said() -> None:
    state = _tiny(VARIANTS[1]).generator.state_dict()
    described = FAMILY.recognise(state)
    assert described is not None
    assert "COCOResGen or COCOResGen2" in described
    with pytest.raises(UsageError, match="--set variant=COCOResGen2"):
        FAMILY.infer_config({"generator": state}, {})
    given = FAMILY.parse_overrides({"variant": "COCOResGen2", "direction": "b2a"})
    config = FAMILY.infer_config({"generator": state}, given)
    assert (config.variant, config.direction, config.ch) == (Variant.COCO_RES_GEN_2, Direction.B2A, 4)


def test_saying_the_class_wins_over_what_an_old_file_tells() -> None:
    state = _with_statistics(_tiny(VARIANTS[0]).generator)
    config = FAMILY.infer_config({"generator": state}, {"variant": Variant.COCO_RES_GEN_2})
    assert config.variant is Variant.COCO_RES_GEN_2


def test_an_unknown_class_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="COCOResGen, COCOResGen2"):
        FAMILY.parse_overrides({"variant": "COCOResGen3"})


@pytest.mark.parametrize("config", VARIANTS, ids=lambda config: config.variant)
@pytest.mark.parametrize("direction", list(Direction))
@torch.no_grad()
def test_the_frame_graph_is_one_direction_of_the_generator(config: Unit2017Config, direction: Direction) -> None:
    model = _tiny(replace(config, direction=direction))
    (frame,) = model.graphs(Size(16, 24))
    picture = torch.rand(1, 3, 16, 24) * 2 - 1
    assert torch.equal(frame.module(picture), model.generator(picture, direction)[0])
    assert [spec.role for spec in frame.declaration.inputs] == [Role.FRAME]
    assert [spec.role for spec in frame.declaration.outputs] == [Role.IMAGE]
    other = Direction.B2A if direction is Direction.A2B else Direction.A2B
    assert not torch.allclose(frame.module(picture), model.generator(picture, other)[0], atol=1e-3)


def test_the_frame_graph_holds_one_direction_only() -> None:
    with torch.device("meta"):
        model = Unit2017(Unit2017Config(), CocoGenerator(Unit2017Config()))
    (frame,) = model.graphs(FAMILY.full_size)
    assert sum(weight.numel() for weight in model.generator.parameters()) == 18_017_286
    assert sum(weight.numel() for weight in frame.module.parameters()) == 10_188_803


@torch.no_grad()
def test_the_two_classes_draw_different_pictures_from_the_same_weights() -> None:
    first, second = (_tiny(config) for config in VARIANTS)
    picture = torch.rand(1, 3, 16, 16)
    assert not torch.allclose(
        first.generator(picture, Direction.A2B)[0], second.generator(picture, Direction.A2B)[0], atol=1e-3
    )


def test_there_is_no_companion_file(tmp_path: Path) -> None:
    checkpoint = tmp_path / "cat2tiger_gen_00500000.pkl"
    assert FAMILY.companion_files(checkpoint) == {"generator": checkpoint}


def test_other_networks_are_not_claimed() -> None:
    other = pix2pixhd.FAMILY
    state = other.random(other.tiny(other.full_config()), 0).generator.state_dict()
    assert FAMILY.recognise(state) is None
    assert FAMILY.recognise({}) is None
    with pytest.raises(CheckpointError, match="not a generator of UNIT's 2017 release"):
        FAMILY.infer_config({"generator": state}, {})


def test_a_grey_network_is_not_claimed() -> None:
    state = dict(_tiny(VARIANTS[0]).generator.state_dict())
    for domain in "AB":
        state[f"encode_{domain}.0.model.0.weight"] = torch.zeros(4, 1, 7, 7)
    assert FAMILY.recognise(state) is None


def test_a_missing_layer_is_named() -> None:
    state = dict(_tiny(VARIANTS[0]).generator.state_dict())
    del state["decode_B.0.model.3.bias"]
    config = FAMILY.infer_config({"generator": state}, {"variant": Variant.COCO_RES_GEN})
    with pytest.raises(CheckpointError, match=r"missing: decode_B\.0\.model\.3\.bias"):
        FAMILY.load({"generator": state}, config)


@pytest.mark.parametrize(
    "wrong", [{"ch": 0}, {"n_enc_front_blk": 1}, {"n_gen_front_blk": 4}, {"res_dropout_ratio": 1.0}, {"ch": 5000}]
)
def test_impossible_architectures_are_refused(wrong: dict[str, int | float]) -> None:
    with pytest.raises(UsageError):
        replace(Unit2017Config(), **wrong)  # type: ignore[arg-type]


def test_an_override_that_does_not_fit_is_refused_when_loading() -> None:
    state = _tiny(VARIANTS[0]).generator.state_dict()
    config = FAMILY.infer_config({"generator": state}, {"variant": Variant.COCO_RES_GEN, "ch": 8})
    with pytest.raises(CheckpointError, match="of another shape"):
        FAMILY.load({"generator": state}, config)


@pytest.mark.parametrize("size", [Size(4, 8), Size(10, 16), Size(16, 18)])
def test_sizes_that_the_network_cannot_take_are_refused(size: Size) -> None:
    with pytest.raises(UsageError, match="multiples of 4"):
        _tiny(VARIANTS[0]).graphs(size)


@torch.no_grad()
def test_the_smallest_size_works() -> None:
    (frame,) = _tiny(VARIANTS[0]).graphs(Size(8, 8))
    assert frame.module(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)


@pytest.mark.parametrize("config", VARIANTS, ids=lambda config: config.variant)
@torch.no_grad()
def test_a_narrow_random_network_does_not_draw_flat_grey(config: Unit2017Config) -> None:
    """Or comparisons of engines would find no fault; the released width keeps the official N(0, 0.02)."""
    (frame,) = _tiny(config).graphs(FAMILY.tiny_size)
    assert frame.module(torch.rand(1, 3, 32, 32) * 2 - 1).std() > 1 / 127.5
    wide = FAMILY.random(replace(FAMILY.tiny(config), ch=64), 0).generator.state_dict()["enc_shared.0.model.0.weight"]
    assert float(wide.std()) == pytest.approx(0.02, rel=0.01)
