"""Our CycleGAN and pix2pix networks against what the authors' own classes computed (see fixtures/cyclegan.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_i2i.models.cyclegan.config import Padding
from edge_i2i.models.cyclegan.model import FAMILY
from edge_i2i.models.cyclegan.networks import (
    NLayerDiscriminator,
    PixelDiscriminator,
    ResnetGenerator,
    UnetGenerator,
    build_generator,
)
from edge_i2i.models.cyclegan.pix2pix import FAMILY as PIX2PIX
from edge_i2i.models.family import NormMode
from edge_i2i.models.weights import load_state
from samples.models.reference import FIXTURES, Reference, assert_same_keys

REFERENCE = Reference.of("cyclegan")
LARGEST_FIXTURE = 150 * 1024
NONE, BATCH, EVAL = NormMode.NONE, NormMode.BATCH, NormMode.EVAL
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet_instance": lambda: ResnetGenerator(3, 3, 4, NONE, n_blocks=2),
    "resnet_dropout": lambda: ResnetGenerator(3, 3, 4, NONE, dropout=True, n_blocks=2),
    "resnet_zero": lambda: ResnetGenerator(3, 3, 4, NONE, n_blocks=1, padding=Padding.ZERO),
    "resnet_replicate": lambda: ResnetGenerator(3, 3, 4, NONE, n_blocks=1, padding=Padding.REPLICATE),
    "resnet_batch.batch": lambda: ResnetGenerator(3, 3, 4, BATCH, dropout=True, n_blocks=1),
    "resnet_batch.eval": lambda: ResnetGenerator(3, 3, 4, EVAL, dropout=True, n_blocks=1),
    "unet_instance": lambda: UnetGenerator(3, 3, 5, 2, NONE),
    "unet_batch.batch": lambda: UnetGenerator(3, 3, 5, 2, BATCH, dropout=True),
    "unet_batch.eval": lambda: UnetGenerator(3, 3, 5, 2, EVAL, dropout=True),
    "unet_grey.batch": lambda: UnetGenerator(1, 1, 6, 2, BATCH, dropout=True),
    "unet_grey.eval": lambda: UnetGenerator(1, 1, 6, 2, EVAL, dropout=True),
    "nlayer_instance": lambda: NLayerDiscriminator(3, 4, 3, NONE),
    "pixel_instance": lambda: PixelDiscriminator(3, 4, NONE),
}
IN_TRAINING: dict[str, Callable[[], nn.Module]] = {
    "nlayer_batch": lambda: NLayerDiscriminator(3, 2, 4, EVAL),
    "pixel_batch": lambda: PixelDiscriminator(6, 4, EVAL),
}


def _input(name: str) -> Tensor:
    wanted = REFERENCE.listing[name]
    random = np.random.RandomState(wanted["seed"] + 1000)
    return torch.from_numpy(random.uniform(-1, 1, wanted["input"]).astype(np.float32))


def _own_keys(shapes: Mapping[str, list[int]], mode: NormMode) -> dict[str, list[int]]:
    """The authors' keys without the running statistics that a network in that mode does not have."""
    return {key: shape for key, shape in shapes.items() if mode is EVAL or not key.endswith(STATISTICS)}


@pytest.mark.parametrize("case", NETWORKS)
@torch.no_grad()
def test_networks_compute_what_the_authors_do(case: str) -> None:
    name = case.partition(".")[0]
    net = NETWORKS[case]().eval()
    mode = NormMode.EVAL if case.endswith(".eval") else NormMode.NONE
    assert_same_keys(net, _own_keys(REFERENCE.listing[name]["shapes"], mode))
    load_state(net, REFERENCE.state(name), case)
    REFERENCE.holds(case, net(_input(name)))


@pytest.mark.parametrize("name", IN_TRAINING)
@torch.no_grad()
def test_discriminators_with_batch_norm_train_as_the_authors_do(name: str) -> None:
    net = IN_TRAINING[name]().train()
    assert_same_keys(net, REFERENCE.listing[name]["shapes"])
    load_state(net, REFERENCE.state(name), name)
    REFERENCE.holds(name, net(_input(name)))


@torch.no_grad()
def test_the_two_norm_modes_are_two_functions() -> None:
    apart = np.abs(REFERENCE.arrays["unet_batch.batch"] - REFERENCE.arrays["unet_batch.eval"]).max()
    assert apart > 0.5


FULL: dict[str, Callable[[], nn.Module]] = {
    "resnet_9blocks, instance": lambda: build_generator(FAMILY.architectures()["ResNet-9, instance norm"]),
    "resnet_6blocks, instance, dropout": lambda: ResnetGenerator(3, 3, dropout=True, n_blocks=6),
    "unet_256, batch": lambda: build_generator(PIX2PIX.architectures()["U-Net-256, batch norm, eval"]),
    "unet_128, batch": lambda: UnetGenerator(3, 3, 7, mode=EVAL),
    "basic discriminator, batch": lambda: NLayerDiscriminator(6, mode=EVAL),
}


@pytest.mark.parametrize("name", FULL)
def test_full_size_networks_have_the_authors_keys(name: str) -> None:
    shapes: Mapping[str, Any] = REFERENCE.listing["full"][name]
    with torch.device("meta"):
        net = FULL[name]()
    assert_same_keys(net, _own_keys(shapes, EVAL if "batch" in name else NONE))


@pytest.mark.parametrize(("num_downs", "noisy"), [(5, 0), (7, 2), (8, 3)])
def test_dropout_acts_on_the_levels_of_the_authors(num_downs: int, noisy: int) -> None:
    with torch.device("meta"):
        net = UnetGenerator(3, 3, num_downs, 4, BATCH, dropout=True)
    assert sum(isinstance(module, nn.Dropout) for module in net.modules()) == noisy


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.glob("cyclegan*")) <= LARGEST_FIXTURE
