"""Parts of the page that compute, each called in Chromium by itself; and the files that come from npm."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_i2i.contract import Size
from edge_i2i.errors import BadInputError, MissingRequirementError
from edge_i2i.media.geometry import Fit, Rectangle, place
from edge_i2i.web import vendor
from edge_i2i.web.server import serve
from edge_i2i.web.site import PAGE_FOLDER
from samples.web import page as samples

if TYPE_CHECKING:
    from playwright.sync_api import Page

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Run a function body in a page, with ``part`` the imported module and ``given`` the argument."""
    bundle = samples.write_same(tmp_path_factory.mktemp("same") / "same.i2i")
    with (
        samples.running_playwright() as playwright,
        samples.browser_with_camera(playwright, None) as browser,
        serve(bundle, threads=1) as server,
    ):
        page: Page = browser.new_page()
        page.goto(server.url)

        def run(module: str, body: str, given: Any = None) -> Any:
            code = f"async (given) => {{ const part = await import('/page/{module}'); {body} }}"
            return page.evaluate(code, given)

        yield run


@pytest.mark.parametrize("fit", [Fit.CROP, Fit.LETTERBOX])
def test_pictures_are_laid_as_the_library_lays_them(call: Call, fit: Fit) -> None:
    rng = np.random.default_rng(5)
    sizes = [[Size(*map(int, rng.integers(1, 900, 2))) for _ in "ab"] for _ in range(200)]
    given = [[{"height": size.height, "width": size.width} for size in pair] for pair in sizes]
    found = call("geometry.js", f"return given.map(([source, model]) => part.place(source, model, '{fit}'))", given)
    for (source, model), placed in zip(sizes, found, strict=True):
        wanted = place(source, model, fit)
        assert _rectangle(placed["taken"]) == wanted.taken
        assert _rectangle(placed["held"]) == wanted.held


def _rectangle(found: dict[str, int]) -> Rectangle:
    return Rectangle(found["y"], found["x"], Size(found["height"], found["width"]))


def test_borders_are_mirror_images(call: Call) -> None:
    drawn = call(
        "geometry.js",
        """const source = new OffscreenCanvas(4, 12);
        const paint = source.getContext("2d");
        for (let x = 0; x < 4; x++) { paint.fillStyle = `rgb(${60 * x}, 0, 0)`; paint.fillRect(x, 0, 1, 12); }
        const target = new OffscreenCanvas(24, 12).getContext("2d");
        part.lay(target, source, part.place({width: 4, height: 12}, {width: 24, height: 12}, "letterbox"));
        return Array.from(target.getImageData(0, 6, 24, 1).data).filter((_, index) => index % 4 === 0);""",
    )
    there_and_back = [0, 60, 120, 180, 180, 120, 60, 0]
    assert drawn == [there_and_back[(x - 10) % 8] for x in range(24)]


@pytest.mark.parametrize("name", ["style", "noise"])
@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1, 2**53 - 1])
def test_seeds_draw_what_numpy_draws(call: Call, seed: int, name: str) -> None:
    entropy = [seed, *name.encode()]
    wanted = np.random.default_rng(entropy).standard_normal(4000, np.float32)
    found = np.asarray(call("normal.js", "return [...part.standardNormal(given, 4000)]", entropy), np.float32)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


PUMP = """
        const sizes = { width: 8, height: 8, videoWidth: 8, videoHeight: 8 };
        const camera = Object.assign(document.createElement("canvas"), sizes);
        let dropped = 0;
        const pump = new part.Pump(camera, [8, 8], { drop: () => dropped++ });
"""


def test_only_the_newest_frame_waits(call: Call) -> None:
    sent, dropped = call(
        "pump.js",
        PUMP
        + """const sent = [];
        pump.way = { free: true, send(frame) { sent.push(frame.time); this.free = false; } };
        for (const time of [1, 2, 3, 4]) pump.arrived(time);
        pump.way.free = true;
        pump.go();
        pump.way.free = true;
        pump.go();
        return [sent, dropped];""",
    )
    assert sent == [1, 4]
    assert dropped == 2


def test_a_frame_that_the_browser_cannot_encode_is_skipped(call: Call) -> None:
    free = call(
        "websocket.js",
        """const way = new part.WebSocketWay({ ready() {}, loading() {}, stats() {} });
        way.send({ id: 1, canvas: { toBlob: (done) => done(null) } });
        const taken = way.flight !== null;
        await new Promise((done) => setTimeout(done, 0));
        way.close();
        return [taken, way.flight === null];""",
    )
    assert free == [True, True]


def test_a_way_that_encodes_gets_the_newest_frame_encoded_while_another_is_under_way(call: Call) -> None:
    sent, encoded, dropped, same = call(
        "pump.js",
        PUMP
        + """const sent = [], canvases = [];
        let encoded = 0;
        pump.way = {
          free: true,
          encode() { return ++encoded; },
          send({ canvas, time, picture }) {
            canvases.push(canvas);
            sent.push([time, picture ?? null]);
            this.free = false;
          },
        };
        for (const time of [1, 2, 3]) pump.arrived(time);
        const waiting = pump.waiting.canvas;
        pump.way.free = true;
        pump.go();
        pump.go();
        pump.way.free = true;
        pump.arrived(4);
        return [sent, encoded, dropped, waiting === canvases[0] || canvases[2] === canvases[1]];""",
    )
    assert sent == [[1, None], [3, 2], [4, None]]  # the way encodes what finds it free
    assert (encoded, dropped) == (2, 1)
    assert not same  # what is under way is not drawn over: it is shown beside its translation


