"""Getting a network with weights: from a checkpoint, from the demo weights that we ship, or random for speed tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.checkpoints.checkpoint import Checkpoint
from edge_i2i.models.checkpoints.explaining import hidden_network
from edge_i2i.models.checkpoints.recognise import recognise
from edge_i2i.models.checkpoints.weights_file import recorded_json, split_networks
from edge_i2i.models.config import NearMissError
from edge_i2i.models.family import ModelFamily, TranslationModel
from edge_i2i.models.registry import family_names, get_family
from edge_i2i.models.weights import StateDict

Overrides = Mapping[str, object]

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"


class WeightsOrigin(StrEnum):
    """Where a network's weights come from; recorded in every bundle."""

    CHECKPOINT = "checkpoint"
    DEMO = "demo"
    RANDOM = "random"


@dataclass(frozen=True)
class LoadedModel:
    """A network with weights, and where they come from. ``assumed``: what no file told, and what it was taken for."""

    family: ModelFamily[Any]
    model: TranslationModel[Any]
    origin: WeightsOrigin
    checkpoint: Path | None
    checkpoint_sha256: str | None
    assumed: tuple[str, ...] = ()

    @property
    def config(self) -> dict[str, Any]:
        """The architecture as plain values."""
        return asdict(self.model.config)


def load_checkpoint(
    name: str, checkpoint: Path | Checkpoint, overrides: Mapping[str, str] | None = None
) -> LoadedModel:
    """Read an official checkpoint, or a weights file of ours.

    Args:
        name: the model's name, as ``--model`` takes it.
        checkpoint: the file, or one that was opened to find its model (``find_family``); files that belong to it are
            found beside it.
        overrides: ``key=value`` texts for the architecture; None: all is read off the file.

    Raises:
        CheckpointError: the file cannot be read, is unsafe, or does not hold that network.
        UsageError: an unknown model or override.

    Example:
        >>> import edge_i2i
        >>> loaded = edge_i2i.load_checkpoint("pix2pixhd", Path("latest_net_G.pth"), {"label_nc": "0"})
        >>> str(loaded.origin)
        'checkpoint'
    """
    return _load(get_family(name), Checkpoint.of(checkpoint), WeightsOrigin.CHECKPOINT, overrides or {})


def load_demo(name: str) -> LoadedModel:
    """The small trained network that is shipped with the package.

    Raises:
        UsageError: no demo weights are shipped for that model.

    Example:
        >>> import edge_i2i
        >>> str(edge_i2i.load_demo("pix2pixhd").origin)
        'demo'
    """
    family = get_family(name)
    if family.demo_weights is None:
        raise UsageError(f"No demo weights are shipped for {name}.", remedy="Give --checkpoint or --random-weights.")
    return _load(family, Checkpoint(WEIGHTS_FOLDER / family.demo_weights), WeightsOrigin.DEMO, {})


def load_random(name: str, overrides: Mapping[str, str] | None = None, seed: int = 0) -> LoadedModel:
    """The paper's full-size network with random weights: right for speed, meaningless as a picture.

    Args:
        name: the model's name, as ``--model`` takes it.
        overrides: ``key=value`` texts that change the architecture; None: none.
        seed: decides every weight.

    Raises:
        UsageError: an unknown model or override.

    Example:
        >>> import edge_i2i
        >>> loaded = edge_i2i.load_random("cyclegan", {"ngf": "8"}, seed=1)
        >>> str(loaded.origin)
        'random'
    """
    family = get_family(name)
    config = replace(family.full_config(), **family.parse_overrides(overrides or {}))
    return LoadedModel(family, family.random(config, seed), WeightsOrigin.RANDOM, None, None)


@dataclass(frozen=True)
class ReadModel:
    """Official state dicts by network, the architecture read off them, and the files that they come from.

    ``assumed``: what no file told, and what it was taken for, as sentences.
    """

    states: Mapping[str, StateDict]
    config: Any
    files: tuple[Path, ...]
    assumed: tuple[str, ...]


def read_model(family: ModelFamily[Any], checkpoint: Checkpoint, overrides: Mapping[str, str]) -> ReadModel:
    """Read a checkpoint with its companion files.

    Args:
        family: the model that the file is taken to hold.
        checkpoint: the file; those that belong to it by the official naming are found beside it.
        overrides: ``key=value`` texts for the architecture, which win over what the files say.

    Raises:
        CheckpointError: a file cannot be read, or does not hold that network; says which one it looks like.
        UsageError: an unknown override, or a question that the files cannot answer.
    """
    recorded = _recorded_config(family, checkpoint.metadata, checkpoint.path)
    wanted = {**recorded, **family.parse_overrides(overrides)}
    states, files = _read_states(family, checkpoint)
    try:
        config = family.infer_config(states, wanted)
    except CheckpointError as error:
        raise _named(error, family, checkpoint.path, states, wanted) from error
    except UsageError as error:
        if recorded and not overrides:
            raise _not_an_architecture(checkpoint.path, error) from error
        raise
    return ReadModel(states, config, files, family.assumed(config, wanted))


