"""Fine-tuning a bundle: from pictures in a folder to a bundle with one more variant."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.contract import GraphDeclaration
from edge_i2i.errors import BadInputError, BudgetError, UsageError
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.graphs.model_bytes import model_from_bytes
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.targets import get_target
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.media.pictures import write_picture
from edge_i2i.models.checkpoints.loading import LoadedModel, WeightsOrigin
from edge_i2i.models.registry import get_family
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, CalibrationSet, load_calibration
from edge_i2i.quantize.qat.draws import CalibrationDraw
from edge_i2i.quantize.qat.plan import QatOptions, Run, Stream
from edge_i2i.quantize.qat.run import QatJob, fine_tune_bundle

pytest.importorskip("nncf")

QUICK = QatOptions(steps=40, range_learning_rate=1e-1, checking_frames=2, keep_best_every=10, threads=1)


def few(target: str) -> QatJob:
    """Calibrated on a single picture, the palest: ranges that are too narrow for the others."""
    return QatJob(get_target(target), equalise=False, calibration_samples=1, command="edge-i2i qat")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with AdaIN, whose look comes from exemplars or is drawn."""
    family = get_family("munit")
    model = family.random(family.tiny(family.full_config()), seed=3)
    output = tmp_path_factory.mktemp("munit") / "tiny.i2i"
    options = ExportOptions(precisions=("fp32",), threads=1)
    export_bundle(LoadedModel(family, model, WeightsOrigin.RANDOM, None, None), family.tiny_size, output, options)
    return output


