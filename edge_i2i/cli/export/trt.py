"""``edge-i2i export trt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.export.common import Exporting, Json, check_writing, tell_bundle, write_bundle
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.show.console import BuildBar, result, result_json
from edge_i2i.errors import MissingRequirementError, UsageError

if TYPE_CHECKING:
    from edge_i2i.engines.tensorrt.options import BuildOptions
    from edge_i2i.export.onnx import ExportSummary
    from edge_i2i.export.tensorrt import BuiltEngine


@with_groups
def trt(
    asked: Exporting,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            help="Which variant becomes the engine: fp32, fp16, or int8-tensorrt of a quantized --bundle.",
        ),
    ] = "fp16",
    runtime: Annotated[
        str,
        typer.Option("--runtime", help="auto, tensorrt (on the GPU at hand) or rtx (ahead of time, no GPU needed)."),
    ] = "auto",
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Build from this finished bundle; nothing is exported again.")
    ] = None,
    workspace_mb: Annotated[
        int | None, typer.Option("--workspace-mb", min=1, help="Most scratch memory a layer may take, in MiB.")
    ] = None,
    optimization_level: Annotated[
        int,
        typer.Option(
            "--optimization-level", min=0, max=5, help="Optimisation level: 0 builds fastest, 5 runs fastest."
        ),
    ] = 3,
    hardware_compatibility: Annotated[
        str,
        typer.Option(
            "--hardware-compatibility", help="Other GPUs to run on: none, ampere_plus or same_compute_capability."
        ),
    ] = "none",
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Build an engine that later TensorRT versions can load, too.")
    ] = False,
    targets: Annotated[
        str | None, typer.Option("--targets", help="RTX: compute capabilities, comma-separated; default 8.6,8.9,12.0.")
    ] = None,
    allow_tf32: Annotated[
        bool, typer.Option("--allow-tf32", help="FP32 products may round their inputs to TF32: faster, less exact.")
    ] = False,
    accept_engines: Annotated[
        bool,
        typer.Option(
            "--accept-engines",
            help="Build nothing: take over the engines beside --bundle, which you built on another machine.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Export a network to a bundle and build a TensorRT engine beside it.

    Engines are programs: one that lies beside a bundle is loaded only if you built it here, or took it over.

    Example: python export/to_trt.py --model pix2pixhd --checkpoint latest_net_G.pth --size 512x1024 --precision fp16
    """
    from edge_i2i.engines.tensorrt.options import BuildOptions, HardwareCompatibility
    from edge_i2i.export.tensorrt import check_runtime_name

    if accept_engines:
        _accept(bundle, json)
        return
    known = [level.value for level in HardwareCompatibility]
    if hardware_compatibility not in known:
        raise UsageError(f"'{hardware_compatibility}' is no compatibility level.", remedy=f"Known: {', '.join(known)}.")
    options = BuildOptions(
        workspace_mb=workspace_mb,
        optimization_level=optimization_level,
        hardware_compatibility=HardwareCompatibility(hardware_compatibility),
        version_compatible=version_compatible,
        allow_tf32=allow_tf32,
        targets=tuple(targets.split(",")) if targets else None,
    )
    check_runtime_name(runtime)  # a missing product is told after the export, because the bundle is kept
    summary = None
    if bundle is None:
        check_writing(asked.writing)
        summary = write_bundle(asked, tuple(dict.fromkeys(("fp32", precision))), json)
    _build(summary, bundle, precision, runtime, options, json)


def _accept(bundle: Path | None, json: bool) -> None:
    from edge_i2i.bundle.reader import open_bundle
    from edge_i2i.engines.tensorrt.store import EngineStore
    from edge_i2i.translate.translator import default_engine_folder

    if bundle is None:
        raise UsageError("There is no bundle whose engines to take over.", remedy="Name it: --bundle NAME.i2i.")
    open_bundle(bundle)
    folder = default_engine_folder(bundle)
    accepted = EngineStore(folder).accept()
    if json:
        result_json({"bundle": str(bundle), "accepted": [str(path) for path in accepted]})
        return
    for path in accepted:
        result(f"engine  {path}  (taken over)")
    if not accepted:
        result(f"there is no whole engine in {folder}")


def _build(
    summary: ExportSummary | None, bundle: Path | None, variant: str, runtime: str, options: BuildOptions, json: bool
) -> None:
    from edge_i2i.bundle.reader import open_bundle
    from edge_i2i.export.tensorrt import build_engines, choose_runtime
    from edge_i2i.files.places import check_folder
    from edge_i2i.translate.translator import default_engine_folder

    path = bundle or (summary.bundle if summary else Path())
    opened = open_bundle(path)
    check_folder(default_engine_folder(path))
    try:
        engine = choose_runtime(runtime)
    except MissingRequirementError as error:
        if json:
            result_json(_report(path, summary, ()) | {"engine_problem": error.what})
        raise MissingRequirementError(
            f"{error.what} The bundle {path} is finished and kept.", remedy=error.remedy
        ) from error
    built = build_engines(opened, variant, engine, options, default_engine_folder(path), BuildBar(json))
    if json:
        result_json(_report(path, summary, built))
        return
    if summary is not None:
        tell_bundle(summary)
    _tell_engines(path, built, variant)


def _report(path: Path, summary: ExportSummary | None, built: Sequence[BuiltEngine]) -> dict[str, Any]:
    """The JSON object; ``engine`` is the frame graph's."""
    first = built[0] if built else None
    return {
        "bundle": str(path),
        "engine": str(first.path) if first else None,
        "engine_status": first.status if first else "unavailable",
        "engine_runtime": first.runtime if first else None,
        "engine_version": first.version if first else None,
        "engine_targets": list(first.targets) if first else [],
        "parity": summary.parity if summary else {},
        "seconds": (summary.seconds if summary else 0.0) + sum(item.seconds for item in built),
    }


def _tell_engines(path: Path, built: Sequence[BuiltEngine], variant: str) -> None:
    from edge_i2i.engines.tensorrt.options import describe_target

    for item in built:
        targets = ", ".join(describe_target(target) for target in item.targets)
        result(f"engine  {item.path}  ({item.status}, {item.seconds:.1f} s)")
        result(f"  {item.graph}: {variant}, {item.runtime} {item.version}, for GPUs of compute capability {targets}")
    result("on a Jetson the engine is built on the device, from the same bundle:")
    result(f"  edge-i2i export trt --bundle {path.name} --runtime tensorrt --precision {variant}")
