"""The pages in a real browser: headless Chromium, where it is installed."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.live.sinks.mjpeg import MjpegSink
from edge_i2i.live.sinks.page_server import Address
from edge_i2i.sources.coded import Code, read_code, stamp
from samples.live.sinks import grey, no_thread_left, result, until

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this system")

SIZE = Size(128, 160)
_PIXELS = """() => {
  const view = document.getElementById("view"), canvas = document.createElement("canvas");
  canvas.width = view.naturalWidth || view.videoWidth; canvas.height = view.naturalHeight || view.videoHeight;
  if (!canvas.width) return "";
  canvas.getContext("2d").drawImage(view, 0, 0);
  return canvas.toDataURL("image/png");
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab; nothing may go wrong in it."""
    errors: list[str] = []
    tab = browser.new_page()
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    tab.close()
    assert errors == []


def coded(number: int) -> Picture:
    picture = grey(128, SIZE)
    stamp(picture, number)
    return picture


def seen(page: Any) -> Code | None:
    data = page.evaluate(_PIXELS).partition(",")[2]
    if not data:
        return None
    png = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    return read_code(np.asarray(png))


def wait(page: Any, condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen")


def test_motion_jpeg_is_shown_without_waiting_for_the_next_picture(page: Any) -> None:
    keys: list[str] = []
    with no_thread_left():
        sink = MjpegSink(Address(), on_key=keys.append)
        sink.open(SIZE)
        page.goto(sink.url, wait_until="domcontentloaded")  # it is loaded with the first picture
        for number in (1, 2, 3):
            sink.write(coded(number), result(coded(number), number))
            wait(page, lambda number=number: seen(page) == Code(number, 0))  # type: ignore[misc]
        page.keyboard.press("n")
        page.keyboard.press("Escape")
        wait(page, lambda: keys == ["n", "escape"])
        page.goto("about:blank")
        until(lambda: sink.viewers == 0)
        sink.close()
    assert keys == ["n", "escape"]


def test_webrtc_is_shown(page: Any) -> None:
    pytest.importorskip("aiortc", reason="pip install 'edge-i2i[webrtc]'")
    from edge_i2i.live.sinks.webrtc import WebRtcSink

    numbers: list[int] = []
    sent = 0

    def advances() -> bool:
        nonlocal sent
        sent += 1
        # each number stays for a while, so that no codec's smoothing can hide it
        picture = coded(sent // 5)
        sink.write(picture, result(picture, sent, t_capture=sent / 20))
        code = seen(page)
        if code is not None:
            numbers.append(code.number)
        return len(set(numbers)) >= 3

    with no_thread_left():
        sink = WebRtcSink(Address())
        sink.open(SIZE)
        page.goto(sink.url)
        wait(page, advances)
        assert numbers == sorted(numbers)
        assert page.inner_text("#state") == ""
        page.goto("about:blank")
        until(lambda: sink.viewers == 0)
        sink.close()
