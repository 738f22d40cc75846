"""What every published model brings: a config, a reader of its official checkpoints, and the list of its graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from edge_i2i.contract import GraphDeclaration, Size, SizeRule
from edge_i2i.errors import CheckpointError, UsageError, known_names
from edge_i2i.models.config import Config, NearMissError
from edge_i2i.models.weights import Initialisation, StateDict, load_state, materialise

if TYPE_CHECKING:
    from torch import nn

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class ModelGraph:
    """A graph's declaration and the torch module that computes it, in network form.

    Network form: pictures are float [1, 3, H, W] in [-1, 1]; label and instance maps are integer [1, 1, H, W], masks
    float [1, 1, H, W] in [0, 1]; other tensors are the declared shape with a leading 1. The module takes the declared
    inputs in order and returns one tensor, or a tuple of as many as are declared. ``graphs.picture`` fuses the outside
    form around it.
    """

    declaration: GraphDeclaration
    module: nn.Module


@dataclass(frozen=True)
class Rewrite:
    """An exact re-formulation of a network for running it, by name. ``default``: used unless it is switched off."""

    name: str
    meaning: str
    default: bool


class Direction(StrEnum):
    """Which way a two-domain network translates."""

    A2B = "a2b"
    B2A = "b2a"


class NormMode(StrEnum):
    """Which statistics batch norm uses at test time: those stored while training, or those of the frame itself.

    Official test scripts differ, and so do their pictures. ``none``: the network has no such norm.
    """

    NONE = "none"
    EVAL = "eval"
    BATCH = "batch"


class Fidelity(StrEnum):
    """What a family's networks were held against, layer for layer."""

    AUTHORS_CODE = "outputs of the authors' own code, ≤ 1e-5"
    OURS = "none: neither code nor weights were published"


class TranslationModel(ABC, Generic[C]):
    """A published generator with weights."""

    family: ClassVar[str]
    rewrites: ClassVar[tuple[Rewrite, ...]] = ()
    config: C

    @property
    @abstractmethod
    def size_rule(self) -> SizeRule:
        """Which picture sizes the network takes."""

    def graphs(self, size: Size, rewrites: Collection[str] | None = None) -> tuple[ModelGraph, ...]:
        """One frame graph, then the condition graphs; ``rewrites`` by name, None: those that are on by default.

        Raises:
            UsageError: the network cannot take that size, or has no such rewrite.
        """
        self.size_rule.check(size)
        known = {rewrite.name for rewrite in self.rewrites}
        active = self.default_rewrites() if rewrites is None else frozenset(rewrites)
        unknown = sorted(active - known)
        if unknown:
            listed = f"It has: {', '.join(rewrite.name for rewrite in self.rewrites)}." if known else "It has none."
            raise UsageError(f"{self.family} has no rewrite '{unknown[0]}'.", remedy=listed)
        return self.build_graphs(size, active)

    @classmethod
    def default_rewrites(cls) -> frozenset[str]:
        """The names of the rewrites that are on by default."""
        return frozenset(rewrite.name for rewrite in cls.rewrites if rewrite.default)

    @abstractmethod
    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """One frame graph, then the condition graphs, for a size that ``size_rule`` has accepted.

        Condition graphs are connected by the names of their tensors: an output of one is the input of another, or of
        the frame graph. Where two graphs compute the same tensor, they are two ways to set it.
        """


if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultedTypeVar

    M = DefaultedTypeVar("M", bound=TranslationModel[Any], default=TranslationModel[Any])
else:
    M = TypeVar("M")


