"""UNIT's architecture (second code base): its options, and how they are read off official checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config import NearMissError, blaming_the_checkpoint, check_ranges, overridden
from edge_i2i.models.family import Direction
from edge_i2i.models.munit.blocks import Activation, Padding, refuse_linear
from edge_i2i.models.weights import StateDict

# Both ends included; the upper ends only keep typing errors out.
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType({"dim": (1, 4096), "n_downsample": (0, 10), "n_res": (1, 100)})

_PICTURE_CHANNELS = 3


@dataclass(frozen=True)
class UnitConfig:
    """Architecture, in the official option names (``gen`` in the ``.yaml``); defaults are those of all published files.

    ``activ`` and ``pad_type`` leave no trace in a checkpoint (but for ``prelu``, which has weights): where a network
    was trained with others than the published ones, they must be given.
    """

    direction: Direction = Direction.A2B
    dim: int = 64
    n_downsample: int = 2
    n_res: int = 4
    activ: Activation = Activation.RELU
    pad_type: Padding = Padding.REFLECT

    def __post_init__(self) -> None:
        """Refuse what no network can be built from, before torch says so in its own words.

        Raises:
            UsageError: a value is out of its legal range.
        """
        check_ranges(self, _LEGAL)
        refuse_linear(self.activ)


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> UnitConfig:
    """Read the architecture off the keys and shapes of ``generator`` (both domains); ``overrides`` win.

    Raises:
        CheckpointError: the state dict does not hold UNIT's two auto-encoders.
        UsageError: an override is out of range.
    """
    with blaming_the_checkpoint():
        seen = _infer(states["generator"])
    return overridden(seen, overrides)


def describe(state: StateDict) -> str | None:
    """What a file of this code holds, in a few words; None if it is another's (MUNIT's has ``enc_content``)."""
    if len(_domains(state)) == 1:
        return "the auto-encoder of one domain alone; the other's is missing"
    try:
        seen = _infer(state)
    except (CheckpointError, UsageError):
        return None
    return f"the auto-encoders of both domains, dim {seen.dim}, {seen.n_res} residual blocks in each half"


def _infer(state: StateDict) -> UnitConfig:
    domains = _domains(state)
    other = "b." if domains == ["a."] else "a."
    if len(domains) == 1 and any(key.startswith(other) for key in state):
        raise NearMissError(
            f"The auto-encoder of domain {other[0]} lacks the first layer of its encoder or decoder, or that has "
            "another shape than UNIT's.",
            remedy="Give the official gen_*.pt.",
        )
    if len(domains) == 1:
        raise NearMissError(
            "The file holds one domain's auto-encoder. A translation takes the encoder of one domain and the decoder "
            "of the other.",
            remedy="Give the official gen_*.pt, or save both: "
            "torch.save({'a': gen_a.state_dict(), 'b': gen_b.state_dict()}, …).",
        )
    n_downsample = _count(state, r"a\.enc\.model\.\d+\.conv\.weight") - 1
    stem = _shape(state, "a.enc.model.0.conv.weight")
    last = f"dec.model.{1 + 2 * n_downsample}.conv.weight"
    known = [_shape(state, f"{domain}{key}") for domain in domains for key in ("enc.model.0.conv.weight", last)]
    if stem[2:] == (7, 7) and stem[1] != _PICTURE_CHANNELS:
        raise NearMissError(
            f"The checkpoint's auto-encoders read pictures of {stem[1]} channels; only RGB is translated here.",
            remedy="Train with input_dim_a: 3 and input_dim_b: 3.",
        )
    if stem[1:] != (3, 7, 7) or known != [stem, (3, stem[0], 7, 7)] * 2:
        raise (NearMissError if domains else CheckpointError)(
            "This is not a UNIT checkpoint: no auto-encoders for RGB pictures of domain a and b, 'a.enc.model.0', "
            f"'a.{last}' and the same for b (its first keys: {', '.join(list(state)[:4])}).",
            remedy="Give the file that the official training wrote as gen_*.pt (dis_*.pt holds the discriminators).",
        )
    return UnitConfig(
        dim=stem[0],
        n_downsample=n_downsample,
        n_res=_count(state, rf"a\.enc\.model\.{n_downsample + 1}\.model\.\d+\.model\.0\.conv\.weight"),
        activ=Activation.PRELU if "a.enc.model.0.activation.weight" in state else Activation.RELU,
    )


def _domains(state: StateDict) -> list[str]:
    """The prefixes under which an auto-encoder is found: ``a.`` and ``b.``, or none for a lone one."""
    ends = ("enc.model.0.conv.weight", "dec.model.0.model.0.model.0.conv.weight")
    return [domain for domain in ("", "a.", "b.") if all(len(_shape(state, domain + key)) == 4 for key in ends)]


def _count(state: StateDict, pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in state)


def _shape(state: StateDict, key: str) -> tuple[int, ...]:
    return tuple(state[key].shape) if key in state else ()
