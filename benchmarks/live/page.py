"""Frames a second of the page's three ways, browser and server on this machine: the demo network at 256x256.

The server's ways are measured twice: as the network is exported, and after ``edge-i2i quantize`` (a browser runs FP32).
Headless Chromium's fake camera plays a pan over a photograph at 30 frames a second, which no way can exceed. Counted
are pictures that were shown; ages are the page's own, from the camera's frame until its translation is drawn. Needs
Playwright, Chromium (``apt-get install chromium``) and the page's runtime (``make web``).

Example: python -m benchmarks.live.page --seconds 20
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.figures import FOLDER, write_figures
from benchmarks.inputs import photographs
from edge_i2i.contract import Size
from edge_i2i.errors import MissingRequirementError
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.media.photographs import load_photograph
from edge_i2i.models.checkpoints.loading import load_demo
from edge_i2i.quantize.job import QuantizeJob
from edge_i2i.quantize.run import quantize_bundle
from edge_i2i.web.server import Server, serve

FIGURES = FOLDER / "live-page.json"
SIZE, CAMERA = Size(256, 256), Size(480, 640)
CAMERA_FPS, FILM_SECONDS = 30, 4
WAYS = {"websocket": "server, WebSocket", "webrtc": "server, WebRTC", "browser": "browser"}
SERVER_WAYS = ("websocket", "webrtc")
WARM_UP_SECONDS = 5.0
LOADING_SECONDS = 120.0
CHROMIUM = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream"),
    "--use-fake-ui-for-media-stream",
)


SHOWN: Any = {"x": 0, "y": 0, "width": 1280, "height": 520}
"""What a screenshot shows of the page: not the name of its camera, which is a file here."""


def main() -> None:
    """Time every way that this server offers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FIGURES)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--picture", type=Path, help="a screenshot of the page, too, as docs/images/page.jpg is one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = write_film(Path(folder) / "film.y4m")
        exported = Path(folder) / "pix2pixhd-demo.i2i"  # its name is the page's title
        export_bundle(load_demo("pix2pixhd"), SIZE, exported, ExportOptions(threads=arguments.threads))
        quantized = quantize(exported, Path(folder), arguments.threads)
        rows: list[dict[str, Any]] = []
        for bundle, ways, picture in ((quantized, SERVER_WAYS, arguments.picture), (exported, tuple(WAYS), None)):
            with serve(bundle, engine=arguments.engine, threads=arguments.threads) as server:
                server.wait_ready(LOADING_SECONDS)
                more, browser = measure(server, film, arguments.seconds, ways, picture)
            rows += more
    command = f"python -m benchmarks.live.page --seconds {arguments.seconds:g} --threads {arguments.threads}"
    about = {"camera_fps": CAMERA_FPS, "seconds": arguments.seconds, "size": str(SIZE), "browser": browser}
    write_figures(arguments.output, rows, command, arguments.threads, **about)


def quantize(bundle: Path, folder: Path, threads: int) -> Path:
    """The bundle with an INT8 variant for OpenVINO."""
    photographs(folder / "photos")
    job = QuantizeJob(("openvino",), threads=threads, cache=folder / "cache")
    return quantize_bundle(bundle, folder / "quantized.i2i", folder / "photos", job).bundle


def measure(
    server: Server, film: Path, seconds: float, ways: Collection[str], picture: Path | None = None
) -> tuple[list[dict[str, Any]], str]:
    """A row for each of ``ways`` that the page offers, and which browser it was."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=[*CHROMIUM, f"--use-file-for-fake-video-capture={film}"], headless=True
        )
        try:
            page = open_page(browser, server)
            if picture is not None:
                page.wait_for_timeout(WARM_UP_SECONDS * 1e3)
                page.screenshot(path=picture, type="jpeg", quality=85, clip=SHOWN)
            offered = [way for way in ways if page.locator(f"input[value={way}]").locator("..").is_visible()]
            return [measure_way(page, way, seconds) for way in offered], f"Chromium {browser.version}, headless"
        finally:
            browser.close()


def chromium() -> str:
    """The system's.

    Raises:
        MissingRequirementError: there is none.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise MissingRequirementError("There is no Chromium.", remedy="apt-get install chromium")
    return found


def open_page(browser: Browser, server: Server) -> Page:
    """The page, with its camera running."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(server.url)
    page.click("#start")
    page.wait_for_selector("#state[data-state=live]")
    return page


def measure_way(page: Page, way: str, seconds: float) -> dict[str, Any]:
    """Choose a way, let it settle, and count."""
    page.check(f"input[value={way}]", force=True)
    page.wait_for_selector("#state[data-state=live]", timeout=LOADING_SECONDS * 1e3)
    page.wait_for_timeout(WARM_UP_SECONDS * 1e3)
    first = counted(page)
    page.wait_for_timeout(seconds * 1e3)
    last = counted(page)
    return {
        "way": WAYS[way],
        "fps": round((last["shown"] - first["shown"]) / (last["at"] - first["at"]) * 1e3, 1),
        "dropped": int(last["dropped"] - first["dropped"]),
        "age_ms": {"p50": milliseconds(page, "#age-p50"), "p99": milliseconds(page, "#age-p99")},
        "engine": page.inner_text("#engine"),
    }


def milliseconds(page: Page, figure: str) -> float | None:
    """A figure of the page; None where it shows a dash (WebRTC does not say how old its pictures are)."""
    number = page.inner_text(figure).removesuffix(" ms")
    return None if number == "–" else float(number)


def counted(page: Page) -> dict[str, float]:
    """Pictures ``shown`` and frames ``dropped`` so far, and ``at`` which of the page's ms it was counted."""
    counter = page.locator("#fps").evaluate("(fps) => ({ ...fps.dataset })")
    return {name: float(value) for name, value in counter.items()}


def write_film(path: Path) -> Path:
    """A pan over a photograph, back and forth."""
    photograph = load_photograph("coffee.png")
    scale = 1.1 * max(CAMERA.height / photograph.shape[0], CAMERA.width / photograph.shape[1])
    picture = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    room = picture.shape[0] - CAMERA.height, picture.shape[1] - CAMERA.width
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420jpeg\n" % (CAMERA.width, CAMERA.height, CAMERA_FPS))
        for turn in np.linspace(0, 2 * np.pi, CAMERA_FPS * FILM_SECONDS, endpoint=False):
            top, left = (round(side * (1 - np.cos(turn)) / 2) for side in room)
            frame = np.ascontiguousarray(picture[top : top + CAMERA.height, left : left + CAMERA.width])
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


if __name__ == "__main__":
    main()
