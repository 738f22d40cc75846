"""Translates a picture, a folder, a glob pattern, a video or an animation: the job behind ``edge-i2i translate``.

What cannot be read is reported and passed over. A folder's job can be stopped at any moment and taken up again:
results appear under their names only when they are complete, what a killed run left of them is removed by the next,
and a hidden file in the output folder, ``.edge-i2i-translate.json``, says what they were made with, so that one folder
never holds the results of two networks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_i2i.bundle.locking import only_run
from edge_i2i.contract import Role, Size
from edge_i2i.errors import BadInputError, OutputError, PictureError, UsageError
from edge_i2i.files.places import check_file, check_folder, refuse_foreign
from edge_i2i.files.whole import discard_unfinished, replacing
from edge_i2i.media.film import open_film
from edge_i2i.media.films.reader import FilmReader
from edge_i2i.media.films.video_writer import VideoWriter, holds_written_video
from edge_i2i.media.heif import MissingDecoderError
from edge_i2i.media.pictures import holds_picture, read_instance_map, read_label_map, read_picture, write_picture
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.requirements import require
from edge_i2i.translate.plan import Failure, Item, Plan, make_plan

Translate = Callable[[Mapping[str, NDArray[Any]]], NDArray[np.uint8]]
"""One frame's inputs by role (``frame``: uint8 ``[H, W, 3]``; ``label_map``: uint8 ``[H, W]``; ``instance_map``: int32
``[H, W]``), all of one size, to uint8 ``[h, w, 3]`` RGB; of a video every result has the same size."""

STATE_NAME = ".edge-i2i-translate.json"

_READERS: Mapping[str, Callable[[Path], NDArray[Any]]] = MappingProxyType(
    {Role.FRAME: read_picture, Role.LABEL_MAP: read_label_map, Role.INSTANCE_MAP: read_instance_map}
)


@dataclass(frozen=True)
class TranslateSummary:
    """What a translation of files did.

    ``translated`` counts pictures and videos, ``frames`` the times the network ran (a picture is one frame), and
    ``skipped_existing`` what an earlier run had finished. ``outputs`` names every finished result, earlier or new.
    ``seconds`` is the wall time of the whole job.
    """

    translated: int
    skipped_existing: int
    failed: tuple[Failure, ...]
    frames: int
    seconds: float
    outputs: tuple[Path, ...]


class _State(BaseModel):
    """What the state file in the results folder holds: its format, and which translation the results belong to."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Literal[1]
    identity: dict[str, str]


@dataclass
class _Tally:
    hdr: Hdr
    translated: int = 0
    skipped: int = 0
    frames: int = 0
    failed: list[Failure] = field(default_factory=list)
    outputs: list[Path] = field(default_factory=list)


