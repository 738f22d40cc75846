"""From a bundle to a bundle with quantized variants: what is added, replaced, dropped and kept aside.

Quality is measured for real, on a tiny network; who is faster is written down (``ScriptedContest``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edge_i2i
from edge_i2i.bench.verify import verify_bundle
from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.locking import only_run
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.engines.figures import evidence_versions
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.errors import BadInputError, BudgetError, BundleError, OutputError, UsageError
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions
from edge_i2i.quantize.job import QuantizeJob
from edge_i2i.quantize.outcome import NOT_TIMED, QuantizeSummary, raise_if_missed
from edge_i2i.quantize.run import quantize_bundle
from samples.qdq import latency
from samples.quantizing import ScriptedContest, interrupt_at, mild_painter, painter_with, write_studio
from samples.sensitive import LAYERS, SENSITIVE

FAST = {"int8-openvino on openvino": 4.0, "int8-onnxruntime on onnxruntime": 6.0}
FAST_MIXED = {"mixed-openvino on openvino": 4.0, "mixed-onnxruntime on onnxruntime": 6.0}
EVERY = ("openvino", "onnxruntime", "tensorrt")
OPTIONS = CalibrationOptions(threads=1)


Quantize = Callable[..., QuantizeSummary]


def test_a_second_run_on_one_output_says_so(mild: Path, home: Path, tmp_path: Path) -> None:
    job = QuantizeJob(targets=("openvino",), cache=home / "cache", threads=1)
    before = mild.read_bytes()
    with only_run(mild), pytest.raises(OutputError, match="Another run is writing"):
        quantize_bundle(mild, mild, home / "photos", job, OPTIONS, contest=ScriptedContest(FAST))
    assert mild.read_bytes() == before


def test_a_disk_that_is_full_by_then_is_said(
    mild: Path, home: Path, tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    job = QuantizeJob(targets=("openvino",), cache=tmp_path / "cache", threads=1)
    with full_disk(), pytest.raises(OutputError, match="cannot be written") as caught:
        quantize_bundle(mild, mild, home / "photos", job, OPTIONS, contest=ScriptedContest(FAST))
    assert caught.value.exit_code == 2 and "--cache" in caught.value.remedy


@pytest.fixture
def quantize(home: Path) -> Quantize:
    """Quantize with one thread, the shared cache and a contest of which the times are known."""

    def run(
        bundle: Path, times: Mapping[str, float] = FAST, output: Path | None = None, **asked: Any
    ) -> QuantizeSummary:
        on_stage = asked.pop("on_stage", lambda stage: None)
        contest = asked.pop("contest", None) or ScriptedContest(times)
        data = asked.pop("data", home / "photos")
        job = QuantizeJob(**{"targets": EVERY, "threads": 1, "cache": home / "cache", "command": "told", **asked})
        return quantize_bundle(bundle, output or bundle, data, job, OPTIONS, on_stage=on_stage, contest=contest)

    return run


def records(bundle: Bundle) -> dict[str, Any]:
    (graph,) = (graph for graph in bundle.manifest.graphs if graph.declaration.name == "frame")
    return {variant.name: variant for variant in graph.variants}


# What is added ---------------------------------------------------------------------------------------------------


def test_a_variant_for_each_target_joins_the_bundle_with_what_was_measured(mild: Path, quantize: Quantize) -> None:
    before = open_bundle(mild)
    summary = quantize(mild)
    after = open_bundle(mild)
    assert after.variants("frame") == ("fp32", *(f"int8-{target}" for target in EVERY))
    for target in EVERY:
        record = records(after)[f"int8-{target}"]
        assert (record.targets, record.precision, record.recommended) == ((target,), "int8", True)
        assert record.label == (NOT_TIMED if target == "tensorrt" else "")
    quality = {item.variant: item for item in after.evidence("quality", "frame")}
    assert {name: item.engine for name, item in quality.items()} == {
        "int8-openvino": "openvino",
        "int8-onnxruntime": "onnxruntime",
        "int8-tensorrt": "tensorrt, emulated",
    }
    for item in quality.values():
        assert item.figures["psnr_db"] >= 45 and item.figures["golden_psnr_db"] > 40 and item.command == "told"
        assert {"ssim", "texture_ratio", "grey_levels_ratio", "flicker_ratio"} <= item.figures.keys() and item.note
    timed = {(item.variant, item.engine): item.figures["p50_ms"] for item in after.latencies("frame")}
    assert timed["int8-openvino", "openvino"] == 4.0 and timed["fp32", "onnxruntime"] == 10.0
    assert all(item.versions == evidence_versions(get_engine(item.engine or "")) for item in after.latencies("frame"))
    assert {key: after.manifest.recipe[key] for key in before.manifest.recipe} == before.manifest.recipe
    recipe = after.manifest.recipe["quantize"]["int8-openvino"]
    assert recipe["quantized"] == list(LAYERS[:-1]) and "picture" in recipe["float"]["paint"]
    assert len(recipe["calibration_sha256"]) == 64 and recipe["budget"]["min_psnr_db"] == 47
    assert set(summary.kept) == set(recipe_names(after)) and not (summary.missed or summary.dropped)
    raise_if_missed(summary)
    after.verify_checksums()


def recipe_names(bundle: Bundle) -> list[str]:
    return list(bundle.manifest.recipe["quantize"])


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "auto"])
def test_the_bundle_verifies_on_every_engine(mild: Path, quantize: Quantize, engine: str) -> None:
    quantize(mild)
    found = verify_bundle(open_bundle(mild), engine, (), EngineOptions(threads=1))
    assert len(found) >= 2 and all(verdict.ok for verdict in found), [verdict.problem for verdict in found]


def test_auto_takes_what_was_fastest_here(mild: Path, quantize: Quantize) -> None:
    summary = quantize(mild)
    assert summary.auto == "int8-openvino on openvino"
    with edge_i2i.load(mild, threads=1) as translator:
        info = translator.info
        assert (info.variant, info.session.engine) == ("int8-openvino", "openvino")
        assert info.picked == "by figures measured on this processor"
    with extend_bundle(mild) as writer:
        writer.add_evidence(latency("int8-onnxruntime", "onnxruntime", 1.0))
        writer.finish_extended()
    with edge_i2i.load(mild, threads=1) as translator:
        assert translator.info.variant == "int8-onnxruntime"


def test_calibration_runs_once_for_all_targets(mild: Path, quantize: Quantize, tmp_path: Path) -> None:
    quantize(mild, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("statistics-*"))) == 1


def test_a_directory_stays_a_directory_and_a_link_a_link(home: Path, tmp_path: Path, quantize: Quantize) -> None:
    place = write_studio(tmp_path, "directory", mild_painter())
    link = tmp_path / "link.i2i"
    link.symlink_to(place)
    quantize(link, targets=("openvino",))
    assert link.is_symlink() and place.is_dir() and "int8-openvino" in open_bundle(place).variants("frame")


def test_another_output_leaves_the_source_as_it_was(mild: Path, quantize: Quantize, tmp_path: Path) -> None:
    before = mild.read_bytes()
    summary = quantize(mild, output=tmp_path / "new.i2i", targets=("openvino",))
    assert mild.read_bytes() == before and summary.bundle == tmp_path / "new.i2i"
    assert open_bundle(tmp_path / "new.i2i").variants("frame") == ("fp32", "int8-openvino")


@pytest.mark.parametrize("stage", ["calibration", "ONNX Runtime", "time every", "write"])
def test_an_interrupted_run_leaves_the_bundle_and_nothing_beside_it(
    mild: Path, quantize: Quantize, tmp_path: Path, stage: str
) -> None:
    before = mild.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        quantize(mild, on_stage=interrupt_at(stage))
    assert mild.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["mild.i2i"]


def test_a_bundle_that_was_exported_again_meanwhile_is_left_alone(mild: Path, studio: Path, quantize: Quantize) -> None:
    other = studio.read_bytes()

    def on_stage(stage: str) -> None:
        if stage.startswith("write"):
            mild.write_bytes(other)

    with pytest.raises(BundleError, match="exported again"):
        quantize(mild, on_stage=on_stage, targets=("openvino",))
    assert mild.read_bytes() == other


# A second run ----------------------------------------------------------------------------------------------------


def test_a_second_run_replaces_the_variants_of_the_first(mild: Path, quantize: Quantize) -> None:
    quantize(mild)
    summary = quantize(mild, {**FAST, "int8-openvino on openvino": 5.0})
    after = open_bundle(mild)
    assert after.variants("frame") == ("fp32", *(f"int8-{target}" for target in EVERY))
    assert len(after.evidence("quality", "frame")) == 3 and set(summary.removed) == set(after.variants("frame")[1:])
    (timed,) = (item for item in after.latencies("frame") if item.variant == "int8-openvino")
    assert timed.figures["p50_ms"] == 5.0
    of_float = [(item.variant, item.engine) for item in after.evidence("latency", "frame") if item.variant == "fp32"]
    assert len(of_float) == len(set(of_float))


def test_a_mixture_takes_the_place_of_an_int8_variant_for_the_same_target(mild: Path, quantize: Quantize) -> None:
    quantize(mild)
    summary = quantize(mild, FAST_MIXED, targets=("openvino",), keep_float=("body",))
    after = open_bundle(mild)
    assert after.variants("frame") == ("fp32", "int8-onnxruntime", "int8-tensorrt", "mixed-openvino")
    assert summary.removed == ("int8-openvino",) and "int8-openvino" not in after.manifest.recipe["quantize"]
    assert all(record.variant != "int8-openvino" for record in after.manifest.evidence)
    assert records(after)["mixed-openvino"].precision == "mixed"
    assert after.manifest.recipe["quantize"]["mixed-openvino"]["float"]["body"] == "as asked"


def test_variants_that_it_does_not_replace_are_timed_again(mild: Path, quantize: Quantize) -> None:
    quantize(mild)
    contest = ScriptedContest({**FAST, "int8-onnxruntime on onnxruntime": 7.0})
    quantize(mild, targets=("openvino",), contest=contest)
    assert "int8-onnxruntime on onnxruntime" in contest.seen
    assert len(set(contest.seen)) == len(contest.seen)
    timed = [item for item in open_bundle(mild).latencies("frame") if item.variant == "int8-onnxruntime"]
    assert timed[-1].figures["p50_ms"] == 7.0


# Only what wins --------------------------------------------------------------------------------------------------


def test_what_is_not_faster_than_float_is_dropped_and_said_so(mild: Path, quantize: Quantize) -> None:
    summary = quantize(mild, {**FAST, "int8-onnxruntime on onnxruntime": 9.9})
    assert summary.dropped == {"int8-onnxruntime": "1.01 times as fast as fp32 on onnxruntime"}
    after = open_bundle(mild)
    assert after.variants("frame") == ("fp32", "int8-openvino", "int8-tensorrt")
    assert all(record.variant != "int8-onnxruntime" for record in after.manifest.evidence)


def test_one_that_was_kept_and_is_slower_now_goes(mild: Path, quantize: Quantize) -> None:
    quantize(mild, targets=("openvino",))
    summary = quantize(mild, {"int8-openvino on openvino": 12.5}, targets=("openvino",))
    assert summary.removed == ("int8-openvino",) and open_bundle(mild).variants("frame") == ("fp32",)


def test_on_request_it_is_kept_labelled_and_never_picked(mild: Path, quantize: Quantize) -> None:
    summary = quantize(mild, {"int8-openvino on openvino": 12.5}, targets=("openvino",), keep_slower=True)
    record = records(open_bundle(mild))["int8-openvino"]
    assert (record.recommended, record.label) == (False, "0.80 times as fast as fp32 on openvino")
    assert summary.auto.startswith("fp32 on") and not summary.dropped
    timed = [item for item in open_bundle(mild).latencies("frame") if item.variant == "int8-openvino"]
    assert [item.figures["p50_ms"] for item in timed] == [12.5]


# Budgets ---------------------------------------------------------------------------------------------------------


def test_mixed_brings_a_sensitive_layer_to_the_budget_and_names_it(studio: Path, quantize: Quantize) -> None:
    summary = quantize(studio, FAST_MIXED)
    after = open_bundle(studio)
    assert after.variants("frame") == ("fp32", *(f"mixed-{target}" for target in EVERY))
    for variant in summary.variants:
        assert variant.kept_float[SENSITIVE] == "for the budget" and SENSITIVE not in variant.graph.layers
        assert variant.verdict.quality.psnr_db >= variant.budget.min_psnr_db and variant.tried
        assert variant.taken is not None and variant.taken.meets
        assert variant.for_the_budget == variant.taken.keep_float and SENSITIVE in variant.for_the_budget
        assert variant.all_int8 is not None and variant.all_int8.keep_float == () and not variant.all_int8.meets
        assert (variant.price_ms is None) == (variant.taken.p50_ms is None)
        assert records(after)[variant.name].precision == "mixed"
    raise_if_missed(summary)


def test_int8_alone_does_not_search(studio: Path, quantize: Quantize, tmp_path: Path) -> None:
    summary = quantize(studio, targets=("openvino",), mixed=False)
    (variant,) = summary.variants
    assert variant.name == "int8-openvino" and not variant.tried and variant.graph.layers == LAYERS[:-1]
    assert "PSNR" in summary.missed["int8-openvino"][0] and summary.aside == tmp_path / "studio.below-budget"
    assert open_bundle(studio).variants("frame") == ("fp32",)


def test_what_misses_is_kept_aside_and_the_others_are_added(studio: Path, quantize: Quantize, tmp_path: Path) -> None:
    asked = {"targets": ("openvino", "tensorrt"), "keep_float": (SENSITIVE,), "mixed": False, "min_psnr_db": 50.0}
    summary = quantize(studio, **asked)
    assert set(summary.missed) == {"mixed-openvino"} and set(summary.kept) == {"mixed-tensorrt"}
    assert open_bundle(studio).variants("frame") == ("fp32", "mixed-tensorrt")
    assert (tmp_path / "studio.below-budget" / "mixed-openvino.onnx").exists()
    with pytest.raises(BudgetError, match="mixed-openvino: PSNR"):
        raise_if_missed(summary)


def test_a_budget_that_cannot_be_met_leaves_the_best_aside(studio: Path, quantize: Quantize, tmp_path: Path) -> None:
    contest = ScriptedContest(FAST_MIXED)
    summary = quantize(studio, targets=("openvino",), min_psnr_db=90.0, contest=contest)
    (variant,) = summary.variants
    assert variant.graph.layers and variant.complaints and open_bundle(studio).variants("frame") == ("fp32",)
    assert all(variant.verdict.fine_psnr_db >= item.verdict.fine_psnr_db for item in variant.tried if some_int8(item))
    assert contest.seen and not any("mixed" in name for name in contest.seen), "quality comes first"
    aside = tmp_path / "studio.below-budget"
    assert {path.name for path in aside.iterdir()} == {f"{variant.name}.onnx", f"{variant.name}.json"}
    onnx.checker.check_model(onnx.load(aside / f"{variant.name}.onnx"))
    about = json.loads((aside / f"{variant.name}.json").read_text())
    assert about["variant"] == variant.name and about["quality"]["psnr_db"] < 90 and "90 dB" in about["misses"][0]
    with pytest.raises(BudgetError, match=f"{variant.name}: PSNR .* less than 90 dB") as caught:
        raise_if_missed(summary)
    assert caught.value.exit_code == 5 and str(aside) in caught.value.remedy
    assert latencies_of(studio) == {"fp32"}


def some_int8(item: Any) -> bool:
    return len(item.keep_float) < len(LAYERS) - 1


def latencies_of(path: Path) -> set[str | None]:
    return {record.variant for record in open_bundle(path).latencies("frame")}


def test_a_latency_that_cannot_be_met_is_a_missed_budget(mild: Path, quantize: Quantize, tmp_path: Path) -> None:
    summary = quantize(mild, max_latency_ms=5.0)
    assert summary.missed == {"int8-onnxruntime": ("a frame takes 6.0 ms, more than 5 ms",)}
    assert set(summary.kept) == {"int8-openvino", "int8-tensorrt"}
    assert (tmp_path / "mild.below-budget" / "int8-onnxruntime.onnx").exists()
    assert "int8-onnxruntime" not in latencies_of(mild)


def test_below_budget_the_variant_of_an_earlier_run_stays(mild: Path, quantize: Quantize) -> None:
    quantize(mild, targets=("openvino",))
    before = records(open_bundle(mild))["int8-openvino"]
    summary = quantize(mild, targets=("openvino",), max_latency_ms=1.0)
    assert summary.stays == ("int8-openvino",) and summary.removed == ()
    assert records(open_bundle(mild))["int8-openvino"] == before
    assert recipe_names(open_bundle(mild)) == ["int8-openvino"]


# Refusals --------------------------------------------------------------------------------------------------------


def test_recipe_and_keep_float_add_up_and_are_never_searched(studio: Path, quantize: Quantize, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"keep_float": [SENSITIVE]}))
    summary = quantize(studio, FAST_MIXED, targets=("openvino",), recipe=recipe, keep_float=("stem",))
    (variant,) = summary.variants
    assert variant.graph.layers == ("body", "more") and not variant.tried and variant.name == "mixed-openvino"


def test_a_search_goes_around_what_stays_in_float_as_asked(studio: Path, quantize: Quantize) -> None:
    summary = quantize(studio, FAST_MIXED, targets=("openvino",), keep_float=("body",))
    (variant,) = summary.variants
    assert variant.tried and variant.kept_float["body"] == "as asked"
    assert variant.kept_float[SENSITIVE] == "for the budget" and "body" not in variant.graph.layers
    assert all("body" not in item.keep_float for item in variant.tried)


def nothing_begins(stage: str) -> None:
    raise AssertionError(f"'{stage}' began")


@pytest.mark.parametrize(
    ("asked", "error", "complaint"),
    [
        ({"targets": ("openvin",)}, UsageError, "Did you mean 'openvino'"),
        ({"targets": ()}, UsageError, "no target"),
        ({"keep_float": ("edgs",)}, UsageError, "no layer edgs"),
        ({"recipe": Path("recipe.json")}, BadInputError, "the graph does not have: edgs"),
        ({"output": Path("out.onnx")}, UsageError, r"ends in \.i2i"),
        ({"min_psnr_db": float("nan")}, UsageError, "budget of nan"),
        ({"max_latency_ms": 0.0}, UsageError, "budget of 0 for latency"),
        ({"cache": Path("file/cache")}, UsageError, "--cache"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    studio: Path,
    quantize: Quantize,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, Any],
    error: type[Exception],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.json").write_text(json.dumps({"keep_float": ["edgs"]}))
    (tmp_path / "file").write_text("no folder")
    before = studio.read_bytes()
    with pytest.raises(error) as caught:
        quantize(studio, on_stage=nothing_begins, **asked)
    assert re.search(complaint, str(caught.value))
    assert studio.read_bytes() == before


def test_a_bundle_without_fp32_is_refused(studio: Path, quantize: Quantize) -> None:
    graph = open_bundle(studio).graph("frame", "fp32")
    with extend_bundle(studio, output=studio.with_name("half.i2i")) as writer:
        writer.add_graph(graph.declaration, variant="fp16", precision="fp16", opset=18, onnx=graph.read())
        writer.finish_extended()
    with extend_bundle(studio.with_name("half.i2i"), without_variants=["fp32"]) as writer:
        writer.finish_extended()
    with pytest.raises(UsageError, match="no variant 'fp32'"):
        quantize(studio.with_name("half.i2i"), on_stage=nothing_begins)


def test_keeping_everything_in_float_leaves_nothing_to_quantize(mild: Path, quantize: Quantize) -> None:
    with pytest.raises(BadInputError, match=r"nothing to quantize .*stem: as asked"):
        quantize(mild, targets=("openvino",), keep_float=LAYERS)


def test_a_network_that_gives_nan_is_refused_and_the_layer_named(tmp_path: Path, quantize: Quantize) -> None:
    broken = write_studio(tmp_path, graph=painter_with("body", lambda weight: weight * np.float32(np.nan)))
    before = broken.read_bytes()
    with pytest.raises(BadInputError, match="'body' holds NaN"):
        quantize(broken)
    assert broken.read_bytes() == before
