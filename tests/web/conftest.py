"""Bundles to serve, and servers of them: real ones, on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_i2i.bundle.manifest import ModelRecord
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.models.checkpoints.loading import LoadedModel, WeightsOrigin, load_demo
from edge_i2i.models.registry import get_family
from edge_i2i.web.server import Server, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright


from samples.web import page as samples

LOADING_SECONDS = 60.0


@pytest.fixture(scope="session")
def demo_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped demo network at 64x64, FP32: it takes no look."""
    output = tmp_path_factory.mktemp("demo") / "demo.i2i"
    export_bundle(load_demo("pix2pixhd"), Size(64, 64), output, ExportOptions(precisions=("fp32",), threads=1))
    return output


@pytest.fixture(scope="session")
def plain_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that does nothing, at 64x64: made in no time."""
    import onnx
    from onnx import TensorProto, helper

    output, size = tmp_path_factory.mktemp("plain") / "plain.i2i", Size(64, 64)
    ends = [helper.make_tensor_value_info(name, TensorProto.UINT8, [64, 64, 3]) for name in ("frame", "image")]
    graph = helper.make_graph([helper.make_node("Identity", ["frame"], ["image"])], "plain", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18)]
    encoded: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    frame = picture_spec("frame", Role.FRAME, size, "the frame")
    image = picture_spec("image", Role.IMAGE, size, "the picture")
    declaration = GraphDeclaration("frame", GraphKind.FRAME, (frame,), (image,))
    model = ModelRecord(family="toy", title="Toy", config={}, source="a test", licence="none", weights="random")
    with BundleWriter(output) as writer:
        writer.add_graph(declaration, variant="fp32", precision="fp32", opset=18, onnx=encoded.SerializeToString())
        writer.finish(name="plain", model=model, size=size, recipe={})
    return output


@pytest.fixture(scope="session")
def style_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MUNIT with random weights at 64x64: styles are drawn, taken from exemplars, and mixed."""
    family = get_family("munit")
    config = family.tiny(next(iter(family.architectures().values())))
    loaded = LoadedModel(family, family.random(config, 3), WeightsOrigin.RANDOM, None, None)
    output = tmp_path_factory.mktemp("style") / "styles.i2i"
    export_bundle(loaded, Size(64, 64), output, ExportOptions(precisions=("fp32",), threads=1))
    return output


@pytest.fixture
def run_server() -> Iterator[Callable[..., Server]]:
    """Serve a bundle until the test ends; waits for the model unless ``ready=False``."""
    servers: list[Server] = []

    def run(bundle: Path, *, ready: bool = True, **options: Any) -> Server:
        server = serve(bundle, **{"engine": "onnxruntime", "threads": 1, **options})
        servers.append(server)
        assert not ready or server.wait_ready(LOADING_SECONDS)
        return server

    yield run
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def demo_server(demo_bundle: Path) -> Iterator[Server]:
    """The demo network, served for all tests together."""
    with serve(demo_bundle, engine="onnxruntime", threads=1) as server:
        assert server.wait_ready(LOADING_SECONDS)
        yield server


@pytest.fixture(scope="session")
def style_server(style_bundle: Path) -> Iterator[Server]:
    """The network with styles, served for all tests together."""
    with serve(style_bundle, engine="onnxruntime", threads=1) as server:
        assert server.wait_ready(LOADING_SECONDS)
        yield server


# The page, in the system's Chromium


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Of each module: while it runs, no other event loop can."""
    with samples.running_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its camera plays coded frames."""
    film = samples.write_film(tmp_path_factory.mktemp("camera") / "film.y4m")
    with samples.browser_with_camera(playwright, film) as opened:
        yield opened


@pytest.fixture(scope="module")
def same_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The identity network."""
    with serve(samples.write_same(tmp_path_factory.mktemp("same") / "same.i2i"), threads=1) as server:
        assert server.wait_ready(60)
        yield server


@pytest.fixture(scope="module")
def tint_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with styles, exemplars, a mix and attributes."""
    return samples.write_tint(tmp_path_factory.mktemp("tint") / "tint.i2i")


@pytest.fixture(scope="module")
def tint_server(tint_bundle: Path) -> Iterator[Server]:
    """A network with styles, exemplars, a mix and attributes."""
    with serve(tint_bundle, threads=1) as server:
        assert server.wait_ready(60)
        yield server


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a server's page, start the camera, choose a way; faults of its scripts fail the test."""
    faults: list[str] = []
    with browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True) as context:

        def open_page(server: Server, way: str = "websocket", *, start: bool = True) -> Page:
            page = context.new_page()
            page.set_default_timeout(180_000)  # against hanging only: machines are shared
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", lambda request: faults.extend(_elsewhere(request.url, server)))
            page.goto(server.url)
            if start:
                page.click("#start")
                samples.choose(page, way)
            return page

        yield open_page
    assert faults == []


def _elsewhere(url: str, server: Server) -> list[str]:
    own = (f"http://127.0.0.1:{server.port}/", f"ws://127.0.0.1:{server.port}/", "blob:", "data:")
    return [] if url.startswith(own) else [url]
