"""BicycleGAN's networks under their official state-dict keys. Tensors are NCHW in [-1, 1], z is [N, nz]."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.models.bicyclegan.config import BicycleGANConfig, EncoderKind, NonLinearity, Upsampling, WhereAdd
from edge_i2i.models.family import NormMode

_FIRST_DROPOUT_LEVEL = 4  # the first level that no longer widens; the innermost one has none


class FrameNorm2d(nn.BatchNorm2d):
    """Batch norm that can take the statistics of the frame itself at test time: then it is an instance norm."""

    def __init__(self, channels: int, norm_mode: NormMode) -> None:
        super().__init__(channels)
        self.norm_mode = norm_mode

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape; while training, what batch norm does."""
        if self.training or self.norm_mode is NormMode.EVAL:
            return super().forward(x)
        return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


def _norm(channels: int, norm_mode: NormMode) -> nn.Module:
    return nn.InstanceNorm2d(channels) if norm_mode is NormMode.NONE else FrameNorm2d(channels, norm_mode)


def _non_linearity(kind: NonLinearity) -> nn.Module:
    return {NonLinearity.RELU: nn.ReLU(), NonLinearity.LRELU: nn.LeakyReLU(0.2), NonLinearity.ELU: nn.ELU()}[kind]


def _enlarge(channels: int, out: int, kind: Upsampling) -> list[nn.Module]:
    if kind is Upsampling.BASIC:
        return [nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)]
    return [nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReflectionPad2d(1), nn.Conv2d(channels, out, 3)]


def _down_layers(config: BicycleGANConfig, level: int) -> list[nn.Module]:
    source = config.width(level - 1) if level else config.input_nc
    z = config.nz if config.takes_z(level) else 0
    layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if level else []
    layers.append(nn.Conv2d(source + z, config.width(level), 4, stride=2, padding=1))
    if 0 < level < config.num_downs - 1:
        layers.append(_norm(config.width(level), config.norm_mode))
    return layers


def _up_layers(config: BicycleGANConfig, level: int, use_dropout: bool) -> list[nn.Module]:
    innermost = level == config.num_downs - 1
    source = config.width(level) * (1 if innermost else 2)
    out = config.width(level - 1) if level else config.output_nc
    layers = [_non_linearity(config.nl), *_enlarge(source, out, config.upsample)]
    layers.append(_norm(out, config.norm_mode) if level else nn.Tanh())
    if use_dropout and level >= _FIRST_DROPOUT_LEVEL and not innermost:
        layers.append(nn.Dropout(0.5))
    return layers


class Level(NamedTuple):
    """One level of the U-Net, outside in: the skip branches off between ``before`` and ``down``; z joins there too."""

    before: Sequence[nn.Module]
    down: Sequence[nn.Module]
    up: Sequence[nn.Module]
    takes_z: bool


class UnetBlock(nn.Module):
    """The layers of one level, and the level inside it, under the keys of one of the official classes."""

    @abstractmethod
    def level(self, takes_z: bool) -> Level:
        """The layers in the order in which they run."""

    @property
    @abstractmethod
    def inner(self) -> UnetBlock | None:
        """The block of the next level, None in the innermost."""


class AllBlock(UnetBlock):
    """Keys of ``UnetBlock_with_z``: ``down.N``, ``submodule.``, ``up.N``. The skip is not activated.

    Args:
        down: layers of the way down, in the order in which they run.
        submodule: the next level inwards; None in the innermost.
        up: layers of the way up, in the order in which they run; what they give is put in front of the skip.
    """

    def __init__(self, down: list[nn.Module], submodule: UnetBlock | None, up: list[nn.Module]) -> None:
        super().__init__()
        self.down = nn.Sequential(*down)
        self.submodule = submodule
        self.up = nn.Sequential(*up)

    def level(self, takes_z: bool) -> Level:
        """The layers of the level; z joins in front of the LeakyReLU, which applies to it too."""
        return Level((), tuple(self.down), tuple(self.up), takes_z)

    @property
    def inner(self) -> UnetBlock | None:
        """The block of the next level."""
        return self.submodule


