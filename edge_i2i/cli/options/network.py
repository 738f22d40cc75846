"""Which network a verb works on: its options, and getting it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.show.console import say
from edge_i2i.errors import UsageError

if TYPE_CHECKING:
    from edge_i2i.models.checkpoints.checkpoint import Checkpoint
    from edge_i2i.models.checkpoints.loading import LoadedModel
    from edge_i2i.models.family import ModelFamily


@dataclass(frozen=True)
class Architecture:
    """What a checkpoint alone may not tell of its network."""

    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override the inferred architecture: key=value; repeatable.")
    ] = None
    direction: Annotated[
        str | None, typer.Option("--direction", help="For two-domain networks: a2b or b2a; default a2b.")
    ] = None
    norm_mode: Annotated[
        str | None,
        typer.Option(
            "--norm-mode",
            help="Networks with batch norm: batch (the frame's own statistics) or eval (the stored ones).",
        ),
    ] = None

    def pairs(self, family: ModelFamily[Any]) -> dict[str, str]:
        """The overrides as ``key=value`` texts.

        Raises:
            UsageError: a text without ``=``, or a question that this family does not ask.
        """
        asked = {"direction": self.direction, "norm_mode": self.norm_mode}
        given = {key: value for key, value in asked.items() if value is not None}
        known = {field.name for field in fields(family.config_type)}
        for key in given:
            if key not in known:
                option = key.replace("_", "-")
                raise UsageError(f"{family.name} has no {option} to choose.", remedy=f"Leave --{option} out.")
        return {**_pairs(self.overrides or ()), **given}


@dataclass(frozen=True)
class Network:
    """Which network, and with which weights."""

    model: Annotated[
        str | None,
        typer.Option("--model", help="Which published model (edge-i2i models); default: what the checkpoint holds."),
    ] = None
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", help="The model's official checkpoint; without one, our demo weights."),
    ] = None
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Use the full-size network with random weights, for speed tests.")
    ] = False

    @cached_property
    def opened(self) -> Checkpoint:
        """The checkpoint that was given; it is read once, whatever is asked of it."""
        from edge_i2i.models.checkpoints.checkpoint import Checkpoint

        if self.checkpoint is None:
            raise UsageError("There is no checkpoint to read.", remedy="Give --checkpoint.")
        return Checkpoint(self.checkpoint)

    @cached_property
    def name(self) -> str:
        """The model's name: as told, or what the checkpoint holds.

        Raises:
            UsageError: there is neither.
            CheckpointError: the checkpoint holds no known model.
        """
        from edge_i2i.models.checkpoints.importing import find_family
        from edge_i2i.models.registry import family_names

        if self.model is not None:
            return self.model
        if self.checkpoint is None:
            raise UsageError(
                "Which model?", remedy=f"Give --model or --checkpoint. Known: {', '.join(family_names())}."
            )
        found = find_family(self.opened)
        say(f"{self.checkpoint}: {found}")
        return found.family


def load_network(network: Network, architecture: Architecture) -> LoadedModel:
    """The network that the options ask for: a checkpoint, random weights, or the demo weights."""
    from edge_i2i.requirements import require_extra

    require_extra("torch", purpose="Reading a network")
    from edge_i2i.models.checkpoints.loading import load_checkpoint, load_demo, load_random
    from edge_i2i.models.checkpoints.reading import check_checkpoint
    from edge_i2i.models.registry import get_family

    if network.checkpoint is not None and network.random_weights:
        raise UsageError("--checkpoint and --random-weights exclude each other.", remedy="Give one of them.")
    if network.checkpoint is not None:
        check_checkpoint(network.checkpoint)  # before torch is imported, which takes seconds
    name = network.name
    pairs = architecture.pairs(get_family(name))
    if network.checkpoint is not None:
        loaded = load_checkpoint(name, network.opened, pairs)
        for sentence in loaded.assumed:
            say(f"{network.checkpoint}: {sentence}")
        return loaded
    if network.random_weights:
        say(f"Random weights: the full-size {name}, right for speed, meaningless as a picture.")
        return load_random(name, pairs)
    loaded = load_demo(name)
    if pairs:
        raise UsageError(
            f"{', '.join(pairs)}: this needs --checkpoint or --random-weights.",
            remedy="The demo weights fit one architecture.",
        )
    say(f"No --checkpoint: using the small {name} that is shipped as a demo.")
    return loaded


def _pairs(overrides: Sequence[str]) -> dict[str, str]:
    broken = [text for text in overrides if "=" not in text]
    if broken:
        raise UsageError(f"--set {broken[0]}: write key=value.", remedy="For example --set label_nc=20.")
    return dict(text.split("=", 1) for text in overrides)
