"""Everything but the WebSocket: what is served, uploads and their limits, health and figures."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.clock import Signal, SystemClock
from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, Size, TensorSpec, picture_spec
from edge_i2i.errors import MissingRequirementError, UsageError
from edge_i2i.web.server import Server, serve
from edge_i2i.web.shared_model import Note
from edge_i2i.web.uploads import Exemplars, Limits
from samples.calibration import MODEL
from samples.web.fake_model import FakeModel, loads, serve_model
from samples.web.tab_client import encoded, photo


def get(server: Server, path: str, **options: Any) -> httpx.Response:
    return httpx.get(server.url + path, **options)


def post(server: Server, path: str, data: bytes, **options: Any) -> httpx.Response:
    return httpx.post(server.url + path, content=data, **options)


def refusal(answer: httpx.Response, status: int) -> str:
    """What a request is refused with."""
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert said["type"] == "error" and said["remedy"]
    return str(said["what"])


# What is served -------------------------------------------------------------------------------------------------


def test_the_bundle_says_what_it_takes(style_server: Server, style_bundle: Path) -> None:
    said = get(style_server, "bundle.json").json()
    assert (said["name"], said["size"], said["weights"]) == ("styles", [64, 64], "random")
    assert said["looks"] == {"exemplar": True, "style_seed": True, "attributes": [], "mix": True}
    assert [style["id"] for style in said["styles"]] == [f"seed-{seed}" for seed in range(8)]
    assert (said["engine"], said["effective_precision"], said["variant"]) == ("onnxruntime", "fp32", "fp32")
    names = [graph["name"] for graph in said["browser"]["conditions"]]
    assert names == ["encode_style", "modulate"]  # in the order in which they run
    assert said["limits"]["tabs"] == 16 and said["ice"] == []


def test_a_bundle_without_looks_offers_itself(demo_server: Server) -> None:
    said = get(demo_server, "bundle.json").json()
    assert said["looks"] == {"exemplar": False, "style_seed": False, "attributes": [], "mix": False}
    assert [(style["id"], style["title"]) for style in said["styles"]] == [("plain", "demo")]
    assert said["browser"]["conditions"] == []


def test_browsers_get_the_fp32_graphs_as_they_are(style_server: Server, style_bundle: Path) -> None:
    browser = get(style_server, "bundle.json").json()["browser"]
    bundle = open_bundle(style_bundle)
    for described in (browser, *browser["conditions"]):
        answer = get(style_server, described["graph"].removeprefix("/"))
        assert len(answer.content) == described["bytes"] == int(answer.headers["content-length"])
        record = bundle.graph(described["name"], "fp32").record
        assert hashlib.sha256(answer.content).hexdigest() == record.sha256
        tag = answer.headers["etag"]
        again = get(style_server, described["graph"].removeprefix("/"), headers={"If-None-Match": tag})
        assert again.status_code == 304 and not again.content
    assert [spec["dtype"] for spec in browser["inputs"]] == ["uint8", "float32"]


def unpacked(bundle: Path, folder: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder / "demo.i2i")
    return folder / "demo.i2i"


def longer(data: bytes) -> bytes:
    return data + b"\0" * (3 << 20)


def shorter(data: bytes) -> bytes:
    return data[:1000]


def of_same_length(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("change", [longer, shorter, of_same_length])
def test_browsers_never_get_another_graph_than_the_one_that_was_looked_at(
    run_server: Callable[..., Server],
    demo_bundle: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    change: Callable[[bytes], bytes],
) -> None:
    """Whatever becomes of the bundle while it is served."""
    copied = unpacked(demo_bundle, tmp_path)
    server = run_server(copied)
    graph = open_bundle(copied).graph("frame", "fp32").record.path
    (copied / graph).write_bytes(change((copied / graph).read_bytes()))
    if change is of_same_length:  # found at the end, so the answer has begun
        with pytest.raises(httpx.RemoteProtocolError):
            get(server, "graphs/frame.onnx")
        assert "damaged" in caplog.text
    else:
        assert "damaged" in refusal(get(server, "graphs/frame.onnx"), 503)
    assert get(server, "healthz").status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_graph_of_a_bundle_that_is_gone_is_refused(
    run_server: Callable[..., Server], demo_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copied = unpacked(demo_bundle, tmp_path)
    server = run_server(copied)
    shutil.rmtree(copied)
    assert "missing" in refusal(get(server, "graphs/frame.onnx"), 503)
    assert get(server, "healthz").status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_page_is_served_with_the_types_that_browsers_insist_on(demo_server: Server) -> None:
    assert get(demo_server, "").headers["content-type"] == "text/html; charset=utf-8"
    assert get(demo_server, "page/main.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert get(demo_server, "page/style.css").headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    "path", ["nothing", "page/nothing.js", "page/..%2fapp.py", "graphs/nothing.onnx", "thumbs/nothing.jpg", "page/"]
)
def test_what_is_not_there_is_said_to_be_not(demo_server: Server, path: str) -> None:
    assert refusal(get(demo_server, path), 404)


def test_thumbnails_show_the_example_under_each_style(style_server: Server) -> None:
    pictures = []
    for seed in (1, 2):
        answer = get(style_server, f"thumbs/seed-{seed}.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        pictures.append(cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR).astype(int))
    assert pictures[0].shape == (64, 64, 3)
    assert np.abs(pictures[0] - pictures[1]).max() > 10
    assert get(style_server, "thumbs/seed-1.jpg").content == get(style_server, "thumbs/seed-1.jpg").content


def test_styles_may_be_given_by_title(style_bundle: Path, run_server: Callable[..., Server]) -> None:
    server = run_server(style_bundle, styles={"Sea & sky": {"exemplar": photo()}, "Dice": {"style_seed": 5}})
    styles = get(server, "bundle.json").json()["styles"]
    assert [(style["id"], style["title"]) for style in styles] == [("0-sea-sky", "Sea & sky"), ("1-dice", "Dice")]
    assert get(server, "thumbs/0-sea-sky.jpg").status_code == 200


def test_a_network_of_label_maps_cannot_be_served(tmp_path: Path) -> None:
    ids = TensorSpec("label_map", Role.LABEL_MAP, (32, 32), DType.INT32, 0, 7, "class ids")
    image = picture_spec("image", Role.IMAGE, Size(32, 32), "the result")
    frame = GraphDeclaration("frame", GraphKind.FRAME, (ids,), (image,))
    with BundleWriter(tmp_path / "labels.i2i") as writer:
        writer.add_graph(frame, variant="fp32", precision="fp32", opset=18, onnx=b"never read")
        writer.finish(name="labels", model=MODEL, size=Size(32, 32), recipe={})
    with pytest.raises(UsageError, match="translates label_map, which no camera gives"):
        serve(tmp_path / "labels.i2i")


# Uploads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_an_exemplar_gets_an_id(style_server: Server, suffix: str) -> None:
    first, second = (post(style_server, "exemplar", encoded(photo(90, 60), suffix)) for _ in range(2))
    assert first.status_code == 200, first.text
    assert first.json()["id"] != second.json()["id"]  # ids tell nothing about pictures


def test_an_upload_without_a_length_is_refused(style_server: Server) -> None:
    assert refusal(post(style_server, "exemplar", iter([encoded(photo())])), 411)  # type: ignore[arg-type]


def test_what_is_no_picture_is_refused(style_server: Server) -> None:
    assert "a PDF" in refusal(post(style_server, "exemplar", b"%PDF-1.7 and so on"), 415)
    assert "BMP" in refusal(post(style_server, "exemplar", encoded(photo(), ".bmp")), 415)
    refusal(post(style_server, "exemplar", b""), 415)


def test_a_damaged_picture_is_refused(style_server: Server) -> None:
    whole = encoded(photo(200, 200), ".png")
    assert "damaged" in refusal(post(style_server, "exemplar", whole[:20]), 400)
    assert "cannot be used" in refusal(post(style_server, "exemplar", whole[: len(whole) // 2]), 400)


def test_too_many_bytes_are_refused_before_they_are_read(style_server: Server) -> None:
    with socket.create_connection(("127.0.0.1", style_server.port)) as connection:
        connection.sendall(
            b"POST /exemplar HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999999\r\n\r\n" + b"\xff\xd8\xff"
        )
        connection.settimeout(10)
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_decompression_bomb_is_refused_by_its_header(style_server: Server) -> None:
    """65,500 by 65,500 pixels: 12 GB once decoded, in a file of a few bytes."""
    assert "too large" in refusal(post(style_server, "exemplar", png_of(65_500, 65_500)), 413)


def test_an_upload_that_dawdles_is_broken_off(style_bundle: Path) -> None:
    limits = Limits(upload_seconds=0.2)
    with (
        serve_model(style_bundle, loads(FakeModel(SystemClock())), limits) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        connection.sendall(b"POST /exemplar HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n\xff\xd8\xff")
        connection.settimeout(10)
        assert connection.recv(64).startswith(b"HTTP/1.1 408 ")


def test_a_bundle_that_takes_no_exemplar_says_so(demo_server: Server) -> None:
    assert "no exemplar" in refusal(post(demo_server, "exemplar", encoded(photo())), 422)


def test_exemplars_are_kept_within_bounds() -> None:
    kept = Exemplars(3 * photo().nbytes)
    ids = [kept.add(photo(seed=seed)) for seed in range(3)]
    kept.find(ids[0])
    fourth = kept.add(photo(seed=3))
    for number in (ids[0], ids[2], fourth):
        assert kept.find(number).shape == (64, 64, 3)
    with pytest.raises(Exception, match="not kept any more"):
        kept.find(ids[1])  # the one that was used longest ago


def test_a_webrtc_offer_needs_an_open_tab(demo_server: Server) -> None:
    refusal(post(demo_server, "webrtc", b"{}"), 400)
    refusal(post(demo_server, "webrtc", b"["), 400)
    offer = json.dumps({"sdp": "v=0", "type": "offer", "tab": "nobody"}).encode()
    assert "not open" in refusal(post(demo_server, "webrtc", offer), 422)


def test_only_some_methods_are_taken(demo_server: Server) -> None:
    assert refusal(post(demo_server, "bundle.json", b""), 405)
    assert refusal(get(demo_server, "exemplar"), 405)


# Health and figures ---------------------------------------------------------------------------------------------


def test_a_model_that_loads_is_not_healthy_yet(demo_bundle: Path) -> None:
    going_on = Signal(SystemClock())

    def slowly(note: Note) -> None:
        note("building an engine")
        going_on.wait(30)

    with serve_model(demo_bundle, loads(FakeModel(SystemClock()), slowly)) as server:
        assert not server.wait_ready(0.2)
        health = get(server, "healthz")
        assert health.status_code == 503
        assert health.json() == {"state": "loading", "note": "building an engine"} and server.note
        assert get(server, "bundle.json").json()["engine"] is None
        refusal(get(server, "thumbs/plain.jpg"), 503)
        assert get(server, "").status_code == 200
        going_on.set()
        assert server.wait_ready(10)
        assert get(server, "healthz").json()["state"] == "ready"


def test_a_model_that_cannot_be_loaded_is_told_and_the_page_stays(demo_bundle: Path) -> None:
    def fail(note: Note) -> None:
        raise MissingRequirementError("There is no GPU.", remedy="Take another engine.")

    with serve_model(demo_bundle, loads(FakeModel(SystemClock()), fail)) as server:
        with pytest.raises(MissingRequirementError, match="no GPU"):
            server.wait_ready(10)
        health = get(server, "healthz")
        assert health.status_code == 503
        assert health.json() == {"state": "failed", "what": "There is no GPU.", "remedy": "Take another engine."}
        assert get(server, "").status_code == 200


def test_a_broken_bundle_raises_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.i2i").write_bytes(b"nothing")
    with pytest.raises(Exception, match=r"a\.i2i"):
        serve(tmp_path / "a.i2i")


def test_metrics_can_be_read_by_prometheus(demo_server: Server) -> None:
    answer = get(demo_server, "metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    sample = re.compile(r'[a-z_0-9]+(\{([a-z_]+="[^"]*",?)+\})? (NaN|[+-]?[0-9.e+-]+)')
    values = {}
    for line in answer.text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line), line
        if not line.startswith("#"):
            values[line.rpartition(" ")[0]] = float(line.rpartition(" ")[2])
    assert values["edge_i2i_serve_ready"] == 1 and values["edge_i2i_serve_tabs"] == 0
    assert 'edge_i2i_serve_unanswered_total{cause="no-credit"}' in values
    assert any(name.startswith('edge_i2i_serve_info{engine="onnxruntime"') for name in values)


def png_of(width: int, height: int) -> bytes:
    """A whole PNG file, as far as its header and checksums tell, with no pixels in it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
