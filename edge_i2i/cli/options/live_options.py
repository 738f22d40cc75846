"""The options of ``edge-i2i live`` in groups, and what the library calls them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.options.choices import (
    COMPARISONS,
    FLIPS,
    UPSAMPLINGS,
    Engine,
    PictureFit,
    Precision,
    Variant,
    chosen,
    completing,
    shown,
)
from edge_i2i.cli.options.numbers import positive

if TYPE_CHECKING:
    from edge_i2i.live.outlets.view import ViewSettings
    from edge_i2i.live.policy import Policy
    from edge_i2i.live.steps.picture_path import PicturePathOptions


@dataclass(frozen=True)
class NetworkOptions:
    """Which network runs, and on what."""

    engine: Engine = "auto"
    variant: Variant = "auto"
    precision: Precision = None
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads inside one call.")] = None
    fit: PictureFit = "letterbox"


@dataclass(frozen=True)
class PaceOptions:
    """How many frames are translated, and how old they may be."""

    fps: Annotated[
        float | None,
        typer.Option("--fps", parser=positive, metavar="FPS", help="Translate at most so many frames a second."),
    ] = None
    max_age: Annotated[
        float | None,
        typer.Option("--max-age", parser=positive, metavar="MS", help="Drop frames that waited longer than this."),
    ] = None
    as_live: Annotated[
        bool, typer.Option("--as-live", help="Play a file or folder at its own pace, and drop what is too much.")
    ] = False
    wait_for_source: Annotated[
        bool, typer.Option("--wait", help="Wait for a camera or stream that is not there yet.")
    ] = False
    ladder: Annotated[
        float | None,
        typer.Option(
            "--ladder", parser=positive, metavar="FPS", help="Hold this rate by changing between the bundles."
        ),
    ] = None

    def policy(self) -> Policy | None:
        """None: what suits the source."""
        from edge_i2i.live.policy import Mode, Policy

        if self.as_live or self.fps is not None or self.max_age is not None:
            return Policy(Mode.LIVE, self.fps, self.max_age)
        return None


@dataclass(frozen=True)
class PathOptions:
    """What is done to frames besides translating them."""

    upsample: Annotated[
        str,
        typer.Option(
            "--upsample",
            metavar=shown(UPSAMPLINGS),
            autocompletion=completing(UPSAMPLINGS),
            help="How results get the frame's size; none: the network's.",
        ),
    ] = "linear"
    region: Annotated[
        str | None, typer.Option("--region", metavar="X,Y,W,H", help="Translate this part only; pixels or fractions.")
    ] = None
    smooth: Annotated[bool, typer.Option("--smooth", help="Steady what does not move, to reduce flicker.")] = False
    skip_similar: Annotated[
        bool, typer.Option("--skip-similar", help="Reuse the last result for a frame that hardly differs.")
    ] = False
    flip: Annotated[
        str,
        typer.Option(
            "--flip", metavar=shown(FLIPS), autocompletion=completing(FLIPS), help="Turn frames before translating."
        ),
    ] = "none"

    def of_library(self, ladder_fps: float | None) -> PicturePathOptions:
        """The options for ``open_session(path=…)``. ``ladder_fps``: the rate that a ladder holds; None: no ladder."""
        from edge_i2i.live.model.upsampling import Upsampling
        from edge_i2i.live.steps.flip import Flip
        from edge_i2i.live.steps.picture_path import PicturePathOptions
        from edge_i2i.live.steps.region import Region
        from edge_i2i.live.steps.similarity import SimilarityOptions
        from edge_i2i.live.steps.smoothing import SmoothingOptions

        return PicturePathOptions(
            upsample=chosen(self.upsample, Upsampling, "ways to upsample"),
            flip=chosen(self.flip, Flip, "flips"),
            region=None if self.region is None else Region.parse(self.region),
            similarity=SimilarityOptions() if self.skip_similar else None,
            smoothing=SmoothingOptions() if self.smooth else None,
            ladder_fps=ladder_fps,
        )


@dataclass(frozen=True)
class ShowOptions:
    """What people see of results: comparison, figures, mirror."""

    compare: Annotated[
        str,
        typer.Option(
            "--compare",
            metavar=shown(COMPARISONS),
            autocompletion=completing(COMPARISONS),
            help="Show the camera's frame, too; key c changes it.",
        ),
    ] = "none"
    mirror: Annotated[bool, typer.Option("--mirror", help="Show and record mirrored, as a mirror would.")] = False
    hud: Annotated[
        bool, typer.Option("--hud", help="Figures in the picture: fps, age, drops, engine; never in recordings.")
    ] = False
    keep: Annotated[
        Path, typer.Option("--keep", metavar="FOLDER", help="Where keys s and r put snapshots and recordings.")
    ] = Path()

    def settings(self) -> ViewSettings:
        """The settings with which a ``View`` begins."""
        from edge_i2i.live.outlets.compare import Comparison
        from edge_i2i.live.outlets.view import ViewSettings
        from edge_i2i.live.steps.flip import Flip

        mirrored = Flip.HORIZONTAL if self.mirror else Flip.NONE
        return ViewSettings(chosen(self.compare, Comparison, "comparisons"), flip=mirrored, hud=self.hud)