class ModelFamily(ABC, Generic[C, M]):
    """A published model: how its files are read and its networks built. One instance a file in ``models/``.

    ``load``, ``random`` and a training share one road: ``networks`` builds, ``assemble`` makes a model of them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    reference_licence: ClassVar[str]
    released_weights: ClassVar[str]
    fidelity: ClassVar[Fidelity]
    config_type: type[C]
    demo_weights: ClassVar[str | None] = None
    demo_size: ClassVar[Size]
    full_size: ClassVar[Size]
    tiny_size: ClassVar[Size]
    network: ClassVar[str] = "generator"
    """What the official file's state dict is called among ``states``."""
    network_titles: ClassVar[Mapping[str, str]]
    """What errors call each network of ``networks``, as in "the pix2pixHD generator"."""
    optional_networks: ClassVar[frozenset[str]] = frozenset()
    """Networks that a checkpoint may lack; the model is then assembled without them."""
    initialisation: ClassVar[Initialisation] = Initialisation.NORMAL
    """How ``initialise`` draws weights."""
    possible_answers: ClassVar[tuple[Mapping[str, object], ...]] = ({},)
    """Answers to what ``infer_config`` asks, any that lets it go on."""
    untold: ClassVar[tuple[str, ...]] = ()
    """Fields of the config that leave no trace in a file, and that the published networks have one value of."""

    @abstractmethod
    def architectures(self) -> Mapping[str, C]:
        """The published architectures at full size, by name; the first is the one that ``full_config`` gives."""

    @abstractmethod
    def tiny(self, config: C) -> C:
        """The same architecture with as few channels and blocks as it can have and still use every part.

        It runs at ``tiny_size``; tests and dry runs use it.
        """

    @property
    def full_architecture(self) -> str:
        """The name of the architecture that ``full_config`` gives."""
        return next(iter(self.architectures()))

    def tiny_architectures(self) -> dict[str, C]:
        """Each different tiny network once, by the name of the first architecture that shrinks to it."""
        names: dict[C, str] = {}
        for name, config in self.architectures().items():
            names.setdefault(self.tiny(config), name)
        return {name: config for config, name in names.items()}

    def full_config(self) -> C:
        """The paper's full-size network, for speed tests with random weights."""
        return self.architectures()[self.full_architecture]

    @abstractmethod
    def recognise(self, state: StateDict) -> str | None:
        """What this family's official file with these keys holds, in a few words; None if it is another's.

        Keys and shapes decide, never the file's name. It is strict: a file that two families could load is claimed by
        the one whose release looks like that.
        """

    def near_miss(self, state: StateDict) -> CheckpointError | None:
        """Why a file that resembles this family's, and that ``recognise`` does not claim, is not read; None: another's.

        Here: what keeps it from being read, where enough of it was found to read an architecture off it.
        """
        states = {self.main_network(): state}
        for answers in self.possible_answers:
            try:
                config = self.infer_config(states, answers)
            except UsageError:  # a question that these answers do not answer
                continue
            except CheckpointError as error:
                return error if isinstance(error, NearMissError) else None
            try:
                self.load(states, config)
            except CheckpointError as error:
                return error
        return None

    def assumed(self, config: C, told: Collection[str]) -> tuple[str, ...]:
        """What was taken for granted of a network, as sentences; ``told``: the fields that somebody has set.

        Here: the ``untold`` fields that nobody set, with their values.
        """
        values = {name: getattr(config, name) for name in self.untold if name not in told}
        if not values:
            return ()
        taken = ", ".join(f"{name} {value}" for name, value in values.items())
        return (
            f"No file of {self.title} tells these, so they are taken as published: {taken} (else --set key=value).",
        )

    def companion_files(self, checkpoint: Path) -> dict[str, Path]:
        """The files that belong to ``checkpoint`` by the official naming, by network.

        Here: no other file belongs to it.
        """
        return {self.network: checkpoint}

    def main_network(self) -> str:
        """What ``states`` calls the network of a file that lies alone."""
        return next(iter(self.companion_files(Path("checkpoint"))))

    @abstractmethod
    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> C:
        """Read the architecture off official state dicts."""

    def networks(self, config: C) -> dict[str, nn.Module]:
        """The networks of an architecture, on the meta device, ready to be given weights and to be trained.

        Their names are those of ``states``, and their keys are those that ``load`` wants of each state dict.
        """
        import torch

        with torch.device("meta"):
            return self.build_networks(config)

    @abstractmethod
    def build_networks(self, config: C) -> dict[str, nn.Module]:
        """The networks of an architecture by name, on the device that is torch's default at the time."""

    @abstractmethod
    def assemble(self, config: C, networks: Mapping[str, Any]) -> M:
        """A model of networks that have their weights.

        Args:
            config: the architecture.
            networks: those of ``networks(config)``; some of ``optional_networks`` may be missing.
        """

    def load(self, states: Mapping[str, StateDict], config: C) -> M:
        """Put official state dicts into the networks of ``config``; the weights need no gradients.

        Raises:
            CheckpointError: keys or shapes differ from those of ``config``; names them.
        """
        given = self.portable(states)
        networks = {
            name: network
            for name, network in self.networks(config).items()
            if name in given or name not in self.optional_networks
        }
        for name, network in networks.items():
            load_state(network, given[name], self.network_titles[name])
        return self._frozen(config, networks)

    def portable(self, states: Mapping[str, StateDict]) -> Mapping[str, StateDict]:
        """The same weights under PyTorch's keys and layouts, fit to be loaded again; official PyTorch files as is."""
        return states

    def new_networks(self, config: C, seed: int) -> dict[str, nn.Module]:
        """The networks of ``config`` with the official initialisation, a function of the seed; ready to be trained."""
        import torch

        networks = self.networks(config)
        with torch.no_grad():
            self.initialise(networks, config, seed)
        return networks

    def initialise(self, networks: Mapping[str, Any], config: C, seed: int) -> None:
        """Draw the weights of networks that lie on the meta device, without gradients.

        Here: by ``initialisation``, the first network with the seed, the second with the next one, and so on.

        Args:
            networks: what ``networks(config)`` returned.
            config: their architecture.
            seed: decides every weight.
        """
        for offset, network in enumerate(networks.values()):
            materialise(network, seed + offset, self.initialisation)

    def random(self, config: C, seed: int) -> M:
        """A model of ``new_networks``; its weights need no gradients."""
        return self._frozen(config, self.new_networks(config, seed))

    def _frozen(self, config: C, networks: Mapping[str, nn.Module]) -> M:
        for network in networks.values():
            network.requires_grad_(False)
        return self.assemble(config, networks)

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
        raise UsageError(f"The architecture has no '{key}'.", remedy=known_names(key, known, "fields"))
    try:
        if known[key] is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        value: object = known[key](text)
    except (ValueError, KeyError):
        kind = known[key]
        if issubclass(kind, StrEnum):
            legal = ", ".join(kind)
            raise UsageError(f"{key}={text} is not known.", remedy=f"Legal values: {legal}.") from None
        raise UsageError(f"{key}={text}: a value of type {known[key].__name__} is needed.") from None
    return value
