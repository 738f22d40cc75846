"""CycleGAN's and pix2pix's architectures: their options, and how they are read off official generator files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config import NearMissError, check_ranges, overridden
from edge_i2i.models.family import NormMode
from edge_i2i.models.weights import StateDict


class Generator(StrEnum):
    """Which of the repository's two generators (``--netG resnet_*blocks`` or ``--netG unet_*``)."""

    RESNET = "resnet"
    UNET = "unet"


class Padding(StrEnum):
    """How residual blocks pad. Every release reflects; the authors' class offers the other two."""

    REFLECT = "reflect"
    REPLICATE = "replicate"
    ZERO = "zero"


# Both ends included. A U-Net has five levels at least by construction; 2^14 pixels is the largest side of a picture.
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType({"ngf": (1, 4096), "n_blocks": (0, 100), "num_downs": (5, 14)})
_PICTURE_CHANNELS = (1, 3)


@dataclass(frozen=True)
class CycleGANConfig:
    """Architecture, in the official option names; defaults are CycleGAN's release (``--netG resnet_9blocks``).

    ``n_blocks`` and ``padding_type`` are the ResNet's, ``num_downs`` is the U-Net's (7: unet_128, 8: unet_256).
    ``input_nc`` and ``output_nc`` are 3 (RGB) or 1 (grey). ``dropout`` is the inverse of ``--no_dropout``: it moves
    the ResNet's keys and makes noise while training; a translation runs without it. ``norm_mode`` none is instance
    norm; batch and eval are batch norm with the frame's own statistics or with those of the checkpoint.
    """

    generator: Generator = Generator.RESNET
    input_nc: int = 3
    output_nc: int = 3
    ngf: int = 64
    n_blocks: int = 9
    num_downs: int = 8
    padding_type: Padding = Padding.REFLECT
    dropout: bool = False
    norm_mode: NormMode = NormMode.NONE

    def __post_init__(self) -> None:
        """Refuse what no network for pictures can be built from.

        Raises:
            UsageError: a value is out of its legal range.
        """
        check_ranges(self, _LEGAL)
        for name in ("input_nc", "output_nc"):
            if getattr(self, name) not in _PICTURE_CHANNELS:
                raise UsageError(
                    f"{name}={getattr(self, name)}: a picture has 3 channels (RGB) or 1 (grey). Other numbers mean "
                    "something else than a picture (2: the colours a and b of Lab, of the colorization model).",
                    remedy="Use a generator that was trained with --input_nc and --output_nc 3 or 1.",
                )

    @property
    def batch_norm(self) -> bool:
        """Whether the network was trained with batch norm rather than instance norm."""
        return self.norm_mode != NormMode.NONE

    @property
    def size_multiple(self) -> int:
        """Both sides of a picture are multiples of it: what the network halves, it must double again."""
        return 2**self.num_downs if self.generator == Generator.UNET else 4


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> CycleGANConfig:
    """Read the architecture off the keys and shapes of ``generator``; ``overrides`` win.

    Raises:
        CheckpointError: the state dict is no generator of this repository, or is not one for pictures.
        UsageError: the network has batch norm and no ``norm_mode`` is chosen, or the one chosen is not its own.
    """
    seen = infer_generator(states["generator"])
    if seen.batch_norm and "norm_mode" not in overrides:
        raise UsageError(
            "This network has batch norm, and the official test script makes two different pictures with it: by "
            "default it normalises by the statistics of the frame itself (it stays in train mode; the dropout noise "
            "of that mode is left out here), with --eval by the statistics stored while training.",
            remedy="Choose --norm-mode batch (the official default) or --norm-mode eval.",
        )
    config = overridden(seen, overrides)
    if config.batch_norm != seen.batch_norm:
        has, legal = ("batch", "batch or eval") if seen.batch_norm else ("instance", "none")
        raise UsageError(
            f"norm_mode={config.norm_mode} does not fit: the checkpoint's network has {has} norm.",
            remedy=f"Use norm_mode={legal}.",
        )
    return config


