"""One model, one thread, many tabs: each has a seat, and seats with something to do take turns.

A seat holds one waiting frame (newest wins) and one waiting look, so whoever sends more than the model can do gets no
more turns than the others, and nothing grows. Turns are taken in the order in which seats became busy: of ``n`` busy
seats, each waits for ``n - 1`` frames of others at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, Signal, Task
from edge_i2i.errors import EdgeI2IError
from edge_i2i.live.threads.handover import HandoverClosedError, Slot
from edge_i2i.web.looks import ChosenLook

T = TypeVar("T")
AnyLook = Any  # a model's own; whoever shares it only keeps it


@dataclass(frozen=True)
class ModelInfo:
    """What the model runs on: the engine, its precision and the bundle's variant."""

    engine: str
    effective_precision: str
    variant: str


class Model(Protocol):
    """Translates; used by one thread."""

    info: ModelInfo

    def look(self, chosen: ChosenLook) -> AnyLook:
        """Compute a look, or find it again.

        Raises:
            EdgeI2IError: this model cannot take it.
        """
        ...

    def translate(self, picture: Picture, look: AnyLook) -> Picture:
        """Translate a picture under a look.

        Raises:
            EdgeI2IError: the picture does not fit, or the engine failed.
        """
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


Note = Callable[[str], None]
ModelLoader = Callable[[Note], Model]
"""Loads and warms up a model; may take minutes, and says how far it is."""


class ModelState(StrEnum):
    """How far the shared model is: loading, ready, or gone."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  # it cannot be loaded
    STOPPED = "stopped"


class ModelGoneError(EdgeI2IError):
    """The model does not translate (any more)."""


class SupersededError(EdgeI2IError):
    """A newer frame of the same seat, or a newer look, came first."""


class ModelFailedError(EdgeI2IError):
    """The model raised something that nobody foresaw."""


@dataclass(frozen=True, eq=False)
class Translated:
    """A result. ``began``: when the model took the frame, in seconds of the clock."""

    image: Picture
    began: float
    model_seconds: float


@dataclass(frozen=True, eq=False)
class _Job:
    picture: Picture
    future: Future[Translated]


@dataclass(frozen=True, eq=False)
class _Wish:
    chosen: ChosenLook
    future: Future[None]


class SharedModel:
    """Loads a model in a thread of its own and gives its seats their turns there."""

    def __init__(self, load: ModelLoader, clock: Clock) -> None:
        self._load, self.clock = load, clock
        self._condition = clock.condition()
        self._busy: deque[Seat] = deque()
        self._settled = Signal(clock)
        self.state, self.note = ModelState.LOADING, "starting"
        self.error: EdgeI2IError | None = None
        self.info: ModelInfo | None = None
        self._task: Task | None = None

    def start(self) -> None:
        """Begin to load, unless that has begun; returns at once."""
        with self._condition:
            if self._task is not None or self.state is not ModelState.LOADING:
                return
            self._task = self.clock.spawn(self._work, "shared model")

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until the model is loaded, at most ``timeout`` seconds; returns whether it is.

        Raises:
            EdgeI2IError: it cannot be loaded.
        """
        settled = self._settled.wait(timeout)
        if self.error is not None:
            raise self.error
        return settled and self.state is ModelState.READY

    def seat(self) -> Seat:
        """A place at the model; close it when it is no longer used."""
        return Seat(self)

    @property
    def waiting(self) -> int:
        """How many seats wait for their turn."""
        return len(self._busy)

    def stop(self, timeout: float) -> bool:
        """Take no more turns; returns whether the thread has ended within ``timeout`` seconds."""
        with self._condition:
            if self.state is not ModelState.FAILED:
                self.state = ModelState.STOPPED
            self._condition.notify_all()
        self._settled.set()
        return self._task is None or self._task.join(timeout)

    def enqueue(self, seat: Seat) -> None:
        """Give a seat a turn; nothing changes for one that waits for its turn already.

        Raises:
            ModelGoneError: there are no more turns.
        """
        with self._condition:
            if self.state in (ModelState.FAILED, ModelState.STOPPED):
                raise self.gone()
            if seat not in self._busy:
                self._busy.append(seat)
                self._condition.notify_all()

    def gone(self) -> ModelGoneError:
        """The error that says why there are no more turns."""
        if self.error is not None:
            return ModelGoneError(self.error.what, remedy=self.error.remedy)
        return ModelGoneError("The server is stopping.", remedy="Start it again and reload the page.")

    def _work(self) -> None:
        try:
            model = self._load(self._say)
        except EdgeI2IError as error:
            self._fail(error)
            return
        except Exception as error:  # noqa: BLE001 (engines and drivers raise what they like; the page has to say so)
            self._fail(ModelFailedError(f"The model cannot be loaded: {error}.", remedy="Run edge-i2i verify on it."))
            return
        try:
            self._take_turns(model)
        finally:
            self._dismiss()
            model.close()

    def _take_turns(self, model: Model) -> None:
        with self._condition:
            self.info = model.info
            if self.state is ModelState.LOADING:
                self.state = ModelState.READY
        self._settled.set()
        while (seat := self._next()) is not None:
            seat.take_turn(model)

    def _next(self) -> Seat | None:
        with self._condition:
            self._condition.wait_for(lambda: bool(self._busy) or self.state is not ModelState.READY)
            return self._busy.popleft() if self.state is ModelState.READY else None

    def _say(self, note: str) -> None:
        self.note = note

    def _fail(self, error: EdgeI2IError) -> None:
        with self._condition:
            self.error, self.state = error, ModelState.FAILED
        self._dismiss()
        self._settled.set()

    def _dismiss(self) -> None:
        with self._condition:
            left = list(self._busy)
            self._busy.clear()
        for seat in left:
            seat.close()


