"""Several bundles on one server, each with a page of its own; and bundles whose texts mean no good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from edge_i2i.metrics.picture import psnr
from edge_i2i.web.server import Server, serve
from samples.web import page as samples
from samples.web.tab_client import encoded, photo, tab

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def two(plain_bundle: Path, tmp_path: Path) -> Iterator[Server]:
    """The network that does nothing, and one that tints."""
    with serve(plain_bundle, samples.write_tint(tmp_path / "tint.i2i"), threads=1) as server:
        assert server.wait_ready(60)
        yield server


def test_each_bundle_is_its_own_page(two: Server) -> None:
    found = {}
    for page in ("", "bundles/plain/", "bundles/tint/"):
        said = httpx.get(f"{two.url}{page}bundle.json").json()
        found[page] = said["name"]
        here = {bundle["path"]: bundle["here"] for bundle in said["bundles"]}
        assert here == {"bundles/plain/": said["name"] == "plain", "bundles/tint/": said["name"] == "tint"}
        assert httpx.get(f"{two.url}{page}page/main.js").status_code == 200
    assert found == {"": "plain", "bundles/plain/": "plain", "bundles/tint/": "tint"}
    assert httpx.get(f"{two.url}bundles/city/").status_code == 404


def test_the_second_is_loaded_when_it_is_first_opened(two: Server) -> None:
    assert httpx.get(f"{two.url}bundles/tint/healthz").json()["state"] != "ready"

    async def visit() -> tuple[np.ndarray, np.ndarray]:
        small, large = photo(64, 64), photo(256, 256)
        async with tab(two, page="bundles/tint/") as second, tab(two) as first:
            plain = await first.translate(1, encoded(small))
            tinted = await second.translate(1, encoded(large))
        assert psnr(plain.picture, small) > 30
        return tinted.picture, large

    tinted, large = asyncio.run(visit())
    assert tinted.shape == large.shape
    assert psnr(tinted, large) < 25
    assert httpx.get(f"{two.url}bundles/tint/healthz").json()["state"] == "ready"


def test_bundles_of_one_name_are_told_apart(plain_bundle: Path) -> None:
    with serve(plain_bundle, plain_bundle, plain_bundle, threads=1) as server:
        listed = httpx.get(f"{server.url}bundle.json").json()["bundles"]
        assert [bundle["name"] for bundle in listed] == ["plain", "plain (2)", "plain (3)"]
        assert len({bundle["path"] for bundle in listed}) == 3
        for bundle in listed:
            assert httpx.get(f"{server.url}{bundle['path']}bundle.json").json()["name"] == "plain"


STRANGE, LABELS = "ci\u202ety\x1b[2J", ("Nega\u202etive\x07", "Mirrored")


def test_texts_of_bundles_come_without_what_pages_obey(tmp_path: Path) -> None:
    bundle = samples.write_tint(tmp_path / "city.i2i", STRANGE, LABELS)
    with serve(bundle, bundle, threads=1) as server:
        assert server.wait_ready(60)
        said = httpx.get(f"{server.url}bundle.json").json()
        everything = json.dumps(said, ensure_ascii=False)
        assert not set(everything) & {"\u202e", "\x1b", "\x07"}
        assert "\\u001b" not in everything
        assert said["name"] == "ci\\u202ety\\x1b[2J"
        label = said["looks"]["attributes"][0]

        async def wear() -> np.ndarray:
            async with tab(server) as client:
                await client.wear(style_seed=0)
                before = await client.translate(1, encoded(photo(256, 256)))
                await client.wear(attributes={label: 1})
                after = await client.translate(2, encoded(photo(256, 256)))
            return before.picture.astype(int) + after.picture

        assert asyncio.run(wear()).mean() == pytest.approx(255, abs=4), "the label works as it is shown"


def test_a_visitor_goes_from_one_network_to_the_other(
    visit: Callable[..., Page], tmp_path: Path, plain_bundle: Path
) -> None:
    with serve(plain_bundle, samples.write_tint(tmp_path / "tint.i2i", STRANGE), threads=1) as server:
        page = visit(server)
        samples.wait_for_translated(page)
        menu = page.get_by_role("combobox", name="Network")
        assert menu.locator("option").all_inner_texts() == ["plain", "ci\\u202ety\\x1b[2J"]
        menu.select_option(index=1)
        page.wait_for_url("**/bundles/ci-ty-2j/")
        page.click("#start")
        page.wait_for_selector("#state[data-state=live]")
        assert page.locator(".thumb").count() == 8
        assert page.locator("#bundle option:checked").inner_text().startswith("ci")
        page.get_by_role("combobox", name="Network").select_option("plain")
        page.wait_for_url("**/bundles/plain/")


def test_one_network_alone_has_no_menu(visit: Callable[..., Page], same_server: Server) -> None:
    page = visit(same_server, start=False)
    page.wait_for_selector("#state >> text=ready")
    assert page.is_hidden("#bundle")
    assert page.inner_text("#network") == "same"
