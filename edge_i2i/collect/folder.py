"""A folder of calibration frames: ``frame-0000.png`` …, and beside them, hidden, the record and a contact sheet.

Everything but the frames lies in ``.collection/``: whatever takes a folder's pictures passes over hidden folders, so
the contact sheet is never taken for a frame. The folder is built beside its final place and put there in one step.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_i2i.bundle.disk import exchange
from edge_i2i.bundle.locking import only_run
from edge_i2i.errors import OutputError, UsageError
from edge_i2i.files.places import beside

EXTRAS_FOLDER = ".collection"
RECORD_NAME, SHEET_NAME = "collection.json", "contact-sheet.png"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CollectedFrom(_Record):
    """The source: ``kind`` as in ``FrameSource``; ``name`` has no path of a file and no credentials."""

    kind: str
    name: str


class UnreadableFile(_Record):
    """A file of the source that was passed over, and why."""

    file: str
    reason: str


class LeftOut(_Record):
    """How many frames were not chosen, by reason, and the files that could not be read at all.

    ``blank``: of a single colour. ``near_duplicates``: within ``near_duplicate_distance`` of an earlier one.
    ``similar``: near a candidate, by the distance that a long source's many candidates had to keep. ``not_needed``:
    candidates that others cover.
    """

    blank: int
    near_duplicates: int
    similar: int
    not_needed: int
    unreadable: tuple[UnreadableFile, ...] = ()


class Coverage(_Record):
    """How well the chosen frames stand for what was seen, in distances of feature vectors (see `frame_features`).

    ``largest_distance``, ``mean_distance``: from a frame that was looked at to the nearest chosen one, over
    ``measured_on`` frames that are evenly spread over all but the blank ones (all of them, up to 2048).
    ``closest_pair``: of two chosen frames; None if there is one.
    """

    measured_on: int
    largest_distance: float
    mean_distance: float
    closest_pair: float | None
    near_duplicate_distance: float


class CollectedFrame(_Record):
    """A chosen frame: its file in the folder, and where in the source it was.

    ``source_file`` is told from the source's folder (empty: a camera); ``source_frame`` counts from 0 in that file;
    ``source_seconds`` is None for a picture.
    """

    file: str
    sha256: str
    bytes: int
    height: int
    width: int
    source_file: str
    source_frame: int
    source_seconds: float | None


class Collection(_Record):
    """What ``collection.json`` says. ``seen`` is the sum of the frames and of all that were left out but unreadable.

    ``frames`` come best first: any beginning of the list is itself a diverse set. ``bytes`` is their size on disk.
    """

    format: int = 1
    tool: str
    source: CollectedFrom
    requested: int
    seen: int
    left_out: LeftOut
    coverage: Coverage
    frames: tuple[CollectedFrame, ...]
    bytes: int


class StagedFolder:
    """The hidden place where a folder is built: ``tree`` becomes the folder, ``spool`` is for what is thrown away."""

    def __init__(self, target: Path, place: Path) -> None:
        self.target, self._place = target, place
        self.tree, self.spool = place / "tree", place / "spool"
        for folder in (self.tree, self.spool):
            folder.mkdir()
        self.extras = self.tree / EXTRAS_FOLDER
        self.extras.mkdir()

    def publish(self) -> None:
        """Put ``tree`` in the target's place in one step; a collection that was there before is dropped.

        Raises:
            UsageError: something other than a collection has come to lie there; it is left as it is.
        """
        check_replaceable(self.target)
        if not self.target.exists():
            self.tree.replace(self.target)
        elif not exchange(self.tree, self.target):
            self._set_aside_and_replace()

    def _set_aside_and_replace(self) -> None:
        """Put the new folder in place in two steps, for disks that cannot exchange two names in one."""
        aside = self._place / "previous"
        try:
            self.target.replace(aside)
            self.tree.replace(self.target)
        finally:
            if aside.exists() and not self.target.exists():
                aside.replace(self.target)


@contextmanager
def staged_folder(target: Path) -> Iterator[StagedFolder]:
    """Build ``target`` out of sight; ``publish`` it in the block. Whatever else happens, the target stays as it was.

    Raises:
        UsageError: something other than a collection lies there already.
        OutputError: another run is writing it, the disk is full, or the folder cannot be written.
    """
    target = target.resolve()
    check_replaceable(target)
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        place = beside(target, f"{secrets.token_hex(4)}.part")
    with only_run(target):
        try:
            with explained(target):
                place.mkdir()
                staged = StagedFolder(target, place)
            yield staged
        finally:
            _remove(place)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn what the file system says about writing ``target`` into an error that names it."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The folder '{target}' cannot be written: {error.strerror or error}.",
            remedy="Check that you may write there, and that the disk has room. What was there before is unchanged.",
        ) from error


def check_replaceable(target: Path) -> None:
    """Let nobody's files be replaced but those of an earlier collection.

    Raises:
        UsageError: ``target`` is a file, or a folder with anything in it that no collection put there.
    """
    if target.is_dir():
        foreign = sorted({path.name for path in target.iterdir()} - _own_names(target))
    else:
        foreign = [target.name] if target.exists() else []
    if foreign:
        raise UsageError(
            f"'{target}' holds something that is not a collection's ('{foreign[0]}'), and is left as it is.",
            remedy="Name another output folder, or move that away.",
        )


def read_collection(folder: Path) -> Collection | None:
    """The record of a folder that `collect_frames` wrote, or None if it has none that can be read."""
    try:
        return Collection.model_validate_json((folder / EXTRAS_FOLDER / RECORD_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def _own_names(folder: Path) -> set[str]:
    record = read_collection(folder)
    return {EXTRAS_FOLDER, *(frame.file for frame in record.frames)} if record else set()


def _remove(place: Path) -> None:
    with contextlib.suppress(OSError):
        try:
            shutil.rmtree(place)
        except KeyboardInterrupt:  # Ctrl-C pressed twice: the second one must not stop the tidying after the first
            shutil.rmtree(place)
            raise