def translate_path(
    translate: Translate,
    sources: Mapping[str, str],
    output: Path,
    *,
    identity: Mapping[str, str] = MappingProxyType({}),
    resume: bool = True,
    progress: Progress | None = None,
    hdr: Hdr = Hdr.TONE_MAP,
) -> TranslateSummary:
    """Translate everything that ``sources`` name.

    Args:
        translate: the network, on inputs of any one size.
        sources: for each role (``frame``, or ``label_map`` and ``instance_map``) a file, a folder or a glob pattern;
            a ``frame`` may be a video or an animation. How files are found, paired and named: ``translate.plan``.
        output: a folder; for a single source also a file, whose suffix then chooses the format. Made if missing.
        identity: what the results depend on besides their sources (bundle, variant, fit, …), by name. Kept in the
            output folder of a folder's or a pattern's job.
        resume: keep results that an earlier, equal job finished after their sources changed last. Otherwise everything
            is translated again, and what is in the way is replaced. A single file is always translated.
        progress: told about each frame of a single video, otherwise about each file.
        hdr: what becomes of films of a high dynamic range.

    Raises:
        PictureError: a source does not exist or names no picture; what is wrong with single files of many is in the
            summary's ``failed`` instead.
        UsageError: the output cannot hold the results, or holds those of another job.
        MissingRequirementError: a video is to be translated and PyAV is not installed.
        OutputError: a result cannot be written, or another run is writing there.

    Example:
        >>> import edge_i2i
        >>> with edge_i2i.load("city.i2i", engine="onnxruntime", threads=1) as translator:
        ...     translator.condition(style_seed=7)
        ...     sources = {"frame": "frames"}
        ...     summary = edge_i2i.translate_path(lambda given: translator(**given), sources, Path("painted"))
        >>> summary.translated, sorted(path.name for path in summary.outputs)
        (4, ['0.png', '1.png', '2.png', '3.png'])
    """
    began = time.perf_counter()
    unknown = [role for role in sources if role not in _READERS]
    if unknown or not sources:
        raise UsageError(f"Files cannot be given as {', '.join(unknown) or 'nothing'}.")
    plan = make_plan(sources, output)
    if any(item.is_video for item in plan.items):
        require("av", extra="video", purpose="Translating video files")  # now, not after a thousand pictures
    _check_places(plan)
    tally = _Tally(failed=list(plan.failures), hdr=hdr)
    reporter = progress or NullProgress()
    with _alone(plan):
        finished = _finished_before(plan, dict(identity), resume)
        if len(plan.items) == 1 and plan.items[0].is_video:
            _do(translate, plan.items[0], finished, tally, reporter)
        else:
            _do_all(translate, plan, finished, tally, reporter)
    return TranslateSummary(
        tally.translated,
        tally.skipped,
        tuple(tally.failed),
        tally.frames,
        time.perf_counter() - began,
        tuple(tally.outputs),
    )


def check_job(sources: Mapping[str, str], output: Path) -> None:
    """Find out, before a network is loaded, that there is nothing to translate, or no place for the results.

    Raises:
        PictureError, UsageError, OutputError: as ``translate_path``.
    """
    _check_places(make_plan(sources, output))


def _check_places(plan: Plan) -> None:
    if plan.folder is not None:
        check_folder(plan.folder)
        return
    for item in plan.items:
        check_file(item.output, makes_folder=True)
        is_ours = holds_written_video if item.is_video else holds_picture
        refuse_foreign(item.output, is_ours, "a film" if item.is_video else "a picture")


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """Keep other runs off the same results during the block; what a killed run left half-written is deleted."""
    target = plan.folder or plan.items[0].output
    _make_folder(target if plan.folder else target.parent)
    with only_run(target, inside=plan.folder is not None):
        discard_unfinished([item.output for item in plan.items])
        yield


def _do_all(translate: Translate, plan: Plan, finished: frozenset[Path], tally: _Tally, progress: Progress) -> None:
    progress.start(len(plan.items), "files")
    try:
        for item in plan.items:
            progress.advance(1, _do(translate, item, finished, tally, NullProgress()))
    finally:
        progress.finish()


def _do(translate: Translate, item: Item, finished: frozenset[Path], tally: _Tally, frames: Progress) -> str:
    """Deal with one item, whatever its kind and state; returns a line about it."""
    if item.output in finished:
        tally.skipped += 1
        tally.outputs.append(item.output)
        return f"{item.source.name}: already there"
    try:
        _make_folder(item.output.parent)
        tally.frames += (
            _translate_video(translate, item, frames, tally.hdr) if item.is_video else _translate_one(translate, item)
        )
    except (BadInputError, MissingDecoderError) as error:
        tally.failed.append(Failure(item.source, str(error), missing=isinstance(error, MissingDecoderError)))
        return f"{item.source.name}: passed over, {error.what}"
    tally.translated += 1
    tally.outputs.append(item.output)
    return item.source.name


