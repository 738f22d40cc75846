"""More in a bundle that exists: nothing is lost, nothing half-done, and what is replaced takes its evidence along."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.contract import GraphDeclaration
from edge_i2i.errors import BundleError, UsageError
from samples.bundles import (
    CREATED,
    EVIDENCE,
    FP16,
    FP32,
    FRAME_GRAPH,
    GOLDEN,
    MODEL,
    SIZE,
    STYLE_FP32,
    STYLE_GRAPH,
    EditHeader,
    finish,
    stored,
    write_sample,
)

INT8 = b"the frame graph in integers" * 4


def add_int8(writer: BundleWriter, onnx: bytes = INT8, **about: Any) -> None:
    writer.add_graph(
        FRAME_GRAPH, variant="int8-openvino", precision="int8", opset=18, onnx=onnx, targets=("openvino",), **about
    )


def extended(path: Path) -> Path:
    with extend_bundle(path) as writer:
        add_int8(writer, label="slower than fp32 on this machine", recommended=False)
        writer.add_evidence(EVIDENCE.model_copy(update={"kind": "quality", "variant": "int8-openvino"}))
        return writer.finish_extended({"quantize": {"target": "openvino"}})


def test_entries_of_the_recipe_go_and_come(tmp_path: Path) -> None:
    path = extended(write_sample(tmp_path / "city.i2i"))
    before = open_bundle(path).manifest.recipe
    with extend_bundle(path) as writer:
        writer.finish_extended({"tuned": {"steps": 3}}, without=("quantize", "unknown"))
    after = open_bundle(path).manifest.recipe
    assert after == {name: entry for name, entry in before.items() if name != "quantize"} | {"tuned": {"steps": 3}}
    with extend_bundle(path) as writer:
        writer.finish_extended({"tuned": {"steps": 4}}, without=("tuned",))
    assert open_bundle(path).manifest.recipe == after | {"tuned": {"steps": 4}}


def test_everything_is_kept_and_the_new_variant_is_there(any_bundle: Path) -> None:
    before, was_folder = open_bundle(any_bundle), any_bundle.is_dir()
    assert extended(any_bundle) == any_bundle
    bundle = open_bundle(any_bundle)
    bundle.verify_checksums()
    assert any_bundle.is_dir() == was_folder
    assert bundle.variants("frame") == ("fp32", "fp16", "int8-openvino")
    contents = [stored(bundle.graph("frame", variant)) for variant in bundle.variants("frame")]
    assert contents == [FP32, FP16, INT8]
    assert stored(bundle.graph("style", "fp32")) == STYLE_FP32
    assert {name: array.tolist() for name, array in bundle.golden().items()} == {
        name: array.tolist() for name, array in GOLDEN.items()
    }
    assert bundle.read("condition/clusters.bin") == b"clusters"
    kept = ("name", "model", "size", "software", "created", "files", "golden")
    assert all(getattr(bundle.manifest, name) == getattr(before.manifest, name) for name in kept)
    assert bundle.manifest.recipe == {"size": "16x24", "quantize": {"target": "openvino"}}
    assert [record.kind for record in bundle.manifest.evidence] == ["parity", "quality"]
    assert [path.name for path in any_bundle.parent.iterdir()] == [any_bundle.name]


def test_a_variant_says_who_may_read_it_and_whether_it_is_recommended(zip_bundle: Path) -> None:
    extended(zip_bundle)
    bundle = open_bundle(zip_bundle)
    assert bundle.graph("frame", "int8-openvino").targets == ("openvino",)
    assert bundle.graph("frame", "fp32").targets == ()
    assert bundle.graph("frame", "int8-openvino").record.label == "slower than fp32 on this machine"
    assert bundle.recommended("frame") == ("fp32", "fp16")
    assert bundle.recommended("style") == ("fp32",)


def test_a_variant_of_the_same_name_is_replaced_with_its_evidence(any_bundle: Path) -> None:
    extended(any_bundle)
    with extend_bundle(any_bundle) as writer:
        fresh = EVIDENCE.model_copy(update={"kind": "latency", "variant": "int8-openvino"})
        writer.add_evidence(fresh)
        add_int8(writer, b"a better one")
        writer.finish_extended()
    bundle = open_bundle(any_bundle)
    bundle.verify_checksums()
    assert stored(bundle.graph("frame", "int8-openvino")) == b"a better one"
    assert bundle.recommended("frame") == ("fp32", "fp16", "int8-openvino")
    assert bundle.manifest.evidence == (EVIDENCE, fresh)
    assert bundle.latencies("frame") == (fresh,)
    assert bundle.manifest.recipe["quantize"] == {"target": "openvino"}


def test_a_new_variant_is_not_replaced_by_a_second_one(zip_bundle: Path) -> None:
    with extend_bundle(zip_bundle) as writer:
        add_int8(writer)
        with pytest.raises(BundleError, match="was added before"):
            add_int8(writer, b"other")


def test_variants_can_be_left_out_with_their_evidence(any_bundle: Path) -> None:
    extended(any_bundle)
    with extend_bundle(any_bundle, without_variants=("int8-openvino", "fp16", "never-there")) as writer:
        writer.finish_extended()
    bundle = open_bundle(any_bundle)
    bundle.verify_checksums()
    assert bundle.variants("frame") == ("fp32",)
    assert bundle.manifest.evidence == (EVIDENCE,)


def test_the_last_variant_of_a_graph_stays(any_bundle: Path) -> None:
    complaint = pytest.raises(UsageError, match="the graph 'style' has no variant left")
    with complaint, extend_bundle(any_bundle, without_variants=["fp32"]):
        pass
    assert open_bundle(any_bundle).variants("style") == ("fp32",)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_bundle_as_it_was(any_bundle: Path, error: type[BaseException]) -> None:
    before = open_bundle(any_bundle).manifest
    with pytest.raises(error), extend_bundle(any_bundle) as writer:
        add_int8(writer)
        raise error
    open_bundle(any_bundle).verify_checksums()
    assert open_bundle(any_bundle).manifest == before
    assert list(any_bundle.parent.iterdir()) == [any_bundle]


def test_leaving_without_finishing_changes_nothing(any_bundle: Path) -> None:
    with extend_bundle(any_bundle) as writer:
        add_int8(writer)
    assert open_bundle(any_bundle).variants("frame") == ("fp32", "fp16")


def test_a_damaged_file_is_not_taken_over(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "x.i2i", "directory", payload=b"0" * (2 << 20))
    (path / "graphs/frame.fp32.onnx").write_bytes(b"1" * (2 << 20))
    complaint = pytest.raises(BundleError, match=r"'graphs/frame\.fp32\.onnx' in the bundle .* is damaged")
    with complaint, extend_bundle(path):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_bundle_stays_a_link(tmp_path: Path) -> None:
    real = write_sample(tmp_path / "real.i2i")
    link = tmp_path / "link.i2i"
    link.symlink_to(real)
    with extend_bundle(link) as writer:
        add_int8(writer)
        writer.finish_extended()
    assert link.is_symlink() and not real.is_symlink()
    assert open_bundle(real).variants("frame")[-1] == "int8-openvino"


@pytest.mark.parametrize("name", ["none.i2i", "none/at/all.i2i"])
def test_there_has_to_be_a_bundle(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="There is no bundle at"), extend_bundle(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_one_bundle_can_be_put_into_another_one(folder_bundle: Path, tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "copy.i2i") as writer:
        writer.add_bundle(open_bundle(folder_bundle), without_variants=["fp16"])
        writer.finish(name="copy", model=MODEL, size=SIZE, recipe={}, created=CREATED)
    copy = open_bundle(tmp_path / "copy.i2i")
    copy.verify_checksums()
    assert (copy.manifest.name, copy.variants("frame"), copy.manifest.golden) == ("copy", ("fp32",), "golden.npz")


def test_another_networks_graph_is_refused(zip_bundle: Path) -> None:
    other = GraphDeclaration(FRAME_GRAPH.name, FRAME_GRAPH.kind, STYLE_GRAPH.inputs, FRAME_GRAPH.outputs)
    with extend_bundle(zip_bundle) as writer, pytest.raises(BundleError, match="other inputs or outputs"):
        writer.add_graph(other, variant="int8", precision="int8", opset=18, onnx=b"x")


def test_a_new_bundle_is_not_finished_as_an_extension(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer, pytest.raises(RuntimeError, match="follows add_bundle"):
        writer.finish_extended()


def test_large_files_are_copied_in_pieces(tmp_path: Path) -> None:
    source = tmp_path / "source.onnx"
    with source.open("wb") as sparse:
        sparse.truncate(64 << 20)
    with BundleWriter(tmp_path / "x.i2i") as writer:
        writer.add_graph(FRAME_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=source)
        finish(writer)
    tracemalloc.start()
    try:
        extended(tmp_path / "x.i2i")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_bundle_of_the_second_schema_is_read_and_extended(edit_header: EditHeader, folder_bundle: Path) -> None:
    def as_before(header: dict[str, Any]) -> None:
        header["schema_version"] = 2
        for graph in header["graphs"]:
            for variant in graph["variants"]:
                for name in ("targets", "label", "recommended"):
                    del variant[name]
        for record in header["evidence"]:
            del record["precision"]

    bundle = open_bundle(edit_header(as_before))
    assert bundle.graph("frame", "fp32").targets == () and bundle.recommended("frame") == ("fp32", "fp16")
    extended(folder_bundle)
    assert json.loads((folder_bundle / "bundle.json").read_bytes())["schema_version"] == 4
