"""From a recipe to weights and figures: what `edge-i2i train` and ``training/train.py`` do."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from edge_i2i.bundle.locking import only_run
from edge_i2i.errors import UsageError
from edge_i2i.files.places import check_folder, refuse_foreign, writing
from edge_i2i.files.whole import replacing
from edge_i2i.learn.checkpoints import list_snapshots
from edge_i2i.learn.data import cached_pairs
from edge_i2i.learn.export_weights import write_weights
from edge_i2i.learn.recipe import Recipe, is_recipe
from edge_i2i.learn.results import write_results
from edge_i2i.learn.trainer import Outcome, Trainer, generator_config
from edge_i2i.models.checkpoints.weights_file import is_weights_file
from edge_i2i.progress import NullProgress, Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """What a person decides about a run beside its recipe."""

    output: Path
    cache: Path
    resume: bool = False
    accelerator: str = "auto"
    devices: int = 1
    command: str = ""
    should_stop: Callable[[], bool] = field(default=lambda: False)
    progress: Progress = field(default_factory=NullProgress)


def train_recipe(recipe: Recipe, options: RunOptions) -> dict[str, Any]:
    """Train, then write ``NAME.safetensors`` and ``results/`` into the output folder.

    Returns:
        JSON-ready: ``finished``, ``step``, ``steps``, ``seconds``, ``checkpoint``, ``weights``, ``results`` and
        ``held_out`` (figures). A run that was stopped early has the weights of that moment.

    Raises:
        UsageError: the output folder already holds a run and ``resume`` was not asked for, or the other way round.
        OutputError: nothing can be written into the folder, also later (a disk that is full by then), or another run is
            writing there.
        CheckpointError: the checkpoint to resume from is damaged.
    """
    _check_output(recipe, options)
    with _alone(options):
        return _train(recipe, options)


def _train(recipe: Recipe, options: RunOptions) -> dict[str, Any]:
    fabric = Fabric(accelerator=options.accelerator, devices=options.devices, precision=recipe.training.precision)
    fabric.launch()
    pairs = _pairs_once(fabric, recipe, options)
    trainer = Trainer(recipe, options.output, pairs, fabric)
    if options.resume:
        trainer.resume()
        logger.info("resumed at step %d", trainer.step)
    if fabric.is_global_zero:
        with writing(options.output / "recipe.yaml"), replacing(options.output / "recipe.yaml") as unfinished:
            unfinished.write_text(recipe.to_yaml(), encoding="utf-8")
    outcome = trainer.run(should_stop=options.should_stop, progress=options.progress if fabric.is_global_zero else None)
    return _conclude(trainer, outcome, options) if fabric.is_global_zero else {}


@contextmanager
def _alone(options: RunOptions) -> Iterator[None]:
    """Hold the output folder against any other run.

    The processes of further devices belong to the first one's run, which holds it for them.
    """
    if any(os.environ.get(name, "0") != "0" for name in ("LOCAL_RANK", "NODE_RANK", "RANK")):
        yield
        return
    check_folder(options.output)
    with only_run(options.output, inside=True):
        yield


def _check_output(recipe: Recipe, options: RunOptions) -> None:
    has_run = bool(list_snapshots(options.output / "checkpoints"))
    if has_run and not options.resume:
        raise UsageError(
            f"{options.output} already holds a training run.",
            remedy="Add --resume to go on with it, or name another --output folder.",
        )
    if not has_run:
        refuse_foreign(options.output / "recipe.yaml", is_recipe, "a training recipe")
        refuse_foreign(options.output / f"{recipe.name}.safetensors", is_weights_file, "a weights file of this project")
    if options.resume and not has_run:
        raise UsageError(
            f"There is no checkpoint to resume from in {options.output}.", remedy="Leave --resume out to start."
        )


def _pairs_once(fabric: Fabric, recipe: Recipe, options: RunOptions) -> Any:
    if fabric.is_global_zero:
        cached_pairs(recipe, options.cache, progress=options.progress)
    fabric.barrier()
    return cached_pairs(recipe, options.cache)


def _conclude(trainer: Trainer, outcome: Outcome, options: RunOptions) -> dict[str, Any]:
    recipe, output = trainer.recipe, options.output
    weights = write_weights(
        trainer.ema,
        generator_config(recipe),
        output / f"{recipe.name}.safetensors",
        extra={"recipe": recipe.name, "seed": str(recipe.seed), "step": str(outcome.step)},
    )
    circumstances = {
        "recipe": recipe.model_dump(mode="json"),
        "step": outcome.step,
        "seconds": outcome.seconds,
        "weights_bytes": weights.stat().st_size,
        "command": options.command,
    }
    results = write_results(output / "results", trainer.held_out(), output / "log.jsonl", circumstances)
    return {
        "finished": outcome.finished,
        "step": outcome.step,
        "steps": recipe.training.steps,
        "seconds": outcome.seconds,
        "checkpoint": str(outcome.checkpoint),
        "weights": str(weights),
        "results": str(output / "results"),
        "held_out": results["held_out"]["mean"],
    }
