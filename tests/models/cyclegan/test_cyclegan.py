"""CycleGAN and pix2pix as families: reading their files, the norm question, and their graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edge_i2i.contract import GraphKind, Role, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.cyclegan import model as cyclegan
from edge_i2i.models.cyclegan import pix2pix
from edge_i2i.models.cyclegan.config import Generator, Padding
from edge_i2i.models.cyclegan.model import CycleGANConfig, CycleGANFamily, to_grey
from edge_i2i.models.cyclegan.networks import NLayerDiscriminator, PixelDiscriminator, build_generator
from edge_i2i.models.family import NormMode
from edge_i2i.models.pix2pixhd import model as pix2pixhd
from edge_i2i.models.weights import StateDict

CYCLEGAN, PIX2PIX = cyclegan.FAMILY, pix2pix.FAMILY
RESNET = CycleGANConfig(ngf=4, n_blocks=2)
UNET = CycleGANConfig(generator=Generator.UNET, ngf=2, num_downs=5)
CONFIGS = {
    "ResNet": RESNET,
    "ResNet, dropout": replace(RESNET, dropout=True),
    "ResNet, zeros": replace(RESNET, padding_type=Padding.ZERO),
    "ResNet, zeros, dropout": replace(RESNET, padding_type=Padding.ZERO, dropout=True),
    "ResNet, batch norm": replace(RESNET, norm_mode=NormMode.BATCH, dropout=True),
    "ResNet, stored statistics": replace(RESNET, norm_mode=NormMode.EVAL),
    "ResNet, grey to colour": replace(RESNET, input_nc=1),
    "U-Net": UNET,
    "U-Net, batch norm": replace(UNET, norm_mode=NormMode.BATCH),
    "U-Net, stored statistics": replace(UNET, norm_mode=NormMode.EVAL, num_downs=7),
    "U-Net, colour to grey": replace(UNET, output_nc=1),
}


def _state(config: CycleGANConfig, seed: int = 1) -> dict[str, Tensor]:
    return dict(CYCLEGAN.random(config, seed).generator.state_dict())


def _frame(side: int, seed: int = 5) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _chosen(config: CycleGANConfig) -> dict[str, object]:
    return {"norm_mode": config.norm_mode} if config.batch_norm else {}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_architecture_is_read_off_the_file(name: str) -> None:
    config = CONFIGS[name]
    states = {"generator": _state(config)}
    assert CYCLEGAN.infer_config(states, _chosen(config)) == config
    loaded = CYCLEGAN.load(states, config)
    assert loaded.generator.state_dict().keys() == states["generator"].keys()


def test_replication_padding_leaves_no_trace_and_is_an_override() -> None:
    config = replace(RESNET, padding_type=Padding.REPLICATE)
    states = {"generator": _state(config)}
    assert CYCLEGAN.infer_config(states, {}) == RESNET
    assert CYCLEGAN.infer_config(states, {"padding_type": Padding.REPLICATE}) == config


@pytest.mark.parametrize("name", CONFIGS)
def test_each_family_claims_its_own_generator(name: str) -> None:
    config = CONFIGS[name]
    own, other = (CYCLEGAN, PIX2PIX) if config.generator == Generator.RESNET else (PIX2PIX, CYCLEGAN)
    claim = own.recognise(_state(config))
    assert claim is not None
    assert f"ngf {config.ngf}" in claim
    assert ("batch norm" in claim) == config.batch_norm
    assert other.recognise(_state(config)) is None


def test_files_of_old_torch_are_claimed() -> None:
    state = _state(RESNET) | {"model.2.running_mean": torch.zeros(4)}
    assert CYCLEGAN.recognise(state) == "a ResNet generator, ngf 4, 2 blocks, instance norm"
    assert CYCLEGAN.load({"generator": state}, CYCLEGAN.infer_config({"generator": state}, {})).config == RESNET


def _pix2pixhd(n_down: int) -> StateDict:
    config = pix2pixhd.Pix2PixHDConfig(
        label_nc=0, instance_edges=False, ngf=4, n_downsample_global=n_down, n_blocks_global=1
    )
    return pix2pixhd.FAMILY.random(config, 1).generator.state_dict()


def _with_noise_channels() -> StateDict:
    """A U-Net whose input carries eight noise channels too: BicycleGAN's with ``--where_add input``."""
    return {**_state(UNET), "model.model.0.weight": torch.zeros(2, 11, 4, 4)}


