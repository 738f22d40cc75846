"""Sinks that keep what they get, take their time, block, or fail."""

from __future__ import annotations

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.live.frame import Result
from edge_i2i.live.sinks.sink import Sink


class KeepingSink(Sink):
    """Keeps every result; each takes ``seconds``, and closing takes ``closing``."""

    name = "keep"

    def __init__(self, clock: Clock, seconds: float = 0.0, *, every: bool = True, closing: float = 0.0) -> None:
        self.clock, self.seconds, self.closing = clock, seconds, closing
        self.wants_every = every  # of the class, elsewhere
        self.results: list[Result] = []
        self.pictures: list[Picture] = []
        self.ages_ms: list[float] = []
        self.size: Size | None = None
        self.closed = 0

    def open(self, size: Size) -> None:
        assert self.size is None
        self.size = size

    def write(self, picture: Picture, result: Result) -> None:
        assert self.size is not None and not self.closed
        if self.seconds:
            self.clock.sleep(self.seconds)
        self.results.append(result)
        self.pictures.append(picture)
        self.ages_ms.append((self.clock.now() - result.frame.t_capture) * 1e3)

    def close(self) -> None:
        if self.closing:
            self.clock.sleep(self.closing)
        self.closed += 1

    @property
    def seqs(self) -> list[int]:
        return [result.frame.seq for result in self.results]


class FailingSink(KeepingSink):
    """Raises in ``open``, after ``after`` results, or in ``close``."""

    name = "failing"

    def __init__(self, clock: Clock, where: str = "write", after: int = 3) -> None:
        super().__init__(clock)
        self._where, self._after = where, after

    def open(self, size: Size) -> None:
        if self._where == "open":
            raise OSError("no such display")
        super().open(size)

    def write(self, picture: Picture, result: Result) -> None:
        if self._where == "write" and len(self.results) == self._after:
            raise OSError(28, "No space left on device")
        super().write(picture, result)

    def close(self) -> None:
        super().close()
        if self._where == "close":
            raise OSError("the file was not finished")


class BlockingSink(KeepingSink):
    """Never returns from its first write, or from closing."""

    name = "blocking"

    def __init__(self, clock: Clock, where: str = "write") -> None:
        super().__init__(clock)
        self._where = where

    def write(self, picture: Picture, result: Result) -> None:
        self._block("write")
        super().write(picture, result)

    def close(self) -> None:
        self._block("close")
        super().close()

    def _block(self, where: str) -> None:
        if where == self._where:
            condition = self.clock.condition()
            with condition:
                condition.wait_for(lambda: False)
