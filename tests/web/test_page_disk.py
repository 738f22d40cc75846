"""The page without a camera: pictures and films of the visitor's disk, and what is said of how it goes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

import edge_i2i
from edge_i2i.hosting.reach import Reach
from edge_i2i.metrics.picture import psnr
from edge_i2i.web.server import Server, serve
from edge_i2i.web.vendor import runtime_is_here
from edge_i2i.web.webrtc import webrtc_available
from samples.web import page as samples

if TYPE_CHECKING:
    from playwright.sync_api import Browser, JSHandle, Page, Playwright

WAYS = [
    "websocket",
    pytest.param("browser", marks=pytest.mark.skipif(not runtime_is_here(), reason="no onnxruntime-web: make web")),
    pytest.param("webrtc", marks=pytest.mark.skipif(not webrtc_available(), reason="no aiortc: edge-i2i[webrtc]")),
]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture, twice as wide as high; its right half is transparent."""
    path = tmp_path_factory.mktemp("photo") / "my photo.png"
    rgba = np.zeros((128, 256, 4), np.uint8)
    rgba[..., :3] = samples.coded(7)[:128, :, ::-1]
    rgba[:, :128, 3] = 255
    assert cv2.imwrite(str(path), rgba)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write_webm(tmp_path_factory.mktemp("film") / "holiday.webm")


@pytest.fixture(scope="module")
def proxied_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that answers under another name than this machine's own."""
    bundle = samples.write_same(tmp_path_factory.mktemp("same") / "same.i2i")
    with serve(bundle, threads=1, reach=Reach(names=[samples.FOREIGN_NAME])) as server:
        assert server.wait_ready(60)
        yield server


