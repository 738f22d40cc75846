"""A window on the screen by OpenCV, or where there is none, the stream's page in a browser; it says which."""

from __future__ import annotations

import os
import re
import sys
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Protocol

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, Signal, SystemClock, Task
from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, MissingRequirementError
from edge_i2i.live.frame import Result
from edge_i2i.live.sinks.mjpeg import MjpegSink, OnKey
from edge_i2i.live.sinks.page_server import Address
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.threads.handover import HandoverClosedError, Slot

TITLE = "edge-i2i"
CLOSED = "quit"
"""The key that stands for a window that its user has closed."""

_POLL = 0.02  # seconds between two looks at the keyboard while no picture comes
_CLOSING = 1.0  # seconds that the window's thread gets to end
_KEY_NAMES = {8: "backspace", 9: "tab", 10: "enter", 13: "enter", 27: "escape"}


@dataclass(frozen=True)
class Obstacle:
    """Why there can be no window, as a part of a sentence, and what to do about it."""

    why: str
    remedy: str


def find_obstacle(build_information: str, platform: str, environment: Mapping[str, str]) -> Obstacle | None:
    """What is in the way of an OpenCV window; None: nothing.

    Args:
        build_information: text of ``cv2.getBuildInformation()``, which names the GUI toolkit.
        platform: ``sys.platform``.
        environment: variables, of which those that name a display are looked at.
    """
    kit = _gui_kit(build_information)
    if kit is None:
        return Obstacle(
            "this OpenCV was built without windows",
            "pip uninstall -y opencv-python-headless && pip install opencv-python",
        )
    if platform == "darwin":
        return Obstacle(
            "macOS lets only a program's main thread show windows", "Use --sink mjpeg and open the URL that it shows."
        )
    # Qt's wheels know X11 only, and end the program where they find none.
    displays = ("DISPLAY",) if kit.startswith("QT") else ("DISPLAY", "WAYLAND_DISPLAY")
    if platform.startswith("linux") and not any(environment.get(name) for name in displays):
        return Obstacle(f"there is no display ({' and '.join(displays)} not set)", "Start it on a desktop, or ssh -X.")
    return None


def _gui_kit(build_information: str) -> str | None:
    match = re.search(r"^\s*GUI:[ \t]*(\S*)", build_information, re.MULTILINE)
    kit = match[1].upper() if match else "NONE"
    return None if kit in ("", "NONE", "NO") else kit


