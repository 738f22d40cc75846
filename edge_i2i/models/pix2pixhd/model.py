"""pix2pixHD (Wang et al. 2018, arXiv 1711.11585; official repository NVIDIA/pix2pixHD).

Every network keeps the official module layout, so that state-dict keys are the official ones
(``model.16.conv_block.1.weight``). Tensors inside are NCHW RGB in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

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
from edge_i2i.errors import CheckpointError
from edge_i2i.models.family import (
    Fidelity,
    ModelFamily,
    ModelGraph,
    StateDict,
    TranslationModel,
    load_state,
    materialise,
)
from edge_i2i.models.pix2pixhd.config import Pix2PixHDConfig as Pix2PixHDConfig
from edge_i2i.models.pix2pixhd.config import assumed, infer_config, near_miss_is_ours, recognise

INSTANCE_SLOTS = 256  # most instances in one exemplar that the encoder pools over
_SLOTS_AT_ONCE = 32
LARGEST_INSTANCE_ID = 2**31 - 1


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


class NLayerDiscriminator(nn.Module):
    """One 70x70 patch discriminator that keeps every layer's output, for the feature-matching loss.

    Args:
        input_nc: channels of what is judged: the generator's input and the picture.
        ndf: channels of the first layer; they double from layer to layer, up to 512.
        n_layers: how many convolutions halve; one more and the score keep the size (but for a pixel each).
    """

    def __init__(self, input_nc: int, ndf: int = 64, n_layers: int = 3) -> None:
        super().__init__()
        widths = [ndf] + [min(512, ndf * 2**i) for i in range(1, n_layers + 1)]
        layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(input_nc, ndf, 4, 2, 2), nn.LeakyReLU(0.2, True))]
        for i, (channels, out) in enumerate(pairwise(widths), start=1):
            stride = 1 if i == n_layers else 2
            conv = nn.Conv2d(channels, out, 4, stride, 2)
            layers.append(nn.Sequential(conv, nn.InstanceNorm2d(out), nn.LeakyReLU(0.2, True)))
        layers.append(nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 2)))
        self.layers = layers

    def forward(self, x: Tensor) -> list[Tensor]:
        """[N, C, H, W] → the output of every layer; the last is the patch score."""
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs


class MultiscaleDiscriminator(nn.Module):
    """D (paper section 3.2): patch discriminators over an image pyramid.

    Official keys with feature matching on: ``scale{i}_layer{j}.0.{weight,bias}``; ``scale{num_D-1}`` sees full size.

    Args:
        input_nc: channels of what is judged: the generator's input and the picture.
        ndf: channels of the first layer, at every scale alike; they double from layer to layer, up to 512.
        n_layers: how many convolutions of each discriminator halve.
        num_D: how many discriminators; each sees half the size of the one before.
    """

    def __init__(self, input_nc: int, ndf: int = 64, n_layers: int = 3, num_D: int = 2) -> None:
        super().__init__()
        self.num_D, self.n_layers = num_D, n_layers
        for scale in range(num_D):
            for j, layer in enumerate(NLayerDiscriminator(input_nc, ndf, n_layers).layers):
                self.add_module(f"scale{scale}_layer{j}", layer)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """[N, C, H, W] → per scale, finest first, the output of every layer (the last one is the score)."""
        results = []
        for scale in reversed(range(self.num_D)):
            features, outputs = x, []
            for j in range(self.n_layers + 2):
                features = getattr(self, f"scale{scale}_layer{j}")(features)
                outputs.append(features)
            results.append(outputs)
            x = halve(x)
        return results


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


class Pix2PixHD(TranslationModel[Pix2PixHDConfig]):
    """A pix2pixHD generator, and its feature encoder where the architecture has one.

    Args:
        config: the architecture of both networks.
        generator: with its weights; it is put into eval mode.
        encoder: with its weights; it is put into eval mode. None: the features come from elsewhere, or there are none.
    """

    family = "pix2pixhd"

    def __init__(
        self, config: Pix2PixHDConfig, generator: GlobalGenerator | LocalEnhancer, encoder: FeatureEncoder | None
    ) -> None:
        self.config = config
        self.generator = generator.eval()
        self.encoder = encoder.eval() if encoder is not None else None

    @property
    def size_rule(self) -> SizeRule:
        """Reflection padding needs two positions at the coarsest level and four where a 7x7 kernel starts."""
        levels = self.config.n_downsample_global + self.config.n_local_enhancers
        if self.encoder is not None:
            levels = max(levels, self.config.n_downsample_E)
        return SizeRule(2**levels, minimum=max(2 * 2**levels, 4 * 2**self.config.n_local_enhancers, 8))

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph, and the ``encode`` condition graph where there is an encoder."""
        frame = ModelGraph(self._frame_declaration(size), self._frame_module())
        if self.encoder is None:
            return (frame,)
        return frame, ModelGraph(self._encode_declaration(size), self.encoder)

    def _frame_module(self) -> nn.Module:
        plain = self.config.rgb and not self.config.instance_edges and not self.config.feat_num
        return self.generator if plain else LabelFrame(self.generator, self.config)

    def _frame_declaration(self, size: Size) -> GraphDeclaration:
        inputs = [_source_spec(self.config, size)]
        if self.config.instance_edges:
            inputs.append(_instance_spec(size))
        if self.config.feat_num:
            inputs.append(_features_spec(self.config, size))
        outputs = (picture_spec("image", Role.IMAGE, size, "the translated picture"),)
        return GraphDeclaration("frame", GraphKind.FRAME, tuple(inputs), outputs)

    def _encode_declaration(self, size: Size) -> GraphDeclaration:
        exemplar = picture_spec("exemplar", Role.EXEMPLAR, size, "a photograph whose appearance is taken over")
        inputs = (exemplar, _exemplar_instance_spec(size))
        return GraphDeclaration("encode", GraphKind.CONDITION, inputs, (_features_spec(self.config, size),))


