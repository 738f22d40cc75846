"""A window where there can be one, a page where not, and a clear word where neither."""

from __future__ import annotations

import sys
import webbrowser

import cv2
import numpy as np
import pytest

from edge_i2i.clock import SystemClock
from edge_i2i.errors import EdgeI2IError, MissingRequirementError
from edge_i2i.live.sinks.window import OpenCvGui, ScreenWindow, WindowSink, can_browse, find_obstacle
from samples.live.fake_gui import GUI_BUILD, FakeGui
from samples.live.sinks import SIZE, get, grey, no_thread_left, primaries, result, until
from samples.live.virtual_clock import VirtualClock

GTK_BUILD = "\n  GUI:                           GTK3\n    GTK+: YES (ver 3.24)\n"
NO_GUI = "\n  GUI:                           NONE\n    VTK support: NO\n"


@pytest.mark.parametrize(
    ("build", "platform", "environment", "why"),
    [
        (GUI_BUILD, "linux", {"DISPLAY": ":0"}, None),
        (GUI_BUILD, "linux", {"WAYLAND_DISPLAY": "wayland-0"}, "no display"),
        (GTK_BUILD, "linux", {"WAYLAND_DISPLAY": "wayland-0"}, None),
        (GUI_BUILD, "linux", {}, "no display"),
        (GUI_BUILD, "linux", {"DISPLAY": ""}, "no display"),
        (GUI_BUILD.replace("QT5", "WIN32UI"), "win32", {}, None),
        (GUI_BUILD.replace("QT5", "COCOA"), "darwin", {}, "main thread"),
        (NO_GUI, "linux", {"DISPLAY": ":0"}, "built without windows"),
        (NO_GUI, "win32", {}, "built without windows"),
        ("", "linux", {"DISPLAY": ":0"}, "built without windows"),
    ],
)
def test_what_is_in_the_way(build: str, platform: str, environment: dict[str, str], why: str | None) -> None:
    obstacle = find_obstacle(build, platform, environment)
    assert obstacle is None if why is None else obstacle is not None and why in obstacle.why and obstacle.remedy


def test_this_build_is_described_rightly() -> None:
    """Headless builds raise on imshow, and only they."""
    obstacle = find_obstacle(cv2.getBuildInformation(), "win32", {})
    try:
        cv2.destroyAllWindows()
        works = True
    except cv2.error:
        works = False
    assert (obstacle is None) == works


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"BROWSER": "helper"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_where_a_browser_can_be_opened(
    platform: str, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("true"))
    assert can_browse(platform, environment) is expected


def test_without_any_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        raise webbrowser.Error

    monkeypatch.setattr(webbrowser, "get", nothing)
    assert not can_browse("linux", {"DISPLAY": ":0"})


# The window -----------------------------------------------------------------------------------------------------


def test_pictures_and_keys() -> None:
    gui, keys = FakeGui(), []
    with no_thread_left():
        sink = ScreenWindow(lambda: gui, clock=SystemClock(), on_key=keys.append)
        sink.open(SIZE)
        sink.write(primaries(), result(primaries()))
        until(lambda: len(gui.shown) == 1)
        gui.keys = [ord("n"), 0x100000 | ord("q"), 27, 13, 200, 255]
        until(lambda: not gui.keys)
        sink.close()
        sink.close()
    assert keys == ["n", "q", "escape", "enter"] and gui.closed == 1
    assert np.array_equal(gui.shown[0], primaries())


def test_keys_work_while_no_result_comes() -> None:
    """A paused session must be able to hear that it shall go on."""
    gui, keys = FakeGui(), []
    with VirtualClock() as clock:
        sink = ScreenWindow(lambda: gui, clock=clock, on_key=keys.append)
        sink.open(SIZE)
        sink.write(grey(9), result(grey(9)))
        clock.sleep(60)
        gui.keys = [ord(" ")]
        clock.sleep(0.05)
        assert keys == [" "]
        sink.close()


