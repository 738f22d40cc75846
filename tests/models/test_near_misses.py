"""A file that resembles a network says why it is not read, with --model and without, and what to do is true."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edge_i2i.errors import CheckpointError, EdgeI2IError
from edge_i2i.models.cyclegan_config import CycleGANConfig, Generator
from edge_i2i.models.cyclegan_networks import ResnetGenerator, build_generator
from edge_i2i.models.importing import find_family, import_checkpoint
from edge_i2i.models.pix2pixhd import FeatureEncoder, GlobalGenerator, MultiscaleDiscriminator
from edge_i2i.models.registry import get_family

State = Mapping[str, Tensor]


def _resnet(channels: int = 3) -> dict[str, Tensor]:
    return dict(ResnetGenerator(channels, 3, ngf=8, n_blocks=2).state_dict())


def _unet(channels: int = 3) -> dict[str, Tensor]:
    config = CycleGANConfig(generator=Generator.UNET, ngf=8, num_downs=6)
    return dict(build_generator(config).state_dict()) | {"model.model.0.weight": torch.zeros(8, channels, 4, 4)}


def _resized(state: State, first: int, count: int) -> State:
    """An upsampling layer, a pad and a convolution for each transposed convolution: five layers for three."""
    changed = dict[str, Tensor]()
    for key, tensor in state.items():
        layer, rest = int(key.split(".")[1]), key.split(".", 2)[2]
        if first <= layer < first + 3 * count:
            layer, tensor = (
                first + 5 * ((layer - first) // 3) + 2,
                tensor.transpose(0, 1) if tensor.dim() == 4 else tensor,
            )
        elif layer >= first:
            layer += 2 * count
        changed[f"model.{layer}.{rest}"] = tensor
    return changed


def _anti_aliased() -> State:
    """CUT's generator: a blurring filter behind each stride-1 convolution, and in front of each on the way up."""
    layers = {1: 1, 4: 4, 7: 8, 10: 12, 11: 13, 12: 15, 15: 19, 19: 24}
    state = {
        f"model.{layers[int(key.split('.')[1])]}.{key.split('.', 2)[2]}": value for key, value in _resnet().items()
    }
    return state | {f"model.{layer}.filt": torch.ones(8, 1, 3, 3) for layer in (7, 11, 14, 18)}


def _without(state: State, pattern: str) -> State:
    return {key: tensor for key, tensor in state.items() if not re.match(pattern, key)}


def _family_state(name: str) -> State:
    family = get_family(name)
    model = family.random(family.tiny(family.full_config()), 1)
    module = next(part for part in vars(model).values() if isinstance(part, nn.Module))
    return module.state_dict()


def _patches() -> State:
    layers = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4, 1, 1))
    return {f"model.{key}": tensor for key, tensor in layers.state_dict().items()}


HD = GlobalGenerator

# what the file holds, words of the reason, and words of the remedy
MISSES: dict[str, tuple[Callable[[], State], str, str]] = {
    "no norm": (
        lambda: {key: value for key, value in _resnet().items() if key.endswith("weight") or key == "model.19.bias"},
        "--norm none",
        "--norm instance or --norm batch",
    ),
    "RGBA": (lambda: _resnet(4), "input_nc=4", "--input_nc"),
    "pairs of pictures": (lambda: _unet(6), "input_nc=6", "--input_nc"),
    "resized and convolved": (
        lambda: _resized(_resnet(), 12, 2),
        "other layers than the official",
        "official repository",
    ),
    "anti-aliased": (_anti_aliased, "anti-aliased", "--no_antialias"),
    "no way up": (lambda: _without(_resnet(), r"model\.1[259]\."), "or keys are missing", "official"),
    "no first block": (lambda: _without(_resnet(), r"model\.10\."), "or keys are missing", "official"),
    "one key missing": (lambda: _without(_resnet(), r"model\.7\.bias"), "missing: model.7.bias", "belongs"),
    "one shape other": (
        lambda: _resnet() | {"model.4.bias": torch.zeros(3)},
        "model.4.bias [3] instead of [16]",
        "belongs",
    ),
    "a U-Net's way up": (lambda: _without(_unet(), r"model\.model\.3"), "model.model.3.weight", "official"),
    "patch discriminator": (_patches, "looks like a discriminator", "latest_net_G.pth"),
    "style beside the picture": (lambda: _unet(19), "how many of its 19 input channels", "--set nz=16"),
    "pix2pixHD, one channel out": (lambda: HD(3, 1, 8, 3, 1).state_dict(), "output_nc=1", "3"),
    "pix2pixHD, resized": (lambda: _resized(HD(3, 3, 8, 3, 2).state_dict(), 15, 3), "other layers", "official"),
    "pix2pixHD, batch norm": (
        lambda: HD(3, 3, 8, 3, 1).state_dict() | {"model.2.weight": torch.ones(8)},
        "norm layers with weights",
        "--norm instance",
    ),
    "pix2pixHD, encoder": (lambda: FeatureEncoder(3, 3, 4, 2).state_dict(), "feature encoder", "_net_G.pth"),
    "pix2pixHD, discriminator": (lambda: MultiscaleDiscriminator(6, 4).state_dict(), "discriminator", "_net_G.pth"),
    "UNIT, grey": (
        lambda: _family_state("unit") | {f"{half}.enc.model.0.conv.weight": torch.zeros(4, 1, 7, 7) for half in "ab"},
        "pictures of 1 channels",
        "input_dim_a: 3",
    ),
    "MUNIT, discriminators": (lambda: {"a.cnns.0.0.conv.weight": torch.zeros(1)}, "discriminators", "gen_*.pt"),
    "UNIT 2017, half": (lambda: _without(_family_state("unit2017"), "decode_B"), "UNIT's 2017 release", "_gen_"),
    "UNIT 2017, discriminator": (lambda: {"model_A.0.model.0.weight": torch.zeros(1)}, "discriminator", "_gen_"),
    "LOMIT without a mask": (lambda: _without(_family_state("lomit"), "mask"), "LOMIT", "G_exemplar"),
    "BridgeGAN without a mapping": (lambda: _without(_family_state("bridgegan"), "map"), "BridgeGAN", "ckpt"),
}