def _source_spec(config: Pix2PixHDConfig, size: Size) -> TensorSpec:
    if config.rgb:
        return picture_spec("frame", Role.FRAME, size, "the camera picture")
    shape = (size.height, size.width)
    return TensorSpec("label_map", Role.LABEL_MAP, shape, DType.UINT8, 0, config.label_nc - 1, "class of every pixel")


def _instance_spec(size: Size) -> TensorSpec:
    shape = (size.height, size.width)
    meaning = "instance id of every pixel (things: label*1000+k, stuff: label)"
    return TensorSpec("instance_map", Role.INSTANCE_MAP, shape, DType.INT32, 0, LARGEST_INSTANCE_ID, meaning)


def _exemplar_instance_spec(size: Size) -> TensorSpec:
    shape, high = (size.height, size.width), INSTANCE_SLOTS - 1
    meaning = "instance id of every pixel of the exemplar"
    return TensorSpec("exemplar_instance_map", Role.INSTANCE_MAP, shape, DType.INT32, 0, high, meaning, INSTANCE_SLOTS)


def _features_spec(config: Pix2PixHDConfig, size: Size) -> TensorSpec:
    shape = (config.feat_num, size.height, size.width)
    meaning = "encoder features, constant inside each instance"
    return TensorSpec("features", Role.STYLE, shape, DType.FLOAT32, -1, 1, meaning)


