"""``edge-i2i export onnx`` and ``edge-i2i export trt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.console import BuildBar, StageLines, result, result_json, say
from edge_i2i.errors import MissingRequirementError, UsageError

if TYPE_CHECKING:
    from edge_i2i.engines.tensorrt.options import BuildOptions
    from edge_i2i.export import ExportSummary
    from edge_i2i.export_trt import BuiltEngine
    from edge_i2i.models.loading import LoadedModel

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Export a network to a bundle and its engines.")

Model = Annotated[str, typer.Option("--model", help="Which published model, for example pix2pixhd.")]
Checkpoint = Annotated[
    Path | None, typer.Option("--checkpoint", help="Its official checkpoint; without one: our demo weights.")
]
RandomWeights = Annotated[
    bool, typer.Option("--random-weights", help="The full-size network with random weights, for speed tests.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override the inferred architecture: key=value; repeatable.")
]
PictureSize = Annotated[str | None, typer.Option("--size", help="HxW, for example 512x1024.")]
Output = Annotated[Path | None, typer.Option("--output", help="The bundle to write; default MODEL.i2i.")]
AsDirectory = Annotated[bool, typer.Option("--directory", help="Write the bundle as a folder, not as one file.")]
Passes = Annotated[
    str | None, typer.Option("--passes", help="Graph passes by name, comma-separated ('none' for none).")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads for the parity runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command("onnx")
def onnx(
    model: Model = "pix2pixhd",
    checkpoint: Checkpoint = None,
    random_weights: RandomWeights = False,
    overrides: Overrides = None,
    size: PictureSize = None,
    precision: Annotated[
        list[str] | None, typer.Option("--precision", help="fp32 or fp16; repeatable; default both.")
    ] = None,
    output: Output = None,
    directory: AsDirectory = False,
    passes: Passes = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Export a network to a bundle of checked ONNX graphs.

    Example: edge-i2i export onnx --model pix2pixhd --checkpoint latest_net_G.pth --size 512x1024 --output city.i2i
    """
    loaded = _load(model, checkpoint, random_weights, overrides)
    target = output or Path(f"{model}.i2i")
    precisions = tuple(dict.fromkeys(precision or ("fp32", "fp16")))
    summary = _export(loaded, size, target, precisions, passes, directory, threads, json)
    if json:
        result_json(_bundle_json(summary))
    else:
        _tell_bundle(summary)


