"""The picture path of a session: a translator, and around it the optional steps that were chosen, in one fixed order.

From the outside in: flip · region · similarity · smoothing · ladder or translator. The region comes first, so that
what lies around it is always fresh, and the other steps look at what is translated only; a reused result is a smoothed
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_i2i.clock import Clock
from edge_i2i.errors import UsageError
from edge_i2i.live.model.process import Loader, Process
from edge_i2i.live.model.translation import TranslatorProcess
from edge_i2i.live.model.upsampling import Upsampling
from edge_i2i.live.steps.flip import Flip, FlippedProcess
from edge_i2i.live.steps.ladder import check_ladder, ladder_loader
from edge_i2i.live.steps.region import Region, RegionProcess
from edge_i2i.live.steps.similarity import SimilarityOptions, SimilarityProcess
from edge_i2i.live.steps.smoothing import SmoothedProcess, SmoothingOptions
from edge_i2i.progress import Progress
from edge_i2i.translate.translator import Translator


@dataclass(frozen=True)
class PicturePathOptions:
    """What is done besides translating; off unless it is named.

    ``upsample``: the size of results, and how they get it. ``flip``: for a camera that is mounted upside down.
    ``ladder_fps``: the frame rate that a ladder of several networks holds.

    Raises:
        UsageError: two of them exclude each other.
    """

    upsample: Upsampling = Upsampling.LINEAR
    flip: Flip = Flip.NONE
    region: Region | None = None
    similarity: SimilarityOptions | None = None
    smoothing: SmoothingOptions | None = None
    ladder_fps: float | None = None

    def __post_init__(self) -> None:
        if self.region is not None and self.upsample is Upsampling.NONE:
            raise UsageError(
                "A region is pasted back in the camera's size.", remedy="Choose linear, cubic or guided upsampling."
            )


def build_process(
    translator: Translator, options: PicturePathOptions | None = None, clock: Clock | None = None
) -> Process:
    """A translator that was loaded already, with the optional steps around it. The process owns it.

    Args:
        translator: translates the frames; it is closed with the process.
        options: which steps are added; None: linear upsampling and no other step.
        clock: measures the stages' times; None: the machine's own.

    Raises:
        UsageError: the network takes more than a picture for every frame, or a ladder is asked for.
    """
    options = options or PicturePathOptions()
    if options.ladder_fps is not None:
        check_ladder(1, options.ladder_fps)
    return with_steps(TranslatorProcess(translator, upsample=options.upsample, clock=clock), options, clock)


def picture_path_loader(
    networks: Sequence[Loader], options: PicturePathOptions | None = None, clock: Clock | None = None
) -> Loader:
    """A loader of one network, or of a ladder of several, with the optional steps around it.

    Args:
        networks: loaders by ``translator_loader`` with the same ``upsample``; of a ladder, the best picture first.
        options: which steps are added; None: none of them.
        clock: measures the stages' times; None: the machine's own.

    Raises:
        UsageError: several networks without ``ladder_fps``, or ``ladder_fps`` with one.
    """
    options = options or PicturePathOptions()
    if options.ladder_fps is not None:
        load = ladder_loader(networks, options.ladder_fps, clock)
    elif len(networks) == 1:
        load = networks[0]
    else:
        raise UsageError(
            f"{len(networks)} networks cannot translate one frame.",
            remedy="Name one, or the frame rate that a ladder of them is to hold.",
        )

    def run(progress: Progress) -> Process:
        return with_steps(load(progress), options, clock)

    return run


def with_steps(process: Process, options: PicturePathOptions, clock: Clock | None = None) -> Process:
    """Wrap a process in the steps that were chosen.

    Args:
        process: translates; it is owned by the process that is returned.
        options: which steps are added; ``upsample`` and ``ladder_fps`` are not looked at, they belong to ``process``.
        clock: measures the steps' times; None: the machine's own.
    """
    if options.smoothing is not None:
        process = SmoothedProcess(process, options.smoothing, clock)
    if options.similarity is not None:
        process = SimilarityProcess(process, options.similarity, clock)
    if options.region is not None:
        process = RegionProcess(process, options.region, clock=clock)
    if options.flip is not Flip.NONE:
        process = FlippedProcess(process, options.flip, clock)
    return process
