"""Opening a bundle, reading from it, and verifying it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.bundle.reader import SMALL_FILE, Bundle, open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.engines.protocol import GraphSource
from edge_i2i.errors import BundleError, GraphFileError, UsageError
from samples.bundles import (
    FP16,
    FP32,
    FRAME_GRAPH,
    GOLDEN,
    STYLE_GRAPH,
    child_environment,
    finish,
    stored,
    write_sample,
)


def test_what_went_in_comes_out(any_bundle: Path) -> None:
    bundle = open_bundle(str(any_bundle))
    assert bundle.path == any_bundle
    assert bundle.frame_graph == FRAME_GRAPH
    assert bundle.condition_graphs == (STYLE_GRAPH,)
    assert bundle.variants("frame") == ("fp32", "fp16")
    assert bundle.read("condition/clusters.bin") == b"clusters"
    golden = bundle.golden()
    assert golden.keys() == GOLDEN.keys()
    for name, array in GOLDEN.items():
        np.testing.assert_array_equal(golden[name], array, strict=True)
    bundle.verify_checksums()


def test_a_graph_is_what_engines_take(any_bundle: Path) -> None:
    source: GraphSource = open_bundle(any_bundle).graph("frame", "fp16")
    assert source.declaration == FRAME_GRAPH
    assert (source.variant, source.precision) == ("fp16", "fp16")
    assert len(source.sha256) == 64
    with pytest.raises(GraphFileError, match=r"'frame' \(fp16\) in the bundle .* is refused"):
        source.read()  # what it holds is no graph: whole, and no engine gets to see it


def test_a_graph_knows_its_file_only_where_it_has_one(folder_bundle: Path, zip_bundle: Path) -> None:
    graph = open_bundle(folder_bundle).graph("frame", "fp32")
    assert graph.path == (folder_bundle / "graphs/frame.fp32.onnx").resolve()
    assert graph.opset == 18
    assert open_bundle(zip_bundle).graph("frame", "fp32").path is None


def test_a_bundle_without_golden_file(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer:
        writer.add_graph(FRAME_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=FP32)
        finish(writer)
    assert open_bundle(tmp_path / "x.i2i").golden() == {}


def test_unknown_graphs_and_variants_name_the_known_ones(any_bundle: Path) -> None:
    bundle = open_bundle(any_bundle)
    with pytest.raises(UsageError, match=r"no graph 'encoder'[\s\S]*It has: frame, style"):
        bundle.graph("encoder", "fp32")
    with pytest.raises(UsageError, match=r"no variant 'int8'[\s\S]*It has: fp32, fp16"):
        bundle.graph("frame", "int8")
    with pytest.raises(BundleError, match=r"has no file '\.\./secret'"):
        bundle.read("../secret")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_bundle_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.i2i")
    with pytest.raises(BundleError, match="bundle, but a pipe"):
        open_bundle(tmp_path / "a.i2i")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="There is no bundle at") as caught:
        open_bundle(tmp_path / "none.i2i")
    assert caught.value.exit_code == 4


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not an edge-i2i bundle: it has no bundle\.json"):
        open_bundle(tmp_path)


def test_the_example_of_a_flipped_byte_in_a_graph(any_bundle: Path) -> None:
    damage(any_bundle, FP32)
    with pytest.raises(BundleError, match=r"(?s)frame\.fp32\.onnx.*→") as caught:
        open_bundle(any_bundle)
    assert str(any_bundle) in caught.value.what
    assert "export it again" in caught.value.remedy


@pytest.mark.parametrize("layout", ["file", "directory"])
def test_a_flipped_byte_in_a_large_graph_is_found_when_it_is_read(tmp_path: Path, layout: str) -> None:
    large = bytes(range(256)) * (SMALL_FILE // 256) + b"the end"
    bundle = open_bundle(write_sample(tmp_path / "x.i2i", layout, payload=large))
    assert stored(bundle.graph("frame", "fp32")) == large
    damage(bundle.path, large)
    bundle = open_bundle(bundle.path)
    with pytest.raises(BundleError, match=r"frame\.fp32\.onnx"):
        stored(bundle.graph("frame", "fp32"))
    with pytest.raises(BundleError, match=r"frame\.fp32\.onnx"):
        bundle.verify_checksums()
    assert stored(bundle.graph("frame", "fp16")) == FP16


def damage(bundle: Path, payload: bytes) -> None:
    """Flip one bit in the middle of a payload, wherever it is stored."""
    for path in [bundle] if bundle.is_file() else [path for path in bundle.rglob("*") if path.is_file()]:
        data = bytearray(path.read_bytes())
        if (start := data.find(payload)) >= 0:
            data[start + len(payload) // 2] ^= 0x10
            path.write_bytes(data)


def test_a_missing_file(folder_bundle: Path) -> None:
    (folder_bundle / "graphs/frame.fp16.onnx").unlink()
    with pytest.raises(BundleError, match=r"'graphs/frame\.fp16\.onnx' is missing from the bundle"):
        open_bundle(folder_bundle)


def test_a_missing_folder(folder_bundle: Path) -> None:
    shutil.rmtree(folder_bundle / "graphs")
    with pytest.raises(BundleError, match=r"'graphs/frame\.fp32\.onnx' is missing"):
        open_bundle(folder_bundle)


@pytest.mark.parametrize("data", [b"", FP32[:-1], FP32 + b"x"])
def test_a_file_of_another_size(folder_bundle: Path, data: bytes) -> None:
    (folder_bundle / "graphs/frame.fp32.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=f"it has {len(data)} bytes, and the manifest says {len(FP32)}"):
        open_bundle(folder_bundle)


def test_a_file_that_goes_while_the_bundle_is_open(any_bundle: Path) -> None:
    graph = open_bundle(any_bundle).graph("frame", "fp32")
    shutil.rmtree(any_bundle) if any_bundle.is_dir() else any_bundle.unlink()
    with pytest.raises(BundleError):
        graph.read()


def test_a_bundle_that_is_exchanged_while_it_is_open(any_bundle: Path) -> None:
    bundle = open_bundle(any_bundle)
    layout = "directory" if any_bundle.is_dir() else "file"
    write_sample(any_bundle, layout, payload=b"another graph of another network")
    with pytest.raises(BundleError):
        stored(bundle.graph("frame", "fp32"))
    assert stored(open_bundle(any_bundle).graph("frame", "fp32")) == b"another graph of another network"


def test_unlisted_files_are_ignored_until_verify(folder_bundle: Path) -> None:
    (folder_bundle / "graphs/extra.onnx").write_bytes(b"x")
    bundle = open_bundle(folder_bundle)
    with pytest.raises(BundleError, match=r"does not list: graphs/extra\.onnx") as caught:
        bundle.verify_checksums()
    assert "Remove them" in caught.value.remedy


def test_verify_tells_its_progress(any_bundle: Path) -> None:
    bundle = open_bundle(any_bundle)
    total = sum(stored.bytes for stored in bundle.manifest.stored_files())
    calls: list[tuple[str, int, int]] = []
    bundle.verify_checksums(lambda *call: calls.append(call))
    assert {call[0] for call in calls} == {stored.path for stored in bundle.manifest.stored_files()}
    done = [call[1] for call in calls]
    assert done == sorted(done) and done[-1] == total and {call[2] for call in calls} == {total}


def test_an_error_of_the_caller_is_not_taken_for_damage(zip_bundle: Path) -> None:
    def fail(*_: object) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        open_bundle(zip_bundle).verify_checksums(fail)


def test_threads_read_at_once(any_bundle: Path) -> None:
    bundle, results = open_bundle(any_bundle), []

    def read(shared: Bundle) -> None:
        results.extend(stored(shared.graph("frame", "fp32")) == FP32 for _ in range(20))

    threads = [threading.Thread(target=read, args=(bundle,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80


def test_reading_needs_neither_torch_nor_onnx_nor_an_engine(any_bundle: Path) -> None:
    program = """
        import sys
        from edge_i2i.bundle.reader import open_bundle
        from edge_i2i.bundle.writer import BundleWriter
        from edge_i2i.bundle.describe import describe
        from edge_i2i.errors import GraphFileError
        bundle = open_bundle(sys.argv[1])
        bundle.golden(), bundle.verify_checksums(), describe(bundle)
        try:
            bundle.graph("frame", "fp32").read()  # no graph, so the gate refuses it; it needs nothing for that
        except GraphFileError:
            pass
        print(sorted({"torch", "onnx", "onnxruntime", "cv2", "openvino", "onnxscript"} & sys.modules.keys()))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(any_bundle)]
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
