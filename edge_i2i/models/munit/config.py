"""MUNIT's architecture: its options, and how they are read off official checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from edge_i2i.errors import CheckpointError
from edge_i2i.models.config import NearMissError, blaming_the_checkpoint, check_ranges, overridden
from edge_i2i.models.family import Direction
from edge_i2i.models.munit.blocks import Activation, Padding, refuse_linear
from edge_i2i.models.weights import StateDict

# Both ends included; the upper ends only keep typing errors out.
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"dim": (1, 4096), "style_dim": (1, 4096), "n_downsample": (0, 8), "n_res": (1, 100), "mlp_dim": (1, 65536)}
)
_DOMAINS = ("a", "b")
_NETWORKS = frozenset({"enc_style", "enc_content", "dec", "mlp"})
_PICTURE_CHANNELS = 3
_SAVE_BOTH = "torch.save({'a': gen_a.state_dict(), 'b': gen_b.state_dict()}, …)"


C = TypeVar("C", bound="MUNITConfig")


@dataclass(frozen=True)
class MUNITConfig:
    """Architecture, in the official option names (section ``gen``); defaults: every published configuration's.

    ``activ`` and ``pad_type`` leave no trace in a checkpoint (but for ``prelu``, which has weights): where a file was
    trained with others than the published ones, they have to be told.
    """

    direction: Direction = Direction.A2B
    dim: int = 64
    style_dim: int = 8
    n_downsample: int = 2
    n_res: int = 4
    mlp_dim: int = 256
    activ: Activation = Activation.RELU
    pad_type: Padding = Padding.REFLECT

    def __post_init__(self) -> None:
        """Refuse what no network can be built from, before torch says so in its own words.

        Raises:
            UsageError: a value is out of its legal range.
        """
        check_ranges(self, _LEGAL)
        refuse_linear(self.activ)


def infer_architecture(state: StateDict) -> dict[str, Any]:
    """Read MUNIT's options off the keys and shapes of a ``gen_*.pt`` file (``a.…``, ``b.…``).

    Raises:
        CheckpointError: the file does not hold MUNIT's two generators; says what is missing.
    """
    _check_packaging(state)
    halvings, blocks = _count_layers(state, "a.enc_content.")
    first, hidden = state["a.enc_content.model.0.conv.weight"], state["a.mlp.model.0.fc.weight"]
    _check_channels(state)
    seen = {
        "dim": int(first.shape[0]),
        "style_dim": int(hidden.shape[1]),
        "n_downsample": halvings,
        "n_res": blocks,
        "mlp_dim": int(hidden.shape[0]),
    }
    prelu = "a.enc_content.model.0.activation.weight" in state
    return {**seen, "activ": Activation.PRELU} if prelu else seen


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> MUNITConfig:
    """Read the architecture off ``states["generators"]``; ``overrides`` win.

    Raises:
        CheckpointError: the file does not hold MUNIT's two generators; says what is missing.
        UsageError: an override is out of range.
    """
    seen = infer_architecture(states["generators"])
    return overridden(checked_config(MUNITConfig, seen), overrides)


def checked_config(kind: type[C], seen: Mapping[str, Any]) -> C:
    """The config of what a file holds.

    Raises:
        CheckpointError: such a network cannot be built.
    """
    with blaming_the_checkpoint():
        return kind(**seen)


def recognise(state: StateDict) -> str | None:
    """What a MUNIT generator file holds, in a few words; None if it is another model's."""
    if _looks_like_generator(state, ""):
        return "one generator of the two; the other domain's is missing"
    present = [domain for domain in _DOMAINS if _looks_like_generator(state, f"{domain}.")]
    if len(present) == 1:
        return f"the generator of domain {present[0]} alone; the other domain's is missing"
    if not present or _networks(state) != _NETWORKS:
        return None
    try:
        seen = checked_config(MUNITConfig, infer_architecture(state))
    except CheckpointError:
        return None
    return f"the generators of domains a and b, dim {seen.dim}, {seen.n_res} blocks, style of {seen.style_dim}"


