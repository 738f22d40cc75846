"""Our BicycleGAN networks against what the authors' own classes computed (see fixtures/bicyclegan.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from edge_i2i.models.bicyclegan.config import BicycleGANConfig, EncoderKind, NonLinearity, Upsampling, WhereAdd
from edge_i2i.models.bicyclegan.model import to_grey
from edge_i2i.models.bicyclegan.networks import MultiscaleDiscriminator, StyleEncoder, UnetGenerator
from edge_i2i.models.family import NormMode
from edge_i2i.models.weights import load_state
from samples.models.reference import FIXTURES, Reference, assert_same_keys

REFERENCE = Reference.of("bicyclegan")

ALL = BicycleGANConfig(ngf=2, num_downs=6)
INPUT = BicycleGANConfig(input_nc=1, ngf=2, num_downs=5, where_add=WhereAdd.INPUT)
GENERATORS = {
    "all": ALL,
    "all_bilinear": replace(ALL, upsample=Upsampling.BILINEAR),
    "all_batch_norm": replace(ALL, norm_mode=NormMode.EVAL),
    "all_elu": replace(ALL, nl=NonLinearity.ELU),
    "input": INPUT,
    "input_bilinear": replace(INPUT, upsample=Upsampling.BILINEAR, norm_mode=NormMode.EVAL),
    "input_lrelu": replace(INPUT, nl=NonLinearity.LRELU),
}
ENCODERS = {
    "encoder": (BicycleGANConfig(nef=3, n_blocks_E=2), 1),
    "encoder_deep": (BicycleGANConfig(nef=2), 8),
    "encoder_batch_norm": (BicycleGANConfig(nef=3, n_blocks_E=2, norm_mode=NormMode.EVAL), 1),
    "encoder_conv": (BicycleGANConfig(nef=3, n_blocks_E=4, netE=EncoderKind.CONV), 4),
}
DISCRIMINATORS = {
    "discriminator": lambda: MultiscaleDiscriminator(ndf=6),
    "discriminator_one": lambda: MultiscaleDiscriminator(ndf=4, num_D=1),
}
FULL: dict[str, Callable[[], nn.Module]] = {
    "unet_256, z at all levels": lambda: UnetGenerator(BicycleGANConfig()),
    "unet_256, z at all levels, 1-channel input": lambda: UnetGenerator(BicycleGANConfig(input_nc=1)),
    "unet_256, z at the input": lambda: UnetGenerator(BicycleGANConfig(where_add=WhereAdd.INPUT)),
    "unet_128, z at all levels": lambda: UnetGenerator(BicycleGANConfig(num_downs=7)),
    "unet_128, z at the input": lambda: UnetGenerator(BicycleGANConfig(num_downs=7, where_add=WhereAdd.INPUT)),
    "resnet_256": lambda: StyleEncoder(BicycleGANConfig()),
    "resnet_128": lambda: StyleEncoder(BicycleGANConfig(n_blocks_E=4)),
    "conv_256": lambda: StyleEncoder(BicycleGANConfig(netE=EncoderKind.CONV)),
    "basic_256_multi": MultiscaleDiscriminator,
}


def _filled(name: str, network: nn.Module) -> nn.Module:
    assert_same_keys(network, REFERENCE.listing[name]["shapes"])
    load_state(network, REFERENCE.state(name), name)
    return network.eval()


@pytest.mark.parametrize("name", GENERATORS)
@torch.no_grad()
def test_generators_compute_what_the_authors_do(name: str) -> None:
    kind = name.partition("_")[0]
    network = _filled(name, UnetGenerator(GENERATORS[name]))
    picture = network(REFERENCE.tensor(f"{kind}.input"), REFERENCE.tensor(f"{kind}.z"))
    REFERENCE.holds(f"{name}.output", picture if name == kind else picture[:, :, 1::5, 2::5])


@torch.no_grad()
def test_norm_mode_batch_is_the_authors_training_mode() -> None:
    network = _filled("all_batch_norm", UnetGenerator(replace(ALL, norm_mode=NormMode.BATCH)))
    picture = network(REFERENCE.tensor("all.input"), REFERENCE.tensor("all.z"))
    REFERENCE.holds("all_batch_norm.train_mode.output", picture[:, :, 1::5, 2::5])


@pytest.mark.parametrize("config", [ALL, INPUT], ids=["all", "input"])
def test_dropout_shifts_no_key(config: BicycleGANConfig) -> None:
    with_dropout = UnetGenerator(config, use_dropout=True)
    assert any(isinstance(module, nn.Dropout) for module in with_dropout.modules()) is (config.num_downs > 5)
    assert with_dropout.state_dict().keys() == UnetGenerator(config).state_dict().keys()


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_encoders_compute_what_the_authors_do(name: str) -> None:
    config, repeats = ENCODERS[name]
    picture = REFERENCE.tensor("encoder.input").repeat_interleave(repeats, 2).repeat_interleave(repeats, 3)
    assert picture.shape[2] == config.exemplar_side
    mean, logvar = _filled(name, StyleEncoder(config))(picture)
    REFERENCE.holds(f"{name}.mean", mean)
    REFERENCE.holds(f"{name}.logvar", logvar)


@pytest.mark.parametrize("name", DISCRIMINATORS)
@torch.no_grad()
def test_every_scale_of_the_discriminators_is_the_authors(name: str) -> None:
    scores = _filled(name, DISCRIMINATORS[name]())(REFERENCE.tensor("all.input"))
    assert len(scores) == sum(key.startswith(f"{name}.output.") for key in REFERENCE.arrays)
    for scale, score in enumerate(scores):
        REFERENCE.holds(f"{name}.output.{scale}", score)


def test_grey_is_the_official_one() -> None:
    grey = to_grey(REFERENCE.tensor("grey.input"))
    REFERENCE.holds("grey.output", grey, 1e-6)
    REFERENCE.holds("grey.pillow", grey, 0.5001 / 127.5)  # later commits round to grey levels


@pytest.mark.parametrize("name", FULL)
def test_full_size_networks_have_the_official_keys(name: str) -> None:
    with torch.device("meta"):
        assert_same_keys(FULL[name](), REFERENCE.listing["full"][name])


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.glob("bicyclegan*")) <= 150 * 1024
