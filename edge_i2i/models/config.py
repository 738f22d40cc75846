"""What the configs of all models have in common: legal ranges, overrides, and whose fault a wrong value is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, replace
from typing import Any, ClassVar, Protocol, TypeVar

from edge_i2i.errors import CheckpointError, UsageError


class Config(Protocol):
    """A frozen dataclass of plain values (int, float, bool, str)."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


C = TypeVar("C", bound=Config)


class NearMissError(CheckpointError):
    """The file is of that model's making, in a form that is not read; the sentence says in which."""


def check_ranges(config: Config, legal: Mapping[str, tuple[int, int]]) -> None:
    """Accept a config whose fields lie within their legal ranges, both ends included.

    Raises:
        UsageError: a field lies outside; says which one, and its range.
    """
    for name, (low, high) in legal.items():
        value = getattr(config, name)
        if not low <= value <= high:
            only = f"{low}..{high}" if low < high else f"{low} only"
            raise UsageError(f"{name}={value} is out of range.", remedy=f"Legal values: {only}.")


def overridden(config: C, overrides: Mapping[str, object]) -> C:
    """The config with the fields that the user set, which ``ModelFamily.parse_overrides`` has given their types.

    Raises:
        UsageError: a value is out of its legal range.
    """
    values: dict[str, Any] = dict(overrides)
    return replace(config, **values)


@contextmanager
def blaming_the_checkpoint() -> Iterator[None]:
    """A config refused in this block was read off a file: the fault is the file's, not the user's.

    Raises:
        NearMissError: instead of the UsageError.
    """
    try:
        yield
    except UsageError as error:
        raise NearMissError(
            f"The checkpoint holds a network that cannot be translated with: {error.what}", remedy=error.remedy
        ) from error