def can_browse(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a browser can be opened beside the terminal, and not in it."""
    if platform.startswith("linux") and not any(
        environment.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    ):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


class Gui(Protocol):
    """A window. All calls come from one thread."""

    def show(self, picture: Picture) -> None:
        """Show a picture, RGB uint8 ``[H, W, 3]``; the first one opens the window.

        Raises:
            EdgeI2IError: the window system refuses.
        """
        ...

    def poll(self) -> int:
        """Let the window handle its events; returns the code of a key that was pressed, or -1."""
        ...

    def is_open(self) -> bool:
        """Whether the window can be shown; False once its user has closed it."""
        ...

    def close(self) -> None:
        """Close the window."""
        ...


class OpenCvGui:
    """OpenCV's HighGUI: resizable, and it keeps the picture's proportions."""

    def __init__(self, title: str = TITLE) -> None:
        self._title = title
        self._opened = False

    def show(self, picture: Picture) -> None:
        """See ``Gui.show``; the first picture gives the window its size."""
        import cv2

        try:
            if not self._opened:
                cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
                cv2.resizeWindow(self._title, picture.shape[1], picture.shape[0])
                self._opened = True
            cv2.imshow(self._title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            raise EdgeI2IError(
                f"The window cannot be shown: {error.err or error}.",
                remedy="Use --sink mjpeg and open the URL that it shows.",
            ) from error

    def poll(self) -> int:
        """See ``Gui.poll``."""
        import cv2

        return int(cv2.waitKey(1)) if self._opened else -1

    def is_open(self) -> bool:
        """See ``Gui.is_open``."""
        import cv2

        return not self._opened or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """See ``Gui.close``."""
        import cv2

        if self._opened and self.is_open():
            cv2.destroyWindow(self._title)
            cv2.waitKey(1)  # some window systems take it away only now


class ScreenWindow(Sink):
    """A window with a thread of its own, so that it answers to keys while no result comes.

    Args:
        make_gui: makes the window; called by that thread.
        clock: starts the thread and measures its waits.
        on_key: gets characters, ``enter``, ``escape``, ``tab``, ``backspace``, and ``quit`` when the user closes the
            window; results after that are ignored. None: keys do nothing.
    """

    name: ClassVar[str] = "window"
    for_display: ClassVar[bool] = True

    def __init__(self, make_gui: Callable[[], Gui], *, clock: Clock, on_key: OnKey | None = None) -> None:
        self._make_gui, self._clock, self._on_key = make_gui, clock, on_key
        self._slot: Slot[Picture] = Slot(clock)
        self._ending = Signal(clock)
        self._task: Task | None = None
        self._error: EdgeI2IError | None = None

    def open(self, size: Size) -> None:
        """Start the window's thread; the window comes with the first picture."""
        self._task = self._clock.spawn(self._run, "window")

    def write(self, picture: Picture, result: Result) -> None:
        """Show a picture; returns at once.

        Raises:
            EdgeI2IError: the window system refused an earlier one.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        with suppress(HandoverClosedError):  # its user has closed it
            self._slot.put(picture)

    def close(self) -> None:
        """Take the window away."""
        self._ending.set()
        self._slot.close(discard=True)
        if self._task is not None:
            self._task.join(_CLOSING)

    def _run(self) -> None:
        gui = self._make_gui()
        try:
            while not self._ending.is_set() and gui.is_open():
                picture = self._slot.take(_POLL)
                if picture is not None:
                    gui.show(picture)
                self._tell(_key_name(gui.poll()))
            if not self._ending.is_set():
                self._tell(CLOSED)
        except HandoverClosedError:
            return
        except EdgeI2IError as error:
            self._error = error
        finally:
            self._slot.close(discard=True)
            gui.close()

    def _tell(self, key: str) -> None:
        if key and self._on_key is not None:
            self._on_key(key)


def _key_name(code: int) -> str:
    if code < 0:
        return ""
    code &= 0xFF  # the upper bits say which other keys are held
    return _KEY_NAMES.get(code, chr(code) if 32 <= code < 127 else "")


class WindowSink(Sink):
    """Shows results on this machine's screen.

    ``how``: ``window`` (OpenCV) or ``browser`` (the MJPEG page, opened in the default browser). ``notes``: what to
    tell the user: nothing of a window, the reason and the URL of a page.

    Args:
        clock: starts threads and measures their waits; None: the machine's own.
        on_key: gets the keys that are pressed in the window or on the page.
        make_gui: makes the window, in its own thread.
        environment: variables that tell whether there is a display or a browser; None: those of this process.
        build_information: what OpenCV says about its windows; None: it is asked.

    Raises:
        MissingRequirementError: neither is possible here; says what to install, and how to watch from elsewhere.
    """

    name: ClassVar[str] = "window"
    for_display: ClassVar[bool] = True
    takes_keys: ClassVar[bool] = True

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        on_key: OnKey | None = None,
        make_gui: Callable[[], Gui] = OpenCvGui,
        environment: Mapping[str, str] | None = None,
        build_information: str | None = None,
    ) -> None:
        import cv2

        clock = clock or SystemClock()
        environment = os.environ if environment is None else environment
        obstacle = find_obstacle(build_information or cv2.getBuildInformation(), sys.platform, environment)
        self._page: MjpegSink | None = None
        self.notes: tuple[str, ...] = ()
        if obstacle is None:
            self.how = "window"
            self._sink: Sink = ScreenWindow(make_gui, clock=clock, on_key=on_key)
            return
        if not can_browse(sys.platform, environment):
            raise MissingRequirementError(
                f"No window can be shown: {obstacle.why}; and no browser can be opened instead.",
                remedy=f"{obstacle.remedy} Or use --sink mjpeg, which shows a URL to open elsewhere.",
            )
        self.how = "browser"
        self._sink = self._page = MjpegSink(Address(), clock=clock, on_key=on_key, token=True)
        self.notes = (
            f"No window, because {obstacle.why}: the browser shows {self._page.url} instead.",
            f"For a window: {obstacle.remedy}",
        )

    def open(self, size: Size) -> None:
        """Open the window, or the browser.

        Raises:
            MissingRequirementError: the browser does not start.
        """
        self._sink.open(size)
        if self._page is not None and not webbrowser.open(self._page.url):
            raise MissingRequirementError(
                "The browser does not start.", remedy=f"Open {self._page.url} yourself with --sink mjpeg."
            )

    def write(self, picture: Picture, result: Result) -> None:
        """Show the picture.

        Raises:
            EdgeI2IError: the window system refuses.
        """
        self._sink.write(picture, result)

    def close(self) -> None:
        """Take the window away, or end the page."""
        self._sink.close()
