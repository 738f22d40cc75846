"""How long work reports where it is: a protocol that the command line draws, and a silent one for everybody else."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told about work in steps. One ``start``, any number of ``advance``, one ``finish`` (also after an error)."""

    def start(self, total: int | None, what: str) -> None:
        """Begin: ``total`` steps (None: not known beforehand) of ``what``, a plural noun such as ``frames``."""
        ...

    def advance(self, n: int = 1, note: str = "") -> None:
        """``n`` more steps are done; ``note`` is a short line about the last of them, or empty."""
        ...

    def finish(self) -> None:
        """The work has ended, whether or not every step was done."""
        ...


class NullProgress:
    """A ``Progress`` that reports to nobody."""

    def start(self, total: int | None, what: str) -> None:
        """See ``Progress.start``."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """See ``Progress.advance``."""

    def finish(self) -> None:
        """See ``Progress.finish``."""