def _without(state: dict[str, Tensor], key: str) -> StateDict:
    return {name: tensor for name, tensor in state.items() if name != key}


STRANGERS: dict[str, Any] = {
    "nothing": lambda: {},
    "pix2pixHD with three downsamplings": lambda: _pix2pixhd(3),
    "BicycleGAN": _with_noise_channels,
    "patch discriminator": lambda: NLayerDiscriminator(6, 4).state_dict(),
    "pixel discriminator": lambda: PixelDiscriminator(3, 4).state_dict(),
    "a ResNet that lacks a layer": lambda: _without(_state(RESNET), "model.7.weight"),
    "a U-Net that lacks its head": lambda: _without(_state(UNET), "model.model.3.weight"),
    "a vector by a convolution's name": lambda: {"model.model.0.weight": torch.zeros(3)},
    "a block without convolutions": lambda: {
        "model.1.weight": torch.zeros(4, 3, 7, 7),
        "model.1.bias": torch.zeros(4),
        "model.10.conv_block.9.bias": torch.zeros(4),
        "model.18.weight": torch.zeros(3, 4, 7, 7),
    },
}


@pytest.mark.parametrize("name", STRANGERS)
def test_other_networks_are_not_claimed(name: str) -> None:
    assert CYCLEGAN.recognise(STRANGERS[name]()) is None
    assert PIX2PIX.recognise(STRANGERS[name]()) is None


def test_pix2pixhd_with_two_downsamplings_is_ours() -> None:
    assert CYCLEGAN.recognise(_pix2pixhd(2)) is not None
    assert pix2pixhd.FAMILY.recognise(_state(RESNET)) is None


@pytest.mark.parametrize("name", ["patch discriminator", "pixel discriminator"])
def test_a_discriminators_file_is_named_and_the_generators_suggested(name: str) -> None:
    with pytest.raises(CheckpointError, match="discriminator") as caught:
        CYCLEGAN.infer_config({"generator": STRANGERS[name]()}, {})
    assert "latest_net_G_B.pth" in caught.value.remedy


def test_a_stranger_is_refused_with_its_keys() -> None:
    with pytest.raises(CheckpointError, match=r"not a CycleGAN or pix2pix generator.*main\.0\.weight"):
        PIX2PIX.infer_config({"generator": {"main.0.weight": torch.zeros(1)}}, {})


def test_a_generator_without_norm_is_refused() -> None:
    state = _without(_state(RESNET), "model.1.bias")
    with pytest.raises(CheckpointError, match="--norm none"):
        CYCLEGAN.infer_config({"generator": state}, {})


def test_a_network_that_is_not_for_pictures_is_refused() -> None:
    state = {**_state(UNET), "model.model.3.weight": torch.zeros(4, 2, 4, 4), "model.model.3.bias": torch.zeros(2)}
    with pytest.raises(CheckpointError, match="output_nc=2: a picture has 3 channels"):
        PIX2PIX.infer_config({"generator": state}, {})


def test_missing_weights_are_named() -> None:
    state = _without(_state(RESNET), "model.7.weight")
    with pytest.raises(CheckpointError, match=r"CycleGAN generator: missing: model\.7\.weight"):
        CYCLEGAN.load({"generator": state}, RESNET)


def test_batch_norm_must_be_decided() -> None:
    states = {"generator": _state(CONFIGS["U-Net, batch norm"])}
    with pytest.raises(UsageError, match="two different pictures") as caught:
        PIX2PIX.infer_config(states, {})
    assert "--norm-mode batch" in caught.value.remedy
    assert "--norm-mode eval" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "mode", "legal"),
    [("U-Net", NormMode.EVAL, "norm_mode=none"), ("U-Net, batch norm", NormMode.NONE, "norm_mode=batch or eval")],
)
def test_a_norm_mode_of_the_other_norm_is_refused(name: str, mode: NormMode, legal: str) -> None:
    with pytest.raises(UsageError, match="does not fit") as caught:
        PIX2PIX.infer_config({"generator": _state(CONFIGS[name])}, {"norm_mode": mode})
    assert legal in caught.value.remedy


@torch.no_grad()
def test_one_file_gives_both_functions() -> None:
    trained = build_generator(CONFIGS["U-Net, stored statistics"])
    for name, buffer in trained.named_buffers():
        if name.endswith("running_var"):
            buffer.fill_(3.0)
    states, frame = {"generator": dict(trained.state_dict())}, _frame(128)
    modes = (NormMode.BATCH, NormMode.EVAL)
    configs = [PIX2PIX.infer_config(states, {"norm_mode": mode}) for mode in modes]
    by_frame, by_storage = (PIX2PIX.load(states, config).generator(frame) for config in configs)
    assert torch.equal(by_storage, trained.eval()(frame))
    assert float((by_frame - trained.train()(frame)).abs().max()) <= 1e-5
    assert float((by_frame - by_storage).abs().max()) > 1e-3


