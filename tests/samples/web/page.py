"""What the page is tested with: two bundles, a camera's film, and the system's Chromium."""

from __future__ import annotations

import base64
import functools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.contract import (
    DType,
    GraphDeclaration,
    GraphKind,
    Role,
    Size,
    TensorSpec,
    attributes_spec,
    picture_spec,
)
from edge_i2i.metrics.picture import psnr
from edge_i2i.sources.coded import Code, read_code, stamp
from samples.calibration import MODEL

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

Picture = NDArray[np.uint8]

SIZE = Size(256, 256)
CAMERA = Size(480, 640)
FPS, FILM_FRAMES = 25, 50
JPEG_LOSS = 26.0  # dB; two JPEGs, one on each way, and a network between them
FOREIGN_NAME = "i2i.example.org"
"""A name of this machine in the browser, so that pages under it are no secure ones."""

CHROMIUM_ARGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--use-fake-device-for-media-stream",
    f"--host-resolver-rules=MAP {FOREIGN_NAME} 127.0.0.1",
)

_FRAME = picture_spec("frame", Role.FRAME, SIZE, "the camera's picture")
_IMAGE = picture_spec("image", Role.IMAGE, SIZE, "the translated picture")
_STYLE = TensorSpec(
    *("style", Role.STYLE, (3,), DType.FLOAT32, -np.inf, np.inf, "a colour, 0 is grey"), drawn=True, mixable=True
)
_EXEMPLAR = picture_spec("exemplar", Role.EXEMPLAR, Size(32, 32), "a picture of the wanted colour")
_LABELS = ("Negative", "Mirrored")

_SAME = f"""<ir_version: 10, opset_import: ["" : 18]>
same (uint8[{SIZE.height},{SIZE.width},3] frame) => (uint8[{SIZE.height},{SIZE.width},3] image) {{
    image = Identity(frame)
}}"""

_TINT = f"""<ir_version: 10, opset_import: ["" : 18]>
tint (uint8[{SIZE.height},{SIZE.width},3] frame, float[3] style, float[2] attributes)
  => (uint8[{SIZE.height},{SIZE.width},3] image)
<float half = {{0.5}}, float middle = {{63.75}}, float step = {{24.0}}, float white = {{255.0}}, float black = {{0.0}},
 int64 first = {{0}}, float two = {{2.0}}, float one = {{1.0}}> {{
    floats = Cast<to=1>(frame)
    pale = Mul(floats, half)
    scaled = Mul(style, step)
    colour = Add(scaled, middle)
    tinted = Add(pale, colour)
    negative = Gather<axis=0>(attributes, first)
    turned = Sub(white, tinted)
    rest = Sub(one, negative)
    kept = Mul(tinted, rest)
    added = Mul(turned, negative)
    mixed = Add(kept, added)
    whole = Round(mixed)
    legal = Clip(whole, black, white)
    image = Cast<to=2>(legal)
}}"""

_ENCODE = """<ir_version: 10, opset_import: ["" : 18]>
encode (uint8[32,32,3] exemplar) => (float[3] style)
<int64[2] sides = {0, 1}, float middle = {127.5}, float step = {48.0}> {
    floats = Cast<to=1>(exemplar)
    mean = ReduceMean<keepdims=0>(floats, sides)
    centred = Sub(mean, middle)
    style = Div(centred, step)
}"""


def write_same(path: Path) -> Path:
    """A network that gives back what it gets."""
    return _write(path, {_declaration("frame", GraphKind.FRAME, (_FRAME,), _IMAGE): _SAME})


def write_tint(path: Path, name: str = "", labels: tuple[str, str] = _LABELS) -> Path:
    """A network that mixes a colour in: drawn, mixed, or the mean of an exemplar; and makes negatives."""
    attributes = attributes_spec("attributes", labels, "what is done besides", default=0.0)
    frame = _declaration("frame", GraphKind.FRAME, (_FRAME, _STYLE, attributes), _IMAGE)
    encode = _declaration("encode", GraphKind.CONDITION, (_EXEMPLAR,), _STYLE)
    return _write(path, {frame: _TINT, encode: _ENCODE}, name)


def _declaration(name: str, kind: GraphKind, inputs: tuple[TensorSpec, ...], output: TensorSpec) -> GraphDeclaration:
    return GraphDeclaration(name, kind, inputs, (output,))


def _write(path: Path, graphs: dict[GraphDeclaration, str], name: str = "") -> Path:
    with BundleWriter(path) as writer:
        for declaration, text in graphs.items():
            model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text), strict_mode=True)
            onnx.checker.check_model(model, full_check=True)
            writer.add_graph(declaration, variant="fp32", precision="fp32", opset=18, onnx=model.SerializeToString())
        writer.finish(name=name or path.stem, model=MODEL, size=SIZE, recipe={})
    return path