def _translate_one(translate: Translate, item: Item) -> int:
    inputs = {role: _READERS[role](path) for role, path in item.inputs.items()}
    sizes = {role: Size(*array.shape[:2]) for role, array in inputs.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"'{item.inputs[role]}' is {size}" for role, size in sizes.items())
        raise PictureError(f"The maps differ in size: {listed}.", remedy="Give maps of one and the same picture.")
    write_picture(item.output, translate(inputs))
    return 1


def _translate_video(translate: Translate, item: Item, progress: Progress, hdr: Hdr) -> int:
    with open_film(item.source, hdr) as reader:
        progress.start(reader.frame_count, "frames")
        try:
            return _translate_frames(translate, reader, item.output, progress)
        finally:
            progress.finish()


def _translate_frames(translate: Translate, reader: FilmReader, output: Path, progress: Progress) -> int:
    count = 0
    with ExitStack() as stack:
        writer: VideoWriter | None = None
        for frame in reader:
            result = translate({Role.FRAME: frame.image})
            if writer is None:  # the first result says how large the video will be
                writer = stack.enter_context(_writer_like(reader, output, Size(*result.shape[:2])))
            writer.write(result, frame.pts_seconds, frame.duration_seconds)
            count += 1
            progress.advance()
    return count


def _writer_like(reader: FilmReader, output: Path, size: Size) -> VideoWriter:
    return VideoWriter(
        output,
        reader.fps,
        size,
        time_base=reader.time_base,
        audio_from=reader,
        sample_aspect_ratio=reader.sample_aspect_ratio,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder '{folder}' cannot be made: {error.strerror or error}.",
            remedy="Check that you may write there, and that no file of that name is in the way.",
        ) from error


# Taking a job up again ------------------------------------------------------------------------------------------


def _finished_before(plan: Plan, identity: dict[str, str], resume: bool) -> frozenset[Path]:
    """The results that need not be made again; leaves the state file in the output folder of a job of many."""
    if plan.folder is None:
        return frozenset()
    state = plan.folder / STATE_NAME
    if not (resume and state.exists()):
        if resume:
            _check_nothing_in_the_way(plan)
        _write_state(state, identity)
        return frozenset()
    _check_same_job(state, identity)
    # The state file is written before the first result, so what is older was here before this job.
    since = state.stat().st_mtime_ns
    return frozenset(item.output for item in plan.items if _is_finished(item, since))


def _is_finished(item: Item, since: int) -> bool:
    if not item.output.is_file():
        return False
    made = item.output.stat()
    changed = max(path.stat().st_mtime_ns for path in item.inputs.values())
    return made.st_size > 0 and made.st_mtime_ns >= max(since, changed)


def _check_nothing_in_the_way(plan: Plan) -> None:
    occupied = next((item.output for item in plan.items if item.output.exists()), None)
    if occupied is not None:
        raise UsageError(
            f"'{occupied}' is already there, and is not a result of this job.",
            remedy="Choose another output folder, or replace what is there with --no-resume.",
        )


def _check_same_job(state: Path, identity: dict[str, str]) -> None:
    try:
        before = _State.model_validate_json(state.read_bytes()).identity
    except (ValidationError, OSError):
        why = f"'{state.name}' cannot be read"
    else:
        names = [name for name in {**before, **identity} if before.get(name) != identity.get(name)]
        why = "; ".join(f"{name} was {before.get(name)}, is now {identity.get(name)}" for name in names)
    if why:
        raise UsageError(
            f"The folder '{state.parent}' holds the results of another job: {why}.",
            remedy="Choose another output folder, or translate everything again with --no-resume.",
        )


def _write_state(state: Path, identity: dict[str, str]) -> None:
    _make_folder(state.parent)
    try:
        with replacing(state) as temporary:
            temporary.write_text(_State(version=1, identity=identity).model_dump_json(indent=1), "utf-8")
    except OSError as error:
        raise OutputError(
            f"The folder '{state.parent}' cannot be written to: {error.strerror or error}.",
            remedy="Check that you may write there and that the disk has room.",
        ) from error
