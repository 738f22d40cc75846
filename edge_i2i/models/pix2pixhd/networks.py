"""The generators and the feature encoder of pix2pixHD (arXiv 1711.11585; official repository NVIDIA/pix2pixHD).

Every network keeps the official module layout, so that state-dict keys are the official ones
(``model.16.conv_block.1.weight``). Tensors inside are NCHW RGB in [-1, 1].
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.models.pix2pixhd.config import Pix2PixHDConfig

INSTANCE_SLOTS = 256  # most instances in one exemplar that the encoder pools over
_SLOTS_AT_ONCE = 32


def _norm_relu(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


def _stem(input_nc: int, channels: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(input_nc, channels, 7), *_norm_relu(channels)]


def _down(channels: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, stride=2, padding=1), *_norm_relu(out)]


def _up(channels: int, out: int) -> list[nn.Module]:
    up = nn.ConvTranspose2d(channels, out, 3, stride=2, padding=1, output_padding=1)
    return [up, *_norm_relu(out)]


def _head(channels: int, output_nc: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(channels, output_nc, 7), nn.Tanh()]


class ResnetBlock(nn.Module):
    """x + conv(relu(norm(conv(x)))), reflection-padded; nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            *_norm_relu(channels),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        refined: Tensor = x + self.conv_block(x)
        return refined


class GlobalGenerator(nn.Module):
    """G1 (paper section 3.1): [N, input_nc, H, W] → [N, output_nc, H, W] in [-1, 1]; H, W multiples of 2^n_down.

    Args:
        input_nc: channels of the input.
        output_nc: channels of the picture.
        ngf: channels at full size; each halving doubles them.
        n_down: how many times the input is halved, and doubled again.
        n_blocks: residual blocks at the smallest size.
    """

    def __init__(self, input_nc: int, output_nc: int = 3, ngf: int = 64, n_down: int = 4, n_blocks: int = 9) -> None:
        super().__init__()
        widths = [ngf * 2**i for i in range(n_down + 1)]
        layers = _stem(input_nc, ngf)
        for channels, out in pairwise(widths):
            layers += _down(channels, out)
        layers += [ResnetBlock(widths[-1]) for _ in range(n_blocks)]
        for channels, out in pairwise(reversed(widths)):
            layers += _up(channels, out)
        self.model = nn.Sequential(*layers, *_head(ngf, output_nc))

    def forward(self, x: Tensor) -> Tensor:
        """Run the generator."""
        picture: Tensor = self.model(x)
        return picture


class LocalEnhancer(nn.Module):
    """G2 (paper section 3.1): a global trunk at reduced size, and levels that refine its features.

    [N, input_nc, H, W] → [N, output_nc, H, W] in [-1, 1]; H, W multiples of 2^(n_down + n_enhancers).

    Args:
        input_nc: channels of the input.
        output_nc: channels of the picture.
        ngf: channels at full size; the trunk has 2^n_enhancers times as many at its own.
        n_down: how many times the trunk halves.
        n_blocks: residual blocks of the trunk.
        n_enhancers: how many levels refine; the trunk sees the input at 1 / 2^n_enhancers of its size.
        n_blocks_local: residual blocks of each level.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int = 3,
        ngf: int = 32,
        n_down: int = 4,
        n_blocks: int = 9,
        n_enhancers: int = 1,
        n_blocks_local: int = 3,
    ) -> None:
        super().__init__()
        self.n_enhancers = n_enhancers
        trunk = GlobalGenerator(input_nc, output_nc, ngf * 2**n_enhancers, n_down, n_blocks).model
        self.model = trunk[:-3]
        for level in range(1, n_enhancers + 1):
            channels = ngf * 2 ** (n_enhancers - level)
            blocks: list[nn.Module] = [ResnetBlock(channels * 2) for _ in range(n_blocks_local)]
            blocks += _up(channels * 2, channels)
            if level == n_enhancers:
                blocks += _head(channels, output_nc)
            self.add_module(
                f"model{level}_1", nn.Sequential(*_stem(input_nc, channels), *_down(channels, channels * 2))
            )
            self.add_module(f"model{level}_2", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Run the coarsest level first, then add each finer one."""
        pyramid = [x]
        for _ in range(self.n_enhancers):
            pyramid.append(halve(pyramid[-1]))
        features: Tensor = self.model(pyramid[-1])
        for level in range(1, self.n_enhancers + 1):
            before, after = getattr(self, f"model{level}_1"), getattr(self, f"model{level}_2")
            features = after(before(pyramid[self.n_enhancers - level]) + features)
        return features


def halve(x: Tensor) -> Tensor:
    """The official pyramid step: average pool 3x3, stride 2, borders not counted."""
    return functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


