"""A file that resembles a network says why it is not read, with --model and without, and what to do is true."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edge_i2i.errors import CheckpointError, EdgeI2IError, UsageError
from edge_i2i.models.checkpoints.importing import find_family, import_checkpoint
from edge_i2i.models.checkpoints.loading import load_checkpoint
from edge_i2i.models.cyclegan.config import CycleGANConfig, Generator
from edge_i2i.models.cyclegan.networks import ResnetGenerator, build_generator
from edge_i2i.models.pix2pixhd.discriminators import MultiscaleDiscriminator
from edge_i2i.models.pix2pixhd.networks import FeatureEncoder, GlobalGenerator
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


def _renamed(state: State, **name: None) -> dict[str, Tensor]:
    """The first convolution's weight under another name."""
    return {key.replace("model.1.weight", f"model.1.{next(iter(name))}"): value for key, value in state.items()}


def _wide(state: State, key: str, channels: int) -> State:
    """A first convolution of so many input channels."""
    return {**state, key: torch.zeros(state[key].shape[0], channels, *state[key].shape[2:])}


def _family_state(name: str) -> dict[str, Tensor]:
    family = get_family(name)
    model = family.random(family.tiny(family.full_config()), 1)
    module = next(part for part in vars(model).values() if isinstance(part, nn.Module))
    return dict(module.state_dict())


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
    "UNIT 2017, five channels": (
        lambda: (
            _family_state("unit2017") | {f"encode_{half}.0.model.0.weight": torch.zeros(4, 5, 7, 7) for half in "AB"}
        ),
        "pictures of 5 channels",
        "RGB",
    ),
    "BicycleGAN, five channels": (
        lambda: _wide(_family_state("bicyclegan"), "model.down.0.weight", 5),
        "takes 5 channels",
        "--input_nc",
    ),
    "spectral norm": (
        lambda: _renamed(_resnet(), weight_orig=None) | {"model.1.weight_u": torch.ones(8)},
        "model.1.weight_orig",
        "remove_spectral_norm",
    ),
    "weight norm": (
        lambda: _renamed(_resnet(), weight_v=None) | {"model.1.weight_g": torch.ones(8, 1, 1, 1)},
        "as spectral norm and weight norm do",
        "remove_weight_norm",
    ),
    "parametrized": (
        lambda: (
            _renamed(_resnet(), **{"parametrizations.weight.original1": None})
            | {"model.1.parametrizations.weight.original0": torch.ones(8, 1, 1, 1)}
        ),
        "looks like CycleGAN",
        "remove_parametrizations",
    ),
    "a discriminator under a name": (
        lambda: {f"netD.{key}": value for key, value in _patches().items()},
        "its part 'netD': This looks like a discriminator",
        "latest_net_G.pth",
    ),
    "RGBA under a name": (
        lambda: {f"module.netG.{key}": value for key, value in _resnet(4).items()},
        "its part 'netG': The checkpoint holds a network that does not translate pictures: input_nc=4",
        "--input_nc",
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
        (
            lambda: {f"module.netG._orig_mod.{key}": value for key, value in _resnet().items()},
            "'netG' is CycleGAN",
            "k.startswith('module.netG.')",
        ),
        (lambda: {"params": _resnet(), "params_ema": _resnet()}, "'params_ema' is CycleGAN", "['params_ema'], "),
        (lambda: {"state": {"model": {"G": _resnet()}}}, "'state.model.G' is CycleGAN", "['state']['model']['G'], "),
        (lambda: {"net.G": _resnet()}, "'net.G' is CycleGAN", "['net.G'], "),
        # the state of a training run
        (lambda: {"netD": _patches(), "netG": _resnet(), "epoch": 3}, "'netG' is CycleGAN", "['netG'], "),
        (
            lambda: {"epoch": 3, "state_dict": {f"_orig_mod.G.{key}": value for key, value in _resnet().items()}},
            "'state_dict.G' is CycleGAN",
            "k.startswith('_orig_mod.G.')",
        ),
        (lambda: {**_resnet(), "epoch": 3}, "The others are CycleGAN", "k not in ('epoch',)"),
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
    exec(caught.value.remedy[caught.value.remedy.index("torch.save(") :], {"torch": torch})
    assert find_family(Path("cyclegan.pth")).family == "cyclegan"


def test_the_line_that_saves_a_part_names_the_file_where_it_lies(tmp_path: Path) -> None:
    torch.save({"params_ema": _resnet()}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError) as caught:
        find_family(tmp_path / "last.ckpt")
    assert f"torch.load({str(tmp_path / 'last.ckpt')!r}, " in caught.value.remedy


@pytest.mark.parametrize("told", ["cyclegan", "pix2pixhd", "munit"])
def test_a_network_among_others_is_named_whichever_model_is_told(told: str, tmp_path: Path) -> None:
    torch.save({"params_ema": _resnet()}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match="'params_ema' is CycleGAN"):
        load_checkpoint(told, tmp_path / "last.ckpt")


def test_two_generators_beside_an_optimizer_are_saved_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = _family_state("munit")
    halves = {half: {key[2:]: value for key, value in state.items() if key.startswith(f"{half}.")} for half in "ab"}
    torch.save({**halves, "optimizer": {"state": {}, "param_groups": []}}, "gen.pt")
    with pytest.raises(CheckpointError, match="The others are MUNIT") as caught:
        find_family(Path("gen.pt"))
    exec(caught.value.remedy.partition("alone: ")[2], {"torch": torch})
    assert find_family(Path("munit.pth")).family == "munit"


@pytest.mark.parametrize("content", [{"gen": {"state": {}, "param_groups": []}}, {"last_epoch": 3, "lr": [0.1]}])
def test_what_only_training_needs_holds_no_network(content: dict[str, object], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "optimizer.pt")
    with pytest.raises(CheckpointError, match="and so no network") as caught:
        find_family(tmp_path / "optimizer.pt")
    assert "torch.save" not in caught.value.remedy


@pytest.mark.parametrize(
    ("family", "missing", "reason"),
    [
        ("munit", r"b\.enc_style\.model\.0\.conv\.weight", "domain b lacks the first layer"),
        ("munit", r"b\.", "lacks the generator of domain b"),
        ("unit", r"b\.enc\.model\.0\.conv\.weight", "domain b lacks the first layer"),
        ("unit", r"a\.dec\.model\.0\.model\.0\.model\.0\.conv\.weight", "domain a lacks the first layer"),
        ("unit", r"a\.", "holds one domain's auto-encoder"),
    ],
)
def test_a_generator_that_lacks_a_layer_is_not_called_absent(
    family: str, missing: str, reason: str, tmp_path: Path
) -> None:
    torch.save(_without(_family_state(family), missing), tmp_path / "gen.pt")
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(find_family(tmp_path / "gen.pt").family, tmp_path / "gen.pt")


@pytest.mark.parametrize("told", ["pix2pixhd", None])
def test_a_pixel_shuffle_is_no_feature_encoder(told: str | None, tmp_path: Path) -> None:
    layers = {1: (8, 3, 7, 7), 4: (16, 8, 3, 3), 7: (32, 16, 3, 3), 12: (3, 8, 7, 7)}
    torch.save({f"model.{index}.weight": torch.zeros(shape) for index, shape in layers.items()}, tmp_path / "ps.pth")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(find_family(tmp_path / "ps.pth", told).family, tmp_path / "ps.pth")
    assert "feature encoder" not in str(caught.value)


def test_one_channel_of_a_pix2pixhd_is_one_class(tmp_path: Path) -> None:
    torch.save(HD(1, 3, 8, 3, 1).state_dict(), tmp_path / "mask.pth")
    with pytest.raises(UsageError) as caught:
        load_checkpoint("pix2pixhd", tmp_path / "mask.pth")
    assert "--set label_nc=1 (1 class alone" in caught.value.remedy
    assert load_checkpoint("pix2pixhd", tmp_path / "mask.pth", {"label_nc": "1"}).config["label_nc"] == 1


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