def infer_generator(state: StateDict) -> CycleGANConfig:
    """The architecture of a generator's state dict; ``norm_mode`` is batch wherever there is batch norm.

    Raises:
        CheckpointError: the state dict is no generator of this repository.
        NearMissError: it is one, but not one for pictures, or of other layers than the release's.
    """
    try:
        if _is_convolution(state, "model.model.0"):
            return _infer_unet(state)
        return _infer_resnet(state)
    except UsageError as error:
        raise NearMissError(
            f"The checkpoint holds a network that does not translate pictures: {error.what}", remedy=error.remedy
        ) from error


def resembles_resnet(state: StateDict) -> bool:
    """Whether it has the keys of a ResNet generator with two downsamplings, or with layers that no release has.

    One with another number of downsamplings is pix2pixHD's.
    """
    blocks = _blocks(state)
    plain = bool(blocks) and (min(blocks) - _STEM) % _STEP == 0
    return _is_convolution(state, "model.1") and bool(blocks) and (not plain or min(blocks) == _FIRST_BLOCK)


_STEM, _STEP = 4, 3  # layers before the first downsampling, and of each
# The first residual block follows the stem and two downsamplings.
_FIRST_BLOCK = _STEM + 2 * _STEP
# Layers from a block's first convolution to its second: norm, ReLU[, dropout][, pad].
_PADDED_DROPOUT_STEP, _ZERO_DROPOUT_STEP = 5, 4
_ONLY_THE_RELEASES_LAYERS = "Only the layers of the official repository are read: give a generator that has them."


def _infer_resnet(state: StateDict) -> CycleGANConfig:
    blocks = _blocks(state)
    if not resembles_resnet(state):
        raise _not_a_generator(state)
    if any(re.fullmatch(r"model\.\d+\.filt", key) for key in state):
        raise NearMissError(
            "The checkpoint's ResNet generator scales down and up with blurring filters (anti-aliased, as CUT's code "
            "does by default), which is not supported.",
            remedy="Use a generator that was trained with --no_antialias and --no_antialias_up.",
        )
    if min(blocks) != _FIRST_BLOCK:
        raise NearMissError(
            f"The checkpoint's ResNet generator has its first residual block at layer {min(blocks)}, and the official "
            f"one at layer {_FIRST_BLOCK}: its layers before are others, or keys are missing.",
            remedy=_ONLY_THE_RELEASES_LAYERS,
        )
    head = f"model.{_FIRST_BLOCK + len(blocks) + 2 * _STEP + 1}"  # two upsamplings and a pad come before it
    check_way_up(state, _FIRST_BLOCK + len(blocks), 2)
    inner = re.compile(rf"model\.{_FIRST_BLOCK}\.conv_block\.(\d+)\.weight")
    layers = [int(m[1]) for key in state if (m := inner.fullmatch(key)) and state[key].dim() == 4]
    step = max(layers, default=0) - min(layers, default=0)
    zero = 0 in layers
    return CycleGANConfig(
        generator=Generator.RESNET,
        input_nc=int(state["model.1.weight"].shape[1]),
        output_nc=int(state[f"{head}.weight"].shape[0]),
        ngf=int(state["model.1.weight"].shape[0]),
        n_blocks=len(blocks),
        padding_type=Padding.ZERO if zero else Padding.REFLECT,
        dropout=step == (_ZERO_DROPOUT_STEP if zero else _PADDED_DROPOUT_STEP),
        norm_mode=_infer_norm(state, convolution="model.1", norm="model.2"),
    )


def _blocks(state: StateDict) -> set[int]:
    return {int(m[1]) for key in state if (m := re.match(r"model\.(\d+)\.conv_block\.", key))}


