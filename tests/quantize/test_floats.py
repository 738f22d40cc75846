"""The float arithmetic beside the integers is searched, recorded, and runs as it was judged: with BF16 and without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import edge_i2i
from edge_i2i.bench.verify import verify_bundle
from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.cli.show.quantize_text import as_json, lines
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.errors import MissingRequirementError
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions
from edge_i2i.quantize.job import QuantizeJob
from edge_i2i.quantize.outcome import QuantizeSummary, raise_if_missed
from edge_i2i.quantize.run import quantize_bundle
from samples import processors
from samples.quantizing import ScriptedContest
from samples.sensitive import ONE_THREAD

QUICK_BF16 = {"int8-openvino on openvino": 8.0, "int8-openvino on openvino (bf16)": 4.0}
QUICK_FULL = {"int8-openvino on openvino": 4.0, "int8-openvino on openvino (bf16)": 8.0}


def quantize(home: Path, bundle: Path, times: Mapping[str, float], **asked: Any) -> QuantizeSummary:
    job = QuantizeJob(("openvino",), **{"threads": 1, "cache": home / "cache", **asked})
    options = CalibrationOptions(threads=1)
    return quantize_bundle(bundle, bundle, home / "photos", job, options, contest=ScriptedContest(times, usual=10.0))


def record(bundle: Bundle, variant: str) -> Any:
    return next(item for graph in bundle.manifest.graphs for item in graph.variants if item.name == variant)


def judged(bundle: Bundle) -> set[tuple[str | None, str | None]]:
    return {(item.variant, item.precision) for item in bundle.evidence("quality", "frame")}


def test_a_network_that_does_not_bear_bf16_keeps_its_budget_with_floats_in_fp32(
    home: Path, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processors.pretend_bf16(monkeypatch)
    summary = quantize(home, studio, {"mixed-openvino on openvino": 4.0})
    raise_if_missed(summary)
    (variant,) = summary.variants
    assert (variant.name, variant.floats) == ("mixed-openvino", ("fp32",))
    assert variant.verdict.quality.psnr_db >= 47 and "PSNR" in variant.unbearable["bf16"][0]
    told = [line.strip() for line in lines(summary)]
    assert "floats computed in FP32" in told and any(line.startswith("not in BF16: even with nothing") for line in told)
    after = open_bundle(studio)
    assert record(after, "mixed-openvino").floats == ("fp32",) and record(after, "fp32").floats in ((), ("fp32",))
    assert judged(after) == {("mixed-openvino", "fp32")}
    recipe: Any = after.manifest.recipe["quantize"]
    assert recipe["mixed-openvino"]["floats"] == ["fp32"] and "bf16" in recipe["mixed-openvino"]["floats_not_borne"]
    assert not any(item.precision == "bf16" for item in after.latencies("frame"))
    with edge_i2i.load(studio, threads=1, variant="mixed-openvino") as translator:
        assert "bf16" not in translator.info.session.effective_precision


def test_where_both_keep_the_picture_the_faster_one_is_taken_and_both_are_evidence(
    home: Path, mild: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processors.pretend_bf16(monkeypatch)
    summary = quantize(home, mild, QUICK_BF16)
    (variant,) = summary.variants
    assert variant.floats == ("bf16", "fp32") and not variant.unbearable
    assert as_json(summary)["variants"][0]["floats"] == ["bf16", "fp32"]
    after = open_bundle(mild)
    assert record(after, "int8-openvino").floats == ("bf16", "fp32")
    assert record(after, "fp32").floats == ("fp32", "bf16")
    assert judged(after) == {("int8-openvino", "bf16"), ("int8-openvino", "fp32"), ("fp32", "bf16")}
    assert all(item.figures["golden_psnr_db"] > 40 for item in after.evidence("quality", "frame"))
    assert summary.auto == "int8-openvino on openvino (bf16)"
    with edge_i2i.load(mild, threads=1, variant="int8-openvino") as translator:
        assert translator.info.session.effective_precision == "int8+bf16"
    verdicts = verify_bundle(after, "openvino", (), ONE_THREAD)
    assert {item.variant: item.effective_precision for item in verdicts}["int8-openvino"] == "int8+bf16"
    assert all(item.ok for item in verdicts)


def test_where_fp32_is_as_fast_it_stays(home: Path, mild: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processors.pretend_bf16(monkeypatch)
    (variant,) = quantize(home, mild, QUICK_FULL).variants
    assert variant.floats == ("fp32",)
    (again,) = quantize(home, mild, {}, keep_slower=True).variants
    assert again.floats == ("fp32",), "a tie is no reason for another picture"
    with edge_i2i.load(mild, threads=1, engine="openvino", variant="int8-openvino") as translator:
        assert "bf16" not in translator.info.session.effective_precision


def test_what_was_judged_with_bf16_alone_does_not_run_without_it(
    home: Path, mild: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        processors.pretend_bf16(elsewhere)
        quantize(home, mild, QUICK_BF16)
    with extend_bundle(mild) as writer:
        writer.judged_in("frame", "int8-openvino", ["bf16"])
        writer.finish_extended()
    processors.answer(monkeypatch, processors.PLAIN)
    with pytest.raises(MissingRequirementError, match="judged with floats in BF16") as caught:
        edge_i2i.load(mild, threads=1, engine="openvino", variant="int8-openvino")
    assert "quantize again" in caught.value.remedy
    with pytest.raises(MissingRequirementError, match=r"No engine .* its pictures were judged with floats in BF16"):
        edge_i2i.load(mild, threads=1, variant="int8-openvino")
    with edge_i2i.load(mild, threads=1) as translator:
        assert translator.info.variant == "fp32" and translator.info.session.effective_precision == "fp32"
    skipped: list[tuple[str, str, str]] = []
    for engine in ("openvino", "auto"):
        found = verify_bundle(open_bundle(mild), engine, (), ONE_THREAD, lambda *told: skipped.append(told))
        assert [item.variant for item in found] == ["fp32"] and "judged with floats in BF16" in skipped[-1][2]


def test_where_it_was_judged_in_both_it_runs_without_bf16_in_fp32(
    home: Path, mild: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        processors.pretend_bf16(elsewhere)
        quantize(home, mild, QUICK_BF16)
    processors.answer(monkeypatch, processors.PLAIN)
    with edge_i2i.load(mild, threads=1, engine="openvino", variant="int8-openvino") as translator:
        assert translator.info.session.effective_precision.endswith("fp32")
    assert all(item.ok for item in verify_bundle(open_bundle(mild), "openvino", (), ONE_THREAD))


def test_a_bundle_that_says_nothing_of_floats_runs_them_in_fp32(
    home: Path, mild: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bundles of before; also where they hold a figure of an arithmetic that nobody judged."""
    from samples.qdq import latency

    quantize(home, mild, {"int8-openvino on openvino": 4.0})
    with extend_bundle(mild) as writer:
        for variant in ("fp32", "int8-openvino"):
            writer.judged_in("frame", variant, [])
            writer.add_evidence(latency(variant, "openvino", 0.5, "bf16"))
        writer.finish_extended()
    processors.pretend_bf16(monkeypatch)
    for variant in ("auto", "fp32", "int8-openvino"):
        with edge_i2i.load(mild, threads=1, engine="openvino", variant=variant) as translator:
            assert "bf16" not in translator.info.session.effective_precision