def open_picture(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    page.wait_for_selector("#state[data-state=picture]")


def dropped(page: Page, path: Path, kind: str) -> JSHandle:
    """What a drag of that file carries."""
    return page.evaluate_handle(
        """([text, name, type]) => {
            const carried = new DataTransfer();
            const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
            carried.items.add(new File([bytes], name, { type }));
            return carried;
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name, kind],
    )


# Pictures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_is_translated_whole_and_can_be_saved(
    visit: Callable[..., Page], same_server: Server, photo: Path, way: str
) -> None:
    page = visit(same_server, start=False)
    page.check(f"input[value={way}]", force=True)
    open_picture(page, photo)
    samples.wait_until(page, lambda: psnr(*samples.pictures(page)) > samples.JPEG_LOSS, "the picture's translation")
    before, after = samples.pictures(page)
    assert after.shape == (128, 256, 3)
    assert before[:, 140:].min() == 255, "what is transparent is white"
    assert page.locator("#view").get_attribute("data-mirror") == "false"
    with page.expect_download() as download:
        page.click("#snapshot")
    assert download.value.suggested_filename.startswith("my-photo-same-")
    saved = cv2.imread(str(download.value.path()))[..., ::-1]
    assert psnr(saved, before) > samples.JPEG_LOSS
    assert page.is_disabled("#record")
    assert page.is_disabled("#pause")


def test_a_picture_is_translated_once(visit: Callable[..., Page], same_server: Server, photo: Path) -> None:
    page = visit(same_server, start=False)
    page.wait_for_selector("#state >> text=ready")
    open_picture(page, photo)
    samples.wait_until(page, lambda: samples.shown(page) > 0, "the picture's figures")
    assert samples.shown(page) == 1


def test_a_picture_follows_the_look(
    visit: Callable[..., Page], tint_server: Server, tint_bundle: Path, photo: Path
) -> None:
    page = visit(tint_server, start=False)
    open_picture(page, photo)
    page.select_option("#fit", "crop")  # the translator below gets all that the network gets
    with edge_i2i.load(tint_bundle, threads=1) as translator:
        for seed, name in ((4, "Style 5"), (2, "Style 3")):
            page.get_by_role("button", name=name).click()
            translator.condition(style_seed=seed)
            samples.wait_for_colour(page, translator, name)
    assert samples.state(page) == "picture"


def test_a_file_can_be_dropped_anywhere_but_where_looks_are_dropped(
    visit: Callable[..., Page], tint_server: Server, photo: Path
) -> None:
    page = visit(tint_server, start=False)
    page.wait_for_selector(".drop")
    page.dispatch_event(".drop", "drop", {"dataTransfer": dropped(page, photo, "image/png")})
    page.wait_for_selector(f".thumb[title='{photo.name}']")
    page.wait_for_selector("#state >> text=ready")
    for kind, over in (("dragenter", "true"), ("dragleave", "false"), ("dragenter", "true")):
        page.dispatch_event("footer", kind, {"dataTransfer": dropped(page, photo, "image/png")})
        assert page.get_attribute("#stage", "data-over") == over
    page.dispatch_event("footer", "drop", {"dataTransfer": dropped(page, photo, "image/png")})
    page.wait_for_selector("#state[data-state=picture]")
    assert page.get_attribute("#stage", "data-over") == "false"


# Films --------------------------------------------------------------------------------------------------------------


def test_a_film_plays_pauses_and_goes_on(visit: Callable[..., Page], same_server: Server, film: Path) -> None:
    page = visit(same_server)
    page.set_input_files("#file", film)
    assert len(samples.wait_for_numbers(page)) == 3
    page.wait_for_selector("#state[data-state=live]")
    assert page.inner_text("#tag-before") == "original"
    page.click("#pause")
    page.wait_for_selector("#state[data-state=paused]")
    assert page.inner_text("#pause") == "Go on"
    page.keyboard.press("p")
    page.wait_for_selector("#state[data-state=live]")
    samples.wait_for_numbers(page)
    page.click("#start" if page.is_visible("#start") else "#stop")
    page.wait_for_selector("#state >> text=stopped")
    page.click("#start")
    page.wait_for_selector("#state[data-state=live]")
    assert page.inner_text("#tag-before") == "camera"
    assert page.locator("video").count() == 2, "the film's is gone"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"no picture", "no picture and no film"),
        ("broken.png", b"\x89PNG\r\n\x1a\nnothing", "no picture and no film"),
        ("broken.mp4", b"\0\0\0\x18ftypmp42nothing", "no picture and no film"),
        ("nothing", b"", "no picture and no film"),
    ],
)
def test_what_cannot_be_shown_is_said_and_the_camera_goes_on(
    visit: Callable[..., Page], same_server: Server, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    page = visit(same_server, start=False)
    page.set_input_files("#file", tmp_path / name)
    page.wait_for_selector("#cover-text >> text=no picture and no film")
    page.click("#start")
    page.wait_for_selector("#state[data-state=live]")
    page.set_input_files("#file", tmp_path / name)
    page.wait_for_selector(f"#source-problem >> text={said}")
    assert name in page.inner_text("#source-problem")
    samples.wait_for_translated(page, 2)
    page.wait_for_selector("#state[data-state=live]")


# Without a camera ---------------------------------------------------------------------------------------------------


def test_pictures_and_films_work_over_plain_http(
    browser: Browser, proxied_server: Server, photo: Path, film: Path
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://{samples.FOREIGN_NAME}:{proxied_server.port}/")
        page.wait_for_selector("text=Browsers give the camera to secure pages only")
        assert not page.evaluate("isSecureContext")
        assert page.is_hidden("#start")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Open a picture or film").click()
        chooser.value.set_files(photo)
        page.wait_for_selector("#state[data-state=picture]")
        page.set_input_files("#file", film)
        samples.wait_for_numbers(page)
        page.wait_for_selector("#state[data-state=live]")
        page.click("#stop")
        assert page.is_hidden("#start")
        assert page.is_visible("#choose")


def test_a_browser_without_cameras_takes_pictures(visit: Callable[..., Page], same_server: Server, photo: Path) -> None:
    page = visit(same_server, start=False)
    page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    page.reload()
    page.wait_for_selector("text=This browser has no camera access")
    open_picture(page, photo)


def test_who_refuses_the_camera_can_open_a_picture(playwright: Playwright, same_server: Server, photo: Path) -> None:
    with samples.browser_with_camera(playwright, None, allowed=False) as browser:
        page = browser.new_page()
        page.goto(same_server.url)
        page.click("#start")
        page.wait_for_selector("text=The camera is blocked")
        page.wait_for_selector("#state >> text=no camera")
        open_picture(page, photo)
        assert page.is_hidden("#cover")
