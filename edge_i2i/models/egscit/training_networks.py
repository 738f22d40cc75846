"""EGSC-IT's networks for training alone: the pre-trained autoencoders' decoders, and the discriminators.

Training has two steps, each with a checkpoint of its own (charliememory/EGSC-IT, ``trainer_EGSCIT.py``). MODEL0 trains
one VAE-GAN autoencoder a domain (``UNIT_VAEGAN_recon``), whose encoders become F_A and F_B; MODEL1 trains the
translator with F_A and F_B fixed. Both judge pictures with discriminators of the same architecture, one a domain,
trained anew. MODEL0's variables are ``VAEGAN_recon_{A,B}/part{1..4}/…`` and ``discriminator_{A,B}/…``; MODEL1's
discriminators are ``UNIT/discriminator_{A,B}/…``. Our PyTorch keys are ``recon_a.gen.up0.weight``,
``dis_b.norm1.bias``, … [guess: names of this project]. Loaded networks have gradients switched on.

First weights of the authors: kernels of the autoencoders from N(0, 0.02) cut off at two deviations, of the
discriminators Xavier uniform (slim's default); biases 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.checkpoints.tensorflow_layout import (
    SameConv2d,
    conv_kernel,
    pointwise_transposed_conv_kernel,
    transposed_conv_kernel,
)
from edge_i2i.models.config import check_ranges
from edge_i2i.models.egscit.config import EgscitConfig
from edge_i2i.models.egscit.model import SLOPE, Encoder, Generator, ResidualBlocks
from edge_i2i.models.weights import StateDict, load_state

INSTANCE_NORM_EPSILON = 1e-5  # ops_EGSCIT.instance_norm; slim's default would be 1e-6
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType({"ndf": (1, 4096), "n_dis": (1, 10)})


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A discriminator's architecture, in the official option names; every official script uses the defaults."""

    ndf: int = 64
    n_dis: int = 4

    def __post_init__(self) -> None:
        """Refuse what no network can be built from.

        Raises:
            UsageError: a value is out of its legal range.
        """
        check_ranges(self, _LEGAL)


class Discriminator(nn.Module):
    """One domain's critic: ``n_dis`` halvings with 4x4 kernels, then a 1x1 convolution to one score a patch.

    The authors hand slim their leaky ReLU and apply it again to what it returns: the first layer's slope is squared,
    the others activate before and after the norm, and the score itself is activated too.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.n_dis = config.n_dis
        widths = [3, *(config.ndf * 2**i for i in range(config.n_dis))]
        for i, (channels, out) in enumerate(pairwise(widths)):
            self.add_module(f"conv{i}", SameConv2d(channels, out, 4, stride=2))
            if i > 0:
                self.add_module(f"norm{i}", nn.InstanceNorm2d(out, INSTANCE_NORM_EPSILON, affine=True))
        self.logit = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1] → [N, 1, ceil(H / 2^n_dis), ceil(W / 2^n_dis)]; least squares: 1 real, 0 made.

        The last norm needs two positions or more: a side of H or W above 2^n_dis.
        """
        x = functional.leaky_relu(self.get_submodule("conv0")(picture), SLOPE * SLOPE)
        for i in range(1, self.n_dis):
            x = functional.leaky_relu(self.get_submodule(f"conv{i}")(x), SLOPE)
            x = functional.leaky_relu(self.get_submodule(f"norm{i}")(x), SLOPE)
        return functional.leaky_relu(self.logit(x), SLOPE)


