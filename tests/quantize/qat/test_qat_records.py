"""What a bundle records of a fine-tuned variant: as of one that is calibrated only, and how it was fine-tuned."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_i2i.bench.verify import STATED_PSNR_MARGIN_DB, verify_bundle
from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.engines.figures import evidence_versions
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.errors import BundleError, UsageError
from edge_i2i.graphs.qdq.targets import get_target
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, CalibrationSet, load_calibration
from edge_i2i.quantize.job import QuantizeJob
from edge_i2i.quantize.qat.plan import QatOptions, Run
from edge_i2i.quantize.qat.run import QatJob, QatSummary, fine_tune_bundle
from edge_i2i.quantize.run import quantize_bundle
from samples.quantizing import ScriptedContest, mild_painter, write_studio

pytest.importorskip("nncf")

OLDER = Path(__file__).parents[2] / "bundle" / "older" / "fixtures" / "qat-older.i2i"
QUICK = QatOptions(steps=10, range_learning_rate=1e-1, checking_frames=2, keep_best_every=10, threads=1)
FAST = ScriptedContest({"int8-openvino on openvino": 4.0, "int8-onnxruntime on onnxruntime": 6.0})
CALIBRATION = CalibrationOptions(threads=1)
TARGETS = ("openvino", "onnxruntime", "tensorrt")
ONE_THREAD = EngineOptions(threads=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle whose layers bear INT8, and photographs."""
    folder = tmp_path_factory.mktemp("studio")
    write_studio(folder, graph=mild_painter())
    return folder


@pytest.fixture(scope="module")
def calibration(home: Path) -> Iterator[CalibrationSet]:
    with load_calibration(open_bundle(home / "studio.i2i"), home / "photos", CALIBRATION) as found:
        yield found


def tune(bundle: Path, calibration: CalibrationSet, run: Path, target: str = "openvino", **given: Any) -> QatSummary:
    """Fine-tune in place, calibrated on one picture, so that there is something to win."""
    job = QatJob(get_target(target), equalise=False, calibration_samples=1, command="told")
    return fine_tune_bundle(bundle, bundle, calibration, job, QUICK, Run(run, **given))


