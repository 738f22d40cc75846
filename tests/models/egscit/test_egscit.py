"""EGSC-IT: its architecture, its files, its graphs, and what it refuses."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from edge_i2i.contract import GraphKind, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.egscit.model import (
    FAMILY,
    SMALLEST_VARIANCE,
    Egscit,
    EgscitConfig,
    apply_style,
    feature_mask,
    moments,
)
from edge_i2i.models.family import Direction
from edge_i2i.models.pix2pixhd.model import FAMILY as PIX2PIXHD
from edge_i2i.models.pix2pixhd.model import Pix2PixHDConfig
from samples.models.reference import Reference

TINY = FAMILY.tiny(EgscitConfig())
SIZE = FAMILY.tiny_size
VARIABLES = Reference.of("egscit").state("n3")
TRANSLATOR = {key: value for key, value in VARIABLES.items() if key.startswith("UNIT/")}
FEATURES = {key: value for key, value in VARIABLES.items() if key.startswith("VAEGAN")}


def _picture(seed: int, size: Size = SIZE) -> Tensor:
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (size.height, size.width), mode="bilinear")


def _model(direction: Direction = Direction.A2B, seed: int = 0) -> Egscit:
    return FAMILY.random(replace(TINY, direction=direction), seed)


# --- graphs


def test_graphs_are_joined_by_the_style() -> None:
    frame, encode = _model().graphs(SIZE)
    assert [spec.name for spec in frame.declaration.inputs] == ["frame", "style"]
    assert [spec.name for spec in frame.declaration.outputs] == ["image"]
    assert (encode.declaration.name, encode.declaration.kind) == ("encode_exemplar", GraphKind.CONDITION)
    style = encode.declaration.outputs[0]
    assert style == frame.declaration.inputs[1]
    assert (style.shape, style.drawn, style.mixable) == ((2, TINY.channels), False, True)
    assert FAMILY.random(replace(EgscitConfig(), ngf=1), 0).graphs(SIZE)[0].declaration.inputs[1].shape == (2, 4)


@pytest.mark.parametrize("direction", list(Direction))
@torch.no_grad()
def test_a_frame_is_translated_by_the_networks_of_its_direction(direction: Direction) -> None:
    model = _model(direction)
    nets = model.networks
    encoder, mask, look, generator = (
        (nets.enc_a, nets.feat_a, nets.feat_b, nets.gen_b)
        if direction is Direction.A2B
        else (nets.enc_b, nets.feat_b, nets.feat_a, nets.gen_a)
    )
    source, exemplar = _picture(1), _picture(2)
    mean, variance = moments(look(exemplar))
    kept = nets.share_gen(nets.share_enc(encoder(source))) * feature_mask(mask(source))
    centre, spread = moments(kept)
    wanted = generator(mean * (kept - centre) / spread + variance)
    frame, encode = model.graphs(SIZE)
    torch.testing.assert_close(frame.module(source, encode.module(exemplar)), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("n_encoder", [1, 3])
@torch.no_grad()
def test_frames_and_exemplars_both_show(n_encoder: int) -> None:
    frame, encode = FAMILY.random(replace(TINY, n_encoder=n_encoder), 0).graphs(SIZE)
    first, second = encode.module(_picture(1)), encode.module(_picture(2))
    picture = frame.module(_picture(3), first)
    assert picture.shape == (1, 3, SIZE.height, SIZE.width)
    assert float(picture.abs().max()) < 0.95
    assert float((picture - frame.module(_picture(3), second)).abs().max()) > 0.02
    assert float((picture - frame.module(_picture(4), first)).abs().max()) > 0.02
    torch.testing.assert_close(picture, frame.module(_picture(3), first), atol=0, rtol=0)


@torch.no_grad()
def test_flat_features_do_not_divide_by_zero() -> None:
    """The authors' code gives NaN here; any channel that varies at all is untouched by our floor."""
    flat = torch.ones(1, 2, 4, 4)
    style = torch.tensor([[[2.0, 3.0], [0.5, -0.5]]])
    assert apply_style(flat, style)[0, :, 0, 0].tolist() == [0.5, -0.5]
    varied = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * SMALLEST_VARIANCE**0.5 * 2
    mean, variance = moments(varied)
    scale, shift = style[:, 0, :, None, None], style[:, 1, :, None, None]
    torch.testing.assert_close(apply_style(varied, style), scale * (varied - mean) / variance + shift)


def test_sizes_that_change_on_the_way_are_refused() -> None:
    rule = FAMILY.random(TINY, 0).size_rule
    assert (rule.multiple, rule.minimum) == (4, 8)
    with pytest.raises(UsageError, match="multiples of 4"):
        _model().graphs(Size(30, 32))
    assert FAMILY.random(replace(TINY, n_encoder=1), 0).size_rule.minimum == 4
    for size in (Size(8, 8), FAMILY.full_size, Size(128, 128), Size(112, 112)):
        rule.check(size)
    FAMILY.random(replace(TINY, n_encoder=1), 0).size_rule.check(Size(28, 28))


