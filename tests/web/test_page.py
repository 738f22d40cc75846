"""The page, end to end: the system's Chromium, its fake camera, and a real server."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

import edge_i2i
from edge_i2i.contract import Size
from edge_i2i.metrics.picture import psnr
from edge_i2i.web.server import Server, serve
from edge_i2i.web.webrtc import webrtc_available
from samples.web import page as samples

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

RUNTIME = Path(edge_i2i.__file__).parent / "web" / "page" / "ort"

needs_runtime = pytest.mark.skipif(not any(RUNTIME.glob("*.wasm")), reason="no onnxruntime-web: make web")
needs_webrtc = pytest.mark.skipif(not webrtc_available(), reason="no aiortc: pip install 'edge-i2i[webrtc]'")


WHOLE = Size(192, 256)
"""The camera's 4:3 within the network's 256x256."""


def shown_size(page: Page) -> Size:
    """Of the translated picture."""
    return Size(*samples.pictures(page)[1].shape[:2])


# Pictures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way",
    [
        "websocket",
        pytest.param("browser", marks=needs_runtime),
        pytest.param("webrtc", marks=needs_webrtc),
    ],
)
def test_coded_frames_come_through_and_advance(visit: Callable[..., Page], same_server: Server, way: str) -> None:
    page = visit(same_server, way)
    assert samples.wait_for_numbers(page) <= set(range(samples.FILM_FRAMES))
    samples.wait_until(page, lambda: page.inner_text("#fps") != "–", "frames a second")
    assert float(page.inner_text("#fps")) > 0
    engine = page.inner_text("#engine")
    assert engine.startswith("WebAssembly") if way == "browser" else engine


@pytest.mark.parametrize("way", ["websocket", pytest.param("browser", marks=needs_runtime)])
def test_the_frame_and_its_translation_belong_together(
    visit: Callable[..., Page], same_server: Server, way: str
) -> None:
    page = visit(same_server, way)
    samples.wait_for_translated(page)
    before, after = samples.pictures(page)
    assert psnr(before, after) > (99 if way == "browser" else samples.JPEG_LOSS)
    middle = before[120:136, 120:136].mean((0, 1))
    assert middle == pytest.approx(samples.camera_picture(0)[240:241, 320].mean(0), abs=12)


@pytest.mark.parametrize("way", ["websocket", pytest.param("browser", marks=needs_runtime)])
def test_the_demo_network_gives_what_the_translator_gives(
    visit: Callable[..., Page], demo_server: Server, demo_bundle: Path, way: str
) -> None:
    page = visit(demo_server, way)
    with edge_i2i.load(demo_bundle, engine="onnxruntime", threads=1) as translator:
        samples.wait_for_colour(page, translator, "the translator's own output")
        before, after = samples.pictures(page)
        assert psnr(translator(before), after) > samples.JPEG_LOSS, "and it stays so"


def test_ways_change_without_loading_anew(visit: Callable[..., Page], same_server: Server) -> None:
    page = visit(same_server)
    page.evaluate("window.kept = 1")
    for way in ("browser", "websocket") if any(RUNTIME.glob("*.wasm")) else ("websocket",):
        samples.choose(page, way)
        samples.wait_for_translated(page, 2)
        assert samples.code_of(page) is not None
    assert page.evaluate("window.kept") == 1
    samples.wait_until(page, lambda: page.workers == [], "the browser's threads have ended")


def test_the_whole_picture_is_shown_where_it_is_asked_for(visit: Callable[..., Page], same_server: Server) -> None:
    page = visit(same_server)
    page.select_option("#fit", "letterbox")
    samples.wait_until(page, lambda: shown_size(page) == WHOLE, "the whole picture")
    assert shown_size(page) == WHOLE, "and it stays so"


def test_what_a_browser_kept_of_the_page_holds(visit: Callable[..., Page], same_server: Server) -> None:
    """Firefox shows what was chosen before a page was loaded again, and tells no script of it."""
    page = visit(same_server, start=False)
    kept = "document.getElementById('fit').value = 'letterbox'"
    page.add_init_script(f"document.addEventListener('readystatechange', () => {{ {kept} }}, {{ once: true }})")
    page.reload()
    page.click("#start")
    samples.wait_until(page, lambda: shown_size(page) == WHOLE, "the whole picture")
    assert shown_size(page) == WHOLE, "and it stays so"


# Looks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["websocket", pytest.param("browser", marks=needs_runtime)])
def test_styles_exemplars_mixes_and_attributes(
    visit: Callable[..., Page], tint_server: Server, tint_bundle: Path, tmp_path: Path, way: str
) -> None:
    page = visit(tint_server, way)
    red = np.full((40, 60, 3), (230, 20, 30), np.uint8)
    cv2.imwrite(str(tmp_path / "red.png"), red[..., ::-1])
    with edge_i2i.load(tint_bundle, threads=1) as translator:

        def expect(what: str) -> None:
            samples.wait_for_colour(page, translator, what)

        translator.condition(style_seed=0)
        expect("the first style, from the start")
        page.get_by_role("button", name="Style 5").click()
        translator.condition(style_seed=4)
        expect("another style")
        page.set_input_files("#exemplar", tmp_path / "red.png")
        translator.condition(exemplar=red)
        expect("the exemplar's colour")
        page.fill("#mix", "0.5")
        translator.mix({"style_seed": 4}, {"exemplar": red}, 0.5)
        expect("half way between the two")
        page.click("#dice")
        seed = int(page.inner_text("#seed").removeprefix("seed "))
        translator.condition(style_seed=seed)
        expect("the seed's style, as numpy draws it")
        page.get_by_role("checkbox", name="Negative").check()
        translator.condition(attributes={"Negative": 1})
        expect("the negative")
    assert page.is_hidden("#look-problem")


def test_a_file_that_is_no_picture_is_refused_in_words(
    visit: Callable[..., Page], tint_server: Server, tmp_path: Path
) -> None:
    page = visit(tint_server)
    (tmp_path / "notes.txt").write_text("no picture")
    page.set_input_files("#exemplar", tmp_path / "notes.txt")
    assert "notes.txt" in page.inner_text("#look-problem")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    page.set_input_files("#exemplar", tmp_path / "broken.png")
    samples.wait_until(page, lambda: "notes.txt" not in page.inner_text("#look-problem"), "the server's refusal")
    assert page.is_visible("#look-problem")
    samples.wait_for_translated(page)  # the look before is still there


# The picture's tools ------------------------------------------------------------------------------------------------


def test_the_line_moves_by_mouse_and_by_keys(visit: Callable[..., Page], same_server: Server) -> None:
    page = visit(same_server)
    samples.wait_for_translated(page)
    page.keyboard.press("c")
    line = page.get_by_role("slider", name="Line between")
    assert line.get_attribute("aria-valuenow") == "50"
    box = page.locator("#view").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 90, steps=3)
    page.mouse.up()
    assert line.get_attribute("aria-valuenow") == "25"
    line.press("ArrowRight")
    line.press("Shift+ArrowRight")
    assert line.get_attribute("aria-valuenow") == "37"
    line.press("End")
    assert line.get_attribute("aria-valuetext") == "100 percent camera"
    assert "inset(0px 0px 0px 0" in page.evaluate("getComputedStyle(document.getElementById('before')).clipPath")


# What can go wrong --------------------------------------------------------------------------------------------------


def test_a_closed_tab_leaves_nothing_running(visit: Callable[..., Page], same_server: Server) -> None:
    page, other = visit(same_server), visit(same_server)
    samples.wait_for_translated(page)
    assert _tabs(same_server) >= 2
    page.close()
    other.goto("about:blank")
    samples.wait_until(other, lambda: _tabs(same_server) == 0, "no tab is open")


def _tabs(server: Server) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("edge_i2i_serve_tabs "))))


def test_a_server_that_stops_is_told_and_one_that_comes_back_is_found(
    visit: Callable[..., Page], tmp_path: Path
) -> None:
    bundle = samples.write_same(tmp_path / "same.i2i")
    with serve(bundle, threads=1) as server:
        assert server.wait_ready(60)
        page = visit(server)
        samples.wait_for_translated(page, 2)
    page.wait_for_selector("#state[data-state=lost]")
    assert "the server is gone" in page.inner_text("#state")
    assert page.is_visible("#stale")
    with serve(bundle, threads=1, port=server.port) as again:
        assert again.wait_ready(60)
        page.wait_for_selector("#state[data-state=live]")
        samples.wait_for_translated(page, 2)
        assert page.is_hidden("#stale")
        page.close()


def test_a_camera_that_is_refused_is_explained(playwright: Playwright, same_server: Server) -> None:
    with samples.browser_with_camera(playwright, None, allowed=False) as browser:
        page = browser.new_page()
        page.goto(same_server.url)
        page.click("#start")
        page.wait_for_selector("text=The camera is blocked")
        assert page.get_by_role("button", name="Try again").is_visible()


@pytest.mark.parametrize(("lacks", "why"), [({"wasm": False}, "make web"), ({"browser": None}, "no FP32 graphs")])
def test_this_browser_is_offered_only_where_it_can_run(
    visit: Callable[..., Page], same_server: Server, lacks: dict[str, Any], why: str
) -> None:
    page = visit(same_server, start=False)
    page.route("**/bundle.json", lambda route: route.fulfill(json={**route.fetch().json(), **lacks}))
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => document.querySelector('[value=browser]').click())"
    )
    page.reload()  # with a choice that the browser kept of the page
    page.wait_for_selector(f"#way-missing >> text={why}")
    assert page.is_disabled("input[value=browser]")
    page.click("#start")
    page.wait_for_selector("#state[data-state=live]")
    assert page.is_checked("input[value=websocket]")


def test_every_control_has_a_name(visit: Callable[..., Page], tint_server: Server) -> None:
    page = visit(tint_server)
    samples.wait_for_translated(page)
    page.click("#compare")
    tree = page.locator("body").aria_snapshot().splitlines()
    unnamed = [
        line
        for line in tree
        if line.strip().partition(":")[0]
        in {f"- {role}" for role in ("button", "slider", "checkbox", "combobox", "radio")}
    ]
    assert unnamed == []


def test_it_fits_a_narrow_phone(browser: Browser, tint_server: Server) -> None:
    with browser.new_context(viewport={"width": 320, "height": 640}) as context:
        page = context.new_page()
        page.goto(tint_server.url)
        page.wait_for_selector(".thumb")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
