"""Where results go: found out before the work whether they can be written there.

One rule for every verb: a folder that is named for results is made where it is missing, with those above it; the folder
of a *file* has to be there, unless a function says otherwise.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from edge_i2i.errors import OutputError, UsageError

_BLOCK = 4096  # bytes: what the smallest file takes on most disks
_HIDDEN_LIMIT = 140  # bytes of a name; encrypting file systems take 143, others 255
_LONGEST_PATH_OF_WINDOWS, _SHORTEST_LIMIT = 32_767, 1024  # of a path
_KEPT = 24  # characters of a longer name that stay readable
ANOTHER_CACHE = "Make room there, or name another folder with --cache."
_REMEDY = "Give another output, in a folder on a disk with room that you may write to."


def check_file(path: Path, *, makes_folder: bool = False, needed: int = 0) -> None:
    """Refuse a place where no file can be written; nothing is left behind, and nothing that exists is changed.

    Args:
        path: the file to be written, or replaced.
        makes_folder: whoever writes it makes its folder first.
        needed: bytes that are known to be needed.

    Raises:
        OutputError: the folder is missing, or takes no file (read-only, full, no permission, not a folder at all); or
            ``path`` is a folder, a device, write-protected, or a name that the disk does not take.
    """
    check_names(path)
    if path.is_dir():
        raise _refusal(path, "it is a folder", "Name a file.")
    if path.exists() and not path.is_file():
        raise _refusal(path, "it is no file but a device, a pipe or a socket", "Name a file.")
    if path.is_file() and _is_protected(path):
        raise _refusal(path, "it is protected against changes")
    if not makes_folder and not os.path.lexists(path.parent):
        raise _refusal(
            path, f"its folder is not there ('{path.parent}')", "Make that folder first, or give another output."
        )
    _check_room(path, path.parent, needed)


def check_folder(path: Path, *, needed: int = 0) -> None:
    """Refuse a place where no folder with files can be: as ``check_file``; missing folders count as made.

    Raises:
        OutputError: there, or in the first folder above it that exists, nothing can be written; a file is in the way.
    """
    check_names(path)
    _check_room(path, path, needed)


def check_names(path: Path) -> None:
    """Refuse a path that no file of this disk can have.

    Raises:
        OutputError: a name is too long, or its links lead in a circle.
    """
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _refusal(path, "its name is too long for this disk", "Give a shorter one.") from error
        if error.errno == errno.ELOOP:
            raise _refusal(path, "its links lead in a circle") from error
    limit = name_limit(path)
    if any(len(os.fsencode(part)) > limit for part in path.parts):
        raise _refusal(path, f"a name in it is longer than the {limit} bytes of this disk", "Give a shorter one.")


@contextmanager
def writing(path: Path, *also: type[Exception], remedy: str = _REMEDY) -> Iterator[None]:
    """Say of a disk that is full, gone or protected by now that ``path``, a file or a folder, could not be written.

    ``also``: what a library raises in place of an ``OSError``.

    Raises:
        OutputError: in place of an ``OSError``, or of one of ``also``, that the block raised.
    """
    faults: tuple[type[Exception], ...] = (OSError, *also)
    try:
        yield
    except faults as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise _refusal(path, reason.rstrip("."), remedy) from error


def check_apart(written: Sequence[Path], read: Sequence[Path]) -> None:
    """Refuse outputs that are one file or folder with another, or with something that is read meanwhile.

    Links of both kinds are seen through. Two outputs whose names differ only in upper and lower case count as one: on
    many disks they are.

    Raises:
        UsageError: two places are one.
    """
    for number, path in enumerate(written):
        for source in read:
            if _is_same(path, source):
                raise UsageError(
                    f"'{path}' would be written while it is read, as '{source}'.", remedy="Give another output."
                )
        for other in written[:number]:
            if _is_same(path, other) or _folded(path) == _folded(other):
                raise UsageError(
                    f"Two outputs have one place: '{other}' and '{path}'.", remedy="Give each of them its own."
                )


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one of them is not there (yet), or can never be
        return False


def _folded(path: Path) -> str:
    return os.path.realpath(path).casefold()


def refuse_foreign(path: Path, is_ours: Callable[[Path], bool], what: str) -> None:
    """Refuse to replace a file that is not of the kind that is to be written; an empty one is nobody's.

    Args:
        path: the file to be written, or replaced.
        is_ours: whether an existing file is of that kind.
        what: the kind, to be put behind "is not".

    Raises:
        OutputError: ``path`` is a file of another kind, and not empty.
    """
    if path.is_file() and path.stat().st_size and not is_ours(path):
        raise OutputError(
            f"'{path}' is there already and is not {what}: it is left as it is.",
            remedy="Give another output, or move that file away yourself.",
        )


def beside(path: Path, mark: str) -> Path:
    """A hidden name beside ``path`` that no disk finds too long: ``.NAME.MARK``; of a long name a part, and a hash."""
    name = f".{path.name}.{mark}"
    if len(os.fsencode(name)) > _HIDDEN_LIMIT:
        name = f".{path.name[:_KEPT]}-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}.{mark}"
    return path.with_name(name)


def fitting(name: str, limit: int) -> str:
    """A name that a disk takes: itself, or of a longer one the beginning, a hash of it all, and the ending."""
    if len(os.fsencode(name)) <= limit:
        return name
    mark = f"-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}{Path(name).suffix[:_KEPT]}"
    kept = name[:limit]
    while kept and len(os.fsencode(kept + mark)) > limit:
        kept = kept[:-1]
    return kept + mark


def path_limit(folder: Path) -> int:
    """How many bytes a path may have in ``folder``, or in the first folder above it that exists."""
    if not hasattr(os, "pathconf"):
        return _LONGEST_PATH_OF_WINDOWS
    try:
        return os.pathconf(_existing(folder), "PC_PATH_MAX")
    except (OSError, ValueError):
        return _SHORTEST_LIMIT


def name_limit(folder: Path) -> int:
    """How many bytes a file's name may have in ``folder``, or in the first folder above it that exists."""
    if not hasattr(os, "pathconf"):
        return 255
    try:
        return os.pathconf(_existing(folder), "PC_NAME_MAX")
    except (OSError, ValueError):
        return 255


def _existing(path: Path) -> Path:
    """The path, or the first above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))


def _check_room(path: Path, folder: Path, needed: int) -> None:
    """Whether files can be made in a folder, or in what will hold it."""
    place = _existing(folder)
    if not place.is_dir():
        reason = f"'{place}' leads nowhere" if place.is_symlink() and not place.exists() else f"'{place}' is a file"
        raise _refusal(path, f"{reason}, not a folder")
    try:
        with TemporaryFile(dir=place, buffering=0) as probe:
            probe.write(bytes(_BLOCK))
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise _refusal(path, f"'{place}' takes no file ({error.strerror or error})") from error
    if free < needed:
        raise _refusal(path, f"it needs {needed:,} bytes, and {free:,} are free in '{place}'")


def _is_protected(path: Path) -> bool:
    """Against being replaced; that its content may not be written does not count, for files are replaced whole."""
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError as error:
        return error.errno == errno.EPERM or (sys.platform == "win32" and error.errno == errno.EACCES)
    return False


def _refusal(path: Path, reason: str, remedy: str = _REMEDY) -> OutputError:
    return OutputError(f"'{path}' cannot be written: {reason}.", remedy=remedy)