@torch.no_grad()
def test_the_smallest_pictures_go_through() -> None:
    for config, size in ((TINY, Size(8, 8)), (replace(TINY, n_encoder=1), Size(4, 4))):
        frame, encode = FAMILY.random(config, 0).graphs(size)
        assert frame.module(_picture(1, size), encode.module(_picture(2, size))).isfinite().all()


# --- architecture


@pytest.mark.parametrize("field", ["ngf", "n_encoder", "n_enc_resblock", "n_enc_share", "n_gen_share"])
def test_what_no_network_can_be_built_from_is_refused(field: str) -> None:
    with pytest.raises(UsageError, match=f"{field}=0 is out of range"):
        EgscitConfig(**{field: 0})


@pytest.mark.parametrize("config", [TINY, replace(TINY, n_encoder=1, direction=Direction.B2A), EgscitConfig(ngf=2)])
def test_the_architecture_comes_back_from_its_weights(config: EgscitConfig) -> None:
    state = FAMILY.random(config, 3).networks.state_dict()
    assert FAMILY.infer_config({"translator": state}, {"direction": config.direction}) == config
    loaded = FAMILY.load({"translator": state}, config)
    assert all(torch.equal(value, state[key]) for key, value in loaded.networks.state_dict().items())


def test_texts_set_the_direction() -> None:
    overrides = FAMILY.parse_overrides({"direction": "b2a"})
    assert FAMILY.infer_config({"translator": VARIABLES}, overrides).direction is Direction.B2A
    assert asdict(EgscitConfig())["direction"] == "a2b"


