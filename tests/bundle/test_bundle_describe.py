"""What `edge-i2i inspect` shows."""

from __future__ import annotations

import json
from pathlib import Path

from edge_i2i.bundle.describe import describe
from edge_i2i.bundle.golden import encode_golden
from edge_i2i.bundle.reader import open_bundle
from samples.bundles import FP16, FP32, GOLDEN, STYLE_FP32


def test_a_description_is_plain_and_complete(any_bundle: Path) -> None:
    told = describe(open_bundle(any_bundle))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["path"] == str(any_bundle)
    assert told["layout"] == ("directory" if any_bundle.is_dir() else "file")
    assert told["size"] == "16x24"
    assert told["name"] == "toy" and told["created"] == "2026-01-02T03:04:05Z" and told["schema_version"] == 4
    assert told["model"]["weights"] == "random"
    assert told["golden"] == "golden.npz"
    assert {file["role"] for file in told["files"]} == {"golden", "clusters"}
    assert told["recipe"] == {"size": "16x24"}
    assert told["software"] == {"torch": "2.0"}
    payload = len(FP32) + len(FP16) + len(STYLE_FP32) + len(encode_golden(GOLDEN)) + len(b"clusters")
    assert told["bytes"] == payload


def test_graphs_show_inputs_outputs_and_variants(zip_bundle: Path) -> None:
    frame, style = describe(open_bundle(zip_bundle))["graphs"]
    assert (frame["name"], frame["kind"], style["name"], style["kind"]) == ("frame", "frame", "style", "condition")
    assert [spec["role"] for spec in frame["inputs"]] == ["frame", "style"]
    assert frame["inputs"][0]["shape"] == [16, 24, 3]
    assert frame["inputs"][1]["high"] == "Infinity"
    assert [variant["name"] for variant in frame["variants"]] == ["fp32", "fp16"]


def test_evidence_is_shown_as_it_was_taken(zip_bundle: Path) -> None:
    (evidence,) = describe(open_bundle(zip_bundle))["evidence"]
    assert evidence["figures"] == {"max_abs": 0.0, "psnr_db": "Infinity"}
    assert evidence["command"] == "edge-i2i export onnx"
