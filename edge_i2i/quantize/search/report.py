"""A sensitivity report, which is also a recipe: JSON that a person reads and edits, and that ``quantize`` follows."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_i2i.errors import BadInputError
from edge_i2i.files.places import writing
from edge_i2i.files.plain import PlainFileError, read_json
from edge_i2i.files.whole import replacing
from edge_i2i.metrics.decibels import error_power, written_figure
from edge_i2i.quantize.judging.verdicts import QualityVerdict

_REMEDY = "edge-i2i sensitivity BUNDLE --data … --output FILE writes one."
_FIGURES = ("psnr_db", "picture_psnr_db", "ssim", "texture_ratio", "grey_levels_ratio", "flicker_ratio")
_DIGITS = 6

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Figure = Annotated[float, Field(allow_inf_nan=False)]


class _Section(BaseModel):
    """Immutable, and strict about its keys: a misspelt one must not be passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LayerSensitivity(_Section):
    """What it does to the picture to quantize this layer alone, everything else in FP32.

    ``macs_share``: its part of the graph's multiplications. ``psnr_db``: of the network's float output where the graph
    shows it (see ``judge``), else of the picture; the others are of uint8 pictures. Infinite figures are cut to ±999,
    and what is not a number, or was not measured, is null. ``left_out``: why the target's rule keeps it in float
    whatever it does (empty: the rule quantizes it). ``note``: why it was not measured.
    """

    name: str
    operator: str = ""
    macs_share: Share = 0.0
    psnr_db: Figure | None = None
    picture_psnr_db: Figure | None = None
    ssim: Figure | None = None
    texture_ratio: Figure | None = None
    grey_levels_ratio: Figure | None = None
    flicker_ratio: Figure | None = None
    left_out: str = ""
    note: str = ""

    @property
    def error_power(self) -> float:
        """The mean squared error relative to the peak: what adds up over layers; 0 where it was not measured."""
        return 0.0 if self.psnr_db is None else error_power(self.psnr_db)


class SensitivityReport(_Section):
    """The layers of a frame graph, in graph order, and which of them to keep in float.

    ``keep_float`` is what ``quantize --recipe`` follows, and the line to edit. ``min_psnr_db`` is the budget in dB, of
    pictures, that it was suggested for, and ``predicted_psnr_db`` what pictures should have with it: only a variant
    that is judged whole tells. ``int8_psnr_db`` and ``int8_picture_psnr_db`` are measured, with all layers in INT8 that
    the target's rule quantizes. ``graph_sha256`` and ``data_sha256`` say what was measured, on which calibration data.
    """

    schema_version: Literal[1] = 1
    target: str = ""
    keep_float: tuple[str, ...] = ()
    min_psnr_db: Figure | None = None
    predicted_psnr_db: Figure | None = None
    int8_psnr_db: Figure | None = None
    int8_picture_psnr_db: Figure | None = None
    judged_by: str = ""
    emulated: bool = False
    graph_sha256: str = ""
    data_sha256: str = ""
    layers: tuple[LayerSensitivity, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [layer.name for layer in self.layers]
        for what, listed in (("layers", names), ("keep_float", list(self.keep_float))):
            twice = sorted({name for name in listed if listed.count(name) > 1})
            if twice:
                raise ValueError(f"{what} has {', '.join(twice)} twice")
        return self

    @property
    def placed(self) -> tuple[LayerSensitivity, ...]:
        """The layers that the target's rule quantizes."""
        return tuple(layer for layer in self.layers if not layer.left_out)

    @property
    def most_sensitive_first(self) -> tuple[LayerSensitivity, ...]:
        """The layers by the PSNR of quantizing each alone, the lowest first; those that were not measured come last."""
        return tuple(sorted(self.layers, key=lambda layer: math.inf if layer.psnr_db is None else layer.psnr_db))

    def to_json(self) -> str:
        """The file: a line each layer, so that it can be read, compared and edited."""
        head = self.model_dump(mode="json", exclude={"layers"})
        lines = [f'  "{key}": {json.dumps(value, ensure_ascii=False)},' for key, value in head.items()]
        layers = [f"    {json.dumps(_told(layer), ensure_ascii=False)}" for layer in self.layers]
        return "\n".join(["{", *lines, '  "layers": [', ",\n".join(layers), "  ]", "}", ""])

    def write(self, path: Path) -> None:
        """Write the report into a file, which appears complete or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_text(self.to_json(), encoding="utf-8")


def _told(layer: LayerSensitivity) -> dict[str, Any]:
    """A layer as the file tells it; remarks that are empty would only make its line longer."""
    return {key: value for key, value in layer.model_dump(mode="json").items() if value != ""}


def figures_of(verdict: QualityVerdict) -> dict[str, float]:
    """A verdict's figures under the names of ``LayerSensitivity``; those that are no number are left out."""
    quality = verdict.quality
    values: tuple[float | None, ...] = (
        verdict.fine_psnr_db,
        quality.psnr_db,
        quality.ssim,
        quality.texture_ratio,
        quality.grey_levels_ratio,
        quality.flicker_ratio,
    )
    measured = {name: value for name, value in zip(_FIGURES, values, strict=True) if value is not None}
    return {name: round(written_figure(value), _DIGITS) for name, value in measured.items() if not math.isnan(value)}


def read_recipe(path: Path, layers: Collection[str] = ()) -> SensitivityReport:
    """Read a recipe, as ``edge-i2i sensitivity`` wrote it or shorter: only ``keep_float`` has to be there.

    Args:
        path: the JSON file.
        layers: the names of the graph's layers; left out, those that the recipe lists itself.

    Raises:
        BadInputError: the file cannot be read, is no recipe, or keeps a layer that the graph does not have.
    """
    try:
        stored = read_json(path)
    except PlainFileError as error:
        raise BadInputError(f"The recipe '{path}' {error}.", remedy=_REMEDY) from error
    try:
        recipe = SensitivityReport.model_validate(stored)
    except ValidationError as error:
        problems = "; ".join(_explain(item) for item in error.errors())
        raise BadInputError(f"The recipe '{path}' is wrong: {problems}.", remedy=_REMEDY) from error
    if not isinstance(stored, dict) or "keep_float" not in stored:
        raise BadInputError(f"The recipe '{path}' has no keep_float.", remedy='Add a line such as "keep_float": [].')
    _refuse_unknown(path, recipe, layers or [layer.name for layer in recipe.layers])
    return recipe


def is_recipe(path: Path) -> bool:
    """Whether a file is a recipe, as ``edge-i2i sensitivity`` writes it."""
    try:
        read_recipe(path)
    except BadInputError:
        return False
    return True


def _explain(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    message = "no such key" if item["type"] == "extra_forbidden" else str(item["msg"])
    return f"{where}: {message}" if where else message


def _refuse_unknown(path: Path, recipe: SensitivityReport, known: Collection[str]) -> None:
    unknown = [name for name in recipe.keep_float if name not in known]
    if known and unknown:
        raise BadInputError(
            f"The recipe '{path}' keeps layers in float that the graph does not have: {', '.join(unknown)}.",
            remedy=f"It has: {', '.join(known)}.",
        )
