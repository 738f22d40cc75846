"""Requests that are refused, with the status that says why."""

from __future__ import annotations

from edge_i2i.errors import BadInputError, EdgeI2IError


class RequestError(EdgeI2IError):
    """An HTTP request that cannot be met.

    Args:
        status: the HTTP status of the answer, which says why to programs.
        what: what went wrong, for people.
        remedy: what to do about it.
    """

    def __init__(self, status: int, what: str, *, remedy: str) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status


class TooLargeError(BadInputError):
    """More bytes or pixels than the limits allow."""


def too_many_bytes(allowed: int) -> TooLargeError:
    """The error for a file of more than ``allowed`` bytes."""
    return TooLargeError(f"The file is too large: at most {allowed:,} bytes.", remedy="Save it smaller, or as a JPEG.")
