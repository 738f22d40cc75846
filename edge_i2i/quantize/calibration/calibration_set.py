"""Calibration data: from a folder, a video or a bundle's golden inputs to complete inputs of the frame graph.

Ranges depend on what a network is conditioned on as much as on the frames, so every sample has a look of its own:
exemplars take turns, styles are drawn, attributes go through their combinations, boxes and masks are drawn where none
are given. Everything that is drawn follows from one seed.

Quality is judged on pictures that the ranges were not taken from. Of four pictures or more, up to a quarter is held
out; of fewer, all give ranges, and their mirror images (of a single picture also its mirrored middle) are judged on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from edge_i2i.bundle.reader import Bundle
from edge_i2i.contract import Role, Size
from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.media.film import is_film
from edge_i2i.media.geometry import Fit
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.calibration.choosing import Gathered, gather, split
from edge_i2i.quantize.calibration.folders import Folders, Sources, find_sources, may_be_drawn
from edge_i2i.quantize.calibration.golden import golden_compositions, golden_sha256
from edge_i2i.quantize.calibration.looks import DrawnLook, LookTensors, Ways, draw_looks
from edge_i2i.quantize.calibration.regions import draw_regions
from edge_i2i.quantize.calibration.samples import CLIP_FRAMES, PAN_STEP, Composer, Composition, LazySamples, Sample
from edge_i2i.quantize.calibration.scenes import (
    MirroredScene,
    RelabelledScene,
    Scene,
    Specs,
    digest_of,
    digest_text,
    file_scenes,
    video_scenes,
)
from edge_i2i.quantize.calibration.summary import CalibrationSummary, summarize
from edge_i2i.translate.conditions import PER_FRAME

GOLDEN: Literal["golden"] = "golden"
_FORMAT = "edge-i2i calibration 1"  # to be raised when the same files and options give other samples


@dataclass(frozen=True)
class CalibrationOptions:
    """How samples are made.

    ``count``: samples to take ranges over, at most, and pictures to take them from. ``held_out``: pictures to judge
    quality by, two at least. ``folders``: where inputs beside the frames lie. ``seed``: of all that is drawn.
    ``fit``: how pictures of other shapes are laid into the network's size (``crop``: without mirrored borders).
    ``threads``: of the engine that computes looks.

    Raises:
        UsageError: a number is out of range.
    """

    count: int = 32
    held_out: int = 4
    folders: Folders = field(default_factory=Folders)
    seed: int = 2018
    fit: Fit = Fit.CROP
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (("count", self.count, 1), ("held_out", self.held_out, 2), ("seed", self.seed, 0)):
            if value < least:
                raise UsageError(f"{name}={value} is out of range.", remedy=f"Give at least {least}.")


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Complete inputs of a frame graph: declared names, shapes and dtypes, read-only. A context manager.

    ``samples`` are for ranges and ``held_out`` for judging quality; both are computed as they are read. ``sha256``
    stands for the samples' content (decoded pictures, looks, condition graphs), the same on every machine.
    """

    samples: Sequence[Sample]
    held_out: Sequence[Sample]
    sha256: str
    summary: CalibrationSummary
    _make_clip: Callable[[], tuple[Sample, ...]] = field(repr=False)
    _tensors: LookTensors = field(repr=False)

    @cached_property
    def clip(self) -> tuple[Sample, ...]:
        """Eight frames that pan over a held-out picture by ``clip_step``, with one look."""
        return self._make_clip()

    @property
    def clip_step(self) -> tuple[int, int]:
        """Pixels (down, right) from one frame of the clip to the next."""
        return PAN_STEP

    def close(self) -> None:
        """Free the engine's sessions; samples that are read later load them again."""
        self._tensors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load_calibration(
    bundle: Bundle,
    data: Path | Literal["golden"],
    options: CalibrationOptions | None = None,
    progress: Progress | None = None,
) -> CalibrationSet:
    """Find, decode and check calibration pictures and draw a look for each.

    Args:
        bundle: whose frame graph is calibrated.
        data: a folder, a picture, a quoted glob pattern or a video; or ``"golden"``: the bundle's own two example
            inputs. These are random pictures with random looks: a test of the tools, not a calibration.
        options: how samples are made.
        progress: told about pictures, exemplars and video frames as they are decoded.

    Raises:
        PictureError: there is no picture that can be read, or all have one colour; a map is missing, of another size,
            or its ids are out of range; a video is damaged or has no frame.
        BadInputError: the network needs a look that cannot be taken from anywhere; there is no golden input.
        UsageError: an option names an input that the network does not take.
        MissingRequirementError: a video is given and PyAV is not installed.
    """
    options, progress = options or CalibrationOptions(), progress or NullProgress()
    if data == GOLDEN:
        return _golden(bundle, options)
    return _Loader(bundle, Path(data), options, progress).load()