class FeatureEncoder(nn.Module):
    """E (paper section 3.3) with instance-wise average pooling; H, W multiples of 2^n_down.

    Args:
        input_nc: channels of the picture.
        output_nc: how many features each instance gets.
        nef: channels at full size; each halving doubles them.
        n_down: how many times the picture is halved, and doubled again.
    """

    def __init__(self, input_nc: int = 3, output_nc: int = 3, nef: int = 16, n_down: int = 4) -> None:
        super().__init__()
        widths = [nef * 2**i for i in range(n_down + 1)]
        layers = _stem(input_nc, nef)
        for channels, out in pairwise(widths):
            layers += _down(channels, out)
        for channels, out in pairwise(reversed(widths)):
            layers += _up(channels, out)
        self.model = nn.Sequential(*layers, *_head(nef, output_nc))

    def forward(self, picture: Tensor, slots: Tensor) -> Tensor:
        """picture [1, 3, H, W] in [-1, 1], slots integer [1, 1, H, W] in 0..255 → features [1, C, H, W]."""
        return pool_instances(self.model(picture), slots, INSTANCE_SLOTS)


def pool_instances(features: Tensor, slots: Tensor, n_slots: int) -> Tensor:
    """Replace every value by the mean over its instance, per channel.

    The same means as the official loop over ``np.unique``, as products with one-hot maps: those export, and TensorRT
    takes them (it refuses a scatter-add). A few slots at a time, because a one-hot map is as large as the picture.

    Args:
        features: float [1, C, H, W].
        slots: integer [1, 1, H, W]: which instance each pixel belongs to, 0..n_slots-1.
        n_slots: how many instances there may be; pixels of others become 0.
    """
    channels = features.shape[1]
    values = features.reshape(channels, -1)
    counted = torch.cat([values, torch.ones_like(values[:1])])  # the last row counts the pixels of each slot
    pooled = torch.zeros_like(values)
    for first in range(0, n_slots, _SLOTS_AT_ONCE):
        members = one_hot(slots - first, _SLOTS_AT_ONCE).reshape(_SLOTS_AT_ONCE, -1)
        totals = counted @ members.T
        pooled = pooled + (totals[:-1] / totals[-1:].clamp(min=1.0)) @ members
    return pooled.reshape(features.shape)


def one_hot(label: Tensor, label_nc: int) -> Tensor:
    """Integer [N, 1, H, W] → float [N, label_nc, H, W]; Equal rather than the official scatter, which exports badly."""
    classes = torch.arange(label_nc, dtype=torch.int32, device=label.device).view(1, label_nc, 1, 1)
    return (label.to(torch.int32) == classes).to(torch.float32)


def instance_edges(instance: Tensor) -> Tensor:
    """Integer [N, 1, H, W] → float [N, 1, H, W]: 1 where the id differs from any of the four neighbours."""
    across = (instance[..., :, 1:] != instance[..., :, :-1]).to(torch.float32)
    down = (instance[..., 1:, :] != instance[..., :-1, :]).to(torch.float32)
    total = (
        functional.pad(across, (1, 0, 0, 0))
        + functional.pad(across, (0, 1, 0, 0))
        + functional.pad(down, (0, 0, 1, 0))
        + functional.pad(down, (0, 0, 0, 1))
    )
    return total.clamp(max=1.0)


class LabelFrame(nn.Module):
    """The label-mode frame graph: label map [, instance map] [, features] → picture."""

    def __init__(self, generator: nn.Module, config: Pix2PixHDConfig) -> None:
        super().__init__()
        self.generator, self.config = generator, config

    def forward(self, source: Tensor, *conditions: Tensor) -> Tensor:
        """source: label integer [1,1,H,W], or RGB [1,3,H,W]; then instance [1,1,H,W]; then features [1,C,H,W]."""
        rest = list(conditions)
        parts = [source if self.config.rgb else one_hot(source, self.config.label_nc)]
        if self.config.instance_edges:
            parts.append(instance_edges(rest.pop(0)))
        if self.config.feat_num:
            parts.append(rest.pop(0))
        picture: Tensor = self.generator(torch.cat(parts, dim=1))
        return picture


def build_generator(config: Pix2PixHDConfig) -> GlobalGenerator | LocalEnhancer:
    """The generator of that architecture, with torch's default initialisation."""
    common = (config.input_nc, config.output_nc, config.ngf, config.n_downsample_global, config.n_blocks_global)
    if config.n_local_enhancers == 0:
        return GlobalGenerator(*common)
    return LocalEnhancer(*common, config.n_local_enhancers, config.n_blocks_local)
