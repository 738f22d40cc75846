"""A bundle with fitting checksums and a graph that could do harm: every verb and every engine refuse it alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.bundle.manifest import ModelRecord
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.errors import GraphFileError

RunVerb = Callable[..., tuple[int, str, str]]
ENGINES = ("onnxruntime", "openvino", "torch")


@pytest.fixture(scope="module")
def hostile_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights are said to lie in a file that is there."""
    from onnx import TensorProto

    from samples.graphs.hostile import DECLARATION, SIZE, model, node

    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret.bin").write_bytes(bytes(768))
    weights = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[16, 16, 3], data_location=TensorProto.EXTERNAL)
    entry = weights.external_data.add()
    entry.key, entry.value = "location", str(folder / "secret.bin")
    data = model([node("Max", "frame w", "image")], [weights]).SerializeToString()
    cv2.imwrite(str(folder / "in.png"), np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8))
    with BundleWriter(folder / "x.i2i") as writer:
        writer.add_graph(DECLARATION, variant="fp32", precision="fp32", opset=18, onnx=data)
        record = ModelRecord(family="toy", title="Toy", config={}, source="", licence="", weights="random")
        writer.finish(name="toy", model=record, size=SIZE, recipe={})
    return folder / "x.i2i"


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_says_the_same(hostile_bundle: Path, engine: str) -> None:
    graph = open_bundle(hostile_bundle).graph("frame", "fp32")
    if not (availability := get_engine(engine).availability()).ok:
        pytest.skip(availability.reason)
    with pytest.raises(GraphFileError) as caught:
        get_engine(engine).load(graph, EngineOptions(threads=1))
    assert caught.value.what == (
        f"The graph 'frame' (fp32) in the bundle '{hostile_bundle}' is refused: "
        "it keeps weights outside itself, in a file or at an address in memory (external data)."
    )


@pytest.mark.parametrize(
    "verb",
    [
        ("translate", "BUNDLE", "FOLDER/in.png", "--output", "FOLDER/out.png"),
        ("translate", "BUNDLE", "FOLDER/in.png", "--output", "FOLDER/out.png", "--engine", "onnxruntime"),
        ("verify", "BUNDLE"),
        ("verify", "BUNDLE", "--checksums-only"),
        ("live", "BUNDLE", "--source", "pattern:", "--sink", "null", "--duration", "1"),
        ("quantize", "BUNDLE", "--data", "FOLDER", "--target", "onnxruntime"),
        ("qat", "BUNDLE", "--data", "FOLDER", "--target", "openvino", "--run", "FOLDER/run", "--steps", "1"),
        ("sensitivity", "BUNDLE", "--data", "FOLDER", "--target", "onnxruntime"),
    ],
    ids=lambda verb: " ".join(verb[:1] + verb[4:]),
)
def test_every_verb_refuses_it(hostile_bundle: Path, run_verb: RunVerb, verb: tuple[str, ...]) -> None:
    places = {"BUNDLE": str(hostile_bundle), "FOLDER": str(hostile_bundle.parent)}
    arguments = [part.replace("BUNDLE", places["BUNDLE"]).replace("FOLDER", places["FOLDER"]) for part in verb]
    code, _, told = run_verb(*arguments)
    assert code == 4, told
    assert "external data" in told and "install -U" not in told and "not expected" not in told
    assert not (hostile_bundle.parent / "out.png").exists()


def test_browsers_are_not_fed_with_it(hostile_bundle: Path) -> None:
    pytest.importorskip("starlette", reason="needs the page: pip install 'edge-i2i[web]'")
    from edge_i2i.web.site import Site

    with pytest.raises(GraphFileError):
        Site(open_bundle(hostile_bundle), *[None] * 6)  # type: ignore[arg-type]


def test_looking_at_it_is_harmless(hostile_bundle: Path, run_verb: RunVerb) -> None:
    assert run_verb("inspect", hostile_bundle)[0] == 0


def test_engines_beside_a_bundle_are_taken_over_on_request(hostile_bundle: Path, run_verb: RunVerb) -> None:
    code, _, told = run_verb("export", "trt", "--accept-engines")
    assert code == 2 and "--bundle" in told
    code, out, _ = run_verb("export", "trt", "--accept-engines", "--bundle", hostile_bundle)
    assert code == 0 and "no whole engine" in out
    code, out, _ = run_verb("export", "trt", "--accept-engines", "--bundle", hostile_bundle, "--json")
    assert code == 0 and '"accepted": []' in out
