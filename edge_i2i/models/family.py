"""What every published model brings: a config, a reader of its official checkpoints, and the list of its graphs."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.contract import GraphDeclaration, Size, SizeRule

if TYPE_CHECKING:
    from torch import Tensor, nn

    StateDict = Mapping[str, Tensor]
else:
    StateDict = Mapping


class Config(Protocol):
    """A frozen dataclass of plain values (int, float, bool, str)."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@dataclass(frozen=True)
class ModelGraph:
    """A graph's declaration and the torch module that computes it, in network form.

    Network form: pictures are float [1, 3, H, W] in [-1, 1]; maps are integer [1, 1, H, W]; other tensors are the
    declared shape with a leading 1. ``graphs.picture`` fuses the outside form around it.
    """

    declaration: GraphDeclaration
    module: nn.Module


C = TypeVar("C", bound=Config)


class TranslationModel(ABC, Generic[C]):
    """A published generator with weights."""

    family: ClassVar[str]
    config: C

    @property
    @abstractmethod
    def size_rule(self) -> SizeRule:
        """Which picture sizes the network takes."""

    @abstractmethod
    def graphs(self, size: Size) -> tuple[ModelGraph, ...]:
        """One frame graph, then the condition graphs.

        Raises:
            UsageError: the network cannot take that size.
        """


class ModelFamily(ABC, Generic[C]):
    """A published model: how its files are read and its networks built. One instance a file in ``models/``."""

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    reference_licence: ClassVar[str]
    config_type: type[C]
    demo_weights: ClassVar[str | None] = None
    demo_size: ClassVar[Size]
    full_size: ClassVar[Size]

    @abstractmethod
    def full_config(self) -> C:
        """The paper's full-size network, for speed tests with random weights."""

    @abstractmethod
    def companion_files(self, checkpoint: Path) -> dict[str, Path]:
        """The files that belong to ``checkpoint`` by the official naming, by network."""

    @abstractmethod
    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> C:
        """Read the architecture off official state dicts."""

    @abstractmethod
    def load(self, states: Mapping[str, StateDict], config: C) -> TranslationModel[C]:
        """Put official state dicts into the networks of ``config``."""

    @abstractmethod
    def random(self, config: C, seed: int) -> TranslationModel[C]:
        """Networks with the official initialisation."""

    def parse_overrides(self, pairs: Mapping[str, str]) -> dict[str, object]:
        """Turn ``key=value`` texts into typed config values.

        Raises:
            UsageError: an unknown key (suggests the nearest), or a value of the wrong type.
        """
        defaults = self.config_type()
        known = {field.name: type(getattr(defaults, field.name)) for field in fields(defaults)}
        return {key: _parse_value(key, text, known) for key, text in pairs.items()}


def _parse_value(key: str, text: str, known: Mapping[str, type]) -> object:
    if key not in known:
        near = difflib.get_close_matches(key.lower(), known, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"The architecture has no '{key}'.", remedy=f"{hint}Known: {', '.join(known)}.")
    try:
        if known[key] is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        value: object = known[key](text)
    except (ValueError, KeyError):
        raise UsageError(f"{key}={text}: a value of type {known[key].__name__} is needed.") from None
    return value


# Instance norm without running statistics writes none of these; files of torch before 0.4 carry them all the same,
# and the official loader drops them silently (models.md 1.3).
_HARMLESS = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")


def load_state(module: nn.Module, state: StateDict, what: str) -> None:
    """Assign ``state`` to ``module``; running statistics and a common ``module.`` prefix are dropped by rule.

    Raises:
        CheckpointError: names every key that is missing, unexpected, of another shape or not all finite (the first
            few of each).
    """
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    given = {key: tensor.float() for key, tensor in without_prefix(state).items() if not _HARMLESS.search(key)}
    complaints = [
        _some("missing", sorted(expected.keys() - given.keys())),
        _some("unexpected", sorted(given.keys() - expected.keys())),
        _some(
            "of another shape",
            [
                f"{key} {list(given[key].shape)} instead of {list(expected[key])}"
                for key in sorted(expected.keys() & given.keys())
                if tuple(given[key].shape) != expected[key]
            ],
        ),
        _some("holding NaN or infinite values", [key for key in sorted(given) if not given[key].isfinite().all()]),
    ]
    if any(complaints):
        raise CheckpointError(
            f"The state dict does not fit {what}: {'; '.join(filter(None, complaints))}.",
            remedy="Check that the file belongs to this network, or override the architecture (--set key=value).",
        )
    module.load_state_dict(given, assign=True)
    module.requires_grad_(False)


def without_prefix(state: StateDict) -> StateDict:
    """The state dict without the ``module.`` that DataParallel puts before every key."""
    if state and all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return state


def _some(kind: str, keys: list[str], most: int = 6) -> str:
    if not keys:
        return ""
    rest = f" and {len(keys) - most} more" if len(keys) > most else ""
    return f"{kind}: {', '.join(keys[:most])}{rest}"


def materialise(module: nn.Module, seed: int) -> None:
    """Give a network on the meta device real weights: N(0, 0.02), biases 0, as pix2pix-style code initialises."""
    import torch

    module.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.normal_(0.0, 0.02, generator=generator)
    module.requires_grad_(False)