class Pix2PixHDFamily(ModelFamily[Pix2PixHDConfig]):
    """Reads official ``*_net_G.pth`` (and ``*_net_E.pth``) files and builds random or demo networks."""

    name = "pix2pixhd"
    title = "pix2pixHD"
    source = "Wang et al., CVPR 2018, arXiv 1711.11585; NVIDIA/pix2pixHD"
    reference_licence = "BSD (NVIDIA/pix2pixHD)"
    config_type = Pix2PixHDConfig
    demo_weights = "pix2pixhd-demo.safetensors"
    demo_size = Size(480, 640)
    full_size = Size(512, 1024)
    tiny_size = Size(64, 64)
    released_weights = "label2city_1024p (Cityscapes, G2)"
    fidelity = Fidelity.AUTHORS_CODE

    def architectures(self) -> Mapping[str, Pix2PixHDConfig]:
        """First full-size G1 in RGB mode: it runs on camera frames without a segmentation network in front."""
        return {
            "G1, RGB": Pix2PixHDConfig(label_nc=0, instance_edges=False),
            "G1, labels": Pix2PixHDConfig(),
            "G2, RGB": Pix2PixHDConfig(label_nc=0, instance_edges=False, ngf=32, n_local_enhancers=1),
            "G2, labels": Pix2PixHDConfig(ngf=32, n_local_enhancers=1),
            "G2, labels, encoder": Pix2PixHDConfig(ngf=32, n_local_enhancers=1, feat_num=3),
        }

    def tiny(self, config: Pix2PixHDConfig) -> Pix2PixHDConfig:
        """Two downsamplings, one block, eight channels, five classes."""
        classes = min(config.label_nc, 5)
        small = replace(config, label_nc=classes, ngf=8, n_downsample_global=2, n_blocks_global=1, n_blocks_local=1)
        return replace(small, nef=4, n_downsample_E=2)

    def recognise(self, state: StateDict) -> str | None:
        """A generator with enhancers, or with other than two downsamplings (a plain one with two is CycleGAN's)."""
        return recognise(state)

    def near_miss(self, state: StateDict) -> CheckpointError | None:
        """Why a generator that resembles these is not read; None for those that would be CycleGAN's, and for others."""
        return super().near_miss(state) if near_miss_is_ours(state) else None

    def assumed(self, config: Pix2PixHDConfig, told: Collection[str]) -> tuple[str, ...]:
        """What the input channels were taken for."""
        return assumed(config, told)

    def companion_files(self, checkpoint: Path) -> dict[str, Path]:
        """The feature encoder's file lies beside the generator's, with ``_net_E`` for ``_net_G``."""
        encoder = checkpoint.with_name(checkpoint.name.replace("_net_G", "_net_E"))
        found = {"generator": checkpoint}
        if encoder != checkpoint and encoder.is_file():
            found["encoder"] = encoder
        return found

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> Pix2PixHDConfig:
        """Read the architecture off the keys and shapes; raises what ``pix2pixhd_config.infer_config`` does."""
        return infer_config(states, overrides)

    def load(self, states: Mapping[str, StateDict], config: Pix2PixHDConfig) -> Pix2PixHD:
        """Put official state dicts into the networks of ``config``."""
        generator, encoder = self._networks(config, with_encoder="encoder" in states)
        load_state(generator, states["generator"], "the pix2pixHD generator")
        if encoder is not None:
            load_state(encoder, states["encoder"], "the pix2pixHD feature encoder")
        return Pix2PixHD(config, generator, encoder)

    def random(self, config: Pix2PixHDConfig, seed: int) -> Pix2PixHD:
        """Networks with random weights: N(0, 0.02) as the official code draws them, biases 0."""
        generator, encoder = self._networks(config, with_encoder=config.feat_num > 0)
        materialise(generator, seed)
        if encoder is not None:
            materialise(encoder, seed + 1)
        return Pix2PixHD(config, generator, encoder)

    @staticmethod
    def _networks(
        config: Pix2PixHDConfig, with_encoder: bool
    ) -> tuple[GlobalGenerator | LocalEnhancer, FeatureEncoder | None]:
        with torch.device("meta"):
            generator = build_generator(config)
            encoder = FeatureEncoder(3, config.feat_num, config.nef, config.n_downsample_E) if with_encoder else None
        return generator, encoder


FAMILY = Pix2PixHDFamily()
