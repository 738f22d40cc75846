"""``edge-i2i import``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.options.network import Architecture
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.show.console import result, result_json, say

if TYPE_CHECKING:
    from edge_i2i.models.checkpoints.importing import ImportSummary


@with_groups
def import_checkpoint(
    file: Annotated[
        Path, typer.Argument(help="An official checkpoint: .pth, .pt, .pkl, .safetensors, or TensorFlow's by prefix.")
    ],
    model: Annotated[
        str | None, typer.Option("--model", help="Which published model it is; default: told by its keys.")
    ] = None,
    *,
    architecture: Architecture,
    output: Annotated[
        Path | None, typer.Option("--output", help="The weights file to write; default MODEL.safetensors.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Recognise which model an official checkpoint holds, check it, and write it as safetensors and a config.

    Files that belong to it by the official naming (an encoder beside a generator) are read as well.

    Example: edge-i2i import gen_01000000.pt --direction b2a --output shoes2edges.safetensors
    """
    from edge_i2i.requirements import require_extra

    require_extra("torch", purpose="Reading a checkpoint")
    from edge_i2i.files.places import check_file, check_folder
    from edge_i2i.models.checkpoints.checkpoint import Checkpoint
    from edge_i2i.models.checkpoints.importing import find_family, import_checkpoint
    from edge_i2i.models.registry import get_family

    if output is not None:
        check_file(output, makes_folder=True)
    else:
        check_folder(Path())
    checkpoint = Checkpoint(file)
    found = find_family(checkpoint, model)
    pairs = architecture.pairs(get_family(found.family))
    summary = import_checkpoint(checkpoint, found, output or Path(f"{found.family}.safetensors"), pairs)
    for sentence in summary.assumed:
        say(f"{file}: {sentence}")
    if json:
        result_json(asdict(summary))
    else:
        _tell(file, summary)


def _tell(file: Path, summary: ImportSummary) -> None:
    result(f"{file}: {summary.title}, {summary.what}")
    for path in summary.companions:
        result(f"  with     {path}")
    for network, count in summary.parameters.items():
        result(f"  {network:8s} {count / 1e6:.2f} M parameters")
    result(f"  config   {', '.join(f'{key} {value}' for key, value in summary.config.items())}")
    result(f"weights  {summary.weights}")
    result(f"config   {summary.config_file}")
    result(f"next: edge-i2i export onnx --model {summary.family} --checkpoint {summary.weights}")
