"""What a person sees: results on stdout, everything else on stderr; bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID


def say(text: str) -> None:
    """A line for the person, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def result(text: str) -> None:
    """A line of the result, on stdout."""
    sys.stdout.write(f"{text}\n")


def result_json(data: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")


@dataclass
class StageLines:
    """Says each stage of an export as it begins, with the seconds since the start."""

    quiet: bool = False
    started: float = field(default_factory=time.monotonic)

    def __call__(self, stage: str) -> None:
        """Begin ``stage``."""
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
        from rich.progress import Progress as RichBar

        self._bar = RichBar(console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(what, total=total)
        self._bar.start()

    def advance(self, n: int = 1, note: str = "") -> None:
        """``n`` more steps are done."""
        self._done += n
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=n, description=f"{self._what} {note}".strip())
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