def check_way_up(state: StateDict, first: int, count: int) -> None:
    """Accept a way up of ``count`` transposed convolutions from layer ``first`` on, each three layers, and a 7x7 head.

    ``state`` is a ResNet generator's state dict with the official keys (``model.N.weight``).

    Raises:
        NearMissError: it has other layers, as a resized picture with a convolution; or some are missing.
    """
    wanted = {first + _STEP * index: (3, 3) for index in range(count)} | {first + _STEP * count + 1: (7, 7)}
    plain = re.compile(r"model\.(\d+)\.weight")
    found = {
        int(m[1]): tuple(tensor.shape[2:])
        for key, tensor in state.items()
        if (m := plain.fullmatch(key)) and tensor.dim() == 4 and int(m[1]) >= first
    }
    if found == wanted:
        return
    listed = ", ".join(f"layer {index} ({'x'.join(map(str, kernel))})" for index, kernel in sorted(found.items())[:8])
    raise NearMissError(
        f"The checkpoint's generator goes up from its residual blocks by other layers than the official one, which has "
        f"transposed convolutions at {', '.join(f'layer {index}' for index in wanted)}, the last of them plain (7x7). "
        f"Its own: {listed or 'none'}. (An upsampling layer with a convolution, or a pixel shuffle, draws another "
        "picture; or keys are missing.)",
        remedy=_ONLY_THE_RELEASES_LAYERS,
    )


def _infer_unet(state: StateDict) -> CycleGANConfig:
    downs = [key for key in state if re.fullmatch(r"model\.model\.1\.model\.(3\.model\.)*1\.weight", key)]
    if not downs:
        raise _not_a_generator(state)
    if not _is_convolution(state, "model.model.3"):
        raise NearMissError(
            "The checkpoint's U-Net generator does not end in the official one's transposed convolution "
            "(model.model.3.weight): its way up has other layers, or keys are missing.",
            remedy=_ONLY_THE_RELEASES_LAYERS,
        )
    return CycleGANConfig(
        generator=Generator.UNET,
        input_nc=int(state["model.model.0.weight"].shape[1]),
        output_nc=int(state["model.model.3.weight"].shape[1]),  # a transposed convolution's second axis is its output
        ngf=int(state["model.model.0.weight"].shape[0]),
        num_downs=len(downs) + 1,
        norm_mode=_infer_norm(state, convolution="model.model.0", norm="model.model.1.model.2"),
    )


def _infer_norm(state: StateDict, convolution: str, norm: str) -> NormMode:
    """Batch norm has weights of its own; without any, the authors give convolutions a bias for instance norm only."""
    if f"{norm}.weight" in state:
        return NormMode.BATCH
    if f"{convolution}.bias" in state:
        return NormMode.NONE
    raise NearMissError(
        "The checkpoint's generator has no norm layers (it was trained with --norm none), which is not supported.",
        remedy="Use a generator that was trained with --norm instance or --norm batch.",
    )


def _is_convolution(state: StateDict, name: str) -> bool:
    weight = state.get(f"{name}.weight")
    return weight is not None and weight.dim() == 4


def _not_a_generator(state: StateDict) -> CheckpointError:
    remedy = (
        "Give the generator's file: latest_net_G.pth, or of a CycleGAN latest_net_G_A.pth (A to B) or "
        "latest_net_G_B.pth (B to A)."
    )
    if is_patch_discriminator(state):
        return NearMissError("This looks like a discriminator, which only training needs.", remedy=remedy)
    return CheckpointError(
        f"This is not a CycleGAN or pix2pix generator (its first keys: {', '.join(list(state)[:4])}).", remedy=remedy
    )


def is_patch_discriminator(state: StateDict) -> bool:
    """Whether the keys are those of the repository's discriminators: 4x4 convolutions, or 1x1 for single pixels."""
    first = next((key for key in ("model.0", "model_0.0") if _is_convolution(state, key)), None)  # of one, or several
    patches = first is not None and tuple(state[f"{first}.weight"].shape[2:]) == (4, 4)
    pixels = _is_convolution(state, "net.0") and _is_convolution(state, "net.2")
    return patches or (pixels and tuple(state["net.0.weight"].shape[2:]) == (1, 1))
