"""What a network is calibrated over: the options of the verbs that quantize."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_i2i.errors import UsageError

if TYPE_CHECKING:
    from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions

GOLDEN: Literal["golden"] = "golden"


@dataclass(frozen=True)
class CalibrationDataOptions:
    """Which pictures, and which looks."""

    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="A folder of pictures (or of frame/, label_map/, exemplar/, … folders), a quoted glob, a video; or "
            "golden: the bundle's two random example inputs, only to try the tools.",
        ),
    ] = None
    samples: Annotated[int, typer.Option("--samples", min=1, help="How many samples ranges are taken over.")] = 32
    held_out: Annotated[int, typer.Option("--held-out", min=2, help="How many pictures quality is judged on.")] = 4
    exemplars: Annotated[
        Path | None,
        typer.Option("--exemplars", help="A folder of exemplars; left out, other frames serve as exemplars."),
    ] = None
    exemplar_instance_maps: Annotated[
        Path | None, typer.Option("--exemplar-instance-maps", help="A folder of the exemplars' instance ids.")
    ] = None
    instance_maps: Annotated[
        Path | None, typer.Option("--instance-maps", help="A folder of instance ids, named like the label maps.")
    ] = None
    masks: Annotated[
        Path | None, typer.Option("--masks", help="A folder of masks, named like the frames; left out, they are drawn.")
    ] = None
    data_seed: Annotated[
        int, typer.Option("--data-seed", min=0, help="Seed of the styles, attributes, boxes and masks that are drawn.")
    ] = 2018
    fit: Annotated[
        str, typer.Option("--fit", help="How pictures are fitted to the network's size: crop, letterbox or stretch.")
    ] = "crop"

    @property
    def source(self) -> Path | Literal["golden"]:
        """The pictures for ``load_calibration``: ``golden`` or a path; a folder of that name is ``./golden``.

        Raises:
            UsageError: nothing was given.
        """
        if self.data is None:
            raise UsageError("There is nothing to calibrate over.", remedy="Give --data FOLDER, VIDEO or golden.")
        return GOLDEN if self.data == GOLDEN else Path(self.data)

    def options(self, threads: int | None = None) -> CalibrationOptions:
        """The options for ``load_calibration``, built from what was typed.

        Raises:
            UsageError: there is no such fit, or a number is out of range.
        """
        from edge_i2i.media.geometry import Fit
        from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions
        from edge_i2i.quantize.calibration.folders import Folders

        if self.fit not in {item.value for item in Fit}:
            raise UsageError(
                f"There is no fit '{self.fit}'.", remedy=f"Known: {', '.join(item.value for item in Fit)}."
            )
        folders = Folders(self.exemplars, self.exemplar_instance_maps, self.instance_maps, self.masks)
        return CalibrationOptions(self.samples, self.held_out, folders, self.data_seed, Fit(self.fit), threads)
