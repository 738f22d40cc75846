"""``edge-i2i qat``, and ``python training/qat.py``: one function, one help text."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.options.choices import TARGETS, completing, shown
from edge_i2i.cli.options.network import Architecture, Network, load_network
from edge_i2i.cli.options.numbers import positive
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.show.console import Bar, StageLines, result, result_json, say
from edge_i2i.cli.signals import stop_on_signal
from edge_i2i.errors import UsageError

if TYPE_CHECKING:
    import threading

    from edge_i2i.quantize.qat.run import QatSummary


@dataclass(frozen=True)
class Training:
    """How long and how gently."""

    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Steps of fine-tuning: 5 to 10 % of the training's, or fewer.")
    ] = 500
    frames: Annotated[int, typer.Option("--frames", min=1, help="How many pictures each step takes.")] = 1
    learning_rate: Annotated[
        float,
        typer.Option(
            "--learning-rate",
            parser=positive,
            metavar="RATE",
            help="Learning rate of the weights; usually a tenth of the training's.",
        ),
    ] = 2e-5
    range_learning_rate: Annotated[
        float,
        typer.Option(
            "--range-learning-rate",
            parser=positive,
            metavar="RATE",
            help="Learning rate of ranges and scales, as a share of them a step.",
        ),
    ] = 1e-2
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that is drawn.")] = 2018
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads to compute with.")] = None
    run: Annotated[
        Path | None, typer.Option("--run", help="Folder for the checkpoint and log; default runs/qat-OUTPUT.")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --run.")] = False


@with_groups
def qat(
    network: Network,
    architecture: Architecture,
    training: Training,
    data: Annotated[str, typer.Option("--data", help="Pictures: a folder, a quoted glob, a video; or: golden.")],
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar=shown(TARGETS), autocompletion=completing(TARGETS), help="The engine to quantize for."
        ),
    ],
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="[BUNDLE]", show_default=False, help="A bundle with fp32; else --model/--checkpoint."),
    ] = None,
    size: Annotated[str | None, typer.Option("--size", help="HxW, where --model is exported first.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The bundle to write; default BUNDLE, or MODEL-qat.i2i.")
    ] = None,
    keep_float: Annotated[
        list[str] | None, typer.Option("--keep-float", help="A layer that stays in float; repeatable.")
    ] = None,
    pictures: Annotated[int, typer.Option("--pictures", min=1, help="How many pictures to draw from, at most.")] = 256,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Fine-tune a network under INT8 rounding, against its own FP32 pictures, where calibration alone is not enough.

    Ctrl-C finishes the step, writes a checkpoint and stops; --resume goes on. The new variant joins those of the
    bundle, whose fp32 weights stay as they are.

    Example: edge-i2i qat city.i2i --data photos --target tensorrt --steps 500 --output city-qat.i2i
    """
    if (bundle is None) == (network.model is None and network.checkpoint is None):
        raise UsageError(
            "Which network?" if bundle is None else "A bundle and --model or --checkpoint exclude each other.",
            remedy="Name a bundle, or give --model or --checkpoint.",
        )
    target_bundle = output or bundle or Path(f"{network.name}-qat.i2i")
    folder = training.run or Path("runs") / f"qat-{target_bundle.stem}"
    _check_run(folder, target_bundle, resume=training.resume)
    from edge_i2i.bundle.locking import only_run

    with only_run(target_bundle), only_run(folder, inside=True), ExitStack() as entered:
        source = bundle or _export(network, architecture, size, folder, training, quiet=json)
        stop = entered.enter_context(stop_on_signal())
        summary = _fine_tune(
            source, target_bundle, data, target, tuple(keep_float or ()), pictures, training, folder, stop, quiet=json
        )
    if json:
        result_json(_as_json(summary, folder))
    else:
        _tell(summary)


def _check_run(folder: Path, output: Path, *, resume: bool) -> None:
    from edge_i2i.bundle.writer import check_bundle_place
    from edge_i2i.files.places import check_folder
    from edge_i2i.requirements import require_extra

    require_extra("quantize", purpose="QAT")
    from edge_i2i.quantize.qat.checkpoint import check_folder as check_run_folder

    check_run_folder(folder, resume=resume)
    check_bundle_place(output)
    check_folder(folder)


def _export(
    network: Network, architecture: Architecture, size: str | None, folder: Path, training: Training, *, quiet: bool
) -> Path:
    """The network as a bundle in the run's folder; one of an earlier session is used again."""
    from edge_i2i.contract import Size
    from edge_i2i.export.onnx import default_size, export_bundle
    from edge_i2i.graphs.export import ExportOptions

    place = folder / "original.i2i"
    if training.resume and place.exists():
        return place
    loaded = load_network(network, architecture)
    chosen = Size.parse(size) if size else default_size(loaded)
    export_bundle(
        loaded, chosen, place, ExportOptions(threads=training.threads), command=_command(), on_stage=StageLines(quiet)
    )
    return place


def _fine_tune(
    source: Path,
    output: Path,
    data: str,
    target: str,
    keep_float: tuple[str, ...],
    pictures: int,
    training: Training,
    folder: Path,
    stop: threading.Event,
    *,
    quiet: bool,
) -> QatSummary:
    from edge_i2i.bundle.reader import open_bundle
    from edge_i2i.graphs.qdq.targets import get_target
    from edge_i2i.quantize.calibration.calibration_set import GOLDEN, CalibrationOptions, load_calibration
    from edge_i2i.quantize.qat.plan import QatOptions, Run
    from edge_i2i.quantize.qat.run import QatJob, fine_tune_bundle

    job = QatJob(get_target(target), keep_float, seed=training.seed, command=_command())
    options = QatOptions(
        steps=training.steps,
        frames=training.frames,
        learning_rate=training.learning_rate,
        range_learning_rate=training.range_learning_rate,
        threads=training.threads,
    )
    chosen = CalibrationOptions(count=pictures, seed=training.seed, threads=training.threads)
    place = GOLDEN if data == GOLDEN else Path(data)
    with load_calibration(open_bundle(source), place, chosen, Bar(quiet)) as calibration:
        run = Run(folder, training.resume, should_stop=stop.is_set, progress=Bar(quiet))
        return fine_tune_bundle(source, output, calibration, job, options, run)


def _command() -> str:
    """The command as a person would type it again: the program without its folder."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _as_json(summary: QatSummary, folder: Path) -> dict[str, Any]:
    return {
        "finished": summary.finished,
        "bundle": None if summary.bundle is None else str(summary.bundle),
        "variant": summary.variant,
        "step": summary.step,
        "steps": summary.steps,
        "best_step": summary.best_step,
        "before": None if summary.before is None else summary.before.figures(),
        "after": None if summary.after is None else summary.after.figures(),
        "run": str(folder),
        "seconds": summary.seconds,
    }


def _tell(summary: QatSummary) -> None:
    if summary.before is None or summary.after is None:
        say(f"Stopped after step {summary.step} of {summary.steps}; nothing was written. Go on with --resume.")
        return
    result(f"{summary.bundle}: variant {summary.variant}, from step {summary.best_step} ({summary.seconds:.0f} s)")
    for what, quality in (("calibrated only", summary.before), ("fine-tuned", summary.after)):
        result(
            f"  {what:16s} {quality.psnr_db:.2f} dB, SSIM {quality.ssim:.4f}, "
            f"{quality.grey_levels_ratio:.1%} of the grey levels; held out, against fp32"
        )