def test_a_slow_window_shows_the_newest() -> None:
    gui = FakeGui()
    with VirtualClock() as clock:
        gui.show = lambda picture: (gui.shown.append(picture), clock.sleep(0.1))  # type: ignore[method-assign,assignment]
        sink = ScreenWindow(lambda: gui, clock=clock)
        sink.open(SIZE)
        for level in range(40):
            sink.write(grey(level), result(grey(level)))
            clock.sleep(0.025)
        clock.sleep(1)
        sink.close()
    levels = [int(picture[0, 0, 0]) for picture in gui.shown]
    assert levels[-1] == 39 and levels == sorted(set(levels)) and len(levels) <= 12


def test_a_window_that_its_user_closes() -> None:
    gui, keys = FakeGui(), []
    with no_thread_left():
        sink = ScreenWindow(lambda: gui, clock=SystemClock(), on_key=keys.append)
        sink.open(SIZE)
        sink.write(grey(1), result(grey(1)))
        until(lambda: bool(gui.shown))
        gui.closed_by_user = True
        until(lambda: keys == ["quit"])
        for _ in range(3):
            sink.write(grey(1), result(grey(1)))  # goes nowhere, harms nothing
        sink.close()
    assert len(gui.shown) == 1


def test_a_window_that_fails_says_so_once() -> None:
    gui = FakeGui()
    gui.broken = True
    with no_thread_left():
        sink = ScreenWindow(lambda: gui, clock=SystemClock())
        sink.open(SIZE)
        sink.write(grey(1), result(grey(1)))
        until(lambda: gui.closed == 1)
        with pytest.raises(EdgeI2IError, match="cannot be shown"):
            sink.write(grey(1), result(grey(1)))
        sink.close()


def test_opencvs_refusal_is_explained() -> None:
    if find_obstacle(cv2.getBuildInformation(), "win32", {}) is None:
        pytest.skip("this OpenCV can show windows")
    gui = OpenCvGui()
    assert gui.is_open() and gui.poll() == -1
    with pytest.raises(EdgeI2IError, match="cannot be shown") as caught:
        gui.show(grey(1))
    assert "mjpeg" in caught.value.remedy
    gui.close()


# The choice -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the choice depends on the system")
def test_a_window_where_there_can_be_one() -> None:
    gui = FakeGui()
    sink = WindowSink(make_gui=lambda: gui, build_information=GUI_BUILD, environment={"DISPLAY": ":0"})
    assert sink.how == "window" and sink.notes == ()
    sink.open(SIZE)
    sink.write(grey(1), result(grey(1)))
    until(lambda: bool(gui.shown))
    sink.close()


def test_a_page_where_there_can_be_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("true"))
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    keys: list[str] = []
    with no_thread_left():
        sink = WindowSink(on_key=keys.append, build_information=NO_GUI, environment={"DISPLAY": ":0"})
        assert sink.how == "browser"
        assert "built without windows" in sink.notes[0] and "pip install opencv-python" in sink.notes[1]
        sink.open(SIZE)
        assert opened and opened[0] in sink.notes[0] and b"<img" in get(opened[0])
        sink.write(grey(1), result(grey(1)))
        assert get(f"{opened[0]}snapshot.jpg")[:2] == b"\xff\xd8"
        sink.close()


def test_a_browser_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("true"))
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    with no_thread_left():
        sink = WindowSink(build_information=NO_GUI, environment={"DISPLAY": ":0"})
        with pytest.raises(MissingRequirementError, match="does not start") as caught:
            sink.open(SIZE)
        assert "--sink mjpeg" in caught.value.remedy
        sink.close()


def test_neither() -> None:
    if sys.platform != "linux":
        pytest.skip("there is always a browser")
    with pytest.raises(MissingRequirementError, match="built without windows") as caught:
        WindowSink(build_information=NO_GUI, environment={})
    assert "pip install opencv-python" in caught.value.remedy and "--sink mjpeg" in caught.value.remedy
    assert caught.value.exit_code == 3
    with pytest.raises(MissingRequirementError, match="no display"):
        WindowSink(build_information=GUI_BUILD, environment={})