class Autoencoder(nn.Module):
    """One domain's VAE (``VAEGAN_recon``); ``enc`` is the feature encoder F that inference uses.

    ``part1`` to ``part4`` of the authors' are ``enc``, ``share_enc``, ``share_gen`` and ``gen``; the names with
    ``share`` are those of the layers in the translator: nothing is shared between the two domains here.
    """

    def __init__(self, config: EgscitConfig) -> None:
        super().__init__()
        self.enc = Encoder(config)
        self.share_enc = ResidualBlocks(config.channels, config.n_enc_share)
        self.share_gen = ResidualBlocks(config.channels, config.n_gen_share)
        self.gen = Generator(config)

    def encode(self, picture: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1] → the latent's mean [N, C, h, w]; its deviation is 1 everywhere."""
        mean: Tensor = self.share_enc(self.enc(picture))
        return mean

    def decode(self, latent: Tensor) -> Tensor:
        """[N, C, h, w] → picture [N, 3, H, W] in [-1, 1]."""
        picture: Tensor = self.gen(self.share_gen(latent))
        return picture

    def forward(self, picture: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The reconstruction, and the latent with its noise, whose mean square is the authors' KL loss.

        ``noise`` [N, C, h, w] is drawn from N(0, 1) in training; None leaves it out.
        """
        mean = self.encode(picture)
        latent = mean if noise is None else mean + noise
        return self.decode(latent), latent


class Discriminators(nn.Module):
    """``dis_a`` and ``dis_b``: one a domain, of either step of the training."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.dis_a, self.dis_b = Discriminator(config), Discriminator(config)


class Autoencoders(nn.Module):
    """``recon_a`` and ``recon_b``: one a domain, independent of each other."""

    def __init__(self, config: EgscitConfig) -> None:
        super().__init__()
        self.config = config
        self.recon_a, self.recon_b = Autoencoder(config), Autoencoder(config)


def load_discriminators(state: StateDict) -> Discriminators:
    """The discriminators of a MODEL0 or a MODEL1 checkpoint, or of a state dict of ours; ready to train.

    Raises:
        CheckpointError: it holds none, or others.
    """
    weights = {key: tensor for key, tensor in training_state(state).items() if key.startswith("dis_")}
    first = weights.get("dis_a.conv0.weight")
    if first is None:
        raise CheckpointError(
            "The checkpoint holds no EGSC-IT discriminators (discriminator_A/… or UNIT/discriminator_A/…).",
            remedy="Give a UNIT.model checkpoint that the official training wrote, of MODEL0 or MODEL1.",
        )
    with torch.device("meta"):
        networks = Discriminators(_discriminator_config(weights, first))
    load_state(networks, weights, "EGSC-IT's discriminators")
    return networks


def load_autoencoders(state: StateDict) -> Autoencoders:
    """Both autoencoders of a MODEL0 checkpoint, or of a state dict of ours; ready to train.

    Raises:
        CheckpointError: it holds none, their encoders alone, or others.
    """
    weights = {key: tensor for key, tensor in training_state(state).items() if key.startswith("recon_")}
    first = weights.get("recon_a.enc.conv0.weight")
    if first is None or not _count(weights, r"recon_a\.gen\.out\.weight"):
        held = "no autoencoders" if first is None else "their encoders (VAEGAN_recon_A/part1/…) without the decoders"
        raise CheckpointError(
            f"Of EGSC-IT's pre-trained autoencoders (VAEGAN_recon_A/part1/… to part4/…), the checkpoint holds {held}.",
            remedy="Give the checkpoint of MODEL0 as the official training wrote it.",
        )
    with torch.device("meta"):
        networks = Autoencoders(_autoencoder_config(weights, first))
    load_state(networks, weights, "EGSC-IT's autoencoders")
    return networks


def _discriminator_config(weights: StateDict, first: Tensor) -> DiscriminatorConfig:
    return DiscriminatorConfig(ndf=int(first.shape[0]), n_dis=_count(weights, r"dis_a\.conv\d+\.weight"))


def _autoencoder_config(weights: StateDict, first: Tensor) -> EgscitConfig:
    try:
        return EgscitConfig(
            ngf=int(first.shape[0]),
            n_encoder=_count(weights, r"recon_a\.enc\.conv\d+\.weight"),
            n_enc_resblock=_count(weights, r"recon_a\.enc\.res\d+\.conv1\.weight"),
            n_enc_share=_count(weights, r"recon_a\.share_enc\.res\d+\.conv1\.weight"),
            n_gen_share=_count(weights, r"recon_a\.share_gen\.res\d+\.conv1\.weight"),
            n_gen_resblock=_count(weights, r"recon_a\.gen\.res\d+\.conv1\.weight"),
        )
    except UsageError as error:  # of the counted blocks, not of anything that the user chose
        raise _not_ours(error.what.rstrip(".")) from error


def _count(keys: Iterable[str], pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, key)) for key in keys)