def coded(number: int) -> Picture:
    """A picture of the network's size that carries a number."""
    rows, columns = np.mgrid[: SIZE.height, : SIZE.width]
    picture = np.stack([columns, rows, 255 - columns], axis=-1).astype(np.uint8)
    stamp(picture, number)
    return picture


def camera_picture(number: int) -> Picture:
    """A camera's frame; its middle square is a coded picture of the network's size, scaled up."""
    side = CAMERA.height
    frame = np.full((CAMERA.height, CAMERA.width, 3), 96, np.uint8)
    left = (CAMERA.width - side) // 2
    frame[:, left : left + side] = cv2.resize(coded(number), (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
    return frame


def write_film(path: Path) -> Path:
    """What Chromium's fake camera plays, over and over."""
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420jpeg\n" % (CAMERA.width, CAMERA.height, FPS))
        for number in range(FILM_FRAMES):
            planes = cv2.cvtColor(camera_picture(number), cv2.COLOR_RGB2YUV_I420)
            file.write(b"FRAME\n" + planes.tobytes())
    return path


def write_webm(path: Path) -> Path:
    """A film for the visitor's disk, of coded pictures."""
    av = pytest.importorskip("av", reason="no PyAV: pip install 'edge-i2i[video]'")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=FPS, options={"deadline": "realtime", "crf": "4", "b": "6M"})
        stream.width, stream.height, stream.pix_fmt = SIZE.width, SIZE.height, "yuv420p"
        for number in range(FILM_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(coded(number))))
        container.mux(stream.encode(None))
    return path


@functools.cache
def chromium_path() -> str | None:
    """The system's Chromium."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def running_playwright() -> Iterator[Playwright]:
    """Playwright, where it and a Chromium are installed; else the test is skipped with what to install."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    if chromium_path() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as running:
        yield running


@contextmanager
def browser_with_camera(playwright: Playwright, film_path: Path | None, *, allowed: bool = True) -> Iterator[Browser]:
    """Headless Chromium whose camera plays a film (None: a pattern), and whose visitor allows it, or does not."""
    arguments = [*CHROMIUM_ARGS, "--use-fake-ui-for-media-stream" if allowed else "--deny-permission-prompts"]
    if film_path is not None:
        arguments.append(f"--use-file-for-fake-video-capture={film_path}")
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=arguments, headless=True)
    try:
        yield browser
    finally:
        browser.close()


def pictures(page: Page) -> tuple[Picture, Picture]:
    """A frame of the camera and what became of it, as the page's canvases hold them: RGB."""
    before, after = page.evaluate(
        """() => ["before", "after"].map((id) => {
            const canvas = document.getElementById(id);
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
            copy.drawImage(canvas, 0, 0);
            const data = copy.getImageData(0, 0, canvas.width, canvas.height).data;
            let text = "";
            for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
            return [canvas.height, canvas.width, btoa(text)];
        })"""
    )
    return _decoded(*before), _decoded(*after)


def _decoded(height: int, width: int, text: str) -> Picture:
    rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
    return np.ascontiguousarray(rgba[..., :3])


def code_of(page: Page) -> Code | None:
    """The number that the translated picture carries."""
    return read_code(pictures(page)[1])


def wait_until(page: Page, holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Let the page go on until something holds; how long that takes is not judged."""
    for _ in range(round(seconds * 20)):
        if holds():
            return
        page.wait_for_timeout(50)
    pytest.fail(f"still not so after {seconds:g} s: {what}; the page says: {page.locator('#state').all_inner_texts()}")


def choose(page: Page, way: str) -> None:
    """Choose a way to translate, and wait until its pictures come."""
    page.check(f"input[value={way}]", force=True)
    page.wait_for_selector("#state[data-state=live]")


def wait_for_translated(page: Page, more: int = 1) -> None:
    """Until so many further pictures were shown."""
    first = shown(page)
    wait_until(page, lambda: shown(page) >= first + more, f"{more} more pictures")


def shown(page: Page) -> int:
    """How many translated pictures were shown, of this source and over this way."""
    return int(page.get_attribute("#fps", "data-shown") or 0)


def wait_for_colour(page: Page, wanted: Callable[[np.ndarray[Any, Any]], Any], what: str) -> None:
    """Until the translated picture is what a function makes of the camera's, within JPEG's loss; fails where not."""

    def holds() -> bool:
        before, after = pictures(page)
        return psnr(np.asarray(wanted(before)), after) > JPEG_LOSS

    wait_until(page, holds, what)


def wait_for_numbers(page: Page, wanted: int = 3) -> set[int]:
    """Until so many different codes were seen."""
    seen: set[int] = set()

    def enough() -> bool:
        if (code := code_of(page)) is not None:
            seen.add(code.number)
        return len(seen) >= wanted

    wait_until(page, enough, f"{wanted} different codes")
    return seen


def state(page: Page) -> str:
    """What the pill says."""
    return page.inner_text("#state")
