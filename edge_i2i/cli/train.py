"""`edge-i2i train`, and ``python training/train.py``: one function, one help text."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.show.console import Bar, result, result_json
from edge_i2i.cli.signals import stop_on_signal

if TYPE_CHECKING:
    import threading

    from edge_i2i.learn.recipe import Recipe


def train(
    recipe: Annotated[Path, typer.Option(help="The YAML file that describes the run.")],
    output: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Train for this many steps instead of the recipe's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in --output.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Where prepared pairs are kept between runs.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps (Lightning Fabric's names).")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Devices to train on; more than one trains with DDP.")] = 1,
    print_config: Annotated[bool, typer.Option("--print-config", help="Show the whole recipe and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Train a generator from a recipe; Ctrl-C finishes the step, writes a checkpoint and stops.

    Example: edge-i2i train --recipe training/recipes/demo.yaml --output runs/demo
    """
    from edge_i2i.learn.recipe import read_recipe

    plan = read_recipe(recipe)
    if steps is not None:
        plan = plan.with_steps(steps)
    if print_config:
        typer.echo(plan.to_yaml(), nl=False)
        return
    folder = output or Path("runs") / plan.name
    with stop_on_signal() as stop:
        outcome = _train(plan, folder, cache, resume=resume, accelerator=accelerator, devices=devices, stop=stop)
    if not outcome:  # another rank speaks
        return
    if as_json:
        result_json(outcome)
    else:
        for line in _summary(outcome):
            result(line)


def _train(
    plan: Recipe,
    output: Path,
    cache: Path | None,
    *,
    resume: bool,
    accelerator: str,
    devices: int,
    stop: threading.Event,
) -> dict[str, Any]:
    from edge_i2i.requirements import require_extra

    require_extra("train", purpose="Training")
    from edge_i2i.files.caches import cache_folder
    from edge_i2i.learn.run import RunOptions, train_recipe

    options = RunOptions(
        output=output,
        cache=cache or cache_folder("pairs"),
        resume=resume,
        accelerator=accelerator,
        devices=devices,
        command=_command(),
        should_stop=stop.is_set,
        progress=Bar(),
    )
    return train_recipe(plan, options)


def _command() -> str:
    """The command as a person would type it again: the program without its folder."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _summary(outcome: dict[str, Any]) -> list[str]:
    ours, identity, fit = (outcome["held_out"][name] for name in ("ours", "identity", "colour_fit"))
    return [
        f"step {outcome['step']} of {outcome['steps']} in {outcome['seconds']:.0f} s",
        f"held out: PSNR {ours['psnr']:.2f} dB, SSIM {ours['ssim']:.3f} "
        f"(photograph as it is: {identity['psnr']:.2f}, {identity['ssim']:.3f}; "
        f"colour fit: {fit['psnr']:.2f}, {fit['ssim']:.3f})",
        f"weights: {outcome['weights']}",
        f"figures and pictures: {outcome['results']}",
    ]
