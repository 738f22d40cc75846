"""Calibration frames out of a camera, a video or a folder: few, all different, covering what the source shows.

A source of any length is gone through once, in bounded memory. Frames of a single colour are left out, and so are
near-duplicates; what is left becomes candidates in a reservoir of ``CANDIDATES_PER_FRAME`` times as many as are asked
for, which keeps them apart from each other (`diversity.Reservoir`). Of a candidate only its features stay in memory:
the frames of videos and cameras wait on the disk, beside the output, as lossless PNGs (at 1920x1080 about 3 MB each,
so 400 MB for a moment where 32 frames are asked for); pictures are read again. At the end, farthest-point sampling
chooses among the candidates. There is no randomness: the same files give the same frames.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import edge_i2i
from edge_i2i.collect.contact_sheet import contact_sheet, thumbnail
from edge_i2i.collect.diversity import EvenSample, Novelty, Reservoir, farthest_points, nearest_distances
from edge_i2i.collect.features import FEATURE_COUNT, NEAR_DUPLICATE_DISTANCE, frame_features, is_blank
from edge_i2i.collect.folder import (
    RECORD_NAME,
    SHEET_NAME,
    CollectedFrame,
    CollectedFrom,
    Collection,
    Coverage,
    LeftOut,
    StagedFolder,
    UnreadableFile,
    explained,
    staged_folder,
)
from edge_i2i.collect.frames import FrameSource, SourceFrame, SourcePosition
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.media.pictures import read_picture, write_picture
from edge_i2i.progress import NullProgress, Progress

DEFAULT_COUNT = 32  # within the 32 to 300 frames that min-max and percentile calibration need
LARGEST_COUNT = 1000
CANDIDATES_PER_FRAME = 4
_FEWEST_CANDIDATES = 64
_SAMPLE_FOR_COVERAGE = 2048  # frames; their features take 2.6 MB


@dataclass(frozen=True)
class _Candidate:
    """A frame that may be chosen: where it was, and the file that holds it."""

    position: SourcePosition
    file: Path
    spooled: bool

    def discard(self) -> None:
        """Delete the copy of a frame that is not needed after all; a file of the source stays."""
        if self.spooled:
            self.file.unlink()


@dataclass
class _Gathered:
    """What was found in a source: frames to choose from, a sample of all, and how many were left out and why."""

    reservoir: Reservoir[_Candidate]
    sample: EvenSample
    seen: int = 0
    blank: int = 0
    near_duplicates: int = 0
    similar: int = 0
    unreadable: list[UnreadableFile] = field(default_factory=list)


def collect_frames(
    source: FrameSource, output: Path, *, count: int = DEFAULT_COUNT, progress: Progress | None = None
) -> Collection:
    """Choose ``count`` frames and write them to ``output``: ``frame-0000.png`` …, best first, as they are.

    Beside them, in ``output/.collection``: ``collection.json`` (what is returned) and ``contact-sheet.png``. A source
    with fewer different frames gives fewer. A collection that was in ``output`` before is replaced in one step at the
    end; after an error or an interrupt it is as it was.

    Args:
        source: a stream of frames, gone through once.
        output: the folder to make.
        count: how many frames, 1 to ``LARGEST_COUNT``.
        progress: told about frames that were looked at; None: nobody is.

    Raises:
        PictureError: the source holds no frame, or only blank or unreadable ones; or it is one file that is damaged.
        UsageError: ``count`` is not 1 to ``LARGEST_COUNT``; the output holds something that is not a collection's.
        SourceLostError: there is no such camera or stream, or it gives nothing.
        MissingRequirementError: a package is missing that the source needs.
        EdgeI2IError: the output cannot be written.
    """
    if not 1 <= count <= LARGEST_COUNT:
        raise UsageError(f"{count} frames cannot be collected.", remedy=f"Ask for 1 to {LARGEST_COUNT}.")
    with staged_folder(output) as staged:
        gathered = _gather(source, staged.spool, count, progress or NullProgress())
        _refuse_nothing(source, gathered)
        chosen = farthest_points(gathered.reservoir.points, count)
        frames = _write_frames([gathered.reservoir.items[index] for index in chosen], staged)
        collection = Collection(
            tool=f"edge-i2i {edge_i2i.__version__}",
            source=CollectedFrom(kind=source.kind, name=source.name),
            requested=count,
            seen=gathered.seen,
            left_out=_left_out(gathered, len(chosen)),
            coverage=_coverage(gathered, gathered.reservoir.points[chosen]),
            frames=frames,
            bytes=sum(frame.bytes for frame in frames),
        )
        with explained(output):
            (staged.extras / RECORD_NAME).write_text(collection.model_dump_json(indent=1) + "\n", encoding="utf-8")
            staged.publish()
    return collection


# Going through the source ---------------------------------------------------------------------------------------


def _gather(source: FrameSource, spool: Path, count: int, progress: Progress) -> _Gathered:
    capacity = max(_FEWEST_CANDIDATES, CANDIDATES_PER_FRAME * count)
    gathered = _Gathered(Reservoir(capacity, FEATURE_COUNT, NEAR_DUPLICATE_DISTANCE), EvenSample(_SAMPLE_FOR_COVERAGE))
    progress.start(source.total, "frames")
    try:
        with closing(source.frames()) as frames:
            for frame in frames:
                _consider(frame, gathered, spool)
                progress.advance(1, f"{len(gathered.reservoir)} candidates")
    finally:
        progress.finish()
    gathered.unreadable = [UnreadableFile(file=one.file, reason=one.reason) for one in source.unreadable]
    return gathered


def _consider(frame: SourceFrame, gathered: _Gathered, spool: Path) -> None:
    gathered.seen += 1
    if is_blank(frame.image):
        gathered.blank += 1
        return
    features = frame_features(frame.image)
    gathered.sample.add(features)
    novelty = gathered.reservoir.judge(features)
    if novelty is Novelty.NEAR_DUPLICATE:
        gathered.near_duplicates += 1
    elif novelty is Novelty.SIMILAR:
        gathered.similar += 1
    else:
        given_way = gathered.reservoir.add(features, _keep(frame, spool / f"{gathered.seen}.png"))
        if given_way is not None:
            given_way.discard()
            gathered.similar += 1


def _keep(frame: SourceFrame, spooled: Path) -> _Candidate:
    if frame.picture is not None:
        return _Candidate(frame.position, frame.picture, spooled=False)
    write_picture(spooled, frame.image)
    return _Candidate(frame.position, spooled, spooled=True)


def _refuse_nothing(source: FrameSource, gathered: _Gathered) -> None:
    if len(gathered.reservoir):
        return
    unreadable = f"; {len(gathered.unreadable)} files cannot be read" if gathered.unreadable else ""
    if gathered.seen == 0:
        raise PictureError(
            f"The {source.kind} '{source.name}' gives no frame to calibrate with{unreadable}.",
            remedy=gathered.unreadable[0].reason if unreadable else "Give another source, or more --seconds.",
        )
    raise PictureError(
        f"No frame of the {source.kind} '{source.name}' can calibrate anything: of {gathered.seen}, all are of a "
        f"single colour{unreadable}.",
        remedy="Ranges found on blank frames clip real ones: take frames of what the network will see.",
    )


# The result -----------------------------------------------------------------------------------------------------


def _write_frames(chosen: list[_Candidate], staged: StagedFolder) -> tuple[CollectedFrame, ...]:
    """Write the chosen frames as PNG files, and a contact sheet of them; returns the record of each."""
    frames, thumbnails, captions = [], [], []
    for number, candidate in enumerate(chosen):
        path = staged.tree / f"frame-{number:04d}.png"
        image = read_picture(candidate.file)
        if candidate.spooled:
            with explained(staged.target):
                candidate.file.replace(path)
        else:
            write_picture(path, image)
        frames.append(_describe(path, candidate.position, image.shape[:2]))
        thumbnails.append(thumbnail(image))
        captions.append(_caption(number, candidate.position))
    write_picture(staged.extras / SHEET_NAME, contact_sheet(thumbnails, captions))
    return tuple(frames)


def _describe(path: Path, position: SourcePosition, size: tuple[int, ...]) -> CollectedFrame:
    content = path.read_bytes()
    return CollectedFrame(
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        height=size[0],
        width=size[1],
        source_file=position.file,
        source_frame=position.frame,
        source_seconds=position.seconds,
    )


def _caption(number: int, position: SourcePosition) -> str:
    where = Path(position.file).name if position.seconds is None else f"{position.seconds:.1f} s"
    return f"{number}: {where}"


def _left_out(gathered: _Gathered, chosen: int) -> LeftOut:
    return LeftOut(
        blank=gathered.blank,
        near_duplicates=gathered.near_duplicates,
        similar=gathered.similar,
        not_needed=len(gathered.reservoir) - chosen,
        unreadable=tuple(gathered.unreadable),
    )


def _coverage(gathered: _Gathered, chosen: NDArray[np.float32]) -> Coverage:
    sample = gathered.sample.points
    distances = nearest_distances(sample, chosen)
    # Farthest-point sampling takes ever nearer points: no two are closer than the last one is to those before it.
    closest = nearest_distances(chosen[-1:], chosen[:-1])[0] if len(chosen) > 1 else None
    return Coverage(
        measured_on=len(sample),
        largest_distance=round(float(distances.max()), 4),
        mean_distance=round(float(distances.mean()), 4),
        closest_pair=None if closest is None else round(float(closest), 4),
        near_duplicate_distance=NEAR_DUPLICATE_DISTANCE,
    )
