"""NNCF's compiled kernels for fake quantization: C++ that torch compiles at first use, and keeps.

NNCF gives that up after 60 s, which a busy machine exceeds. It is given half an hour here, and a person is told
what is being waited for; ``NNCF_EXTENSION_LOAD_TIMEOUT`` in the environment (seconds) says otherwise.

They lie in our own cache, a folder for each installation: torch compiles again whenever another one comes by. A lock
of ours lets one process compile, so a lock of torch's that is found then was left by one that was killed, and goes:
torch would wait for it for ever. Who sets ``TORCH_EXTENSIONS_DIR`` has them there, with torch's lock alone.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge_i2i.errors import MissingRequirementError
from edge_i2i.files.caches import cache_folder
from edge_i2i.progress import Progress
from edge_i2i.requirements import require

LONGEST_S = 1800
A_MOMENT_S = 3.0
"""After which a person is told what is being waited for; what lies there compiled is loaded sooner."""
_LIMIT = "NNCF_EXTENSION_LOAD_TIMEOUT"
_PLACE = "TORCH_EXTENSIONS_DIR"
_WAITED_FOR = "set of NNCF's kernels compiled: needed once on this machine, and can take minutes"


def load_kernels(progress: Progress) -> None:
    """Load the kernels, and compile them where that was not done before; what is loaded stays loaded.

    Args:
        progress: told where they have to be compiled, or another process is about it.

    Raises:
        MissingRequirementError: NNCF is not installed, or they were not ready in time.
    """
    extensions = require("nncf.torch.extensions", extra="quantize", purpose="QAT")
    kernels = require("nncf.torch.quantization.extensions", extra="quantize", purpose="QAT")
    from filelock import Timeout

    with ExitStack() as held:
        ours = held.enter_context(_own_place())
        held.enter_context(_given_time())
        folder = Path(kernels.QuantizedFunctionsCPULoader.get_build_dir())
        held.enter_context(_told_of(progress))
        try:
            if ours:
                held.enter_context(_one_at_a_time(folder))
            kernels.QuantizedFunctionsCPU.get("Quantize_forward")
        except (extensions.ExtensionLoaderTimeoutException, Timeout) as error:
            raise MissingRequirementError(
                f"NNCF's kernels were not compiled in time: another program is compiling them, or one that was killed "
                f"left its lock in {folder}.",
                remedy=f"Wait for the other program; if there is none: rm -rf '{folder}', and run this again.",
            ) from error


@contextmanager
def _own_place() -> Iterator[bool]:
    """Torch compiles into our cache; False where a person named another folder."""
    if os.environ.get(_PLACE):
        yield False
        return
    installation = hashlib.sha256(sys.prefix.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    with _set(_PLACE, str(cache_folder("kernels") / installation)):
        yield True


@contextmanager
def _given_time() -> Iterator[None]:
    """NNCF reads its limit from the environment; a person's own stays."""
    if _LIMIT in os.environ:
        yield
        return
    with _set(_LIMIT, str(LONGEST_S)):
        yield


@contextmanager
def _set(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold our lock, for as long as NNCF may wait; what torch's own lock is then was left behind."""
    from filelock import FileLock

    limit = _limit()
    with FileLock(folder / "edge-i2i.lock", timeout=-1 if limit is None else limit):
        (folder / "lock").unlink(missing_ok=True)
        yield


def _limit() -> float | None:
    """The seconds that NNCF gives torch to compile, by the environment; None: without end."""
    try:
        seconds = float(os.environ[_LIMIT])
    except ValueError:  # NNCF says so
        return LONGEST_S
    return seconds if seconds > 0 else None


@contextmanager
def _told_of(progress: Progress) -> Iterator[None]:
    """Tell ``progress`` of the block's work if it takes longer than a moment."""
    told = _Told(progress)
    timer = threading.Timer(A_MOMENT_S, told.begin)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        told.end()


class _Told:
    """Begins at most once, and never after the end: the timer and the work are two threads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._begun = self._ended = False

    def begin(self) -> None:
        with self._lock:
            if not self._ended:
                self._begun = True
                self._progress.start(1, _WAITED_FOR)
                self._progress.advance(0)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            if self._begun:
                self._progress.finish()