@pytest.mark.parametrize("case", MISSES)
def test_a_near_miss_says_why_it_is_not_read(case: str, tmp_path: Path) -> None:
    make, reason, remedy = MISSES[case]
    torch.save(make(), tmp_path / "latest_net_G.pth")
    with pytest.raises(CheckpointError) as caught:
        find_family(tmp_path / "latest_net_G.pth")
    assert reason in caught.value.what
    assert remedy in caught.value.remedy
    assert str(tmp_path / "latest_net_G.pth") in caught.value.what
    assert "known here" not in caught.value.what
    assert caught.value.exit_code == 4


def test_an_upsampling_variant_is_not_blamed_on_its_channels(tmp_path: Path) -> None:
    for state in (_resized(_resnet(), 12, 2), _resized(HD(3, 3, 8, 2, 2).state_dict(), 12, 2)):
        torch.save(state, tmp_path / "latest_net_G.pth")
        with pytest.raises(CheckpointError) as caught:
            find_family(tmp_path / "latest_net_G.pth")
        assert "output_nc" not in str(caught.value)


@pytest.mark.parametrize("told", ["cyclegan", None])
def test_the_reason_is_the_same_with_the_model_told(told: str | None, tmp_path: Path) -> None:
    torch.save(_resnet(4), tmp_path / "net.pth")
    with pytest.raises(EdgeI2IError, match="input_nc=4"):
        import_checkpoint(tmp_path / "net.pth", find_family(tmp_path / "net.pth", told), tmp_path / "o.safetensors")


@pytest.mark.parametrize(
    ("content", "named", "command"),
    [
        (lambda: {"netG_A": _resnet(), "netD_A": _patches()}, "'netG_A' is CycleGAN", "['netG_A'], 'cyclegan.pth')"),
        (lambda: {"params_ema": _resnet()}, "'params_ema' is CycleGAN", "['params_ema'], 'cyclegan.pth')"),
        (
            lambda: {"state_dict": {f"G.{key}": value for key, value in _resnet().items()}},
            "'state_dict.G' is CycleGAN",
            "['state_dict'].items() if k.startswith('G.')}",
        ),
        (
            lambda: {f"netG.{key}": value for key, value in _resnet().items()},
            "'netG' is CycleGAN",
            "{k.removeprefix('netG.'): v for k, v in ",
        ),
    ],
)
def test_a_network_among_others_is_named_with_the_line_that_saves_it(
    content: Callable[[], dict[str, object]], named: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is run as it stands, and what it saves is read."""
    monkeypatch.chdir(tmp_path)
    torch.save(content(), tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError) as caught:
        find_family(Path("last.ckpt"))
    assert named in caught.value.what
    assert command in caught.value.remedy
    exec(caught.value.remedy.partition("for example: ")[2], {"torch": torch})
    assert find_family(Path("cyclegan.pth")).family == "cyclegan"


def test_a_part_of_a_safetensors_file_is_saved_by_its_own_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    monkeypatch.chdir(tmp_path)
    save_file({f"netG.{key}": value for key, value in _resnet().items()}, tmp_path / "all.safetensors")
    with pytest.raises(CheckpointError) as caught:
        find_family(Path("all.safetensors"))
    exec(caught.value.remedy.partition("for example: ")[2], {"torch": torch, "safetensors": safetensors})
    assert find_family(Path("cyclegan.pth")).family == "cyclegan"


def test_what_no_file_tells_is_said(tmp_path: Path) -> None:
    torch.save(HD(3, 3, 8, 3, 1).state_dict(), tmp_path / "hd.pth")
    summary = import_checkpoint(tmp_path / "hd.pth", find_family(tmp_path / "hd.pth"), tmp_path / "o.safetensors")
    assert "taken for RGB pictures" in summary.assumed[0]
    assert "label_nc=2 (2 classes and the edges" in summary.assumed[0]
    again = import_checkpoint(summary.weights, find_family(summary.weights), tmp_path / "again.safetensors")
    assert again.assumed == ()
    torch.save(_family_state("unit"), tmp_path / "gen.pt")
    unit = import_checkpoint(tmp_path / "gen.pt", find_family(tmp_path / "gen.pt"), tmp_path / "u.safetensors")
    assert "activ relu, pad_type reflect" in unit.assumed[0]
