"""Writing bundles: nothing half-done, nothing held twice, equal input gives equal bytes."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter, installed_software
from edge_i2i.contract import GraphDeclaration
from edge_i2i.errors import BundleError, UsageError
from samples.bundles import EVIDENCE, FP32, FRAME_GRAPH, MODEL, SIZE, STYLE_GRAPH, fill, finish, stored, write_sample


class Unexpected(Exception):
    """Something that no bundle code raises."""


def add_frame_graph(writer: BundleWriter, onnx: bytes | Path = FP32, variant: str = "fp32", move: bool = False) -> None:
    writer.add_graph(FRAME_GRAPH, variant=variant, precision=variant, opset=18, onnx=onnx, move=move)


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    one, two = write_sample(tmp_path / "one.i2i"), write_sample(tmp_path / "two.i2i")
    assert one.read_bytes() == two.read_bytes()


def test_finish_returns_the_path_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with BundleWriter("deep/folder/x.i2i") as writer:
        add_frame_graph(writer)
        assert finish(writer) == Path("deep/folder/x.i2i")
    open_bundle("deep/folder/x.i2i").verify_checksums()


@pytest.mark.parametrize("layout", ["file", "directory"])
@pytest.mark.parametrize("error", [Unexpected, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_error_leaves_nothing(tmp_path: Path, layout: str, error: type[BaseException]) -> None:
    with pytest.raises(error), BundleWriter(tmp_path / "x.i2i", layout=layout) as writer:
        add_frame_graph(writer)
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["file", "directory"])
def test_an_error_leaves_the_bundle_from_before(tmp_path: Path, layout: str) -> None:
    target = write_sample(tmp_path / "x.i2i", layout)
    with pytest.raises(Unexpected), BundleWriter(target, layout=layout) as writer:
        add_frame_graph(writer, b"new")
        raise Unexpected
    assert stored(open_bundle(target).graph("frame", "fp32")) == FP32
    assert list(tmp_path.iterdir()) == [target]


def test_leaving_without_finish_leaves_nothing(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer:
        add_frame_graph(writer)
    assert list(tmp_path.iterdir()) == []


def test_an_error_after_finish_leaves_the_finished_bundle(tmp_path: Path) -> None:
    with pytest.raises(Unexpected), BundleWriter(tmp_path / "x.i2i") as writer:
        fill(writer)
        raise Unexpected
    open_bundle(tmp_path / "x.i2i").verify_checksums()
    assert [path.name for path in tmp_path.iterdir()] == ["x.i2i"]


def test_the_name_appears_only_when_the_bundle_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "x.i2i"
    with BundleWriter(target) as writer:
        add_frame_graph(writer)
        assert not target.exists()
        finish(writer)
        open_bundle(target).verify_checksums()


def test_a_writer_is_used_inside_its_block_and_once(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "x.i2i")
    with pytest.raises(RuntimeError, match="inside its 'with' block"):
        add_frame_graph(writer)
    with writer:
        fill(writer)
        with pytest.raises(RuntimeError, match="before finish"):
            writer.add_bytes("late", b"", role="late")


@pytest.mark.parametrize("name", ["x", "x.zip", ".i2i", "x.i2i.onnx"])
def test_a_name_that_is_not_a_bundles(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ends in \.i2i"), BundleWriter(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="cannot be written into"), BundleWriter(tmp_path / "file/x.i2i"):
        pass


@pytest.mark.parametrize("layout", ["file", "directory"])
@pytest.mark.parametrize("move", [False, True])
def test_graphs_from_files(tmp_path: Path, layout: str, move: bool) -> None:
    source = tmp_path / "source.onnx"
    source.write_bytes(bytes(range(256)) * 9000)
    data = source.read_bytes()
    with BundleWriter(tmp_path / "x.i2i", layout=layout) as writer:
        add_frame_graph(writer, source, move=move)
        finish(writer)
    bundle = open_bundle(tmp_path / "x.i2i")
    bundle.verify_checksums()
    assert stored(bundle.graph("frame", "fp32")) == data
    assert source.exists() != move


def test_a_file_on_another_disk_is_moved_too(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second disk")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        source = Path(folder) / "source.onnx"
        source.write_bytes(FP32)
        with BundleWriter(tmp_path / "x.i2i") as writer:
            add_frame_graph(writer, source, move=True)
            finish(writer)
        assert not source.exists()
    assert stored(open_bundle(tmp_path / "x.i2i").graph("frame", "fp32")) == FP32


def test_moving_a_link_takes_what_it_leads_to_but_leaves_that_in_place(tmp_path: Path) -> None:
    real, link = tmp_path / "real.onnx", tmp_path / "link.onnx"
    real.write_bytes(FP32)
    link.symlink_to(real)
    with BundleWriter(tmp_path / "x.i2i", layout="directory") as writer:
        add_frame_graph(writer, link, move=True)
        finish(writer)
    assert real.exists() and not link.is_symlink()
    assert not (tmp_path / "x.i2i/graphs/frame.fp32.onnx").is_symlink()
    open_bundle(tmp_path / "x.i2i").verify_checksums()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_private_file_that_is_moved_in_becomes_as_readable_as_the_rest(tmp_path: Path) -> None:
    source = tmp_path / "source.onnx"
    source.write_bytes(FP32)
    source.chmod(0o600)
    with BundleWriter(tmp_path / "x.i2i", layout="directory") as writer:
        add_frame_graph(writer, source, move=True)
        finish(writer)
    fresh = tmp_path / "fresh"
    fresh.touch()
    assert (tmp_path / "x.i2i/graphs/frame.fp32.onnx").stat().st_mode == fresh.stat().st_mode


@pytest.mark.parametrize("source", ["none.onnx", "."])
def test_a_source_that_is_no_file(tmp_path: Path, source: str) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer, pytest.raises(BundleError, match="there is no such file"):
        writer.add_file("a.bin", tmp_path / source, role="a")


@pytest.mark.parametrize("path", ["../x", "/x", "a\\b", "C:x", "", "a/../../b"])
def test_paths_that_lead_out(tmp_path: Path, path: str) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer, pytest.raises(BundleError, match="Nothing can be stored as"):
        writer.add_bytes(path, b"x", role="x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["bundle.json", "bundle.sha256"])
def test_the_bundles_own_names_are_taken(tmp_path: Path, path: str) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer, pytest.raises(BundleError, match="keeps for itself"):
        writer.add_bytes(path, b"x", role="x")


def test_a_path_that_was_added_before(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer:
        add_frame_graph(writer)
        with pytest.raises(BundleError, match=r"'graphs/frame\.fp32\.onnx': this path was added before"):
            add_frame_graph(writer, b"other")


def test_variants_of_one_graph_have_one_declaration(tmp_path: Path) -> None:
    other = GraphDeclaration(FRAME_GRAPH.name, FRAME_GRAPH.kind, STYLE_GRAPH.inputs, FRAME_GRAPH.outputs)
    with BundleWriter(tmp_path / "x.i2i") as writer:
        add_frame_graph(writer)
        with pytest.raises(BundleError, match=r"has other inputs or outputs than those before it"):
            writer.add_graph(other, variant="fp16", precision="fp16", opset=18, onnx=b"x")


@pytest.mark.parametrize(("name", "variant"), [("../x", "fp32"), ("a b", "fp32"), ("frame", "a/b"), ("frame", "")])
def test_names_of_graphs_and_variants_are_plain(tmp_path: Path, name: str, variant: str) -> None:
    named = GraphDeclaration(name, FRAME_GRAPH.kind, FRAME_GRAPH.inputs, FRAME_GRAPH.outputs)
    with BundleWriter(tmp_path / "x.i2i") as writer, pytest.raises(BundleError, match="name"):
        writer.add_graph(named, variant=variant, precision="fp32", opset=18, onnx=b"x")


def test_a_bundle_without_a_frame_graph(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer, pytest.raises(BundleError, match="exactly one frame graph, not 0"):
        finish(writer)
    assert list(tmp_path.iterdir()) == []


def test_what_finish_fills_in_by_itself(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with BundleWriter(tmp_path / "x.i2i") as writer:
        add_frame_graph(writer)
        writer.add_evidence(EVIDENCE)
        writer.finish(name="toy", model=MODEL, size=SIZE, recipe={"widths": (1, 2)})
    manifest = open_bundle(tmp_path / "x.i2i").manifest
    assert before <= manifest.created <= datetime.now(UTC)
    assert manifest.software == installed_software() and "numpy" in manifest.software
    assert manifest.recipe == {"widths": [1, 2]}
    assert manifest.evidence == (EVIDENCE,)
    assert manifest.golden is None


def test_large_files_are_never_held_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    source = tmp_path / "source.onnx"
    with source.open("wb") as sparse:
        sparse.truncate(64 << 20)
    tracemalloc.start()
    try:
        with BundleWriter(tmp_path / "x.i2i") as writer:
            add_frame_graph(writer, source)
            add_frame_graph(writer, source, variant="fp16", move=True)
            finish(writer)
        open_bundle(tmp_path / "x.i2i").verify_checksums()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
