"""What visitors take with them from the page: snapshots, and recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edge_i2i.metrics.picture import psnr
from edge_i2i.web.server import Server
from samples.web import page as samples

if TYPE_CHECKING:
    from playwright.sync_api import Page

TAGS = 52  # rows at the top that the names of the two sides, and the codes, may cover


def saved_picture(page: Page) -> samples.Picture:
    with page.expect_download() as download:
        page.click("#snapshot")
    assert download.value.suggested_filename.endswith(".png")
    return cv2.cvtColor(cv2.imread(str(download.value.path())), cv2.COLOR_BGR2RGB)


def pause(page: Page) -> None:
    """Have what is seen stay as it is."""
    page.click("#pause")
    page.wait_for_selector("#state[data-state=paused]")


def test_a_snapshot_is_the_translated_picture(visit: Callable[..., Page], tint_server: Server) -> None:
    page = visit(tint_server)
    pause(page)
    saved = saved_picture(page)
    assert saved.shape == (256, 256, 3)
    assert psnr(saved[:, ::-1], samples.pictures(page)[1]) > 20, "mirrored, as it is seen"


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_compared_snapshot_has_the_cameras_size_and_both_sides(
    visit: Callable[..., Page], tint_server: Server, *, mirrored: bool
) -> None:
    page = visit(tint_server)
    if not mirrored:
        page.get_by_role("button", name="Mirror", exact=True).click()
    page.get_by_role("button", name="Compare").click()
    samples.wait_until(page, lambda: samples.pictures(page)[0].shape == (480, 480, 3), "the camera's own picture")
    saved = saved_picture(page)
    assert saved.shape == (480, 480, 3)
    camera = samples.camera_picture(0)[:, 80:560]
    wanted = camera[:, ::-1] if mirrored else camera
    rows = slice(TAGS, 480 - TAGS)
    assert psnr(saved[rows, :230], wanted[rows, :230]) > samples.JPEG_LOSS, "the camera's, left"
    assert psnr(saved[rows, 250:], wanted[rows, 250:]) < 20, "another, right"
    assert saved[TAGS:400, 240].min() == 255, "the line"


@pytest.mark.parametrize(("key", "named"), [("Home", (False, True)), ("End", (True, False)), (None, (True, True))])
def test_only_what_is_seen_has_a_name(
    visit: Callable[..., Page], same_server: Server, key: str | None, named: tuple[bool, bool]
) -> None:
    page = visit(same_server)
    page.get_by_role("button", name="Compare").click()
    line = page.get_by_role("slider", name="Line between")
    if key is not None:
        line.press(key)
    pause(page)
    with_names = saved_picture(page)
    assert (page.locator("#tag-before").is_visible(), page.locator("#tag-after").is_visible()) == named
    before, after = samples.pictures(page)
    shown = {"Home": after, "End": before}.get(key or "")
    if shown is not None:
        there = cv2.resize(shown, (480, 480))[:, ::-1]
        changed = np.abs(with_names[:40].astype(int) - there[:40]).mean((0, 2))
        assert (changed[:90].mean() > changed[390:].mean()) == named[0]


def test_what_is_seen_is_recorded(visit: Callable[..., Page], same_server: Server, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="no PyAV: pip install 'edge-i2i[video]'")
    page = visit(same_server)
    page.click("#mirror")
    button = page.locator("#record")
    assert button.inner_text() == "Record"
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert button.inner_text() == "End, save"
    samples.wait_for_numbers(page, 4)
    with page.expect_download() as download:
        page.keyboard.press("r")
    assert button.inner_text() == "Record"
    name = download.value.suggested_filename
    assert name.startswith("same-")
    assert name.endswith((".mp4", ".webm"))
    download.value.save_as(tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) >= 3
    assert frames[-1].shape == (256, 256, 3)
    assert psnr(frames[-1][60:200], samples.coded(0)[60:200]) > 18


def test_a_recording_is_saved_when_its_source_ends_or_its_shape_changes(
    visit: Callable[..., Page], same_server: Server
) -> None:
    page = visit(same_server)
    for end in (lambda: page.select_option("#fit", "letterbox"), lambda: page.click("#stop")):
        page.click("#record")
        samples.wait_for_translated(page, 2)
        with page.expect_download() as download:
            end()
        assert download.value.path().stat().st_size > 0
        assert page.locator("#record").get_attribute("aria-pressed") == "false"


def test_where_nothing_can_be_recorded_no_button_says_so(visit: Callable[..., Page], same_server: Server) -> None:
    page = visit(same_server, start=False)
    page.add_init_script("delete window.MediaRecorder")
    page.reload()
    page.click("#start")
    page.wait_for_selector("#state[data-state=live]")
    assert page.is_hidden("#record")
    samples.wait_for_translated(page)
