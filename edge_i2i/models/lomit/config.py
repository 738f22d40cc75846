"""LOMIT's architecture: its options, and how they are read off official generator files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config import NearMissError, check_ranges, overridden
from edge_i2i.models.family import NormMode
from edge_i2i.models.weights import StateDict

MASK_SCALE = 4
"""Content and masks are this much smaller than the picture: two convolutions of stride 2."""

# Both ends included; the upper ones only keep typing errors out.
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"conv_dim": (1, 1024), "repeat_num": (2, 200), "style_dim": (1, 4096), "mlp_dim": (1, 16384)}
)


@dataclass(frozen=True)
class LOMITConfig:
    """Architecture, in the official argument names; defaults are the release's (``configs/config_celebA.yaml``).

    ``repeat_num`` residual blocks: one half in the content encoder, the other in the decoder. ``norm_mode`` batch
    normalises the content encoder and the mask network by the statistics of the picture itself, eval by the stored
    ones; the network has both kinds of norm always, so none is not legal.

    Two options are ours. ``approximate``: the exemplar's style is computed once, with the mask that the exemplar gives
    itself, where the authors compute it anew with every frame; faster, and not the same picture. ``given_mask``: a mask
    from outside says where to translate, in place of the network's own.
    """

    conv_dim: int = 64
    repeat_num: int = 8
    style_dim: int = 8
    mlp_dim: int = 256
    norm_mode: NormMode = NormMode.BATCH
    approximate: bool = False
    given_mask: bool = False

    def __post_init__(self) -> None:
        """Refuse what no network can be built from.

        Raises:
            UsageError: a value is out of its legal range.
        """
        check_ranges(self, _LEGAL)
        if self.repeat_num % 2:
            raise UsageError(
                f"repeat_num={self.repeat_num}: half of the residual blocks are the encoder's, half the decoder's.",
                remedy="Use an even number.",
            )
        if self.norm_mode not in (NormMode.BATCH, NormMode.EVAL):
            raise UsageError(
                f"norm_mode={self.norm_mode}: every LOMIT network has norms with stored statistics.",
                remedy="Use norm_mode=batch or norm_mode=eval.",
            )

    @property
    def content_dim(self) -> int:
        """Channels of the content."""
        return 4 * self.conv_dim


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> LOMITConfig:
    """Read the architecture off the keys and shapes of ``generator``; ``overrides`` win.

    Raises:
        CheckpointError: the state dict is no LOMIT generator.
        UsageError: no ``norm_mode`` is chosen, or an override is out of range.
    """
    seen = infer_generator(states["generator"])
    if "norm_mode" not in overrides:
        raise UsageError(
            "A LOMIT network makes two different pictures. The authors' test never leaves train mode, so it normalises "
            "by the statistics of the picture at hand; in eval mode, the norms use those stored while training.",
            remedy="Choose --norm-mode batch (what the authors' test does) or --norm-mode eval.",
        )
    return overridden(seen, overrides)


def recognise(state: StateDict) -> str | None:
    """Which LOMIT generator a state dict holds, in a few words; None if it is another network's."""
    try:
        seen = infer_generator(state)
    except CheckpointError:
        return None
    blocks = seen.repeat_num // 2
    return f"a generator, conv_dim {seen.conv_dim}, {blocks} + {blocks} residual blocks, style_dim {seen.style_dim}"


# One convolution or linear layer of each part; together they are no other network's.
_LANDMARKS: Mapping[str, int] = MappingProxyType(
    {
        "c_encoder.main.0.conv.weight": 4,
        "s_encoder.shared.0.conv.weight": 4,
        "s_encoder.foreground.3.weight": 4,
        "s_encoder.background.3.weight": 4,
        "mask.main.6.conv.weight": 4,
        "mask.co_attn.main.0.fc.weight": 2,
        "decoder.f_mlp.main.0.fc.weight": 2,
        "decoder.b_mlp.main.0.fc.weight": 2,
    }
)


def infer_generator(state: StateDict) -> LOMITConfig:
    """The architecture of a generator's state dict; what no key tells has its default.

    Raises:
        CheckpointError: the state dict is no LOMIT generator, or one that cannot be built.
    """
    if not all(key in state and state[key].dim() == rank for key, rank in _LANDMARKS.items()):
        raise _not_a_generator(state)
    blocks = {m[1] for key in state if (m := re.fullmatch(r"c_encoder\.main\.(\d+)\.main\.0\.conv\.weight", key))}
    try:
        return LOMITConfig(
            conv_dim=int(state["c_encoder.main.0.conv.weight"].shape[0]),
            repeat_num=2 * len(blocks),
            style_dim=int(state["s_encoder.foreground.3.weight"].shape[0]),
            mlp_dim=int(state["decoder.f_mlp.main.0.fc.weight"].shape[0]),
        )
    except UsageError as error:
        raise NearMissError(
            f"The checkpoint holds a network that cannot be built: {error.what}", remedy=error.remedy
        ) from error


def _not_a_generator(state: StateDict) -> CheckpointError:
    critic = "conv1.conv.weight" in state and "conv2.weight" in state
    what = "This is LOMIT's discriminator, which only training uses" if critic else "This is not a LOMIT generator"
    ours = critic or any(key.startswith(("c_encoder.", "s_encoder.", "mask.main.")) for key in state)
    return (NearMissError if ours else CheckpointError)(
        f"{what}: no content encoder, style encoder, mask and decoder (its first keys: {', '.join(list(state)[:4])}).",
        remedy="Give the file that the official training wrote as G_exemplar_<name>.pth.",
    )
