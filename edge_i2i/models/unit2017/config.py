"""The architecture of UNIT's NIPS 2017 release: its options, and how they are read off official checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config import NearMissError, blaming_the_checkpoint, check_ranges, overridden
from edge_i2i.models.family import Direction
from edge_i2i.models.weights import StateDict

# Both ends included; the upper ends only keep typing errors out.
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "ch": (1, 4096),
        "n_enc_front_blk": (2, 10),
        "n_enc_res_blk": (0, 100),
        "n_enc_shared_blk": (0, 100),
        "n_gen_shared_blk": (0, 100),
        "n_gen_res_blk": (0, 100),
        "n_gen_front_blk": (2, 10),
    }
)


class Variant(StrEnum):
    """Which of the release's two generator classes; they differ in the layers that change the size.

    ``COCOResGen`` (cat2tiger, corgi2husky): convolution, instance norm, ReLU. ``COCOResGen2`` (synthia2cityscape,
    blondhair): convolution, LeakyReLU.
    """

    COCO_RES_GEN = "COCOResGen"
    COCO_RES_GEN_2 = "COCOResGen2"


@dataclass(frozen=True)
class Unit2017Config:
    """Architecture, in the official option names; defaults are ``exps/unit/cat2tiger.yaml`` of the release.

    ``n_enc_front_blk`` counts the 7x7 convolution and the stride-2 ones, ``n_gen_front_blk`` the transposed ones and
    the last 1x1. ``res_dropout_ratio`` matters for training only (0.5 for the street scenes).
    """

    direction: Direction = Direction.A2B
    variant: Variant = Variant.COCO_RES_GEN
    ch: int = 64
    n_enc_front_blk: int = 3
    n_enc_res_blk: int = 3
    n_enc_shared_blk: int = 1
    n_gen_shared_blk: int = 1
    n_gen_res_blk: int = 3
    n_gen_front_blk: int = 3
    res_dropout_ratio: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no network can be built from, before torch says so in its own words.

        Raises:
            UsageError: a value is out of its legal range, or the picture would come out in another size.
        """
        check_ranges(self, _LEGAL)
        if not 0.0 <= self.res_dropout_ratio < 1.0:
            raise UsageError(
                f"res_dropout_ratio={self.res_dropout_ratio} is out of range.", remedy="Legal values: 0 up to 1."
            )
        if self.n_enc_front_blk != self.n_gen_front_blk:
            raise UsageError(
                f"n_enc_front_blk={self.n_enc_front_blk} and n_gen_front_blk={self.n_gen_front_blk} differ: the "
                "translated picture would have another size than the frame.",
                remedy="Set both to the same number.",
            )

    @property
    def n_downsample(self) -> int:
        """How many times the encoder halves the picture."""
        return self.n_enc_front_blk - 1


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> Unit2017Config:
    """Read the architecture off the keys and shapes of ``generator``; ``overrides`` win.

    Raises:
        CheckpointError: the state dict does not hold this generator.
        UsageError: an override is out of range, or nothing says which of the two classes the file is from.
    """
    state = states["generator"]
    with blaming_the_checkpoint():
        seen = _infer_sizes(state)
    if "variant" not in overrides:
        seen = replace(seen, variant=_require_variant(state))
    return overridden(seen, overrides)


def describe(state: StateDict) -> str | None:
    """What a file of this release holds, in a few words; None if it is another's."""
    try:
        seen = _infer_sizes(state)
    except (CheckpointError, UsageError):
        return None
    variant = infer_variant(state)
    which = variant if variant is not None else f"{' or '.join(Variant)}, the file does not say which"
    return f"both directions of a generator, ch {seen.ch}: {which}"


def infer_variant(state: StateDict) -> Variant | None:
    """Which class wrote the file, where that can be told.

    The classes have the same keys and shapes but for the running statistics that torch before 0.4 stored for every
    instance norm [mem: torch 0.1 to 0.3]: only COCOResGen has a norm in its stride-2 layers. A file without any such
    statistics does not say.
    """
    statistics = {key for key in state if key.endswith(".running_mean")}
    if not statistics:
        return None
    return Variant.COCO_RES_GEN if "encode_A.1.model.1.running_mean" in statistics else Variant.COCO_RES_GEN_2


def _require_variant(state: StateDict) -> Variant:
    variant = infer_variant(state)
    if variant is None:
        raise UsageError(
            "The checkpoint fits COCOResGen and COCOResGen2 alike, and they draw different pictures.",
            remedy="Say which one it was trained as (gen: name in its .yaml): --set variant=COCOResGen (cat2tiger, "
            "corgi2husky) or --set variant=COCOResGen2 (synthia2cityscape, blondhair).",
        )
    return variant


def _infer_sizes(state: StateDict) -> Unit2017Config:
    front, res = _count_layers(state, "encode_A")
    up, gen_res = _count_layers(state, "decode_A")
    stem = _shape(state, "encode_A.0.model.0.weight")
    heads = [_shape(state, f"decode_{domain}.{up + gen_res}.weight") for domain in "AB"]
    known = stem == _shape(state, "encode_B.0.model.0.weight") and stem[1:] == (3, 7, 7)
    if not known or heads != [(stem[0], 3, 1, 1)] * 2:
        if any(key.startswith(("model_A.", "model_B.", "model_S.")) for key in state):
            raise NearMissError(
                "This is a discriminator of UNIT's 2017 release, which only training needs.",
                remedy="Give the file that the official training wrote as <name>_gen_<iteration>.pkl.",
            )
        if stem[2:] == (7, 7) and stem[1] != 3:
            raise NearMissError(
                f"The checkpoint's generator of UNIT's 2017 release reads pictures of {stem[1]} channels; only RGB is "
                "translated here.",
                remedy="Use a generator that was trained on RGB pictures.",
            )
        ours = any(key.startswith(("encode_A.", "encode_B.", "decode_A.", "decode_B.")) for key in state)
        raise (NearMissError if ours else CheckpointError)(
            "This is not a generator of UNIT's 2017 release: no 'encode_A', 'encode_B', 'decode_A' and 'decode_B' for "
            f"RGB pictures (its first keys: {', '.join(list(state)[:4])}).",
            remedy="Give the file that the official training wrote as <name>_gen_<iteration>.pkl.",
        )
    return Unit2017Config(
        ch=stem[0],
        n_enc_front_blk=front,
        n_enc_res_blk=res,
        n_enc_shared_blk=_count_layers(state, "enc_shared")[1],
        n_gen_shared_blk=_count_layers(state, "dec_shared")[1],
        n_gen_res_blk=gen_res,
        n_gen_front_blk=up + 1,
    )


def _count_layers(state: StateDict, part: str) -> tuple[int, int]:
    """How many plain layers and how many residual blocks (with a second convolution, ``model.3``) a part has."""
    found = {
        index: {int(m[1]) for key in state if (m := re.fullmatch(rf"{part}\.(\d+)\.model\.{index}\.weight", key))}
        for index in (0, 3)
    }
    return len(found[0] - found[3]), len(found[3])


def _shape(state: StateDict, key: str) -> tuple[int, ...]:
    return tuple(state[key].shape) if key in state else ()
