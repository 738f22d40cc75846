"""What every model's config refuses before torch would, in its own words."""

from __future__ import annotations

from collections.abc import Mapping

from edge_i2i.errors import UsageError


def check_ranges(config: object, legal: Mapping[str, tuple[int, int]]) -> None:
    """Accept a config whose fields lie within their legal ranges, both ends included.

    Raises:
        UsageError: one does not.
    """
    for name, (low, high) in legal.items():
        value = getattr(config, name)
        if not low <= value <= high:
            only = f"{low}..{high}" if low < high else f"{low} only"
            raise UsageError(f"{name}={value} is out of range.", remedy=f"Legal values: {only}.")
