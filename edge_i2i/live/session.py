"""A live session: frames from a source or a host, through a process, to sinks and to whoever takes results.

    capture ──(slot | lane)──► translate ──(a slot or lane each)──► sinks, callbacks, iteration

Every stage runs in a thread of its own. In live mode nothing ever waits for the stage behind it; offline, everything
does. A stage that fails ends the session, and the error surfaces once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, SystemClock
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.live.figures.events import OnEvent
from edge_i2i.live.figures.stats import StatsSnapshot
from edge_i2i.live.figures.trace import Trace
from edge_i2i.live.frame import Result
from edge_i2i.live.model.changes import Change, LookChange
from edge_i2i.live.model.process import Loader, Process
from edge_i2i.live.outlets.receivers import Callback, Receiver
from edge_i2i.live.outlets.sink_stage import Composes, handover_of_results
from edge_i2i.live.pipeline import Pipeline
from edge_i2i.live.policy import Mode, Policy
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.threads.ending import LiveError
from edge_i2i.live.threads.handover import HandoverClosedError, Slot
from edge_i2i.sources.source import Captured, SourceSpec

__all__ = ["LiveError", "LiveSession"]


class LiveSession:
    """Runs once: started, stopped, and not started again. A context manager that does both.

    It owns the process and the sinks, and closes them. Any method may be called by any thread, also from callbacks.

    Args:
        source: where frames come from; None: the host pushes them with ``submit``.
        process: what is done to a frame; or a loader, that is run beside the pipeline: until it is done, live frames
            are passed through, and offline ones wait.
        sinks: take results, each in a thread of its own. One that fails gets no more; the session ends with the error
            of the last one.
        policy: the newest frame (``Policy.live()``, the default), or every frame in order.
        view: composes what sinks are given of a result; None: its picture.
        clock: what time is measured and waited by.
        on_event: told what happens, in order, by a thread of its own.
        trace: collects what every stage did when.
        wait_for_source: take a live source that is not there at first for one that will come, not for an error.
    """

    def __init__(
        self,
        source: SourceSpec | None,
        process: Process | Loader,
        sinks: Sequence[Sink] = (),
        policy: Policy | None = None,
        *,
        view: Composes | None = None,
        clock: Clock | None = None,
        on_event: OnEvent | None = None,
        trace: Trace | None = None,
        wait_for_source: bool = False,
    ) -> None:
        self._clock = clock or SystemClock()
        self._policy = policy or Policy.live()
        self._is_pushed = source is None
        self._pipeline = Pipeline(
            self._clock,
            source,
            process,
            self._policy,
            view=view,
            on_event=on_event,
            trace=trace,
            wait_for_source=wait_for_source,
        )
        self._pipeline.add_sinks(sinks)
        self._latest = Receiver(Slot(self._clock))
        self._pipeline.outlets.add_receiver(self._latest)
        # Offline, results wait for the program that will iterate, unless there is somebody else to take them.
        self._unclaimed: Receiver | None = None
        if self._policy.mode is Mode.OFFLINE and source is not None and not sinks:
            self._unclaimed = self._add_receiver()

    # Control ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every stage; returns at once.

        Raises:
            UsageError: the session was started or stopped before.
        """
        if self._pipeline.has_started:
            raise UsageError("A session runs once.", remedy="Make another LiveSession.")
        self._pipeline.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End the session, in ``timeout`` seconds at most: a driver, model or sink that hangs is left behind.

        Twice is harmless. What sinks have been given is still written, as far as time allows.

        Raises:
            LiveError: a stage had failed, and nobody was told yet.
        """
        self._pipeline.shut_down(timeout)
        self._pipeline.ending.raise_once()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the source has ended and everything is translated and written, or the session was stopped.

        Returns:
            Whether it is over; False after ``timeout`` seconds.

        Raises:
            LiveError: a stage failed, and nobody was told yet.
        """
        self._leave_unclaimed()
        is_over = self._pipeline.ending.wait(timeout)
        self._pipeline.ending.raise_once()
        return is_over

    def pause(self) -> None:
        """Translate nothing until ``resume``: live frames are dropped, offline ones wait."""
        self._pipeline.pause_switch.pause()

    def resume(self) -> None:
        """Go on translating after ``pause``."""
        self._pipeline.pause_switch.resume()

    def swap(self, process: Process | Loader) -> Change:
        """Change to another process between two frames. It is loaded beside the running one, which is then closed.

        A look that was set holds for the old one only. If loading fails, the old one goes on.
        """
        change = Change(self._clock)
        self._pipeline.load(process, change)
        return change

    def condition(self, **look: Any) -> Change:
        """Set a look between two frames, by the inputs that ``Translator.condition`` takes.

        While a process loads, the look is set as soon as it is there.
        """
        change = Change(self._clock)
        self._pipeline.model.offer(LookChange(look, change))
        return change

    def stats(self) -> StatsSnapshot:
        """The figures of the session so far."""
        return self._pipeline.stats.snapshot()

    def raise_failed_sink(self) -> None:
        """Raise the error of a sink or callback that failed while others went on; nothing where none has failed.

        Raises:
            LiveError: one of them has failed; of several, the first of them.
        """
        for name, error in self._pipeline.outlets.failures.items():
            raise LiveError(f"sink {name}", error)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
        else:  # one error is enough
            self._pipeline.shut_down(2.0)

    # Receiving --------------------------------------------------------------------------------------------------------

    def on_frame(self, function: Callable[[Result], None]) -> None:
        """Call a function for results: the newest whenever it is ready for one; offline, all that come from now on.

        It has a thread of its own. If it raises, it is called no more, as a sink that fails.
        """
        self._pipeline.add_sink(Callback(function), self._policy.mode is Mode.OFFLINE, None)
        self._leave_unclaimed()

    def __iter__(self) -> Iterator[Result]:
        """Results from now on: the newest whenever one is asked for; offline, all. Starts the session if need be.

        Raises:
            LiveError: a stage failed, and nobody was told yet.
        """
        receiver = self._claim()
        self._start_if_needed()
        return self._results(receiver)

    def __aiter__(self) -> AsyncIterator[Result]:
        """Give the same results as ``__iter__``, without ever blocking the event loop."""
        receiver = self._claim()
        self._start_if_needed()
        return self._results_async(receiver)

    def latest(self, timeout: float | None = None) -> Result | None:
        """The newest result, each of them once; None: none came within ``timeout`` seconds, or the session is over.

        Raises:
            LiveError: a stage failed, and nobody was told yet.
        """
        try:
            return self._latest.take(timeout)
        except HandoverClosedError:
            self._pipeline.ending.raise_once()
            return None

    # Pushing ----------------------------------------------------------------------------------------------------------

    def submit(self, image: Picture, t_source: float | None = None) -> bool:
        """Hand over a frame of a camera that the caller owns.

        Args:
            image: RGB, uint8 ``[H, W, 3]``; it belongs to the session from now on.
            t_source: its time in seconds on the camera's own time line.

        Returns:
            False: it took the place of one that was not translated yet, or it was dropped itself (paused, paced, or the
            session is over); counted in either case. Offline, it waits for room instead.

        Raises:
            UsageError: the session has a source of its own.
            PictureError: it is no such picture.
            LiveError: a stage failed, and nobody was told yet.
        """
        if not self._is_pushed:
            raise UsageError("This session reads a source.", remedy="Make one with source=None to push frames.")
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise PictureError("A frame has to be RGB, uint8 [H, W, 3].", remedy="Convert it first.")
        self._pipeline.ending.raise_once()
        return self._pipeline.inlet.push(Captured(image, t_source))

    def finish(self) -> None:
        """Push nothing more: what was pushed is still translated and written, and then ``wait`` returns."""
        self._pipeline.inlet.close(discard=False)

    # ------------------------------------------------------------------------------------------------------------------

    def _start_if_needed(self) -> None:
        if not self._pipeline.has_started:
            self.start()

    def _add_receiver(self) -> Receiver:
        results = handover_of_results(self._clock, self._policy.mode, self._policy.mode is Mode.OFFLINE)
        receiver = Receiver(results, self._pipeline.stats)
        self._pipeline.outlets.add_receiver(receiver)
        return receiver

    def _claim(self) -> Receiver:
        claimed, self._unclaimed = self._unclaimed, None
        return claimed or self._add_receiver()

    def _leave_unclaimed(self) -> None:
        unclaimed, self._unclaimed = self._unclaimed, None
        if unclaimed is not None:
            self._pipeline.outlets.remove_receiver(unclaimed)

    def _results(self, receiver: Receiver) -> Iterator[Result]:
        try:
            with contextlib.suppress(HandoverClosedError):
                while True:
                    if (result := receiver.take()) is not None:
                        yield result
        finally:
            self._pipeline.outlets.remove_receiver(receiver)
        self._pipeline.ending.raise_once()

    async def _results_async(self, receiver: Receiver) -> AsyncIterator[Result]:
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed while somebody still iterated
                loop.call_soon_threadsafe(news.set)

        receiver.on_result = tell
        try:
            with contextlib.suppress(HandoverClosedError):
                while True:
                    news.clear()
                    if (result := receiver.take(0.0)) is not None:
                        yield result
                    else:
                        await news.wait()
        finally:
            self._pipeline.outlets.remove_receiver(receiver)
        self._pipeline.ending.raise_once()
