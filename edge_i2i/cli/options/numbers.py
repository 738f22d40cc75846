"""Numbers that options take: what can be reckoned with, so neither NaN nor infinity."""

from __future__ import annotations

import math

import typer


def positive(text: str | float) -> float:
    """A number above 0, for an option's ``parser``.

    Raises:
        typer.BadParameter: it is none.
    """
    number = finite(text)
    if number <= 0:
        raise typer.BadParameter(f"{text} is not above 0.")
    return number


def not_negative(text: str | float) -> float:
    """A number from 0 on, as ``positive``."""
    number = finite(text)
    if number < 0:
        raise typer.BadParameter(f"{text} is below 0.")
    return number


def finite(text: str | float) -> float:
    """Any number but NaN and infinity, as ``positive``."""
    try:
        number = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no number.") from None
    if not math.isfinite(number):
        raise typer.BadParameter(f"{text} is not a finite number.")
    return number
