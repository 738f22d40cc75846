"""EGSC-IT (Ma et al., ICLR 2019, arXiv 1805.11145; official repository charliememory/EGSC-IT, TensorFlow 1.14).

A frame is translated in the look of one exemplar: the shared features of UNIT are multiplied by a soft mask computed
from the frame (what to keep), then given the statistics of the exemplar's features (how it should look). Both come
from feature encoders trained beforehand as halves of autoencoders, one a domain. Tensors are NCHW RGB in [-1, 1].

Three things are not as in the authors' code, all on purpose: the N(0, 1) noise that they add to the shared features,
also at test, is left out (a frame gives one picture, not another one each time); the variance that they divide by is
kept from falling below 1e-6; the last 1x1 transposed convolution is stored as the convolution that it equals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.contract import (
    DType,
    GraphDeclaration,
    GraphKind,
    Role,
    Size,
    SizeRule,
    TensorSpec,
    picture_spec,
)
from edge_i2i.models.checkpoints.tensorflow_layout import SameConvTranspose2d
from edge_i2i.models.egscit.config import TRANSLATOR, companion_files, infer_config, recognise, torch_state
from edge_i2i.models.egscit.config import EgscitConfig as EgscitConfig
from edge_i2i.models.family import Direction, Fidelity, ModelFamily, ModelGraph, TranslationModel
from edge_i2i.models.weights import Initialisation, StateDict

_RANDOM_HEAD = 0.25  # ours, for random weights alone: Kaiming's scale would saturate the tanh
SLOPE = 0.2  # of the leaky ReLU (ops_EGSCIT.lrelu)
SMALLEST_VARIANCE = 1e-6  # ours: the authors divide by whatever variance a channel has


def _convolution(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Reflection-padded, so that a stride of 1 keeps the size and a stride of 2 halves an even one."""
    return nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, padding_mode="reflect")


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), reflection-padded, without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, channels, 3)
        self.conv2 = _convolution(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        refined: Tensor = x + self.conv2(functional.relu(self.conv1(x)))
        return refined


class ResidualBlocks(nn.Module):
    """``res0``, ``res1``, … one after the other."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        for i in range(count):
            self.add_module(f"res{i}", ResidualBlock(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        for block in self.children():
            x = block(x)
        return x


class Encoder(nn.Module):
    """E and F: [N, 3, H, W] in [-1, 1] → [N, ngf x 2^(n_encoder - 1), H / 2^(n_encoder - 1), W / 2^(n_encoder - 1)]."""

    def __init__(self, config: EgscitConfig) -> None:
        super().__init__()
        self.convolutions = [f"conv{i}" for i in range(config.n_encoder)]
        self.blocks = [f"res{i}" for i in range(config.n_enc_resblock)]
        self.conv0 = _convolution(3, config.ngf, 7)
        for i in range(1, config.n_encoder):
            channels = config.ngf * 2 ** (i - 1)
            self.add_module(f"conv{i}", _convolution(channels, channels * 2, 3, stride=2))
        for name in self.blocks:
            self.add_module(name, ResidualBlock(config.channels))

    def forward(self, x: Tensor) -> Tensor:
        """The output of the last residual block."""
        for name in self.convolutions:
            x = functional.leaky_relu(getattr(self, name)(x), SLOPE)
        for name in self.blocks:
            x = getattr(self, name)(x)
        return x


class Generator(nn.Module):
    """G: features [N, C, h, w], already masked and given their style → picture [N, 3, H, W] in [-1, 1]."""

    def __init__(self, config: EgscitConfig) -> None:
        super().__init__()
        self.blocks = [f"res{i}" for i in range(config.n_gen_resblock)]
        self.ups = [f"up{i}" for i in range(config.n_encoder - 1)]
        for name in self.blocks:
            self.add_module(name, ResidualBlock(config.channels))
        for i, name in enumerate(self.ups):
            channels = config.channels // 2**i
            self.add_module(name, SameConvTranspose2d(channels, channels // 2, 3, stride=2))
        self.out = nn.Conv2d(config.ngf, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Residual blocks, transposed convolutions, and a 1x1 convolution to RGB."""
        for name in self.blocks:
            x = getattr(self, name)(x)
        for name in self.ups:
            x = functional.leaky_relu(getattr(self, name)(x), SLOPE)
        picture: Tensor = torch.tanh(self.out(x))
        return picture


class EgscitNetworks(nn.Module):
    """Every network of both directions, under the keys of our weights files."""

    def __init__(self, config: EgscitConfig) -> None:
        super().__init__()
        self.enc_a, self.enc_b = Encoder(config), Encoder(config)
        self.share_enc = ResidualBlocks(config.channels, config.n_enc_share)
        self.share_gen = ResidualBlocks(config.channels, config.n_gen_share)
        self.gen_a, self.gen_b = Generator(config), Generator(config)
        self.feat_a, self.feat_b = Encoder(config), Encoder(config)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over height and width: [N, C, H, W] → twice [N, C, 1, 1]."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    return mean, (x - mean).square().mean(dim=(2, 3), keepdim=True)


def feature_mask(features: Tensor) -> Tensor:
    """How much of every shared feature is kept, 0.5 to 1 (``apply_feaMap_mask``; its resize is to the same size)."""
    return 0.5 * torch.sigmoid(features) + 0.5


def apply_style(x: Tensor, style: Tensor) -> Tensor:
    """x [1, C, h, w], style [1, 2, C] → scale · (x - mean) / **variance** + shift.

    The authors divide by the variance, not by the standard deviation (``apply_ins_norm_2d``); released weights need
    it. The two rows of the style are the mean of the exemplar's features (scale) and their variance (shift).
    """
    mean, variance = moments(x)
    scale, shift = style[:, 0, :, None, None], style[:, 1, :, None, None]
    return scale * ((x - mean) / variance.clamp(min=SMALLEST_VARIANCE)) + shift


class EncodeExemplar(nn.Module):
    """exemplar [1, 3, H, W] → style [1, 2, C]: mean, then variance, of its domain's features."""

    def __init__(self, features: Encoder) -> None:
        super().__init__()
        self.features = features

    def forward(self, exemplar: Tensor) -> Tensor:
        """Read the style off an exemplar; done once for each exemplar."""
        mean, variance = moments(self.features(exemplar))
        return torch.stack((mean.flatten(1), variance.flatten(1)), dim=1)


class TranslateFrame(nn.Module):
    """(frame [1, 3, H, W], style [1, 2, C]) → picture [1, 3, H, W] in [-1, 1]."""

    def __init__(self, networks: EgscitNetworks, direction: Direction) -> None:
        super().__init__()
        forth = direction == Direction.A2B
        self.encoder = networks.enc_a if forth else networks.enc_b
        self.features = networks.feat_a if forth else networks.feat_b
        self.share_enc, self.share_gen = networks.share_enc, networks.share_gen
        self.generator = networks.gen_b if forth else networks.gen_a

    def forward(self, frame: Tensor, style: Tensor) -> Tensor:
        """Translate one frame: its shared features, masked by its own, are given the exemplar's statistics."""
        shared = self.share_gen(self.share_enc(self.encoder(frame)))
        masked = shared * feature_mask(self.features(frame))
        picture: Tensor = self.generator(apply_style(masked, style))
        return picture


class Egscit(TranslationModel[EgscitConfig]):
    """EGSC-IT in one direction; the weights of both are kept."""

    family = "egscit"

    def __init__(self, config: EgscitConfig, networks: EgscitNetworks) -> None:
        self.config = config
        self.networks = networks.eval()

    @property
    def size_rule(self) -> SizeRule:
        """The encoder halves the size; reflection padding needs 4 positions for 7x7 kernels, and 2 at the bottom."""
        halvings = 2 ** (self.config.n_encoder - 1)
        return SizeRule(halvings, minimum=max(4, 2 * halvings))

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """``frame`` (frame, style → image) and ``encode_exemplar`` (exemplar → style)."""
        translate = TranslateFrame(self.networks, self.config.direction).eval()
        target = self.networks.feat_b if self.config.direction == Direction.A2B else self.networks.feat_a
        encode = EncodeExemplar(target).eval()
        return (
            ModelGraph(self._frame_declaration(size), translate),
            ModelGraph(self._exemplar_declaration(size), encode),
        )

    def _frame_declaration(self, size: Size) -> GraphDeclaration:
        inputs = (picture_spec("frame", Role.FRAME, size, "the camera picture"), self._style_spec())
        outputs = (picture_spec("image", Role.IMAGE, size, "the frame in the exemplar's look"),)
        return GraphDeclaration("frame", GraphKind.FRAME, inputs, outputs)

    def _exemplar_declaration(self, size: Size) -> GraphDeclaration:
        exemplar = picture_spec(
            "exemplar", Role.EXEMPLAR, size, "a picture of the target domain whose look is taken over"
        )
        return GraphDeclaration("encode_exemplar", GraphKind.CONDITION, (exemplar,), (self._style_spec(),))

    def _style_spec(self) -> TensorSpec:
        shape, anything = (2, self.config.channels), float("inf")
        meaning = "mean (first row) and variance (second row) of the exemplar's features, by channel"
        return TensorSpec("style", Role.STYLE, shape, DType.FLOAT32, -anything, anything, meaning, mixable=True)


class EgscitFamily(ModelFamily[EgscitConfig, Egscit]):
    """Reads the official TensorFlow checkpoints (MODEL1 and MODEL0) and our own weights files."""

    name = "egscit"
    title = "EGSC-IT"
    network = TRANSLATOR
    source = "Ma et al., ICLR 2019, arXiv 1805.11145; charliememory/EGSC-IT"
    reference_licence = "none stated (charliememory/EGSC-IT carries no licence file)"
    released_weights = "MNIST, MNIST multi, GTA<->BDD, CelebA (TensorFlow; on a university home page, not checked)"
    network_titles: ClassVar[Mapping[str, str]] = {TRANSLATOR: "EGSC-IT's networks"}
    initialisation = Initialisation.KAIMING
    config_type = EgscitConfig
    full_size = demo_size = Size(256, 512)
    tiny_size = Size(32, 48)
    fidelity = Fidelity.AUTHORS_CODE

    def architectures(self) -> Mapping[str, EgscitConfig]:
        """The architecture of the releases for photographs, and the one without downsampling for 28x28 digits."""
        return {"n_encoder 3": EgscitConfig(), "n_encoder 1, MNIST": EgscitConfig(n_encoder=1)}

    def tiny(self, config: EgscitConfig) -> EgscitConfig:
        """Four channels, one residual block a network; the halvings stay."""
        return replace(config, ngf=4, n_enc_resblock=1, n_gen_resblock=1)

    def recognise(self, state: StateDict) -> str | None:
        """What a state dict holds of EGSC-IT, told by TensorFlow variable names or by the keys of our weights files."""
        return recognise(state)

    def companion_files(self, checkpoint: Path) -> dict[str, Path]:
        """``translator`` (MODEL1) and ``features`` (MODEL0): the same file name in the folder beside it."""
        return companion_files(checkpoint)

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> EgscitConfig:
        """Read the architecture off the keys and shapes; raises what ``egscit.config.infer_config`` does."""
        return infer_config(states, overrides)

    def build_networks(self, config: EgscitConfig) -> dict[str, nn.Module]:
        """All networks as one."""
        return {TRANSLATOR: EgscitNetworks(config)}

    def assemble(self, config: EgscitConfig, networks: Mapping[str, Any]) -> Egscit:
        """A model of that network."""
        return Egscit(config, networks[TRANSLATOR])

    def portable(self, states: Mapping[str, StateDict]) -> Mapping[str, StateDict]:
        """All networks as one, under our PyTorch keys and in torch's layout."""
        return {TRANSLATOR: torch_state(states)}

    def initialise(self, networks: Mapping[str, Any], config: EgscitConfig, seed: int) -> None:
        """Kaiming's scale with a smaller last layer, biases 0: frames and exemplars lie between black and white.

        The authors start from N(0, 0.02), cut off at two deviations: without norms, its pictures are one grey until it
        is trained.


        Args:
            networks: by name, as ``build_networks`` made them; changed in place.
            config: their architecture.
            seed: decides every weight.
        """
        super().initialise(networks, config, seed)
        for generator in (networks[TRANSLATOR].gen_a, networks[TRANSLATOR].gen_b):
            generator.out.weight.mul_(_RANDOM_HEAD)


FAMILY = EgscitFamily()