def _networks(state: StateDict) -> set[str]:
    """The second parts of the keys: ``a.enc_content.…`` → enc_content."""
    return {parts[1] for key in state if len(parts := key.split(".")) > 1}


def _looks_like_generator(state: StateDict, prefix: str) -> bool:
    """Whether the keys behind a prefix are an AdaINGen's, by the first tensors of its four networks."""
    ranks = {
        "enc_style.model.0.conv.weight": 4,
        "enc_content.model.0.conv.weight": 4,
        "dec.model.0.model.0.model.0.conv.weight": 4,
        "mlp.model.0.fc.weight": 2,
    }
    return all(prefix + key in state and state[prefix + key].dim() == rank for key, rank in ranks.items())


def _check_packaging(state: StateDict) -> None:
    if _looks_like_generator(state, ""):
        raise NearMissError(
            "The file holds one generator: a single domain's encoders, MLP and decoder. A translation takes the "
            "content encoder of one domain and the style encoder, MLP and decoder of the other.",
            remedy=f"Give the official gen_*.pt, or save both: {_SAVE_BOTH}.",
        )
    missing = [domain for domain in _DOMAINS if not _looks_like_generator(state, f"{domain}.")]
    if len(missing) == 1 and any(key.startswith(f"{missing[0]}.") for key in state):
        raise NearMissError(
            f"The generator of domain {missing[0]} lacks the first layer of its style encoder, content encoder, MLP or "
            "decoder, or that has another shape than MUNIT's.",
            remedy=f"Give the official gen_*.pt, or save both again: {_SAVE_BOTH}.",
        )
    if len(missing) == 1:
        raise NearMissError(
            f"The file lacks the generator of domain {missing[0]} (keys '{missing[0]}.enc_content.…' and so on).",
            remedy=f"Give the official gen_*.pt, or save both: {_SAVE_BOTH}.",
        )
    if any(key.startswith(("a.cnns.", "cnns.")) for key in state):
        raise NearMissError(
            "The file holds discriminators, which only training uses.", remedy="Give gen_*.pt instead of dis_*.pt."
        )
    if any(key.endswith(".weight_bar") for key in state):
        raise NearMissError(
            "The file's generators were trained with spectral norm (norm: sn), which is not supported.",
            remedy="Use generators that were trained with the published norms.",
        )
    if missing:
        ours = any(re.match(r"([ab]\.)?enc_(content|style)\.", key) for key in state)
        raise (NearMissError if ours else CheckpointError)(
            "The file does not hold MUNIT's generators: no keys a.enc_content.…, a.mlp.…, b.dec.… (its first keys: "
            f"{', '.join(list(state)[:4])}).",
            remedy="Give the file that the official training wrote as gen_*.pt.",
        )


def _count_layers(state: StateDict, encoder: str) -> tuple[int, int]:
    """How many halvings and residual blocks a content encoder has."""
    convolution = re.compile(re.escape(encoder) + r"model\.(\d+)\.conv\.weight")
    block = re.compile(re.escape(encoder) + r"model\.(\d+)\.model\.(\d+)\.model\.0\.conv\.weight")
    convolutions = sum(1 for key in state if convolution.fullmatch(key))
    return convolutions - 1, sum(1 for key in state if block.fullmatch(key))


def _check_channels(state: StateDict) -> None:
    for domain in _DOMAINS:
        channels = int(state[f"{domain}.enc_content.model.0.conv.weight"].shape[1])
        if channels != _PICTURE_CHANNELS:
            raise NearMissError(
                f"The generator of domain {domain} reads pictures of {channels} channels; only RGB is translated here, "
                "as by the official test script.",
                remedy="Train with input_dim_a: 3 and input_dim_b: 3.",
            )