def test_random_networks_depend_on_the_seed_alone() -> None:
    first, again, other = (_model(seed=seed).networks.state_dict()["enc_a.conv0.weight"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# --- files


def test_its_files_are_recognised() -> None:
    both = FAMILY.recognise(VARIABLES)
    assert both == "translators of both directions and feature encoders of both domains, ngf 4, n_encoder 3"
    assert FAMILY.recognise(TRANSLATOR) == "translators of both directions, ngf 4, n_encoder 3"
    assert FAMILY.recognise(FEATURES) == "feature encoders of both domains, ngf 4, n_encoder 3"
    assert FAMILY.recognise(_model().networks.state_dict()) is not None


def test_files_of_others_are_not_claimed() -> None:
    pix2pixhd = PIX2PIXHD.random(PIX2PIXHD.tiny(Pix2PixHDConfig()), 0).generator.state_dict()
    one_way = {key: value for key, value in VARIABLES.items() if "generator_B" not in key and "recon_B" not in key}
    normed = {**VARIABLES, "UNIT/encoder_A/conv_0/ins_norm/gamma": torch.ones(4)}
    misshapen = {**VARIABLES, "UNIT/generator_A/deconv_tanh/conv2d_transpose/kernel": torch.ones(3, 3, 3, 4)}
    for state in ({}, pix2pixhd, one_way, normed, misshapen, {"Ggenerator/Conv/weights": torch.ones(1, 1, 3, 4)}):
        assert FAMILY.recognise(state) is None


def test_what_training_adds_is_dropped() -> None:
    extra = {
        "UNIT/encoder_A/conv_0/conv2d/kernel/Adam": torch.ones(7, 7, 3, 4),
        "UNIT/encoder_A/conv_0/conv2d/kernel/Adam_1": torch.ones(7, 7, 3, 4),
        "UNIT/discriminator_A/conv_0/weights": torch.ones(4, 4, 3, 4),
        "VAEGAN_recon_A/part2/resblock_0/res1/conv2d/kernel": torch.ones(3, 3, 16, 16),
        "beta1_power": torch.tensor(0.5),
        "global_step": torch.tensor(1),
    }
    states = {"translator": {**VARIABLES, **extra}}
    loaded = FAMILY.load(states, FAMILY.infer_config(states, {}))
    assert FAMILY.portable(states)["translator"].keys() == loaded.networks.state_dict().keys()


def test_two_checkpoints_are_one_network_and_the_features_are_model_0s() -> None:
    """As in the authors' test script: MODEL0 is restored for the feature encoders, whatever MODEL1 holds of them."""
    stale = {key: torch.zeros_like(value) for key, value in FEATURES.items()}
    states = {"translator": {**TRANSLATOR, **stale}, "features": FEATURES}
    together = FAMILY.portable(states)["translator"]
    merged = FAMILY.portable({"translator": VARIABLES})["translator"]
    assert together.keys() == merged.keys()
    assert all(torch.equal(together[key], merged[key]) for key in merged)


def test_portable_weights_load_again() -> None:
    states = {"translator": TRANSLATOR, "features": FEATURES}
    portable = FAMILY.portable(states)
    assert FAMILY.portable(portable) == portable
    config = FAMILY.infer_config(portable, {})
    assert config == FAMILY.infer_config(states, {})
    first, second = (FAMILY.load(item, config).networks.state_dict() for item in (states, portable))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_missing_half_is_named_with_where_it_belongs() -> None:
    with pytest.raises(CheckpointError, match="not its feature encoders") as caught:
        FAMILY.infer_config({"translator": TRANSLATOR}, {})
    assert "MODEL0_gta25kbdd" in caught.value.remedy
    for states in ({"features": FEATURES}, {"translator": FEATURES}):
        with pytest.raises(CheckpointError, match="not its translator") as caught:
            FAMILY.infer_config(states, {})
        assert "checkpoint of MODEL1" in caught.value.remedy


def test_other_networks_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"not an EGSC-IT checkpoint.*model\.1"):
        FAMILY.infer_config({"translator": {"model.1.weight": torch.ones(4, 3, 7, 7)}}, {})
    normed = {**VARIABLES, "UNIT/encoder_A/resblock_0/res1/res1_instance/gamma": torch.ones(4)}
    with pytest.raises(CheckpointError, match="res1_instance/gamma") as caught:
        FAMILY.infer_config({"translator": normed}, {})
    assert "--norm=None" in caught.value.remedy
    shrinking = {key: value for key, value in VARIABLES.items() if "deconv_1" not in key}
    with pytest.raises(CheckpointError, match="change their size"):
        FAMILY.infer_config({"translator": shrinking}, {})
    grey = {**VARIABLES, "UNIT/encoder_A/conv_0/conv2d/kernel": torch.ones(7, 7, 1, 4)}
    with pytest.raises(CheckpointError, match="first convolution"):
        FAMILY.infer_config({"translator": grey}, {})


def test_weights_that_do_not_fit_are_named() -> None:
    config = FAMILY.infer_config({"translator": VARIABLES}, {})
    lacking = {key: value for key, value in VARIABLES.items() if "generator_B/resblock_2" not in key}
    with pytest.raises(CheckpointError, match=r"missing: gen_b\.res2\.conv1\.bias"):
        FAMILY.load({"translator": lacking}, config)
    with pytest.raises(CheckpointError, match="of another shape"):
        FAMILY.load({"translator": VARIABLES}, replace(config, ngf=8))


def _written(root: Path, *folders: str, name: str = "UNIT.model-0.index") -> list[Path]:
    files = [root / folder / name for folder in folders]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return files


def test_the_companion_lies_in_the_folder_beside(tmp_path: Path) -> None:
    names = (
        "MODEL1_gta25kbdd_bs3_lr1e-4_1e4Style_1e2Content",
        "MODEL0_gta25kbdd_bs3_lr1e-4",
        "MODEL0_celeba_bs8_lr1e-4",
    )
    translator, features, _ = _written(tmp_path, *names)
    both = {"translator": translator, "features": features}
    assert FAMILY.companion_files(translator) == both
    assert FAMILY.companion_files(features) == both
    prefixes = {network: file.with_suffix("") for network, file in both.items()}
    assert FAMILY.companion_files(prefixes["translator"]) == prefixes
    pointers = dict(zip(both, _written(tmp_path, *names[:2], name="checkpoint"), strict=True))
    assert FAMILY.companion_files(translator.parent) == pointers


def test_two_folders_alone_belong_together(tmp_path: Path) -> None:
    """The authors' own scripts name one data set mnist_BW and mnist."""
    translator, features = _written(
        tmp_path, "MODEL1_mnist_bs8_lr1e-5_1e3Style_1e1Content", "MODEL0_mnist_BW_bs8_lr1e-5"
    )
    assert FAMILY.companion_files(translator) == {"translator": translator, "features": features}
    _written(tmp_path, "MODEL1_celeba_bs8_lr1e-4_5e3Style_1e1Content")
    assert FAMILY.companion_files(translator) == {"translator": translator}
    assert FAMILY.companion_files(features) == {"features": features}


def test_no_companion_is_made_up(tmp_path: Path) -> None:
    (alone,) = _written(tmp_path, "MODEL1_celeba_bs8_lr1e-4_5e3Style_1e1Content")
    assert FAMILY.companion_files(alone) == {"translator": alone}
    other = tmp_path / "egscit.safetensors"
    assert FAMILY.companion_files(other) == {"translator": other}
    _written(tmp_path, "MODEL0_celeba_bs8_lr1e-4", name="UNIT.model-4000.index")
    assert FAMILY.companion_files(alone) == {"translator": alone}
