"""pix2pixHD's architecture: its options, and how they are read off official checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config_checks import blaming_the_checkpoint, check_ranges, overridden
from edge_i2i.models.family import StateDict, without_prefix

# Both ends included. Label maps are uint8, pictures are RGB; the other upper ends only keep typing errors out.
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "label_nc": (0, 256),
        "feat_num": (0, 256),
        "output_nc": (3, 3),
        "ngf": (1, 4096),
        "n_downsample_global": (0, 10),
        "n_blocks_global": (0, 1000),
        "n_local_enhancers": (0, 10),
        "n_blocks_local": (0, 1000),
        "nef": (1, 4096),
        "n_downsample_E": (0, 10),
    }
)


_CYCLEGAN_DOWNSAMPLINGS = 2


@dataclass(frozen=True)
class Pix2PixHDConfig:
    """Architecture, in the official option names; defaults are the command line's of the official release.

    ``label_nc`` 0 means RGB mode. ``instance_edges`` is the inverse of ``--no_instance``. ``feat_num`` 0 means that
    no feature encoder is used. ``n_local_enhancers`` 0 is G1 (``--netG global``), 1 and more is G2 (``--netG local``,
    where ``ngf`` is 32 in the release).
    """

    label_nc: int = 35
    instance_edges: bool = True
    feat_num: int = 0
    output_nc: int = 3
    ngf: int = 64
    n_downsample_global: int = 4
    n_blocks_global: int = 9
    n_local_enhancers: int = 0
    n_blocks_local: int = 3
    nef: int = 16
    n_downsample_E: int = 4

    def __post_init__(self) -> None:
        """Refuse what no network can be built from, before torch says so in its own words.

        Raises:
            UsageError: a value is out of its legal range.
        """
        check_ranges(self, _LEGAL)

    @property
    def rgb(self) -> bool:
        """Whether the network reads camera pictures rather than label maps."""
        return self.label_nc == 0

    @property
    def input_nc(self) -> int:
        """Channels of the generator's input: one-hot labels or RGB, edges, features, in that order."""
        return (self.label_nc or 3) + int(self.instance_edges) + self.feat_num


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> Pix2PixHDConfig:
    """Read the architecture off the keys and shapes of ``generator`` [and ``encoder``]; ``overrides`` win.

    Raises:
        CheckpointError: the state dicts do not hold a pix2pixHD generator or feature encoder, or one whose number of
            channels no input makes.
        UsageError: an override is out of range or does not fit the generator's input channels.
    """
    generator = without_prefix(states["generator"])
    with blaming_the_checkpoint():
        seen = _infer_generator(generator)
        if "encoder" in states:
            seen = replace(seen, **_infer_encoder(without_prefix(states["encoder"])))
        channels = int(generator["model.1.weight"].shape[1])
        seen = _split_input(seen, channels, overrides)
    config = overridden(seen, overrides)
    if config.input_nc != channels:
        raise (UsageError if overrides else CheckpointError)(
            f"The checkpoint's first convolution takes {channels} channels, but label_nc={config.label_nc}, "
            f"instance_edges={config.instance_edges}, feat_num={config.feat_num} make {config.input_nc}.",
            remedy="Override label_nc, instance_edges and feat_num so that they add up.",
        )
    return config


def _infer_generator(state: StateDict) -> Pix2PixHDConfig:
    blocks = [int(m[1]) for key in state if (m := re.fullmatch(r"model\.(\d+)\.conv_block\.1\.weight", key))]
    enhancers = {int(m[1]) for key in state if (m := re.match(r"model(\d+)_1\.1\.weight", key))}
    local = {int(m[1]) for key in state if (m := re.fullmatch(r"model1_2\.(\d+)\.conv_block\.1\.weight", key))}
    if not _is_convolution(state, "model.1") or not blocks or min(blocks) < 4 or (min(blocks) - 4) % 3:
        raise CheckpointError(
            "This is not a pix2pixHD generator: no first convolution 'model.1.weight' followed by residual blocks "
            f"'model.N.conv_block.1.weight' (its first keys: {', '.join(list(state)[:4])}).",
            remedy="Give the file that the official training wrote as <epoch>_net_G.pth.",
        )
    n_down = (min(blocks) - 4) // 3
    head = f"model{len(enhancers)}_2.{len(local) + 4}" if enhancers else f"model.{5 + 6 * n_down + len(blocks)}"
    return Pix2PixHDConfig(
        output_nc=int(state[f"{head}.weight"].shape[0]) if _is_convolution(state, head) else 3,
        ngf=state["model.1.weight"].shape[0] // 2 ** len(enhancers),
        n_downsample_global=n_down,
        n_blocks_global=len(blocks),
        n_local_enhancers=len(enhancers),
        n_blocks_local=len(local) if enhancers else Pix2PixHDConfig.n_blocks_local,
    )


def recognise(state: StateDict) -> str | None:
    """Which pix2pixHD generator a state dict holds, in a few words.

    A generator with two downsamplings and no enhancer has the keys of CycleGAN's ResNet generator, and none was
    released: it is not claimed here.
    """
    try:
        seen = _infer_generator(without_prefix(state))
    except (CheckpointError, UsageError):
        return None
    if seen.n_local_enhancers == 0 and seen.n_downsample_global == _CYCLEGAN_DOWNSAMPLINGS:
        return None
    kind = f"local (G2, {seen.n_local_enhancers} enhancers)" if seen.n_local_enhancers else "global (G1)"
    return f"a {kind} generator, ngf {seen.ngf}, {seen.n_blocks_global} blocks"


def _is_convolution(state: StateDict, name: str) -> bool:
    weight = state.get(f"{name}.weight")
    return weight is not None and weight.dim() == 4 and weight.numel() > 0


def _infer_encoder(state: StateDict) -> dict[str, Any]:
    convolutions = sorted(int(m[1]) for key in state if (m := re.fullmatch(r"model\.(\d+)\.weight", key)))
    named = [f"model.{i}" for i in convolutions]
    if convolutions[:1] != [1] or len(convolutions) % 2 or not all(_is_convolution(state, name) for name in named):
        raise CheckpointError(
            "The companion file is not a pix2pixHD feature encoder.",
            remedy="Give the official <epoch>_net_E.pth, or move the file away to load the generator alone.",
        )
    return {
        "nef": int(state[f"{named[0]}.weight"].shape[0]),
        "feat_num": int(state[f"{named[-1]}.weight"].shape[0]),
        "n_downsample_E": len(convolutions) // 2 - 1,
    }


def _split_input(config: Pix2PixHDConfig, channels: int, overrides: Mapping[str, object]) -> Pix2PixHDConfig:
    """Decide how the input channels divide; 3, 36 and 39 are the releases' (RGB; 35 + edge; 35 + edge + features)."""
    if channels == 3 and "label_nc" not in overrides:
        return replace(config, label_nc=0, instance_edges=False, feat_num=0)
    released = channels == 39 and overrides.get("label_nc", 35) == 35
    feat_num = int(str(overrides.get("feat_num", config.feat_num or (3 if released else 0))))
    if "label_nc" in overrides:
        source = int(str(overrides["label_nc"])) or 3
        return replace(config, instance_edges=source + 1 + feat_num == channels, feat_num=feat_num)
    edges = bool(overrides.get("instance_edges", True))
    return replace(config, label_nc=max(channels - feat_num - int(edges), 0), instance_edges=edges, feat_num=feat_num)
