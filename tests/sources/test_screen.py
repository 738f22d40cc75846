"""The screen, with a stand-in for the module that takes its picture; and without any display."""

from __future__ import annotations

import sys

import pytest

from edge_i2i.clock import SystemClock
from edge_i2i.errors import MissingRequirementError, UsageError
from edge_i2i.sources import source_spec
from edge_i2i.sources.screen import ScreenSource
from edge_i2i.sources.source import SourceLostError
from samples.live.virtual_clock import VirtualClock
from samples.sources.made import FakeScreens, primaries


def test_it_is_looked_at_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mss", FakeScreens())
    with VirtualClock() as clock:
        source = source_spec("screen:2", fps=10.0, clock=clock).make()
        assert source.open().label == "monitor 2"
        for number in range(3):
            captured = source.read()
            assert captured is not None and captured.t_source == clock.now() == pytest.approx(number / 10)


def test_a_monitor_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mss", FakeScreens())
    with pytest.raises(UsageError, match="no monitor 3"):
        ScreenSource(3, clock=SystemClock()).open()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mss", None)
    with pytest.raises(MissingRequirementError) as caught:
        ScreenSource(clock=SystemClock()).open()
    assert "edge-i2i[screen]" in caught.value.remedy


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a display")
def test_without_a_display_the_remedy_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mss")
    monkeypatch.delenv("DISPLAY", raising=False)
    source = ScreenSource(clock=SystemClock())
    with pytest.raises(MissingRequirementError) as caught:
        source.open()
    source.close()
    assert "DISPLAY" in caught.value.remedy


def test_a_screen_that_goes_dark_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [primaries(), primaries()]

    def look() -> object:
        if not shown:
            raise FakeScreens.ScreenShotError("XGetImage() failed")
        return shown.pop()

    screens = FakeScreens(look)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "mss", screens)
    source = ScreenSource(clock=SystemClock())
    source.open()
    source.read()
    with pytest.raises(SourceLostError, match="gives no picture"):
        source.read()
    source.close()
    assert screens.is_closed
