"""What a person sees: results on stdout, everything else on stderr; bars on a terminal, plain lines otherwise.

Everything that a program writes leaves through ``open_doors``: whatever wrote it, a console never gets a character that
it cannot encode nor one that it would obey, and a console that is gone ends nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from edge_i2i.cli.signals import raise_if_swallowed
from edge_i2i.errors import OutputError
from edge_i2i.texts import encodable, one_line, shown

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID


_LATER_LINE = re.compile(r"\n(?=\S)")
_HALF = re.compile("[\ud800-\udfff]")


class Door:
    """A stream of the process, as others see it: what is written is made fit to be shown, and never fails.

    ``fault``: what the first write failed with; nothing is written after it. ``terminal``: the same stream for what
    draws with escape sequences of its own.
    """

    def __init__(self, stream: TextIO, fit: Callable[[str], str] = shown) -> None:
        self._stream, self._fit = stream, fit
        self.fault: OSError | None = None

    def write(self, text: str) -> int:
        """Write, as far as somebody takes it."""
        self._try(self._stream.write, encodable(self._fit(text), self._stream.encoding or "utf-8"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send what is waiting."""
        self._try(self._stream.flush)

    @property
    def terminal(self) -> TextIO:
        """Where escape sequences pass, and what cannot be encoded does not."""
        return cast(TextIO, Door(self._stream, str))

    def _try(self, do: Callable[..., object], *arguments: str) -> None:
        if self.fault is not None:
            return
        try:
            do(*arguments)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self.fault = error if isinstance(error, OSError) else OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._lead_nowhere()

    def _lead_nowhere(self) -> None:
        """Else the interpreter tries again, at its end, to write what is waiting in the stream, and complains."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # bytes would go past the door
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextmanager
def open_doors() -> Iterator[None]:
    """Put doors in the place of stdout and stderr while the block runs.

    Raises (at the end):
        OutputError: the results could not be written to stdout. That nobody reads them any more (``| head``) is none.
    """
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    doors = tuple(Door(stream or Path(os.devnull).open("w", encoding="utf-8")) for stream in before)  # noqa: SIM115
    sys.stdout, sys.stderr = (cast(TextIO, door) for door in doors)
    try:
        yield
        for door in doors:
            door.flush()
        fault = doors[0].fault
        if fault is not None and not isinstance(fault, BrokenPipeError):
            raise OutputError(
                f"The result cannot be written to stdout: {fault.strerror or fault}.", remedy="Send it somewhere else."
            )
    finally:
        sys.stdout, sys.stderr = before


def _fill_descriptors() -> None:
    """Where a standard stream was closed by whoever started us, the next file opened would get its number and its text.

    A recording that is descriptor 2 would be written into by every library that complains.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


def say(text: str) -> None:
    """A line for the person, on stderr; further lines of the text are indented."""
    sys.stderr.write(f"{_indented(text)}\n")
    sys.stderr.flush()


def result(text: str) -> None:
    """A line of the result, on stdout; further lines of the text are indented."""
    sys.stdout.write(f"{_indented(text)}\n")


def result_json(data: Mapping[str, Any]) -> None:
    """One JSON object on stdout, valid and in ASCII, whatever strangers wrote into its texts."""
    text = json.dumps(_plain(data), indent=2, allow_nan=False)
    sys.stdout.write(text.replace("\x7f", "\\u007f") + "\n")


def _indented(text: str) -> str:
    """Only we begin a line at the margin: a file name with a line feed in it cannot."""
    return _LATER_LINE.sub("\n  ", text)


def _plain(value: Any) -> Any:
    """What JSON can hold: no halves of characters, and no number that is none."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain(str(value))


def shown_on(stream: TextIO) -> TextIO:
    """The stream, for what draws with escape sequences (bars, tables); texts of strangers go in as ``one_line``."""
    return stream.terminal if isinstance(stream, Door) else stream


@dataclass
class StageLines:
    """Says each stage of an export as it begins, with the seconds since the start."""

    quiet: bool = False
    started: float = field(default_factory=time.monotonic)

    def __call__(self, stage: str) -> None:
        """Say that ``stage`` begins."""
        raise_if_swallowed()
        if not self.quiet:
            say(f"[{time.monotonic() - self.started:6.1f} s] {stage}")


class Bar:
    """Progress of long work: a bar on a terminal, a line every few seconds elsewhere."""

    _SECONDS_BETWEEN_LINES = 5.0

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: RichBar | None = None
        self._task: TaskID | None = None
        self._done, self._what = 0, ""
        self._total: int | None = None
        self._last_line = 0.0

    def start(self, total: int | None, what: str) -> None:
        """Begin ``total`` steps of ``what``."""
        self._done, self._total, self._what = 0, total, what
        if self._quiet or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichBar

        what_is_done = TextColumn("{task.description}", markup=False)  # a file may be called [red]
        columns = (what_is_done, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = RichBar(*columns, console=Console(file=shown_on(sys.stderr)), transient=True)
        self._task = self._bar.add_task(one_line(what), total=total)
        self._bar.start()

    def advance(self, n: int = 1, note: str = "") -> None:
        """``n`` more steps are done."""
        raise_if_swallowed()
        self._done += n
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=n, description=one_line(f"{self._what} {note}".strip()))
        elif not self._quiet and time.monotonic() - self._last_line > self._SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            say(f"{self._done}{f'/{self._total}' if self._total else ''} {self._what} {note}".rstrip())

    def finish(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class BuildBar:
    """Progress of a TensorRT build: phases nest, so the outermost one is the bar and the others its note."""

    def __init__(self, quiet: bool = False) -> None:
        self._bar = Bar(quiet)
        self._outermost: str | None = None

    def phase_started(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        if self._outermost is None:
            self._outermost = phase
            self._bar.start(steps, phase)

    def step_completed(self, phase: str, step: int) -> None:
        """A step of a phase is done."""
        if phase == self._outermost:
            self._bar.advance()
        else:
            self._bar.advance(0, phase)

    def phase_finished(self, phase: str) -> None:
        """A phase ends."""
        if phase == self._outermost:
            self._outermost = None
            self._bar.finish()