def test_verify_holds_bf16_that_nobody_judged_to_what_the_bundle_states(
    home: Path, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """42 dB are no 50, whatever a processor offers."""
    processors.pretend_bf16(monkeypatch)
    quantize(home, studio, {"mixed-openvino on openvino": 4.0})
    options = EngineOptions(threads=1, precision="bf16")
    (verdict,) = verify_bundle(open_bundle(studio), "openvino", ["mixed-openvino"], options)
    assert not verdict.ok and "is less than" in verdict.problem
    (verdict,) = verify_bundle(open_bundle(studio), "openvino", ["mixed-openvino"], ONE_THREAD)
    assert verdict.ok, verdict.problem


def test_a_later_run_where_there_is_no_bf16_forgets_nothing_of_fp32(
    home: Path, mild: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        processors.pretend_bf16(elsewhere)
        quantize(home, mild, QUICK_BF16)
    quantize(home, mild, {"int8-openvino on openvino": 4.0})
    after = open_bundle(mild)
    assert record(after, "fp32").floats == ("fp32", "bf16") and ("fp32", "bf16") in judged(after)
    assert record(after, "int8-openvino").floats == ("fp32",)


def test_arithmetic_that_the_engine_does_not_compute_of_a_graph_is_no_choice_there(
    home: Path, mild: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO keeps single layers in FP32 of its own accord: where no other floats are left, it does not do BF16."""
    processors.pretend_bf16(monkeypatch, of_quantized=False)
    (variant,) = quantize(home, mild, QUICK_BF16, cache=mild.parent / "cache").variants
    assert variant.floats == ("fp32",)
    assert record(open_bundle(mild), "int8-openvino").floats == ("fp32",)
