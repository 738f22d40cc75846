"""BicycleGAN's architecture: its options, and how they are read off official checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config import NearMissError, blaming_the_checkpoint, check_ranges, overridden
from edge_i2i.models.family import NormMode
from edge_i2i.models.weights import StateDict

_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "output_nc": (3, 3),
        "nz": (1, 1024),
        "ngf": (1, 4096),
        "num_downs": (2, 10),
        "nef": (1, 4096),
        "n_blocks_E": (2, 8),
    }
)
_INPUT_CHANNELS = (1, 3)  # grey (edges2shoes, edges2handbags) or RGB (night2day, facades, maps)
_RELEASED_NZ = 8
_FEWEST_WITH_STYLE = 7  # channels: fewer are pictures, or pairs of them, of pix2pix


class WhereAdd(StrEnum):
    """Where the generator takes z in (``--where_add``); they are two classes with different keys."""

    ALL = "all"
    INPUT = "input"


class Upsampling(StrEnum):
    """The generator's way up (``--upsample``): transposed convolutions, or bilinear resizing and 3x3 convolutions."""

    BASIC = "basic"
    BILINEAR = "bilinear"


class NonLinearity(StrEnum):
    """The activation on the generator's way up (``--nl``); no key shows it."""

    RELU = "relu"
    LRELU = "lrelu"
    ELU = "elu"


class EncoderKind(StrEnum):
    """The style encoder (``--netE``): ``resnet_256`` / ``resnet_128``, or ``conv_256`` / ``conv_128``."""

    RESNET = "resnet"
    CONV = "conv"


@dataclass(frozen=True)
class BicycleGANConfig:
    """Architecture, in the official option names; defaults are those of ``options/base_options.py``.

    ``num_downs`` is 8 for ``--netG unet_256`` and 7 for ``unet_128``. ``n_blocks_E`` is 5 for ``resnet_256`` and
    ``conv_256``, 4 for the ``_128`` ones: the exemplar is 8 · 2^n_blocks_E pixels high and wide. ``norm_mode`` none
    means ``--norm instance``; the other two mean ``--norm batch``, whose official test script uses stored statistics.
    ``input_nc`` 1 (``--input_nc 1``) means that the frame becomes grey in front of the network. ``use_dropout`` of the
    official options changes nothing at test time, no key either, and is an argument of the network's class only.
    """

    input_nc: int = 3
    output_nc: int = 3
    nz: int = _RELEASED_NZ
    ngf: int = 64
    num_downs: int = 8
    where_add: WhereAdd = WhereAdd.ALL
    upsample: Upsampling = Upsampling.BASIC
    nl: NonLinearity = NonLinearity.RELU
    norm_mode: NormMode = NormMode.NONE
    netE: EncoderKind = EncoderKind.RESNET
    nef: int = 64
    n_blocks_E: int = 5

    def __post_init__(self) -> None:
        """Refuse what no network can be built from.

        Raises:
            UsageError: a value is out of its legal range.
        """
        if self.input_nc not in _INPUT_CHANNELS:
            raise UsageError(f"input_nc={self.input_nc} is out of range.", remedy="Legal values: 1 (grey), 3 (RGB).")
        check_ranges(self, _LEGAL)

    @property
    def exemplar_side(self) -> int:
        """Height and width of the encoder's picture, pixels: its last average pool covers 8x8 positions."""
        return 8 << self.n_blocks_E

    def width(self, level: int) -> int:
        """Channels that leave the way down at ``level``, 0 being the outermost; they stop growing at 8 · ngf."""
        return self.ngf * min(1 << level, 8)

    def takes_z(self, level: int) -> bool:
        """Whether z is concatenated to what enters ``level``."""
        return level == 0 or self.where_add is WhereAdd.ALL


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> BicycleGANConfig:
    """Read the architecture off the keys and shapes of ``generator`` [and ``encoder``]; ``overrides`` win.

    ``nl`` cannot be read: it is ``relu`` unless it is overridden. With z at the input only, nz cannot be told from the
    picture's channels: it is 8, as in every release, unless it is overridden.

    Raises:
        CheckpointError: the state dicts do not hold a BicycleGAN generator or style encoder.
        UsageError: an override is out of range, or contradicts the file's kind of norm.
    """
    nz = overrides.get("nz", _RELEASED_NZ)
    generator = states["generator"]
    with blaming_the_checkpoint():
        seen = infer_generator(generator, int(str(nz)))
        if "encoder" in states:
            seen = replace(seen, **_infer_encoder(states["encoder"], seen.nz))
    config = overridden(seen, overrides)
    if (config.norm_mode is NormMode.NONE) is not (seen.norm_mode is NormMode.NONE):
        holds = "no batch norm" if seen.norm_mode is NormMode.NONE else "batch norm"
        remedy = "Leave norm_mode out, or set it to " + (
            "none." if seen.norm_mode is NormMode.NONE else "eval or batch."
        )
        raise UsageError(f"norm_mode={config.norm_mode}, but the checkpoint's network has {holds}.", remedy=remedy)
    return config


