"""``edge-i2i translate``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.options.choices import Engine, HdrFilms, PictureFit, Precision, Variant, chosen
from edge_i2i.cli.options.conditions import ConditionOptions, apply_conditions
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.show.console import Bar, result, result_json, say
from edge_i2i.errors import MissingRequirementError, PictureError, UsageError
from edge_i2i.files.places import check_apart

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_i2i.translate.files import TranslateSummary
    from edge_i2i.translate.translator import Translator


@with_groups
def translate(
    bundle: Annotated[Path, typer.Argument(help="The .i2i bundle.")],
    source: Annotated[
        str | None,
        typer.Argument(metavar="[INPUT]", help="A picture, a folder, a quoted glob, or a film."),
    ] = None,
    *,
    conditions: ConditionOptions,
    output: Annotated[
        Path | None, typer.Option("--output", help="Where results go: a file, or a folder for many.")
    ] = None,
    engine: Engine = "auto",
    variant: Variant = "auto",
    fit: PictureFit = "letterbox",
    keep_size: Annotated[
        bool, typer.Option("--keep-size/--model-size", help="Give results in the input's size, or in the network's.")
    ] = True,
    label_map: Annotated[
        str | None, typer.Option("--label-map", help="For label-mode networks: a PNG of class ids.")
    ] = None,
    instance_map: Annotated[
        str | None, typer.Option("--instance-map", help="For label-mode networks: a PNG of instance ids.")
    ] = None,
    hdr: HdrFilms = "tone-map",
    precision: Precision = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads inside one call.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Of many files, skip those that an earlier run finished.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Translate pictures or a video with a bundle.

    A file that cannot be read is reported and passed over; the exit code is then 4. With a bundle named, --help says
    which styles, attributes, masks … it takes.

    Example: edge-i2i translate city.i2i holiday.mp4 --output holiday-painted.mp4
    """
    from edge_i2i.media.geometry import Fit
    from edge_i2i.media.tone_mapping import Hdr
    from edge_i2i.translate.files import check_job, translate_path
    from edge_i2i.translate.translator import load

    if fit not in {item.value for item in Fit}:
        raise UsageError(f"There is no fit '{fit}'.", remedy=f"Known: {', '.join(item.value for item in Fit)}.")
    sources = _sources(source, label_map, instance_map)
    hdr_films = chosen(hdr, Hdr, "ways with a high dynamic range")
    if output is None:
        raise UsageError("Where shall the result go?", remedy="Give --output FILE or --output FOLDER.")
    check_apart([output], [bundle, *conditions.files()])
    check_job(sources, output)
    with load(
        bundle, engine=engine, variant=variant, precision=precision, fit=fit, keep_size=keep_size, threads=threads
    ) as translator:
        apply_conditions(translator, conditions)
        info = translator.info
        used = f"{info.session.engine} ({info.session.effective_precision})"
        say(f"{info.bundle}: {info.variant} on {used}, {info.picked}")
        for note in info.session.notes:
            say(f"  {note}")
        identity = _identity(translator, fit, keep_size) | conditions.identity()
        summary = translate_path(
            _by_name(translator), sources, output, identity=identity, resume=resume, progress=Bar(json), hdr=hdr_films
        )
    _tell(summary, json, {"bundle": str(bundle), "info": asdict(info)})


def _sources(source: str | None, label_map: str | None, instance_map: str | None) -> dict[str, str]:
    given = {"frame": source, "label_map": label_map, "instance_map": instance_map}
    sources = {role: path for role, path in given.items() if path is not None}
    if not sources:
        raise UsageError("There is nothing to translate.", remedy="Give INPUT, or --label-map and --instance-map.")
    return sources


def _by_name(translator: Translator) -> Any:
    """Files are known by their role; the network names its inputs itself."""
    names = {spec.role.value: spec.name for spec in translator.declaration.inputs}

    def run(inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
        return translator(**{names.get(role, role): array for role, array in inputs.items()})

    return run


def _identity(translator: Translator, fit: str, keep_size: bool) -> dict[str, str]:
    """What the results of a folder depend on besides their sources."""
    info = translator.info
    return {
        "graph_sha256": translator.graph_sha256,
        "engine": info.session.engine,
        "variant": info.variant,
        "precision": info.session.effective_precision,
        "fit": fit,
        "keep_size": str(keep_size),
    }


def _tell(summary: TranslateSummary, json: bool, about: dict[str, Any]) -> None:
    if json:
        failed = [{"path": str(item.path), "reason": item.reason} for item in summary.failed]
        outputs = [str(path) for path in summary.outputs]
        result_json({**about, **asdict(summary), "failed": failed, "outputs": outputs})
    else:
        result(
            f"{summary.translated} translated, {summary.skipped_existing} were there already, "
            f"{len(summary.failed)} failed; {summary.frames} frames in {summary.seconds:.1f} s"
        )
        for path in summary.outputs[:1] if len(summary.outputs) == 1 else {path.parent: 0 for path in summary.outputs}:
            result(f"  {path}")
    if summary.failed:
        listed = "\n".join(f"  {item.path}: {item.reason}" for item in summary.failed)
        kind = MissingRequirementError if all(item.missing for item in summary.failed) else PictureError
        raise kind(f"{len(summary.failed)} could not be translated:\n{listed}")
