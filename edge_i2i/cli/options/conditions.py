"""What is given once and kept over all frames: its options, and what a bundle takes, read off its declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from edge_i2i.contract import GraphDeclaration, Role, Size, TensorSpec
from edge_i2i.errors import BadInputError, EdgeI2IError, UsageError
from edge_i2i.files.plain import PlainFileError, read_json

if TYPE_CHECKING:
    from edge_i2i.translate.translator import Translator


@dataclass(frozen=True)
class ConditionOptions:
    """Which look the translation takes, and where. Which of them a bundle takes: ``translate BUNDLE --help``."""

    exemplar: Annotated[Path | None, typer.Option("--exemplar", help="A picture whose appearance is taken over.")] = (
        None
    )
    exemplar_instance_map: Annotated[
        Path | None, typer.Option("--exemplar-instance-map", help="The exemplar's instance ids.")
    ] = None
    style_seed: Annotated[
        int | None, typer.Option("--style-seed", min=0, help="Draw a style at random; a number gives the same again.")
    ] = None
    style_mix: Annotated[
        tuple[str, str, float] | None,
        typer.Option("--style-mix", metavar="A B α", help="Mix two styles (pictures or seeds): α 0 is A, 1 is B."),
    ] = None
    attributes: Annotated[
        str | None, typer.Option("--attributes", help="What the result shall show: Smiling=1,Bangs=0.")
    ] = None
    source_attributes: Annotated[
        str | None, typer.Option("--source-attributes", help="What the frames show; attributes left out are 0.")
    ] = None
    boxes: Annotated[
        Path | None, typer.Option("--boxes", help="Objects with styles of their own, as JSON (see docs/inputs.md).")
    ] = None
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Where to translate: a grey picture of the frames' size, white: here.")
    ] = None

    def files(self) -> list[Path]:
        """The files that these options make the command read."""
        given = (self.exemplar, self.exemplar_instance_map, self.boxes, self.mask)
        return [path for path in given if path is not None] + [Path(end) for end in (self.style_mix or ())[:2]]

    def identity(self) -> dict[str, str]:
        """The options as text: what results depend on besides their sources."""
        return {name: str(value) for name, value in vars(self).items() if value is not None}


def apply_conditions(translator: Translator, options: ConditionOptions) -> None:
    """Set everything that the options give.

    Raises:
        UsageError: the bundle takes no such condition, or two looks were given at once.
        BadInputError: a file cannot be read, or does not fit.
    """
    lasting = {
        **{name: _attributes(text) for name, text in _attribute_options(options).items()},
        **({"mask": _read_mask(options.mask)} if options.mask else {}),
    }
    if lasting:
        translator.condition(**lasting)
    look = _look(options)
    if options.style_mix is not None:
        if look:
            raise UsageError(f"--style-mix and {', '.join(look)} exclude each other.", remedy="Give one of them.")
        first, second, share = options.style_mix
        translator.mix(_end(first), _end(second), share)
    elif look:
        translator.condition(**look)
    if options.boxes is not None:
        _apply_boxes(translator, options.boxes)
    if translator.missing:
        ways = [line.partition("  ")[0] for line in option_lines(translator.graphs) if line.startswith(_LOOKS)]
        raise UsageError("This bundle needs a look before the first frame.", remedy=f"Give {' or '.join(ways)}.")


_LOOKS = ("--exemplar FILE", "--style-seed")  # options that set a look whole


def _attribute_options(options: ConditionOptions) -> dict[str, str]:
    given = {"source_attributes": options.source_attributes, "attributes": options.attributes}
    return {name: text for name, text in given.items() if text is not None}


def _look(options: ConditionOptions) -> dict[str, Any]:
    from edge_i2i.media.pictures import read_instance_map, read_picture

    look: dict[str, Any] = {}
    if options.exemplar is not None:
        look["exemplar"] = read_picture(options.exemplar)
    if options.exemplar_instance_map is not None:
        look["exemplar_instance_map"] = read_instance_map(options.exemplar_instance_map)
    if options.style_seed is not None:
        look["style_seed"] = options.style_seed
    return look


def _end(text: str) -> dict[str, Any]:
    """One end of a mix: a seed, or a picture."""
    from edge_i2i.media.pictures import read_picture

    return {"style_seed": int(text)} if text.isdecimal() else {"exemplar": read_picture(Path(text))}


def _attributes(text: str) -> dict[str, float]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    try:
        return {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        raise UsageError(f"'{text}' cannot be read as attributes.", remedy="Write Smiling=1,Bangs=0.") from None


def _read_mask(path: Path) -> Any:
    import cv2

    from edge_i2i.media.pictures import read_picture

    return cv2.cvtColor(read_picture(path), cv2.COLOR_RGB2GRAY)


def _apply_boxes(translator: Translator, path: Path) -> None:
    """``[[left, top, right, bottom], …]``, or objects ``{"box": […], "style_seed": 3}`` / ``{…, "exemplar": FILE}``."""
    entries = [_entry(item, path) for item in _read_boxes(path)]
    translator.condition(boxes=_as_array([box for box, _ in entries], path))
    if any(look for _, look in entries):
        translator.condition_stack([look for _, look in entries])


def _read_boxes(path: Path) -> list[Any]:
    try:
        content = read_json(path)
    except PlainFileError as error:
        raise BadInputError(f"{path} cannot be read as boxes: it {error}.", remedy="Give a JSON file.") from error
    boxes = content.get("boxes") if isinstance(content, dict) else content
    if not isinstance(boxes, list):
        raise BadInputError(f"{path} holds no list of boxes.", remedy='Write {"boxes": [[left, top, right, bottom]]}.')
    return boxes


def _entry(item: Any, path: Path) -> tuple[Any, dict[str, Any]]:
    if not isinstance(item, dict):
        return item, {}
    known = {"box", "style_seed", "exemplar"}
    if "box" not in item or not item.keys() <= known:
        raise BadInputError(f"{path}: {item} is no box.", remedy=f"Its keys may be {', '.join(sorted(known))}.")
    if "exemplar" in item:
        return item["box"], _end(str(path.parent / str(item["exemplar"])))
    seed = item.get("style_seed")
    if seed is not None and (type(seed) is not int or seed < 0):
        raise BadInputError(f"{path}: {seed!r} is no style_seed.", remedy="Write a whole number from 0 on.")
    return item["box"], {} if seed is None else {"style_seed": seed}


def _as_array(boxes: list[Any], path: Path) -> Any:
    import numpy as np

    try:
        array = np.array(boxes, np.float32) if boxes else np.zeros((0, 4), np.float32)
    except (ValueError, TypeError):
        array = np.zeros(0, np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise BadInputError(f"{path}: every box is four numbers: left, top, right, bottom.")
    return array


# What a bundle takes --------------------------------------------------------------------------------------------

_FRAME_OPTIONS: Mapping[Role, str] = {
    Role.FRAME: "INPUT",
    Role.LABEL_MAP: "--label-map FILE",
    Role.INSTANCE_MAP: "--instance-map FILE",
    Role.MASK: "--mask FILE",
    Role.BOXES: "--boxes FILE.json",
}
_ONCE_OPTIONS: Mapping[Role, str] = {
    Role.EXEMPLAR: "--exemplar FILE",
    Role.INSTANCE_MAP: "--exemplar-instance-map FILE",
    Role.MIX: "--style-mix A B α",
}


def option_lines(graphs: tuple[GraphDeclaration, ...]) -> list[str]:
    """One line for every option that the bundle with these graphs takes, and what it means there."""
    lines = dict[str, str]()
    for graph in graphs:
        for spec in graph.inputs:
            for option, meaning in _options_of(spec, frame=graph is graphs[0]):
                lines.setdefault(option, meaning)
    width = max(map(len, lines), default=0)
    return [f"{option:{width}s}  {meaning}" for option, meaning in lines.items()]


def _options_of(spec: TensorSpec, *, frame: bool) -> Iterator[tuple[str, str]]:
    size = f" ({Size(*spec.shape[:2])}; other sizes are fitted)" if spec.is_spatial else ""
    options = _FRAME_OPTIONS if frame and spec.role in _FRAME_OPTIONS else _ONCE_OPTIONS
    if spec.role in options:
        yield options[spec.role], f"{spec.meaning}{size}"
    if spec.drawn and spec.stack_of is None:
        yield "--style-seed N", f"{spec.meaning}, drawn at random"
    if spec.mixable:
        yield "--style-mix A B α", f"{spec.meaning}, between those of two pictures or seeds"
    if spec.role is Role.ATTRIBUTES:
        yield f"--{spec.name.replace('_', '-')} NAME=1,…", f"{spec.meaning}: {', '.join(spec.labels)}"


class TakesBundle(TyperCommand):
    """A verb whose ``--help`` goes on, where a bundle is named, with what that bundle takes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember the arguments: ``--help`` is answered before they are read."""
        ctx.meta["arguments"] = list(args)
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The end of the help text: what the bundle takes that is named among the arguments."""
        super().format_epilog(ctx, formatter)
        for text in ctx.meta.get("arguments", ()):
            if text.endswith(".i2i"):
                with formatter.section(f"What {text} takes"):
                    formatter.write("".join(f"  {line}\n" for line in _lines_of(Path(text))))


def _lines_of(bundle: Path) -> list[str]:
    from edge_i2i.bundle.reader import open_bundle

    try:
        opened = open_bundle(bundle)
    except EdgeI2IError as error:
        return [error.what]
    return option_lines((opened.frame_graph, *opened.condition_graphs))
