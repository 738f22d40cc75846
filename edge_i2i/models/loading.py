"""Getting a network with weights: from a checkpoint, from the demo weights that we ship, or random for speed tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.checkpoint import file_sha256, read_checkpoint, read_metadata
from edge_i2i.models.family import ModelFamily, TranslationModel
from edge_i2i.models.registry import get_family

WEIGHTS_FOLDER = Path(__file__).with_name("weights")


class WeightsOrigin(StrEnum):
    """Where a network's weights come from; recorded in every bundle."""

    CHECKPOINT = "checkpoint"
    DEMO = "demo"
    RANDOM = "random"


@dataclass(frozen=True)
class LoadedModel:
    """A network with weights, and where they come from."""

    family: ModelFamily[Any]
    model: TranslationModel[Any]
    origin: WeightsOrigin
    checkpoint: Path | None
    checkpoint_sha256: str | None

    @property
    def config(self) -> dict[str, Any]:
        """The architecture as plain values."""
        return asdict(self.model.config)


def load_checkpoint(name: str, checkpoint: Path, overrides: Mapping[str, str] | None = None) -> LoadedModel:
    """Read the official checkpoint of the model ``name``; ``overrides`` are ``key=value`` texts for the architecture.

    Raises:
        CheckpointError: the file cannot be read, is unsafe, or does not hold that network.
        UsageError: an unknown model or override.
    """
    return _load(get_family(name), checkpoint, WeightsOrigin.CHECKPOINT, overrides or {})


def load_demo(name: str) -> LoadedModel:
    """The small trained network that is shipped with the package.

    Raises:
        UsageError: no demo weights are shipped for that model.
    """
    family = get_family(name)
    if family.demo_weights is None:
        raise UsageError(f"No demo weights are shipped for {name}.", remedy="Give --checkpoint or --random-weights.")
    return _load(family, WEIGHTS_FOLDER / family.demo_weights, WeightsOrigin.DEMO, {})


def load_random(name: str, overrides: Mapping[str, str] | None = None, seed: int = 0) -> LoadedModel:
    """The paper's full-size network with random weights: right for speed, meaningless as a picture."""
    family = get_family(name)
    config = replace(family.full_config(), **family.parse_overrides(overrides or {}))
    return LoadedModel(family, family.random(config, seed), WeightsOrigin.RANDOM, None, None)


def _load(
    family: ModelFamily[Any], checkpoint: Path, origin: WeightsOrigin, overrides: Mapping[str, str]
) -> LoadedModel:
    states = {network: read_checkpoint(path) for network, path in family.companion_files(checkpoint).items()}
    wanted = {**_recorded_config(family, checkpoint), **family.parse_overrides(overrides)}
    config = family.infer_config(states, wanted)
    return LoadedModel(family, family.load(states, config), origin, checkpoint, file_sha256(checkpoint))


def _recorded_config(family: ModelFamily[Any], checkpoint: Path) -> dict[str, object]:
    """Our own safetensors files say which network they hold."""
    metadata = read_metadata(checkpoint)
    recorded = metadata.get("family")
    if recorded is not None and recorded != family.name:
        raise CheckpointError(
            f"{checkpoint} holds a {recorded} network, not {family.name}.", remedy=f"Use --model {recorded}."
        )
    try:
        config = json.loads(metadata.get("config", "{}"))
    except json.JSONDecodeError as error:
        raise CheckpointError(f"The architecture recorded in {checkpoint} is not JSON: {error}.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"The architecture recorded in {checkpoint} is not a JSON object, but {config!r:.60}.")
    try:
        return family.parse_overrides({key: str(value) for key, value in config.items()})
    except UsageError as error:
        raise CheckpointError(
            f"The architecture recorded in {checkpoint} is not known here: {error.what}",
            remedy="It may have been written by a newer version of edge-i2i.",
        ) from error