class InputBlock(UnetBlock):
    """Keys of ``UnetBlock``: one sequence ``model.N`` of the way down, the next block, the way up.

    The official LeakyReLU works in place on what the skip carries, so the skip is activated. The ReLU that follows
    hides it; other activations do not.

    Args:
        down: layers of the way down, in the order in which they run.
        submodule: the next level inwards; None in the innermost.
        up: layers of the way up, in the order in which they run; what they give is put in front of the skip.
    """

    def __init__(self, down: list[nn.Module], submodule: UnetBlock | None, up: list[nn.Module]) -> None:
        super().__init__()
        self._n_down = len(down)
        self._innermost = submodule is None
        self.model = nn.Sequential(*down, *([] if submodule is None else [submodule]), *up)

    def level(self, takes_z: bool) -> Level:
        """The layers of the level; the outermost, the only one that takes z, has no LeakyReLU."""
        layers = tuple(self.model)
        before = sum(isinstance(layer, nn.LeakyReLU) for layer in layers[: self._n_down])
        up = layers[self._n_down + (not self._innermost) :]
        return Level(layers[:before], layers[before : self._n_down], up, takes_z)

    @property
    def inner(self) -> UnetBlock | None:
        """The block of the next level."""
        block = self.model[self._n_down]
        return block if isinstance(block, UnetBlock) else None


EncodeLevel = Callable[[int, Level, Tensor], Tensor]
"""Runs the way down of one level: (its number, its layers, what comes in) → what the next level gets."""


class UnetGenerator(nn.Module):
    """G: [N, input_nc, H, W] and z [N, nz] → [N, output_nc, H, W] in [-1, 1]; H, W multiples of 2^num_downs.

    G_Unet_add_all or G_Unet_add_input of the official ``models/networks.py``. ``use_dropout`` is what the official
    training scripts ask for; it changes no key and nothing in eval mode.
    """

    def __init__(self, config: BicycleGANConfig, use_dropout: bool = False) -> None:
        super().__init__()
        self.config = config
        block: UnetBlock | None = None
        make = AllBlock if config.where_add is WhereAdd.ALL else InputBlock
        for level in reversed(range(config.num_downs)):
            block = make(_down_layers(config, level), block, _up_layers(config, level, use_dropout))
        self.model = block

    @property
    def levels(self) -> list[Level]:
        """Every level, from the outermost to the innermost."""
        levels: list[Level] = []
        block = self.model
        while block is not None:
            levels.append(block.level(self.config.takes_z(len(levels))))
            block = block.inner
        return levels

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Run the generator as it was published: z concatenated to the channels."""
        return self.run(
            x, lambda _, level, entering: _run(level.down, with_z(entering, z) if level.takes_z else entering)
        )

    def run(self, x: Tensor, encode: EncodeLevel) -> Tensor:
        """Run the generator with another way down; what comes up is concatenated in front of the skip."""
        levels, skips = self.levels, []
        for number, level in enumerate(levels):
            x = _run(level.before, x)
            skips.append(x)
            x = encode(number, level, x)
        for level, skip in zip(reversed(levels[1:]), reversed(skips), strict=False):
            x = torch.cat((_run(level.up, x), skip), dim=1)
        return _run(levels[0].up, x)


def _run(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def spread(z: Tensor, height: int, width: int) -> Tensor:
    """The style ``z`` [N, nz] → [N, nz, ``height``, ``width``]: the same vector at every position."""
    return z[:, :, None, None].expand(-1, -1, height, width)


def with_z(x: Tensor, z: Tensor) -> Tensor:
    """[N, C, H, W] and [N, nz] → [N, C + nz, H, W]."""
    return torch.cat((x, spread(z, x.shape[2], x.shape[3])), dim=1)


class ResidualDownBlock(nn.Module):
    """Norm, LeakyReLU, 3x3, norm, LeakyReLU, 3x3, halved by averaging; plus halved and 1x1 (``BasicBlock``).

    Args:
        channels: channels of the input, which the first convolution keeps.
        out: channels of the output.
        norm_mode: the kind of both norms, and their statistics at test time.
    """

    def __init__(self, channels: int, out: int, norm_mode: NormMode) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _norm(channels, norm_mode),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1),
            _norm(channels, norm_mode),
            nn.LeakyReLU(0.2),
            nn.Sequential(nn.Conv2d(channels, out, 3, padding=1), nn.AvgPool2d(2)),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, out, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] → [N, out, H/2, W/2]."""
        refined: Tensor = self.conv(x) + self.shortcut(x)
        return refined