@app.command("trt")
def trt(
    model: Model = "pix2pixhd",
    checkpoint: Checkpoint = None,
    random_weights: RandomWeights = False,
    overrides: Overrides = None,
    size: PictureSize = None,
    precision: Annotated[
        str, typer.Option("--precision", help="fp32 or fp16: which variant becomes the engine.")
    ] = "fp16",
    runtime: Annotated[
        str,
        typer.Option("--runtime", help="auto, tensorrt (on the GPU at hand) or rtx (ahead of time, no GPU needed)."),
    ] = "auto",
    output: Output = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Build from this finished bundle; nothing is exported again.")
    ] = None,
    directory: AsDirectory = False,
    workspace_mb: Annotated[
        int | None, typer.Option("--workspace-mb", min=1, help="Most scratch memory a layer may take, in MiB.")
    ] = None,
    optimization_level: Annotated[
        int, typer.Option("--optimization-level", min=0, max=5, help="0: fast build … 5: fast engine.")
    ] = 3,
    hardware_compatibility: Annotated[
        str, typer.Option("--hardware-compatibility", help="none, ampere_plus or same_compute_capability.")
    ] = "none",
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="An engine that later TensorRT versions can load, too.")
    ] = False,
    targets: Annotated[
        str | None, typer.Option("--targets", help="RTX: compute capabilities, comma-separated; default 8.6,8.9,12.0.")
    ] = None,
    passes: Passes = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Export a network to a bundle and build a TensorRT engine beside it.

    Example: python export/to_trt.py --model pix2pixhd --checkpoint latest_net_G.pth --size 512x1024 --precision fp16
    """
    from edge_i2i.engines.tensorrt.options import BuildOptions, HardwareCompatibility

    known = [level.value for level in HardwareCompatibility]
    if hardware_compatibility not in known:
        raise UsageError(f"'{hardware_compatibility}' is no compatibility level.", remedy=f"Known: {', '.join(known)}.")
    options = BuildOptions(
        workspace_mb=workspace_mb,
        optimization_level=optimization_level,
        hardware_compatibility=HardwareCompatibility(hardware_compatibility),
        version_compatible=version_compatible,
        targets=tuple(targets.split(",")) if targets else None,
    )
    _check_runtime_name(runtime)
    summary = None
    if bundle is None:
        loaded = _load(model, checkpoint, random_weights, overrides)
        precisions = tuple(dict.fromkeys(("fp32", precision)))
        summary = _export(loaded, size, output or Path(f"{model}.i2i"), precisions, passes, directory, threads, json)
    _build(summary, bundle, precision, runtime, options, json)


def _check_runtime_name(runtime: str) -> None:
    """A misspelt name is told before minutes of export, a missing product after it, because the bundle is kept."""
    from edge_i2i.export_trt import trt_runtimes

    if runtime not in ("auto", *trt_runtimes()):
        raise UsageError(
            f"There is no TensorRT runtime '{runtime}'.", remedy=f"Known: auto, {', '.join(trt_runtimes())}."
        )


def _load(name: str, checkpoint: Path | None, random_weights: bool, overrides: Sequence[str] | None) -> LoadedModel:
    from edge_i2i.models.loading import load_checkpoint, load_demo, load_random

    if checkpoint is not None and random_weights:
        raise UsageError("--checkpoint and --random-weights exclude each other.", remedy="Give one of them.")
    pairs = _pairs(overrides or ())
    if checkpoint is not None:
        return load_checkpoint(name, checkpoint, pairs)
    if random_weights:
        say(f"Random weights: the full-size {name}, right for speed, meaningless as a picture.")
        return load_random(name, pairs)
    if pairs:
        raise UsageError(
            "--set needs --checkpoint or --random-weights.", remedy="The demo weights fit one architecture."
        )
    say(f"No --checkpoint: using the small {name} that is shipped as a demo.")
    return load_demo(name)


def _pairs(overrides: Sequence[str]) -> dict[str, str]:
    broken = [text for text in overrides if "=" not in text]
    if broken:
        raise UsageError(f"--set {broken[0]}: write key=value.", remedy="For example --set label_nc=20.")
    return dict(text.split("=", 1) for text in overrides)


def _export(
    loaded: LoadedModel,
    size: str | None,
    output: Path,
    precisions: tuple[str, ...],
    passes: str | None,
    directory: bool,
    threads: int | None,
    quiet: bool,
) -> ExportSummary:
    import sys

    from edge_i2i.export import default_size, export_bundle
    from edge_i2i.graphs.export import ExportOptions
    from edge_i2i.graphs.passes import DEFAULT_PASSES
    from edge_i2i.models.contract import Size

    names = DEFAULT_PASSES if passes is None else tuple(name for name in passes.split(",") if name not in ("", "none"))
    return export_bundle(
        loaded,
        Size.parse(size) if size else default_size(loaded),
        output,
        ExportOptions(precisions=precisions, passes=names, threads=threads),
        layout="directory" if directory else "file",
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        on_stage=StageLines(quiet),
    )


def _build(
    summary: ExportSummary | None, bundle: Path | None, variant: str, runtime: str, options: BuildOptions, json: bool
) -> None:
    from edge_i2i.bundle.reader import open_bundle
    from edge_i2i.export_trt import build_engines, choose_runtime
    from edge_i2i.translator import default_engine_folder

    path = bundle or (summary.bundle if summary else Path())
    report: dict[str, Any] = {
        "bundle": str(path),
        "engine": None,
        "engine_status": "unavailable",
        "engine_runtime": None,
    }
    report |= {"parity": summary.parity if summary else {}, "seconds": summary.seconds if summary else 0.0}
    opened = open_bundle(path)
    try:
        engine = choose_runtime(runtime)
    except MissingRequirementError as error:
        if json:
            result_json(report | {"engine_problem": error.what})
        raise MissingRequirementError(
            f"{error.what} The bundle {path} is finished and kept.", remedy=error.remedy
        ) from error
    built = build_engines(opened, variant, engine, options, default_engine_folder(path), BuildBar(json))
    first = built[0]
    report |= {"engine": str(first.path), "engine_status": first.status, "engine_runtime": first.runtime}
    report |= {"engine_version": first.version, "engine_targets": list(first.targets)}
    report["seconds"] += sum(item.seconds for item in built)
    if json:
        result_json(report)
        return
    if summary is not None:
        _tell_bundle(summary)
    _tell_engines(path, built, variant)


def _bundle_json(summary: ExportSummary) -> dict[str, Any]:
    return {
        "bundle": str(summary.bundle),
        "parity": summary.parity,
        "rewrites": summary.rewrites,
        "seconds": summary.seconds,
    }


def _tell_bundle(summary: ExportSummary) -> None:
    result(f"bundle  {summary.bundle}  ({summary.seconds:.1f} s)")
    for graph, stages in summary.parity.items():
        for stage, figures in stages.items():
            result(f"  {graph:8s} {stage:32s} {_figures(figures)}")
    result(f"try it  edge-i2i translate {summary.bundle} PICTURE --output OUT.png")


def _figures(figures: Any) -> str:
    parts = []
    if "float_error" in figures:
        parts.append(f"largest error {figures['float_error']:.1e}")
    if "equal_share" in figures:
        parts.append(f"{figures['equal_share']:.3%} of values equal")
    parts.append(f"{figures['psnr_db']:.1f} dB")
    return ", ".join(parts)


def _tell_engines(path: Path, built: Sequence[BuiltEngine], variant: str) -> None:
    for item in built:
        targets = ", ".join(item.targets)
        result(f"engine  {item.path}  ({item.status}, {item.seconds:.1f} s)")
        result(f"  {item.graph}: {variant}, {item.runtime} {item.version}, for GPUs of compute capability {targets}")
    result("on a Jetson the engine is built on the device, from the same bundle:")
    result(f"  edge-i2i export trt --bundle {path.name} --runtime tensorrt --precision {variant}")
