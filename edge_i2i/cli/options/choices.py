"""What options take, for help texts and for the shell's completion; the rooms below decide what is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from edge_i2i.errors import EdgeI2IError, UsageError, known_names

Choice = TypeVar("Choice", bound=StrEnum)

# The names stand here a second time: a help text imports no engine and no picture library. A test compares them.
ENGINES = ("auto", "onnxruntime", "openvino", "torch", "tensorrt", "rtx")
FITS = ("letterbox", "crop", "stretch")
PRECISIONS = ("fp32", "bf16", "fp16")
TARGETS = ("onnxruntime", "openvino", "tensorrt")
UPSAMPLINGS = ("linear", "cubic", "guided", "none")
FLIPS = ("none", "horizontal", "vertical", "both")
COMPARISONS = ("none", "side", "split", "blend")
HDRS = ("tone-map", "refuse")
_USUAL_VARIANTS = ("auto", "fp32", "fp16")


def shown(names: Iterable[str]) -> str:
    """Join the names of a choice for a help text: ``a|b|c``."""
    return "|".join(names)


def chosen(name: str, choices: type[Choice], what: str) -> Choice:
    """The one of that name.

    Raises:
        UsageError: there is none; names those that there are.
    """
    names: Iterable[str] = [choice.value for choice in choices]
    if name not in names:
        raise UsageError(f"There is no '{name}' among the {what}.", remedy=known_names(name, names, what))
    return choices(name)


def completing(names: tuple[str, ...]) -> Callable[[str], list[str]]:
    """What the shell offers for the beginning of one of these names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def complete_variants(context: typer.Context, incomplete: str) -> list[str]:
    """The variants of the bundle that the line names, if it can be read; else the usual ones."""
    given = context.params.get("bundle")
    named = [*(given if isinstance(given, list | tuple) else [given]), *context.args]  # an option without value: args
    bundle = next((str(item) for item in named if item is not None), "")
    return [name for name in ("auto", *_variants_of(bundle)) if name.startswith(incomplete)]


def _variants_of(bundle: str) -> tuple[str, ...]:
    from edge_i2i.bundle.reader import open_bundle

    try:
        opened = open_bundle(Path(bundle))
        return tuple(opened.variants(opened.frame_graph.name))
    except (EdgeI2IError, OSError):  # a shell that completes says nothing of files
        return _USUAL_VARIANTS[1:]


Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar=shown(ENGINES),
        autocompletion=completing(ENGINES),
        help="The engine to run on; edge-i2i doctor lists those that can run here.",
    ),
]
HdrFilms = Annotated[
    str,
    typer.Option(
        "--hdr",
        metavar=shown(HDRS),
        autocompletion=completing(HDRS),
        help="What to do with films of a high dynamic range (PQ, HLG).",
    ),
]
Variant = Annotated[
    str,
    typer.Option(
        "--variant",
        metavar=f"{shown(_USUAL_VARIANTS)}|…",
        autocompletion=complete_variants,
        help="Which variant of the network; those of a bundle: edge-i2i inspect.",
    ),
]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar=f"{shown(_USUAL_VARIANTS[1:])}|…",
        autocompletion=complete_variants,
        help="Only this variant; repeatable; default all.",
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar=shown(PRECISIONS),
        autocompletion=completing(PRECISIONS),
        help="The float arithmetic to compute in; default: the graph's own.",
    ),
]
PictureFit = Annotated[
    str,
    typer.Option(
        "--fit",
        metavar=shown(FITS),
        autocompletion=completing(FITS),
        help="How pictures are fitted to the network's size.",
    ),
]
