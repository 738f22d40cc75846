"""How a session ends: once, and with one error at most, which surfaces once."""

from __future__ import annotations

from edge_i2i.clock import Clock, Signal
from edge_i2i.errors import EdgeI2IError


def text_of(error: Exception) -> str:
    """The error in one line, for an event."""
    return error.what if isinstance(error, EdgeI2IError) else f"{type(error).__name__}: {error}"


class LiveError(EdgeI2IError):
    """A stage of a session failed, and the session with it.

    ``stage``: ``source``, ``loading``, ``model``, ``on_event`` or ``sink NAME``. ``cause``: what it raised. Exit code
    and remedy are those of the cause.
    """

    def __init__(self, stage: str, cause: Exception) -> None:
        super().__init__(f"{stage}: {text_of(cause)}", remedy=cause.remedy if isinstance(cause, EdgeI2IError) else "")
        if isinstance(cause, EdgeI2IError):
            self.exit_code = cause.exit_code
        self.stage, self.cause = stage, cause
        self.__cause__ = cause


class Ending:
    """Whether a session is over, and its error until somebody was told."""

    def __init__(self, clock: Clock) -> None:
        self._condition = clock.condition()
        self._over = Signal(clock)
        self._error: LiveError | None = None
        self._has_failed = False

    def fail(self, error: LiveError) -> bool:
        """End the session with an error; returns False, and forgets the error, where the session is over already."""
        with self._condition:
            if self._has_failed or self._over.is_set():
                return False
            self._has_failed, self._error = True, error
        self._over.set()
        return True

    def finish(self) -> None:
        """Mark the session as over, without an error."""
        self._over.set()

    @property
    def is_over(self) -> bool:
        """Whether the session is over."""
        return self._over.is_set()

    def wait(self, timeout: float | None) -> bool:
        """Wait until the session is over, at most ``timeout`` seconds; returns whether it is."""
        return self._over.wait(timeout)

    def raise_once(self) -> None:
        """Raise the error that ended the session, unless that was done before.

        Raises:
            LiveError: a stage had failed.
        """
        with self._condition:
            error, self._error = self._error, None
        if error is not None:
            raise error
