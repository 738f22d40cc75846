"""CycleGAN's and pix2pix's architectures: their options, and how they are read off official generator files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config_checks import check_ranges, overridden
from edge_i2i.models.family import NormMode, StateDict, without_prefix


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
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"ngf": (1, 4096), "n_blocks": (0, 1000), "num_downs": (5, 14)}
)
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
        CheckpointError: the state dict is no generator of this repository, or is not one for pictures.
    """
    state = without_prefix(state)
    try:
        if _is_convolution(state, "model.model.0"):
            return _infer_unet(state)
        return _infer_resnet(state)
    except UsageError as error:
        raise CheckpointError(
            f"The checkpoint holds a network that does not translate pictures: {error.what}", remedy=error.remedy
        ) from error


# The first residual block follows the stem (4 layers) and two downsamplings (3 layers each).
_FIRST_BLOCK = 10
# Layers from a block's first convolution to its second: norm, ReLU[, dropout][, pad].
_PADDED_DROPOUT_STEP, _ZERO_DROPOUT_STEP = 5, 4


def _infer_resnet(state: StateDict) -> CycleGANConfig:
    blocks = {int(m[1]) for key in state if (m := re.match(r"model\.(\d+)\.conv_block\.", key))}
    head = f"model.{_FIRST_BLOCK + len(blocks) + 7}"  # two upsamplings of three layers and a pad come before it
    if not blocks or min(blocks) != _FIRST_BLOCK or not all(_is_convolution(state, name) for name in ("model.1", head)):
        raise _not_a_generator(state)
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


def _infer_unet(state: StateDict) -> CycleGANConfig:
    downs = [key for key in state if re.fullmatch(r"model\.model\.1\.model\.(3\.model\.)*1\.weight", key)]
    if not downs or not _is_convolution(state, "model.model.3"):
        raise _not_a_generator(state)
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
    raise CheckpointError(
        "The checkpoint's generator has no norm layers (it was trained with --norm none), which is not supported.",
        remedy="Use a generator that was trained with --norm instance or --norm batch.",
    )


def _is_convolution(state: StateDict, name: str) -> bool:
    weight = state.get(f"{name}.weight")
    return weight is not None and weight.dim() == 4


def _not_a_generator(state: StateDict) -> CheckpointError:
    if _is_convolution(state, "model.0") or _is_convolution(state, "net.0"):
        what = "This looks like a discriminator, which only training needs."
    else:
        what = f"This is not a CycleGAN or pix2pix generator (its first keys: {', '.join(list(state)[:4])})."
    return CheckpointError(
        what,
        remedy="Give the generator's file: latest_net_G.pth, or of a CycleGAN latest_net_G_A.pth (A to B) or "
        "latest_net_G_B.pth (B to A).",
    )