class StyleEncoder(nn.Module):
    """E: a picture of the target domain → the mean and the log variance of its z ([N, nz] each).

    E_ResNet or E_NLayers of the official code, both with ``vaeLike`` as the training builds them. The picture is
    [N, output_nc, S, S] with S = 8 · 2^n_blocks_E, and no other size: the last layers see exactly one position.
    """

    def __init__(self, config: BicycleGANConfig) -> None:
        super().__init__()
        make = _resnet_layers if config.netE is EncoderKind.RESNET else _conv_layers
        widths = [config.nef * min(4, n + 1) for n in range(config.n_blocks_E)]
        if config.netE is EncoderKind.CONV:
            widths = [config.nef * min(4, 2**n) for n in range(config.n_blocks_E)]
        first = nn.Conv2d(config.output_nc, config.nef, 4, stride=2, padding=1)
        self.fc = nn.Sequential(nn.Linear(widths[-1], config.nz))
        self.fcVar = nn.Sequential(nn.Linear(widths[-1], config.nz))
        self.conv = nn.Sequential(first, *make(widths, config.norm_mode), nn.AvgPool2d(8))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """A picture [N, output_nc, S, S] → the mean and the log variance of its style, [N, nz] each."""
        features = self.conv(picture).flatten(1)
        return self.fc(features), self.fcVar(features)


def _resnet_layers(widths: list[int], norm_mode: NormMode) -> list[nn.Module]:
    blocks = [ResidualDownBlock(*pair, norm_mode) for pair in pairwise(widths)]
    return [*blocks, nn.LeakyReLU(0.2)]


def _conv_layers(widths: list[int], norm_mode: NormMode) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.LeakyReLU(0.2)]
    for channels, out in pairwise(widths):
        layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1), _norm(out, norm_mode), nn.LeakyReLU(0.2)]
    return layers


def _patch_layers(input_nc: int, ndf: int, n_layers: int, norm_mode: NormMode) -> list[nn.Module]:
    widths = [ndf * min(8, 2**n) for n in range(n_layers + 1)]
    layers: list[nn.Module] = [nn.Conv2d(input_nc, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for n, out in enumerate(widths[1:], start=1):
        stride = 1 if n == n_layers else 2
        layers += [nn.Conv2d(widths[n - 1], out, 4, stride, padding=1), _norm(out, norm_mode), nn.LeakyReLU(0.2)]
    return [*layers, nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1)]


class MultiscaleDiscriminator(nn.Module):
    """D and D2, which have the same architecture (``basic_256_multi``: 3 layers at 2 scales).

    D judges pictures made with an encoded z, D2 those made with a drawn one; both see the picture alone unless
    ``--conditional_D``. The scale i has ndf / 2^i channels. Keys: ``model_I.N``, or ``model.N`` with one scale.

    Args:
        input_nc: channels of what is judged: a picture, or with ``--conditional_D`` the frame and the picture.
        ndf: channels of the first layer at the finest scale; they double from layer to layer, up to 8 · ndf.
        n_layers: how many convolutions halve; one more and the score keep the size (but for a pixel each).
        num_D: how many scales; each sees the picture at half the size of the one before.
        norm_mode: the kind of the norms; ``none`` is instance norm without weights.
    """

    def __init__(
        self,
        input_nc: int = 3,
        ndf: int = 64,
        n_layers: int = 3,
        num_D: int = 2,
        norm_mode: NormMode = NormMode.NONE,
    ) -> None:
        super().__init__()
        self._names = [f"model_{scale}" for scale in range(num_D)] if num_D > 1 else ["model"]
        for scale, name in enumerate(self._names):
            layers = _patch_layers(input_nc, round(ndf / 2**scale), n_layers, norm_mode)
            self.add_module(name, nn.Sequential(*layers))

    def forward(self, x: Tensor) -> list[Tensor]:
        """[N, C, H, W] → the patch scores at every scale, finest first."""
        scores = []
        for name in self._names:
            scores.append(getattr(self, name)(x))
            x = functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return scores