@torch.no_grad()
def test_dropout_is_left_out() -> None:
    model = CYCLEGAN.random(replace(RESNET, dropout=True), 3)
    frame = _frame(16)
    assert torch.equal(model.generator(frame), model.generator(frame))


@pytest.mark.parametrize("field", ["ngf", "num_downs", "input_nc", "output_nc"])
def test_values_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(UsageError, match=f"{field}=0"):
        replace(CycleGANConfig(), **{field: 0})  # type: ignore[arg-type]


def test_overrides_are_read_as_text() -> None:
    pairs = {"norm_mode": "eval", "generator": "unet", "padding_type": "zero", "dropout": "true", "ngf": "32"}
    read = CYCLEGAN.parse_overrides(pairs)
    assert read == {
        "norm_mode": NormMode.EVAL,
        "generator": Generator.UNET,
        "padding_type": Padding.ZERO,
        "dropout": True,
        "ngf": 32,
    }
    with pytest.raises(UsageError) as caught:
        CYCLEGAN.parse_overrides({"norm_mode": "train"})
    assert "none, eval, batch" in caught.value.remedy


def test_a_file_has_no_companion(tmp_path: Path) -> None:
    checkpoint = tmp_path / "latest_net_G_A.pth"
    (tmp_path / "latest_net_G_B.pth").touch()
    assert CYCLEGAN.companion_files(checkpoint) == {"generator": checkpoint}


@pytest.mark.parametrize(
    ("config", "size", "fits"),
    [
        (RESNET, Size(8, 12), True),
        (RESNET, Size(4, 8), False),
        (RESNET, Size(30, 32), False),
        (UNET, Size(32, 96), True),
        (UNET, Size(32, 48), False),
        (CycleGANConfig(generator=Generator.UNET), Size(256, 512), True),
        (CycleGANConfig(generator=Generator.UNET), Size(384, 512), False),
    ],
)
def test_sizes_are_multiples_of_what_is_halved(config: CycleGANConfig, size: Size, fits: bool) -> None:
    with torch.device("meta"):
        model = cyclegan.CycleGAN(config, build_generator(config))
    if fits:
        assert len(model.graphs(size)) == 1
    else:
        with pytest.raises(UsageError, match="multiples of"):
            model.graphs(size)


@pytest.mark.parametrize("family", [CYCLEGAN, PIX2PIX], ids=lambda family: family.name)
@torch.no_grad()
def test_the_frame_graph_is_the_official_forward(family: CycleGANFamily) -> None:
    for name, config in family.architectures().items():
        model = family.random(family.tiny(config), 1)
        (frame_graph,) = model.graphs(family.tiny_size)
        assert frame_graph.declaration.kind is GraphKind.FRAME
        assert [spec.role for spec in frame_graph.declaration.inputs] == [Role.FRAME]
        frames = [_frame(64, seed) for seed in (1, 2)]
        images = [frame_graph.module(frame) for frame in frames]
        assert torch.equal(images[0], model.generator(frames[0])), name
        assert float((images[0] - images[1]).abs().max()) > 0.05, name
        assert model.family == family.name


@torch.no_grad()
def test_grey_networks_read_and_make_colour_pictures() -> None:
    model = PIX2PIX.random(replace(UNET, input_nc=1, output_nc=1), 1)
    (frame_graph,) = model.graphs(Size(32, 32))
    frame = _frame(32)
    image = frame_graph.module(frame)
    assert image.shape == frame.shape
    assert torch.equal(image[:, 1:2], model.generator(to_grey(frame)))
    assert torch.equal(image[:, 0], image[:, 2])


def test_grey_is_the_authors_within_half_a_level() -> None:
    """transforms.Grayscale is PIL's: (19595 R + 38470 G + 7471 B + 32768) >> 16."""
    colours = torch.randint(0, 256, (1, 3, 20, 20), generator=torch.Generator().manual_seed(4))
    red, green, blue = colours[0]
    theirs = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    ours = (to_grey(colours / 127.5 - 1) + 1) * 127.5
    assert float((ours[0, 0] - theirs).abs().max()) <= 0.501
