"""Reading `bundle.json`: every doubt is a BundleError with a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.bundle.header import LARGEST_HEADER, decode_header, encode_digest
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.errors import BundleError
from samples.bundles import EVIDENCE, FRAME_GRAPH, EditHeader, finish, replace_header


def refusal(bundle: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle)
    assert caught.value.exit_code == 4
    assert str(bundle) in caught.value.what
    assert caught.value.remedy
    return str(caught.value)


def test_a_newer_schema_says_how_to_upgrade(edit_header: EditHeader) -> None:
    message = refusal(edit_header(lambda header: header.update(schema_version=5, novelty={"x": 1})))
    assert "has schema version 5; this edge-i2i reads up to version 4" in message
    assert "pip install -U edge-i2i" in message


def test_a_bundle_of_the_first_schema_is_read(edit_header: EditHeader) -> None:
    added = ("labels", "drawn", "mixable", "second_of", "stack_of", "fallback", "default")

    def as_before(header: dict[str, Any]) -> None:
        header["schema_version"] = 1
        for graph in header["graphs"]:
            for spec in (*graph["declaration"]["inputs"], *graph["declaration"]["outputs"]):
                for name in added:
                    del spec[name]

    assert open_bundle(edit_header(as_before)).frame_graph == FRAME_GRAPH


@pytest.mark.parametrize("version", [None, 0, -1, "1", 1.0, True, [1]])
def test_a_schema_version_that_is_none(edit_header: EditHeader, version: object) -> None:
    assert "has no schema_version" in refusal(edit_header(lambda header: header.update(schema_version=version)))


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "{}", "1"])
def test_json_that_is_no_manifest(folder_bundle: Path, text: str) -> None:
    assert "is not an edge-i2i bundle" in refusal(replace_header(folder_bundle, text.encode()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"not json",
        b'{"schema_version": 1} x',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"schema_version": NaN}',
        b'{"schema_version": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_not_json(folder_bundle: Path, data: bytes) -> None:
    assert "cannot be read as JSON" in refusal(replace_header(folder_bundle, data))


def test_a_key_that_is_there_twice(folder_bundle: Path) -> None:
    text = (folder_bundle / "bundle.json").read_text()
    doubled = text.replace('"sha256":', '"sha256": "", "sha256":', 1)
    message = refusal(replace_header(folder_bundle, doubled.encode()))
    assert "the key 'sha256' is there 2 times" in message


def test_a_hundred_thousand_different_keys_and_one_twice(folder_bundle: Path) -> None:
    keys = ", ".join(f'"{number}": 0' for number in range(50_000))
    assert "'49999' is there 2 times" in refusal(replace_header(folder_bundle, f'{{{keys}, "49999": 1}}'.encode()))


def test_an_oversized_header_is_refused_before_it_is_read(folder_bundle: Path) -> None:
    with (folder_bundle / "bundle.json").open("rb+") as header:
        header.truncate(1 << 40)  # a sparse file: reading it would take all memory
    message = refusal(folder_bundle)
    assert "its bundle.json has 1,099,511,627,776 bytes; at most 1,048,576 are accepted" in message


def test_an_oversized_checksum_file(folder_bundle: Path) -> None:
    (folder_bundle / "bundle.sha256").write_bytes(b"0" * 1000)
    assert "its bundle.sha256 has 1,000 bytes" in refusal(folder_bundle)


def test_the_writer_refuses_what_no_reader_would_take(tmp_path: Path) -> None:
    evidence = EVIDENCE.model_copy(update={"note": "x" * LARGEST_HEADER})
    with BundleWriter(tmp_path / "x.i2i") as writer:
        writer.add_evidence(evidence)
        writer.add_graph(FRAME_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=b"x")
        with pytest.raises(BundleError, match=r"bundle\.json may have 1,048,576"):
            finish(writer)
    assert list(tmp_path.iterdir()) == []


def test_a_header_that_was_changed(folder_bundle: Path) -> None:
    header = folder_bundle / "bundle.json"
    header.write_bytes(header.read_bytes().replace(b'"toy"', b'"tox"'))
    message = refusal(folder_bundle)
    assert "its bundle.json does not match its bundle.sha256" in message
    assert "sha256sum bundle.json > bundle.sha256" in message


@pytest.mark.parametrize("name", ["bundle.json", "bundle.sha256"])
def test_a_missing_part_of_the_header(folder_bundle: Path, name: str) -> None:
    (folder_bundle / name).unlink()
    assert name in refusal(folder_bundle)


def _unknown_field(header: dict[str, Any]) -> None:
    header["surprise"] = 1


def _escape(path: str) -> Any:
    def change(header: dict[str, Any]) -> None:
        header["graphs"][0]["variants"][0]["path"] = path

    return change


def _number_as_text(header: dict[str, Any]) -> None:
    header["graphs"][0]["variants"][0]["bytes"] = "115"


def _no_frame_graph(header: dict[str, Any]) -> None:
    header["graphs"][0]["declaration"]["kind"] = "condition"


def _short_checksum(header: dict[str, Any]) -> None:
    header["files"][0]["sha256"] = "abc"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_unknown_field, "surprise: Extra inputs are not permitted"),
        (_escape("/etc/passwd"), "graphs.0.variants.0.path: Value error, the path '/etc/passwd' points outside"),
        (_escape("../secret"), "points outside the bundle"),
        (_escape("graphs/../../secret"), "points outside the bundle"),
        (_escape("C:\\secret"), "can point outside the bundle"),
        (_escape("C:secret"), "can point outside the bundle"),
        (_escape("graphs\\frame.onnx"), "can point outside the bundle"),
        (_escape("graphs/frame\0.onnx"), "control character"),
        (_escape("bundle.json"), "keeps for itself"),
        (_number_as_text, "graphs.0.variants.0.bytes"),
        (_no_frame_graph, "exactly one frame graph, not 0"),
        (_short_checksum, "files.0.sha256"),
    ],
)
def test_manifests_that_are_not_valid(edit_header: EditHeader, change: Any, complaint: str) -> None:
    assert complaint in refusal(edit_header(change))


def test_many_faults_are_told_in_short(edit_header: EditHeader) -> None:
    message = refusal(edit_header(lambda header: header.update({f"odd{number}": 1 for number in range(9)})))
    assert "(and 6 more)" in message


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_a_bundle_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        decode_header(data, encode_digest(data), Path("x.i2i"))


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_any_values_in_a_manifest_give_a_bundle_error(value: object) -> None:
    data = json.dumps({"schema_version": 1, "graphs": value, "model": value, "size": value}).encode()
    with pytest.raises(BundleError):
        decode_header(data, encode_digest(data), Path("x.i2i"))