def test_nothing_is_sent_before_the_camera_gives_a_picture(call: Call) -> None:
    sent = call(
        "pump.js",
        """const pump = new part.Pump(document.createElement("video"), [8, 8], { drop: () => {} });
        let sent = 0;
        pump.way = { free: true, send() { sent++; } };
        pump.arrived(1);
        return sent;""",
    )
    assert sent == 0


def test_figures_are_those_of_the_last_seconds(call: Call) -> None:
    found = call(
        "figures.js",
        """let time = 0;
        const figures = new part.Figures(() => time);
        for (; time < 10000; time += 100) figures.shown(time < 5000 ? 900 : 50);
        figures.drop(3);
        return figures.snapshot();""",
    )
    assert found["fps"] == pytest.approx(10, abs=0.2)
    assert (found["p50"], found["p99"], found["dropped"], found["total"]) == (50, 50, 3, 100)


NO_CAMERA = "return part.noCamera({isSecureContext: given[0], navigator: given[1], location: given[2]})"
PLACE = {"hostname": "192.168.1.7", "port": "8000"}


def test_a_page_without_a_camera_says_how_to_get_one_and_what_works_without(call: Call) -> None:
    said = call("messages.js", NO_CAMERA, [False, {}, PLACE])
    assert "secure" in said["title"]
    assert "192.168.1.7" in said["text"]
    assert "from your disk" in said["text"]
    assert "ssh -L 8000:localhost:8000" in said["text"]
    assert call("messages.js", NO_CAMERA, [True, {"mediaDevices": {"getUserMedia": True}}, PLACE]) is None
    assert "no camera access" in call("messages.js", NO_CAMERA, [True, {}, PLACE])["title"]


READY, CAMERA, FILM, STILL = {"state": "ready", "note": ""}, {"kind": "camera"}, {"kind": "film"}, {"kind": "picture"}


@pytest.mark.parametrize(
    ("facts", "state", "words"),
    [
        ({"way": {"state": "waiting", "note": "connecting"}}, "waiting", "connecting"),
        ({"way": {"state": "waiting", "note": "loading"}, "source": CAMERA, "since": 9}, "waiting", "loading"),
        ({"way": {"state": "lost", "note": "gone"}, "source": FILM, "since": 9}, "lost", "gone"),
        ({"way": {"state": "lost", "note": "gone"}, "source": FILM, "paused": True}, "lost", "gone"),
        ({}, "idle", "no camera"),
        ({"since": 9}, "idle", "no camera"),
        ({"source": CAMERA}, "waiting", "waiting for the first picture"),
        ({"source": CAMERA, "since": 40}, "live", "live"),
        ({"source": CAMERA, "since": 40, "paused": True}, "paused", "paused"),
        ({"source": CAMERA, "since": 60_000}, "waiting", "waiting for the camera's next picture"),
        ({"source": FILM, "since": 4000}, "live", "live"),
        ({"source": FILM, "since": 60_000}, "waiting", "waiting for the film's next picture"),
        ({"source": STILL}, "waiting", "translating"),
        ({"source": STILL, "since": 60_000}, "picture", "picture"),
    ],
)
def test_live_is_said_only_of_what_moves_and_comes_back(
    call: Call, facts: dict[str, Any], state: str, words: str
) -> None:
    given = {"way": READY, "source": None, "paused": False, "since": None, "idle": "no camera"} | facts
    assert call("status.js", "return part.status(given)", given) == {"state": state, "words": words}


@pytest.mark.parametrize(
    ("pathname", "wanted"),
    [
        ("/", "/bundles/b/"),
        ("/bundles/a/", "/bundles/b/"),
        ("/i2i/", "/i2i/bundles/b/"),
        ("/i2i/bundles/a/", "/i2i/bundles/b/"),
        ("/bundles/", "/bundles/bundles/b/"),
    ],
)
def test_networks_are_found_from_every_page_and_under_a_proxys_path(call: Call, pathname: str, wanted: str) -> None:
    bundles = [{"path": "bundles/a/", "here": True}, {"path": "bundles/b/", "here": False}]
    assert call("bundles.js", "return part.address(given[0], 'bundles/b/', given[1])", [bundles, pathname]) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("NotAllowedError", "blocked"), ("NotFoundError", "No camera"), ("NotReadableError", "in use"), ("Odd", "start")],
)
def test_a_camera_that_does_not_start_is_explained(call: Call, name: str, wanted: str) -> None:
    assert wanted in call("messages.js", "return part.cameraRefused({name: given, message: ''})", name)["title"]


def test_the_page_names_no_other_host() -> None:
    for path in PAGE_FOLDER.glob("*.*"):
        hosts = set(re.findall(r"https?://([\w.-]+)", path.read_text(encoding="utf-8")))
        assert hosts <= {"localhost", "www.w3.org"}, path.name


# The files from npm -------------------------------------------------------------------------------------------------


def test_the_lock_file_pins_by_checksum_and_names_no_registry() -> None:
    text = (vendor.NPM / "package-lock.json").read_text(encoding="utf-8")
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert "http" not in text
    wanted = json.loads((vendor.NPM / "package.json").read_text(encoding="utf-8"))["dependencies"]["onnxruntime-web"]
    assert packages["node_modules/onnxruntime-web"]["version"] == wanted


def test_missing_and_changed_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingRequirementError, match=r"ort\.wasm\.min\.mjs") as missing:
        vendor.check_runtime(tmp_path)
    assert missing.value.remedy == "make web"
    for name in vendor.FILES:
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(BadInputError, match="not the one that was pinned"):
        vendor.check_runtime(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRequirementError, match="npm"):
        vendor.fetch_runtime(tmp_path / "ort")


@pytest.mark.skipif(not vendor.RUNTIME.is_dir(), reason="no onnxruntime-web: make web")
def test_the_files_that_are_here_are_the_pinned_ones() -> None:
    vendor.check_runtime()
