"""The errors that users meet: each says what happened and what to do next, and carries its exit code.

Exit codes are part of the command line's contract: 0 done, 2 wrong usage (also: a result cannot be written where it was
asked for), 3 something needed is not here, 4 bad input, 5 done but a stated budget is not met, 1 anything unexpected.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EdgeI2IError(Exception):
    """Base of every error raised on purpose. ``what`` happened, and ``remedy``: what to do next."""

    exit_code: int = 1

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n  → {self.remedy}" if self.remedy else self.what


class UsageError(EdgeI2IError):
    """The request itself cannot be met: an unknown name, a size the network cannot take."""

    exit_code = 2


class OutputError(UsageError):
    """A result cannot be written where it was asked for, or another run is writing there."""


class MissingRequirementError(EdgeI2IError):
    """A package, driver or device that the request needs is not here."""

    exit_code = 3


class BadInputError(EdgeI2IError):
    """A file or an array that was handed in is not what it has to be."""

    exit_code = 4


class CheckpointError(BadInputError):
    """A checkpoint cannot be read, or does not hold the network that was asked for."""


class BundleError(BadInputError):
    """A bundle is damaged, incomplete, unsafe, or newer than this software."""


class BundleOutputError(OutputError, BundleError):
    """A bundle cannot be written where it was asked for; also a ``BundleError``, for who catches that."""


class PlanError(BadInputError):
    """A serialised TensorRT engine cannot be used here (another version, another device, damaged)."""


class GraphError(EdgeI2IError):
    """An ONNX graph cannot be rewritten, parsed or built as asked."""


class GraphFileError(GraphError, BadInputError):
    """An ONNX file is not what its declaration says, or not known to be harmless, or an engine cannot run it."""


class PictureError(BadInputError):
    """A picture or a video cannot be read, or has the wrong size, type or values for the network."""


class BudgetError(EdgeI2IError):
    """The work is done, but a stated budget (parity, quality, speed) is not met."""

    exit_code = 5


class ParityError(BudgetError):
    """A graph no longer computes what the network computes; names the stage that broke it."""


def known_names(name: str, known: Iterable[str], what: str) -> str:
    """The remedy for a name that is not known: the nearest one, if one is near, and all of them.

    >>> known_names("openvinno", ["openvino", "torch"], "engines")
    "Did you mean 'openvino'? Known engines: openvino, torch."

    Args:
        name: what was asked for.
        known: every name that there is.
        what: what the names are of, a plural such as ``engines``.
    """
    names = list(known)
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{hint}Known {what}: {', '.join(names)}."