def _golden(bundle: Bundle, options: CalibrationOptions) -> CalibrationSet:
    compositions, mirrored = golden_compositions(bundle)
    composer = Composer(bundle.frame_graph, options.fit)
    note = "the golden inputs are random pictures: good for trying the tools, not for an INT8 variant to be used"
    summary = CalibrationSummary(
        f"the golden inputs of {bundle.path.name}",
        pictures=len(compositions),
        samples=len(compositions),
        held_out=f"{len(mirrored)} mirrored inputs",
        looks="as recorded" if len(bundle.frame_graph.inputs) > 1 else "",
        notes=(note,),
    )
    return CalibrationSet(
        LazySamples(compositions, composer.sample),
        LazySamples(mirrored, composer.sample),
        golden_sha256(compositions),
        summary,
        partial(composer.clip, mirrored[0]),
        LookTensors(bundle, (), options.fit, options.threads),
    )


@dataclass(frozen=True)
class _Exemplars:
    """Exemplars, and the positions of those for samples and for held-out ones. ``own``: the frames themselves."""

    scenes: tuple[Scene, ...] = ()
    digests: tuple[str, ...] = ()
    for_samples: Sequence[int] = ()
    for_held_out: Sequence[int] = ()
    own: bool = False


class _Loader:
    """The steps from a source to a calibration set."""

    def __init__(self, bundle: Bundle, data: Path, options: CalibrationOptions, progress: Progress) -> None:
        self._bundle, self._data, self._options, self._progress = bundle, data, options, progress
        self._frame = bundle.frame_graph
        self._ways = Ways.of(self._frame, bundle.condition_graphs)
        own = {spec.name: spec for spec in self._frame.inputs if spec.role in PER_FRAME}
        self._spatial: Specs = {name: spec for name, spec in own.items() if spec.is_spatial}
        self._exemplar_specs: Specs = {spec.name: spec for spec in self._ways.exemplar_inputs}
        self._sources = find_sources(data, options.folders, self._spatial, self._exemplar_specs)
        absent = {name: spec for name, spec in own.items() if name not in self._sources.frames}
        self._drawn: Specs = {name: spec for name, spec in absent.items() if may_be_drawn(spec)}

    def load(self) -> CalibrationSet:
        options = self._options
        gathered = self._gather_frames()
        for_ranges, kept_back = split(len(gathered.scenes), options.held_out)
        exemplars = self._exemplars(gathered, for_ranges, kept_back)
        self._check_looks(exemplars)
        varied = self._ways.any or bool(self._drawn)
        count = options.count if varied else min(options.count, len(for_ranges))
        positions = [for_ranges[number % len(for_ranges)] for number in range(count)]
        looks = draw_looks(
            self._ways, count, exemplars.for_samples, seed=(options.seed, 0), own=positions if exemplars.own else ()
        )
        judged = [gathered.scenes[position] for position in kept_back] or self._mirrored(gathered)
        own = kept_back if exemplars.own and kept_back else ()
        judged_looks = draw_looks(self._ways, len(judged), exemplars.for_held_out, seed=(options.seed, 1), own=own)
        tensors = LookTensors(self._bundle, exemplars.scenes, options.fit, options.threads)
        compositions = self._compositions([gathered.scenes[position] for position in positions], looks, tensors, 0)
        held_out = self._compositions(judged, judged_looks, tensors, 1)
        composer = Composer(self._frame, options.fit)
        return CalibrationSet(
            LazySamples(compositions, composer.sample),
            LazySamples(held_out, composer.sample),
            self._sha256([gathered.digests[position] for position in positions], looks, exemplars, tensors),
            self._summary(gathered, exemplars, looks, min(count, len(for_ranges)), held_out),
            partial(composer.clip, held_out[0]),
            tensors,
        )

    def _gather_frames(self) -> Gathered:
        want = self._options.count + self._options.held_out
        scenes = self._video(want) if is_film(self._data) else self._files()
        return self._gather(scenes, want, self._spatial, self._frame.size, "calibration pictures")

    def _gather(self, scenes: Sequence[Scene], want: int, specs: Specs, size: Size, what: str) -> Gathered:
        return gather(scenes, want, specs, size, self._progress, what)

    def _files(self) -> Sequence[Scene]:
        _, *others = self._sources.frames.values()
        return file_scenes(self._sources.frames, self._spatial, apart=(*others, *self._sources.exemplars.values()))

    def _video(self, want: int) -> Sequence[Scene]:
        size, (down, right), way = self._frame.size, PAN_STEP, CLIP_FRAMES - 1
        covering = Size(size.height + down * way, size.width + right * way)
        return video_scenes(self._data, next(iter(self._spatial)), want, covering, self._progress)

    def _exemplars(self, gathered: Gathered, for_ranges: list[int], kept_back: list[int]) -> _Exemplars:
        if self._sources.exemplars:
            return self._exemplars_of_files(self._sources)
        frames = [name for name, spec in self._spatial.items() if spec.role is Role.FRAME]
        if not frames or len(self._exemplar_specs) != 1:
            return _Exemplars()
        names = {frames[0]: next(iter(self._exemplar_specs))}
        scenes = tuple(RelabelledScene(scene, names) for scene in gathered.scenes)
        return _Exemplars(scenes, gathered.digests, for_ranges, kept_back or for_ranges, own=True)

    def _exemplars_of_files(self, sources: Sources) -> _Exemplars:
        want = self._options.count + self._options.held_out
        scenes = file_scenes(sources.exemplars, self._exemplar_specs)
        size = Size(*self._exemplar_specs[next(iter(sources.exemplars))].shape[:2])
        gathered = self._gather(scenes, want, self._exemplar_specs, size, "exemplars")
        for_samples, for_held_out = split(len(gathered.scenes), self._options.held_out)
        return _Exemplars(gathered.scenes, gathered.digests, for_samples, for_held_out or for_samples)

    def _check_looks(self, exemplars: _Exemplars) -> None:
        if self._ways.needs and not (exemplars.scenes or self._ways.seeds):
            raise BadInputError(
                f"This network needs {' and '.join(self._ways.needs)}, and there is nothing to compute it from.",
                remedy="Give pictures to take looks from with --exemplars FOLDER."
                if self._exemplar_specs
                else "Only --data golden can calibrate a bundle whose looks are given as tensors.",
            )

    def _mirrored(self, gathered: Gathered) -> list[Scene]:
        """At least two views that differ from the pictures themselves (one that is symmetric does not in a mirror)."""
        views: list[Scene] = [MirroredScene(scene, zoomed) for zoomed in (False, True) for scene in gathered.scenes]
        other = [view for view in views if digest_of(view.read()) not in gathered.digests]
        return other[: max(2, len(gathered.scenes))]

    def _compositions(
        self, scenes: Sequence[Scene], looks: Sequence[DrawnLook], tensors: LookTensors, stream: int
    ) -> list[Composition]:
        return [
            Composition(
                scene,
                partial(draw_regions, self._drawn, seed=(self._options.seed, stream, number)),
                partial(tensors.of, look),
            )
            for number, (scene, look) in enumerate(zip(scenes, looks, strict=True))
        ]

    def _sha256(
        self, digests: Sequence[str], looks: Sequence[DrawnLook], exemplars: _Exemplars, tensors: LookTensors
    ) -> str:
        made = {
            "format": _FORMAT,
            "seed": self._options.seed if self._drawn else None,
            "fit": self._options.fit.value,
            "inputs": [f"{spec.name} {spec.shape} {spec.dtype.value}" for spec in self._frame.inputs],
            "graphs": tensors.graph_digests(),
            "exemplars": exemplars.digests,
            "samples": [[digest, asdict(look)] for digest, look in zip(digests, looks, strict=True)],
        }
        return digest_text([json.dumps(made, sort_keys=True)])

    def _summary(
        self,
        gathered: Gathered,
        exemplars: _Exemplars,
        looks: Sequence[DrawnLook],
        pictures: int,
        held_out: Sequence[Composition],
    ) -> CalibrationSummary:
        mirrored = any(isinstance(composition.scene, MirroredScene) for composition in held_out)
        return summarize(
            self._data.resolve().name,
            gathered,
            looks,
            drawn=[spec.role for spec in self._drawn.values()],
            own_exemplars=exemplars.own,
            exemplars_lacking=bool(self._exemplar_specs) and not exemplars.scenes,
            pictures=pictures,
            held_out=f"{len(held_out)} {'mirror images' if mirrored else 'other pictures'}",
            size=self._frame.size,
        )