_PARTS: Mapping[str, str] = MappingProxyType(
    {"part1": "enc", "part2": "share_enc", "part3": "share_gen", "part4": "gen"}
)
_LEAVES: Mapping[str, str] = MappingProxyType(
    {"kernel": "weight", "weights": "weight", "gamma": "weight", "bias": "bias", "biases": "bias", "beta": "bias"}
)
_VARIABLE = re.compile(
    r"(?:VAEGAN_recon_(?P<recon>[AB])/(?P<part>part[1-4])|(?:UNIT/)?discriminator_(?P<dis>[AB]))"
    r"/(?P<layer>.+)/(?P<leaf>\w+)"
)
_SLOT = re.compile(r"/Adam(_\d+)?$")


def _unchanged(gamma: Tensor) -> Tensor:
    return gamma


_LAYERS: tuple[tuple[re.Pattern[str], str, Callable[[Tensor], Tensor]], ...] = (
    (re.compile(r"conv_(\d+)/conv2d"), r"conv\1", conv_kernel),
    (re.compile(r"resblock_(\d+)/res([12])/conv2d"), r"res\1.conv\2", conv_kernel),
    (re.compile(r"deconv_(\d+)/conv2d_transpose"), r"up\1", transposed_conv_kernel),
    (re.compile(r"deconv_tanh/conv2d_transpose"), "out", pointwise_transposed_conv_kernel),
    (re.compile(r"conv_(\d+)"), r"conv\1", conv_kernel),
    (re.compile(r"ins_norm_(\d+)"), r"norm\1", _unchanged),
    (re.compile(r"dis_logit"), "logit", conv_kernel),
)


def training_state(state: StateDict) -> dict[str, Tensor]:
    """The autoencoders and discriminators of a checkpoint under our keys and in torch's layout; the rest is left out.

    Raises:
        CheckpointError: a variable of theirs has a name or a shape that these networks do not have.
    """
    variables = {name: match for name in state if (match := _VARIABLE.fullmatch(name)) and not _SLOT.search(name)}
    if not variables:
        return {key: tensor for key, tensor in state.items() if re.match(r"(recon|dis)_[ab]\.", key)}
    return dict(_converted(match, state[name]) for name, match in variables.items())


def _converted(variable: re.Match[str], tensor: Tensor) -> tuple[str, Tensor]:
    for pattern, layer, to_torch in _LAYERS:
        if not (found := pattern.fullmatch(variable["layer"])) or variable["leaf"] not in _LEAVES:
            continue
        leaf = _LEAVES[variable["leaf"]]
        key = f"{_network(variable)}.{found.expand(layer)}.{leaf}"
        return key, tensor if leaf == "bias" else _weight(variable.string, tensor, to_torch)
    raise _not_ours(f"it has a variable {variable.string}, which the published networks have not")


def _network(variable: re.Match[str]) -> str:
    if variable["dis"]:
        return f"dis_{variable['dis'].lower()}"
    return f"recon_{variable['recon'].lower()}.{_PARTS[variable['part']]}"


def _weight(name: str, tensor: Tensor, to_torch: Callable[[Tensor], Tensor]) -> Tensor:
    axes = 1 if to_torch is _unchanged else 4
    pointwise = to_torch is pointwise_transposed_conv_kernel
    if tensor.dim() != axes or (pointwise and tuple(tensor.shape[:2]) != (1, 1)):
        raise _not_ours(f"the variable {name} has the shape {list(tensor.shape)}")
    return to_torch(tensor)


def _not_ours(reason: str) -> CheckpointError:
    return CheckpointError(
        f"These are not EGSC-IT's published training networks: {reason}.",
        remedy="The authors' scripts train with --norm=None and n_gen_decoder equal to n_encoder; others are not read.",
    )
