"""The manifest: graph declarations come back exactly, and nonsense is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_i2i.bundle.header import decode_header, encode_digest, encode_header
from edge_i2i.bundle.manifest import (
    DeclarationRecord,
    EvidenceRecord,
    FileRecord,
    GraphRecord,
    Manifest,
    ModelRecord,
    TensorRecord,
    VariantRecord,
)
from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, TensorSpec
from samples.bundles import CREATED, EVIDENCE, FRAME_GRAPH, MODEL, SIZE, STYLE_GRAPH

ZERO_SHA = "0" * 64

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False)
specs = st.builds(
    TensorSpec,
    name=texts.filter(bool),
    role=st.sampled_from(Role),
    shape=st.lists(st.integers(-1, 2**31 - 1), max_size=8).map(tuple),
    dtype=st.sampled_from(DType),
    low=numbers,
    high=numbers,
    meaning=texts,
    slots=st.none() | st.integers(1, 4096),
)
declarations = st.builds(
    GraphDeclaration,
    name=names,
    kind=st.sampled_from(GraphKind),
    inputs=st.lists(specs, max_size=3).map(tuple),
    outputs=st.lists(specs, max_size=3).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)


def graph_record(declaration: GraphDeclaration, variant: str = "fp32") -> GraphRecord:
    path = f"graphs/{declaration.name}.{variant}.onnx"
    record = VariantRecord(name=variant, precision=variant, opset=18, path=path, sha256=ZERO_SHA, bytes=3)
    return GraphRecord(declaration=DeclarationRecord.of(declaration), variants=(record,))


def manifest(**changes: Any) -> Manifest:
    parts: dict[str, Any] = {
        "name": "toy",
        "created": CREATED,
        "software": {},
        "model": MODEL,
        "size": SIZE,
        "graphs": (graph_record(FRAME_GRAPH), graph_record(STYLE_GRAPH)),
    }
    return Manifest(**{**parts, **changes})


def through_bytes(made: Manifest) -> Manifest:
    header = encode_header(made)
    return decode_header(header, encode_digest(header), Path("x.i2i"))


@given(declarations)
def test_declarations_come_back_exactly(declaration: GraphDeclaration) -> None:
    record = DeclarationRecord.of(declaration)
    assert record.declaration() == declaration
    again = DeclarationRecord.model_validate_json(record.model_dump_json(), strict=True)
    assert again.declaration() == declaration
    assert json.loads(json.dumps(record.model_dump(mode="json"), allow_nan=False))


@given(names, json_objects, json_objects, st.dictionaries(texts, numbers, max_size=3), texts)
def test_manifests_come_back_exactly(
    name: str,
    config: dict[str, Any],
    recipe: dict[str, Any],
    figures: dict[str, float],
    note: str,
) -> None:
    others = [] if name.casefold() == "frame" else [replace(STYLE_GRAPH, name=name)]
    made = manifest(
        graphs=(graph_record(FRAME_GRAPH), *map(graph_record, others)),
        model=MODEL.model_copy(update={"config": config}),
        recipe=recipe,
        evidence=(EvidenceRecord(kind="quality", figures=figures, date=CREATED, note=note),),
    )
    assert through_bytes(made) == made
    assert encode_header(through_bytes(made)) == encode_header(made)


def test_one_real_manifest_comes_back() -> None:
    made = manifest(evidence=(EVIDENCE,))
    again = through_bytes(made)
    assert again == made
    assert again.size == SIZE
    assert again.graphs[0].declaration.declaration() == FRAME_GRAPH
    assert again.evidence[0].figures["psnr_db"] == math.inf
    assert [stored.path for stored in again.stored_files()] == ["graphs/frame.fp32.onnx", "graphs/style.fp32.onnx"]


def test_tuples_and_enums_in_free_fields_become_plain_json() -> None:
    model = ModelRecord(**{**dict(MODEL), "config": {"widths": (1, 2), "kind": GraphKind.FRAME}})
    assert model.config == {"widths": [1, 2], "kind": "frame"}


def test_numpy_figures_become_numbers() -> None:
    record = EvidenceRecord(kind="latency", figures={"p50_ms": np.float64(1.5)}, date=CREATED)
    assert type(record.figures["p50_ms"]) is float


def test_moments_are_kept_in_utc() -> None:
    made = manifest(created=datetime(2026, 1, 2, 5, 0, tzinfo=timezone(timedelta(hours=2))))
    assert made.created == datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
    assert b'"created": "2026-01-02T03:00:00Z"' in encode_header(made)


def test_records_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest().name = "other"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"created": datetime(2026, 1, 1)}, "timezone"),
        ({"graphs": ()}, "exactly one frame graph, not 0"),
        ({"graphs": (graph_record(STYLE_GRAPH),)}, "exactly one frame graph, not 0"),
        ({"graphs": (graph_record(FRAME_GRAPH), graph_record(FRAME_GRAPH))}, "the graph 'frame' is there twice"),
        ({"golden": "golden.npz"}, "not among the files"),
        ({"recipe": {"path": Path("x")}}, "must be plain JSON"),
        ({"recipe": {"x": math.inf}}, "not JSON compliant"),
        ({"size": "16 by 24"}, "not a size"),
        ({"size": 5}, "not a size"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        manifest(**changes)


@pytest.mark.parametrize("path", ["bundle.json", "bundle.sha256", "../x", "/x", "a\\b"])
def test_unsafe_and_reserved_paths_are_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="the path"):
        FileRecord(path=path, sha256=ZERO_SHA, bytes=0, role="x")


def test_paths_that_differ_in_case_only_are_refused() -> None:
    files = tuple(FileRecord(path=path, sha256=ZERO_SHA, bytes=0, role="x") for path in ("a.bin", "A.bin"))
    with pytest.raises(ValidationError, match=r"the path 'A\.bin' is there twice"):
        manifest(files=files)


def test_variants_of_one_name_are_refused() -> None:
    variants = graph_record(FRAME_GRAPH).variants * 2
    with pytest.raises(ValidationError, match="the variant 'fp32' is there twice"):
        GraphRecord(declaration=DeclarationRecord.of(FRAME_GRAPH), variants=variants)


@pytest.mark.parametrize("low", [math.nan, "NaN", "inf", "1"])
def test_numbers_are_numbers(low: object) -> None:
    spec = TensorRecord.of(FRAME_GRAPH.inputs[0]).model_dump()
    with pytest.raises(ValidationError):
        TensorRecord(**{**spec, "low": low})