def _read_states(family: ModelFamily[Any], checkpoint: Checkpoint) -> tuple[Mapping[str, StateDict], tuple[Path, ...]]:
    if "networks" in checkpoint.metadata:
        states = split_networks(checkpoint.state, checkpoint.metadata, checkpoint.path)
        if family.main_network() not in states:
            raise CheckpointError(
                f"{checkpoint} says that it holds {', '.join(states) or 'no network'}, but a {family.name} file holds "
                f"'{family.main_network()}'.",
                remedy="Import the official checkpoint again.",
            )
        return states, (checkpoint.path,)
    files = family.companion_files(checkpoint.path)
    opened = {checkpoint.path: checkpoint} | {
        path: Checkpoint(path) for path in files.values() if path != checkpoint.path
    }
    return {network: opened[path].state for network, path in files.items()}, tuple(files.values())


def _named(
    error: CheckpointError,
    family: ModelFamily[Any],
    checkpoint: Path,
    states: Mapping[str, StateDict],
    wanted: Overrides,
) -> CheckpointError:
    """The same error, which names the file and the model that it looks like."""
    state = next(iter(states.values()))
    claims = recognise(state)
    others = [item for item in claims if item.family != family.name]
    if not others or _only_a_companion_is_wrong(family, states, wanted):
        known = bool(claims) or isinstance(error, NearMissError) or len(states) > 1
        hidden = None if known else hidden_network(checkpoint, state)
        return hidden or CheckpointError(f"{checkpoint}: {error.what}", remedy=error.remedy)
    return CheckpointError(
        f"{checkpoint} does not hold a {family.name} network; it looks like {others[0]}.",
        remedy=f"Use --model {others[0].family}.",
    )


def _only_a_companion_is_wrong(family: ModelFamily[Any], states: Mapping[str, StateDict], wanted: Overrides) -> bool:
    """Whether the file itself would do without the files beside it."""
    first, *rest = states.items()
    if not rest:
        return False
    try:
        family.infer_config(dict([first]), wanted)
    except (CheckpointError, UsageError):
        return False
    return True


def load_model(
    family: ModelFamily[Any], read: ReadModel, checkpoint: Checkpoint, overrides: Mapping[str, str]
) -> TranslationModel[Any]:
    """The network with the weights that ``read_model`` has read.

    Args:
        family: the model that was read.
        read: what ``read_model`` returned.
        checkpoint: the file that was read, for the error.
        overrides: those with which it was read, for the error.

    Raises:
        CheckpointError: they do not fit; says which other network it looks like, if any.
    """
    try:
        return family.load(read.states, read.config)
    except CheckpointError as error:
        wanted = family.parse_overrides(overrides)
        raise _named(error, family, checkpoint.path, read.states, wanted) from error


def _load(
    family: ModelFamily[Any], checkpoint: Checkpoint, origin: WeightsOrigin, overrides: Mapping[str, str]
) -> LoadedModel:
    read = read_model(family, checkpoint, overrides)
    model = load_model(family, read, checkpoint, overrides)
    return LoadedModel(family, model, origin, checkpoint.path, checkpoint.sha256, read.assumed)


def _recorded_config(family: ModelFamily[Any], metadata: Mapping[str, str], checkpoint: Path) -> dict[str, object]:
    """Our own safetensors files say which network they hold."""
    recorded = metadata.get("family")
    if recorded is not None and recorded != family.name:
        known = recorded in family_names()
        raise CheckpointError(
            f"{checkpoint} holds a {recorded[:80]} network, not {family.name}.",
            remedy=f"Use --model {recorded}." if known else "It may have been written by a newer version of edge-i2i.",
        )
    config = recorded_json(metadata.get("config", "{}"), "architecture", checkpoint)
    if not isinstance(config, dict):
        raise CheckpointError(f"The architecture recorded in {checkpoint} is not a JSON object, but {config!r:.60}.")
    try:
        parsed = family.parse_overrides({key: str(value) for key, value in config.items()})
        family.config_type(**parsed)  # refuses what is out of range
    except UsageError as error:
        raise _not_an_architecture(checkpoint, error) from error
    return parsed


def _not_an_architecture(checkpoint: Path, error: UsageError) -> CheckpointError:
    return CheckpointError(
        f"The architecture recorded in {checkpoint} is not known here: {error.what}",
        remedy="It may have been written by a newer version of edge-i2i; or import the official checkpoint again.",
    )