@pytest.fixture(scope="module")
def photos(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(12):
        picture = sample_inputs(open_bundle(bundle).frame_graph, seed)["frame"]
        pale = np.rint(128 + (picture - 128.0) * (0.3 if seed == 0 else 1.0)).astype(np.uint8)
        write_picture(folder / f"{seed:02d}.png", pale)
    return folder


@pytest.fixture(scope="module")
def calibration(bundle: Path, photos: Path) -> Iterator[CalibrationSet]:
    with load_calibration(open_bundle(bundle), photos, CalibrationOptions(count=16, threads=1)) as found:
        yield found


# Data -------------------------------------------------------------------------------------------------------------


def test_a_draw_depends_on_its_number_only_and_mixes_frames_with_looks(
    bundle: Path, calibration: CalibrationSet
) -> None:
    frame = open_bundle(bundle).frame_graph
    draws = [CalibrationDraw(calibration, frame, seed=5)(Stream.TRAINING, index) for index in range(40)]
    again = CalibrationDraw(calibration, frame, seed=5)(Stream.TRAINING, 7)
    assert all(np.array_equal(draws[7][name], again[name]) for name in again)
    assert len({(one["frame"].tobytes(), look_of(one, frame)) for one in draws}) > 30
    assert len({look_of(one, frame) for one in draws}) > 8
    assert all(one[spec.name].shape == spec.shape for one in draws for spec in frame.inputs)


def look_of(inputs: dict[str, np.ndarray], frame: GraphDeclaration) -> bytes:
    return b"".join(inputs[spec.name].tobytes() for spec in frame.inputs if spec.name != "frame")


def test_checking_inputs_are_neither_trained_on_nor_held_out(bundle: Path, calibration: CalibrationSet) -> None:
    draw = CalibrationDraw(calibration, open_bundle(bundle).frame_graph, seed=5)
    checked = {draw(Stream.CHECKING, index)["frame"].tobytes() for index in range(20)}
    trained = {draw(Stream.TRAINING, index)["frame"].tobytes() for index in range(200)}
    held_out = {sample["frame"].tobytes() for sample in calibration.held_out}
    assert len(checked) == 2 and not checked & held_out
    assert len(checked & trained) <= 2  # a frame may come back with another look


# The road ---------------------------------------------------------------------------------------------------------


def test_a_fine_tuned_variant_joins_the_bundle_in_its_place(
    bundle: Path, calibration: CalibrationSet, tmp_path: Path
) -> None:
    place, job = Path(shutil.copy(bundle, tmp_path / "own.i2i")), few("openvino")
    summary = fine_tune_bundle(place, place, calibration, job, QUICK, Run(tmp_path / "run"))
    assert summary.finished and summary.best_step > 0 and summary.before and summary.after
    assert summary.after.psnr_db > summary.before.psnr_db
    written, before = open_bundle(place), open_bundle(bundle)
    written.verify_checksums()
    assert written.graph("frame", "fp32").sha256 == before.graph("frame", "fp32").sha256
    variant = written.graph("frame", "int8-openvino-qat")
    assert variant.targets == ("openvino",)
    evidence = [one for one in written.evidence("quality", "frame") if one.variant == job.variant]
    assert evidence[0].figures.items() >= summary.after.figures().items()
    session = onnxruntime.InferenceSession(variant.read(), providers=["CPUExecutionProvider"])
    sample = dict(calibration.held_out[0])
    assert b"QuantizeLinear" in variant.read() and session.run(None, sample)[0].shape == sample["frame"].shape


def test_layers_that_are_kept_in_float_stay_so(bundle: Path, calibration: CalibrationSet, tmp_path: Path) -> None:
    model = model_from_bytes(open_bundle(bundle).graph("frame", "fp32").read())
    quantized = get_target("openvino").placement(find_layers(model)).quantized
    job = replace(few("openvino"), keep_float=(quantized[1],))
    fine_tune_bundle(bundle, tmp_path / "out.i2i", calibration, job, QUICK, Run(tmp_path / "run"))
    written = open_bundle(tmp_path / "out.i2i")
    variant = written.graph("frame", job.variant)
    float_layers = {layer.name for layer in find_layers(model_from_bytes(variant.read()))}
    assert float_layers & set(quantized) == {quantized[1]} and variant.precision == "mixed"
    recipe: Any = written.manifest.recipe["quantize"]
    assert recipe[job.variant]["float"][quantized[1]] == "as asked"
    assert recipe[job.variant]["quantized"] == [name for name in quantized if name != quantized[1]]


def test_a_graph_of_which_nothing_is_left_to_quantize_is_refused(
    bundle: Path, calibration: CalibrationSet, tmp_path: Path
) -> None:
    model = model_from_bytes(open_bundle(bundle).graph("frame", "fp32").read())
    job = replace(few("openvino"), keep_float=get_target("openvino").placement(find_layers(model)).quantized)
    with pytest.raises(BadInputError, match="every layer stays in float"):
        fine_tune_bundle(bundle, tmp_path / "out.i2i", calibration, job, QUICK, Run(tmp_path / "run"))


def test_a_stopped_run_writes_no_bundle_and_goes_on(bundle: Path, calibration: CalibrationSet, tmp_path: Path) -> None:
    output, job = tmp_path / "out.i2i", few("openvino")
    stopped = fine_tune_bundle(bundle, output, calibration, job, QUICK, Run(tmp_path / "run", should_stop=lambda: True))
    assert (stopped.finished, stopped.step, stopped.before) == (False, 1, None) and not output.exists()
    finished = fine_tune_bundle(bundle, output, calibration, job, QUICK, Run(tmp_path / "run", resume=True))
    assert finished.finished and output.exists()


def test_training_that_does_not_help_writes_nothing(bundle: Path, calibration: CalibrationSet, tmp_path: Path) -> None:
    output, harmful = tmp_path / "out.i2i", replace(QUICK, steps=4, learning_rate=0.3)
    with pytest.raises(BudgetError, match="did not improve"):
        fine_tune_bundle(bundle, output, calibration, QatJob(get_target("tensorrt")), harmful, Run(tmp_path / "run"))
    assert not output.exists()


def test_unknown_layers_to_keep_are_refused(bundle: Path, calibration: CalibrationSet, tmp_path: Path) -> None:
    job = QatJob(get_target("tensorrt"), keep_float=("nonsense",))
    with pytest.raises(UsageError, match="no layer nonsense"):
        fine_tune_bundle(bundle, tmp_path / "out.i2i", calibration, job, QUICK, Run(tmp_path / "run"))