def infer_generator(state: StateDict, nz_at_input: int = _RELEASED_NZ) -> BicycleGANConfig:
    """The architecture of a generator's state dict; ``nz_at_input`` is assumed where only the first layer takes z.

    Raises:
        CheckpointError: it is not a BicycleGAN generator's.
        UsageError: its sizes are out of range.
    """
    for infer in (_infer_all, _infer_input):
        seen = infer(state, nz_at_input)
        if seen is not None:
            return seen
    if infer_encoder(state) is not None:
        raise NearMissError(
            "This is BicycleGAN's style encoder, and its generator does not lie beside it.",
            remedy="Put <name>_net_G.pth beside <name>_net_E.pth.",
        )
    first = _kernel(state, "model.model.0")
    if first is not None and first[1] >= _FEWEST_WITH_STYLE:
        raise NearMissError(
            f"If this is BicycleGAN's generator with z at the input, the file does not tell how many of its {first[1]} "
            "input channels are z's.",
            remedy=f"Say it: --model bicyclegan --set nz={first[1] - 3} (RGB frames) or nz={first[1] - 1} (grey).",
        )
    raise CheckpointError(
        "This is not a BicycleGAN generator: neither 'model.down.0.weight' (z at all levels) nor "
        "'model.model.0.weight' (z at the input) with what belongs to it "
        f"(its first keys: {', '.join(list(state)[:4])}).",
        remedy="Give the file that the official training wrote as <epoch>_net_G.pth.",
    )


def _infer_all(state: StateDict, nz_at_input: int) -> BicycleGANConfig | None:
    """G_Unet_add_all: every level but the outermost tells nz."""
    first, second = _kernel(state, "model.down.0"), _kernel(state, "model.submodule.down.1")
    if first is None or second is None:
        return None
    nz = second[1] - first[0]
    if first[1] <= nz:
        raise NearMissError(
            f"The checkpoint's first convolution takes {first[1]} channels, and the second shows {nz} of style "
            "among them: the rest is no picture, which has 3 (RGB) or 1 (grey).",
            remedy="Use a generator that was trained with --input_nc 3 or 1.",
        )
    return BicycleGANConfig(
        input_nc=first[1] - nz,
        nz=nz,
        ngf=first[0],
        num_downs=1 + _count(state, r"model\.(submodule\.)+down\.1\.weight"),
        where_add=WhereAdd.ALL,
        upsample=Upsampling.BILINEAR if "model.up.3.weight" in state else Upsampling.BASIC,
        norm_mode=norm_mode_of(state),
    )


def _infer_input(state: StateDict, nz_at_input: int) -> BicycleGANConfig | None:
    """G_Unet_add_input; pix2pix's U-Net has the same keys, but takes the picture's channels alone."""
    first, second = _kernel(state, "model.model.0"), _kernel(state, "model.model.1.model.1")
    if first is None or second is None or first[1] - nz_at_input not in _INPUT_CHANNELS:
        return None
    return BicycleGANConfig(
        input_nc=first[1] - nz_at_input,
        nz=nz_at_input,
        ngf=first[0],
        num_downs=1 + _count(state, r"model\.model\.1\.model\.(3\.model\.)*1\.weight"),
        where_add=WhereAdd.INPUT,
        upsample=Upsampling.BILINEAR if "model.model.5.weight" in state else Upsampling.BASIC,
        norm_mode=norm_mode_of(state),
    )


def norm_mode_of(state: StateDict) -> NormMode:
    """Batch norm has a vector of weights, instance norm as the official code builds it has none."""
    batch = any(key.endswith(".weight") and tensor.dim() == 1 for key, tensor in state.items())
    return NormMode.EVAL if batch else NormMode.NONE


def infer_encoder(state: StateDict) -> dict[str, Any] | None:
    """netE, nef, n_blocks_E, and the style's length as nz, of a style encoder's state dict; None if it is not one."""
    first, mean = _kernel(state, "conv.0"), state.get("fc.0.weight")
    if first is None or mean is None or mean.dim() != 2 or "fcVar.0.weight" not in state:
        return None
    blocks = _count(state, r"conv\.\d+\.shortcut\.1\.weight")
    kind = EncoderKind.RESNET if blocks else EncoderKind.CONV
    later = blocks or sum(_kernel(state, f"conv.{index}") is not None for index in range(2, 99, 3))
    return {"netE": kind, "nef": first[0], "n_blocks_E": 1 + later, "nz": int(mean.shape[0])}


def _infer_encoder(state: StateDict, nz: int) -> dict[str, Any]:
    found = infer_encoder(state)
    if found is None:
        raise CheckpointError(
            "The companion file is not a BicycleGAN style encoder.",
            remedy="Give the official <epoch>_net_E.pth, or move the file away to load the generator alone.",
        )
    if found["nz"] != nz:
        raise CheckpointError(
            f"The style encoder writes styles of {found['nz']} values, but the generator takes {nz}.",
            remedy="Give the encoder that was trained with this generator (or set nz, with z at the input only).",
        )
    return found


def _kernel(state: StateDict, name: str) -> tuple[int, ...] | None:
    """The shape of a convolution's weight, or None where there is no such convolution."""
    weight = state.get(f"{name}.weight")
    return tuple(weight.shape) if weight is not None and weight.dim() == 4 else None


def _count(state: StateDict, pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in state)
