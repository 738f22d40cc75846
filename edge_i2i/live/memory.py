"""How much memory this process holds."""

from __future__ import annotations


def resident_bytes() -> int | None:
    """Resident memory in bytes; None where the system does not tell (Linux without ``/proc``)."""
    import psutil

    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return None