class Seat:
    """One tab at the model. Its methods may be called from any thread."""

    def __init__(self, shared: SharedModel) -> None:
        self._shared = shared
        self._frames: Slot[_Job] = Slot(shared.clock)
        self._wishes: Slot[_Wish] = Slot(shared.clock)
        self._look: AnyLook | None = None  # only the model's thread touches it

    def translate(self, picture: Picture) -> Future[Translated]:
        """Hand a picture over; it takes the place of one that still waits, whose future then fails.

        The future fails with an ``EdgeI2IError`` also where the model does.
        """
        job = _Job(picture, Future())
        self._hand_over(self._frames, job)
        return job.future

    def wear(self, chosen: ChosenLook) -> Future[None]:
        """Set a look from the next frame on; where it cannot be set, the look before stays."""
        wish = _Wish(chosen, Future())
        self._hand_over(self._wishes, wish)
        return wish.future

    def close(self) -> None:
        """Translate nothing any more; the futures of what waits fail."""
        for slot in (self._frames, self._wishes):
            for left in slot.close(discard=True):
                _fail(left.future, self._shared.gone())

    def take_turn(self, model: Model) -> None:
        """Change the look and translate a frame, if that was asked for; called by the model's thread."""
        try:
            wish, job = self._wishes.take(0), self._frames.take(0)
        except HandoverClosedError:
            return
        if wish is not None and wish.future.set_running_or_notify_cancel():
            _settle(wish.future, lambda: self._change_look(model, wish.chosen))
        if job is not None and job.future.set_running_or_notify_cancel():
            _settle(job.future, lambda: self._translate(model, job))

    def _change_look(self, model: Model, chosen: ChosenLook) -> None:
        self._look = model.look(chosen)

    def _translate(self, model: Model, job: _Job) -> Translated:
        began = self._shared.clock.now()
        if self._look is None:
            self._look = model.look(ChosenLook())
        image = model.translate(job.picture, self._look)
        return Translated(image, began, self._shared.clock.now() - began)

    def _hand_over(self, slot: Slot[Any], item: _Job | _Wish) -> None:
        try:
            replaced = slot.put(item)
            self._shared.enqueue(self)
        except (HandoverClosedError, ModelGoneError):
            _fail(item.future, self._shared.gone())
            return
        if replaced is not None:
            _fail(replaced.future, SupersededError("A newer one took its place.", remedy="Wait for each answer."))


def _settle(future: Future[T], work: Callable[[], T]) -> None:
    """Set a future to what ``work`` gives, or to the error that it raises."""
    try:
        future.set_result(work())
    except EdgeI2IError as error:
        future.set_exception(error)
    except Exception as error:  # noqa: BLE001 (engines raise what they like; the other tabs go on)
        future.set_exception(ModelFailedError(f"The model failed: {error}.", remedy="The next frame is tried again."))


def _fail(future: Future[Any], error: EdgeI2IError) -> None:
    """Fail a future that nobody has started, unless it was cancelled."""
    if future.set_running_or_notify_cancel():
        future.set_exception(error)