@pytest.fixture(scope="module")
def both(home: Path, calibration: CalibrationSet, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that was quantized and then fine-tuned for every target."""
    folder = tmp_path_factory.mktemp("both")
    place = Path(shutil.copy(home / "studio.i2i", folder / "studio.i2i"))
    job = QuantizeJob(TARGETS, threads=1, cache=folder / "cache", command="told", keep_slower=True)
    quantize_bundle(place, place, home / "photos", job, CALIBRATION, contest=FAST)
    for target in TARGETS:
        tune(place, calibration, folder / f"run-{target}", target)
    return open_bundle(place)


def recipes(bundle: Bundle) -> Mapping[str, Any]:
    found: Any = bundle.manifest.recipe["quantize"]
    return found


def quality(bundle: Bundle, variant: str) -> EvidenceRecord:
    (record,) = (record for record in bundle.evidence("quality", "frame") if record.variant == variant)
    return record


@pytest.mark.parametrize("target", TARGETS)
def test_a_fine_tuned_variant_is_recorded_as_a_calibrated_one(both: Bundle, target: str) -> None:
    calibrated, tuned = f"int8-{target}", f"int8-{target}-qat"
    assert recipes(both)[tuned].keys() - recipes(both)[calibrated].keys() == {"fine_tuning"}
    assert recipes(both)[calibrated].keys() < recipes(both)[tuned].keys()
    shared = ("target", "quantized", "float", "floats", "passes", "calibration_sha256", "budget")
    assert [recipes(both)[tuned][key] for key in shared] == [recipes(both)[calibrated][key] for key in shared]
    assert not set(both.manifest.recipe) & {calibrated, tuned}
    before, after = quality(both, calibrated), quality(both, tuned)
    assert before.figures.keys() == after.figures.keys() and "golden_psnr_db" in after.figures
    for name in ("stage", "graph", "engine", "precision", "machine", "versions", "command"):
        assert getattr(after, name) == getattr(before, name), name
    # What integers are computed in behind it: its weights are not kept small for processors that add up inexactly.
    assert after.note.rpartition(" (")[0] == before.note.rpartition(" (")[0]
    old, new = both.graph("frame", calibrated).record, both.graph("frame", tuned).record
    assert (old.targets, old.precision, old.floats) == (new.targets, new.precision, new.floats)


@pytest.mark.parametrize("target", TARGETS)
def test_how_it_was_fine_tuned_is_there_too(both: Bundle, target: str) -> None:
    told = recipes(both)[f"int8-{target}-qat"]["fine_tuning"]
    assert set(told) == {"options", "seed", "equalised", "calibration_samples", "best_step", "misses"}
    assert told["options"]["steps"] == 10 and told["best_step"] == 10 and told["calibration_samples"] == 1
    assert told["equalised"] is False and told["seed"] == 2018


@pytest.mark.parametrize("target", TARGETS)
def test_the_engine_that_is_named_is_the_one_that_judged(both: Bundle, target: str) -> None:
    record = quality(both, f"int8-{target}-qat")
    if target == "tensorrt":
        assert record.engine == "tensorrt, emulated" and record.note.endswith("(tensorrt emulated)")
    else:
        assert record.engine == target and f"by {target} " in record.note and "emulated" not in record.note
        assert record.versions == evidence_versions(get_engine(target))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_verify_holds_it_to_what_its_golden_figure_says(both: Bundle, tmp_path: Path, engine: str) -> None:
    variant = f"int8-{engine}-qat"
    (found,) = verify_bundle(both, engine, (variant,), ONE_THREAD)
    record = quality(both, variant)
    assert found.ok and found.parity.psnr_db == pytest.approx(record.figures["golden_psnr_db"], abs=0.5)
    place = Path(shutil.copy(both.path, tmp_path / "boasting.i2i"))
    more = found.parity.psnr_db + STATED_PSNR_MARGIN_DB + 1
    with extend_bundle(place) as writer:
        writer.add_evidence(record.model_copy(update={"figures": {**record.figures, "golden_psnr_db": more}}))
        writer.finish_extended()
    (found,) = verify_bundle(open_bundle(place), engine, (variant,), ONE_THREAD)
    assert not found.ok and "PSNR" in found.problem


def test_quantizing_again_leaves_it_and_its_recipe(both: Bundle, home: Path, tmp_path: Path) -> None:
    place = Path(shutil.copy(both.path, tmp_path / "studio.i2i"))
    job = QuantizeJob(("openvino",), threads=1, cache=tmp_path / "cache", keep_slower=True)
    quantize_bundle(place, place, home / "photos", job, CALIBRATION, contest=FAST)
    after = open_bundle(place)
    assert recipes(after)["int8-openvino-qat"] == recipes(both)["int8-openvino-qat"]
    assert quality(after, "int8-openvino-qat") == quality(both, "int8-openvino-qat")


def test_fine_tuning_a_bundle_of_the_older_shape_again_replaces_its_records(
    calibration: CalibrationSet, tmp_path: Path
) -> None:
    place = Path(shutil.copy(OLDER, tmp_path / "older.i2i"))
    assert "int8-openvino-qat" in open_bundle(place).manifest.recipe
    tune(place, calibration, tmp_path / "run")
    after = open_bundle(place)
    assert set(after.manifest.recipe) == {"size", "quantize"} and "fine_tuning" in recipes(after)["int8-openvino-qat"]
    assert quality(after, "int8-openvino-qat").engine == "openvino"


def test_a_bundle_without_fp32_is_refused(home: Path, calibration: CalibrationSet, tmp_path: Path) -> None:
    place = Path(shutil.copy(home / "studio.i2i", tmp_path / "studio.i2i"))
    graph = open_bundle(place).graph("frame", "fp32")
    with extend_bundle(place) as writer:
        writer.add_graph(graph.declaration, variant="fp16", precision="fp16", opset=18, onnx=graph.read())
        writer.finish_extended()
    with extend_bundle(place, without_variants=("fp32",)) as writer:
        writer.finish_extended()
    with pytest.raises(UsageError, match="no variant 'fp32'"):
        tune(place, calibration, tmp_path / "run")


def test_a_bundle_that_was_exported_again_meanwhile_is_left_alone(
    home: Path, calibration: CalibrationSet, tmp_path: Path
) -> None:
    place = Path(shutil.copy(home / "studio.i2i", tmp_path / "studio.i2i"))
    (tmp_path / "other").mkdir()
    other = write_studio(tmp_path / "other").read_bytes()

    def exported_again() -> bool:
        place.write_bytes(other)
        return False

    with pytest.raises(BundleError, match="exported again"):
        tune(place, calibration, tmp_path / "run", should_stop=exported_again)
    assert place.read_bytes() == other
