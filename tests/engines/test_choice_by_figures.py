"""`auto` goes by what was measured on this very machine, and by nothing that was measured elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.engines.choice import Choice, Picked, choose
from edge_i2i.engines.openvino.capabilities import Capabilities
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.errors import GraphError, MissingRequirementError, UsageError
from samples import processors
from samples.qdq import latency

Measured = Callable[..., Bundle]
FP32 = latency("fp32", "openvino", 20)
INT8 = latency("int8-openvino", "openvino", 10)
ORT_FP32 = latency("fp32", "onnxruntime", 30)


@pytest.fixture
def measured(quantized_bundle: Path, tmp_path: Path) -> Measured:
    """A bundle with quantized variants and these latencies; ``only_on_request``: a variant not to recommend."""

    def extend(*records: EvidenceRecord, only_on_request: str = "") -> Bundle:
        path = Path(shutil.copy(quantized_bundle, tmp_path / "measured.i2i"))
        with extend_bundle(path) as writer:
            if only_on_request:
                graph = open_bundle(path).graph("frame", only_on_request)
                writer.add_graph(
                    graph.declaration,
                    variant=graph.variant,
                    precision=graph.precision,
                    opset=graph.opset,
                    onnx=graph.read(),
                    targets=graph.targets,
                    label="slower than fp32 on this machine; kept on request",
                    recommended=False,
                )
            for record in records:
                writer.add_evidence(record)
            writer.finish_extended()
        return open_bundle(path)

    return extend


def picked(bundle: Bundle, engine: str = "auto", variant: str = "auto", precision: str | None = None) -> Choice:
    return choose(bundle, "frame", engine, variant, EngineOptions(threads=1, precision=precision))


def told(choice: Choice) -> tuple[str, str, Picked]:
    return choice.graph.variant, choice.engine.name, choice.picked


def changed(record: EvidenceRecord, **update: Any) -> EvidenceRecord:
    return record.model_copy(update=update)


def test_the_fastest_measured_pair_is_taken(measured: Measured) -> None:
    choice = picked(measured(FP32, INT8, ORT_FP32))
    assert told(choice) == ("int8-openvino", "openvino", Picked.FIGURES)
    with choice.load() as session:
        assert session.info.effective_precision.startswith("int8")


def test_another_engine_is_taken_where_it_was_faster(measured: Measured) -> None:
    bundle = measured(FP32, INT8, latency("fp32", "onnxruntime", 5))
    assert told(picked(bundle)) == ("fp32", "onnxruntime", Picked.FIGURES)


def test_an_unmeasured_bundle_goes_by_rule(measured: Measured) -> None:
    assert told(picked(measured())) == ("fp32", "openvino", Picked.RULE)


@pytest.mark.parametrize(
    "update",
    [
        {"machine": {**INT8.machine, "processor": "another processor"}},
        {"machine": {**INT8.machine, "cores": 1024}},
        {"machine": {}},
        {"versions": {**INT8.versions, "openvino": "2020.1"}},
        {"versions": {}},
        {"figures": {"mean_ms": 1.0}},
        {"graph": "another"},
        {"kind": "parity"},
        {"engine": "none"},
        {"variant": "int8-gone"},
    ],
)
def test_figures_that_do_not_speak_of_this_machine_are_not_used(measured: Measured, update: dict[str, Any]) -> None:
    assert picked(measured(FP32, changed(INT8, **update), ORT_FP32)).graph.variant == "fp32"


def test_figures_decide_only_if_the_engine_of_the_rule_was_measured(measured: Measured) -> None:
    bundle = measured(latency("int8-onnxruntime", "onnxruntime", 1))
    assert told(picked(bundle)) == ("fp32", "openvino", Picked.RULE)


def test_the_latest_measurement_of_a_pair_counts(measured: Measured) -> None:
    bundle = measured(FP32, INT8, latency("int8-openvino", "openvino", 40))
    assert told(picked(bundle)) == ("fp32", "openvino", Picked.FIGURES)


def test_a_variant_that_is_kept_only_on_request_is_never_picked(measured: Measured) -> None:
    bundle = measured(FP32, INT8, only_on_request="int8-openvino")
    assert told(picked(bundle)) == ("fp32", "openvino", Picked.FIGURES)
    assert told(picked(bundle, "openvino", "int8-openvino")) == ("int8-openvino", "openvino", Picked.ASKED)


def test_an_illegal_pair_is_not_picked_however_fast(measured: Measured) -> None:
    bundle = measured(FP32, latency("int8-tensorrt", "openvino", 1), latency("int8-openvino", "onnxruntime", 1))
    assert told(picked(bundle)) == ("fp32", "openvino", Picked.FIGURES)


def test_the_reference_engine_is_not_picked_however_fast(measured: Measured) -> None:
    assert picked(measured(FP32, latency("fp32", "torch", 1))).engine.name == "openvino"


def test_a_named_engine_leaves_the_variant_to_the_figures(measured: Measured) -> None:
    bundle = measured(FP32, INT8, ORT_FP32, latency("int8-onnxruntime", "onnxruntime", 60))
    assert told(picked(bundle, engine="onnxruntime")) == ("fp32", "onnxruntime", Picked.FIGURES)
    assert told(picked(bundle, engine="openvino")) == ("int8-openvino", "openvino", Picked.FIGURES)
    assert told(picked(bundle, engine="torch")) == ("fp32", "torch", Picked.RULE)


def test_a_named_variant_leaves_the_engine_to_the_figures(measured: Measured) -> None:
    bundle = measured(FP32, latency("fp32", "onnxruntime", 5))
    assert told(picked(bundle, variant="fp32")) == ("fp32", "onnxruntime", Picked.FIGURES)
    assert told(picked(bundle, variant="int8-onnxruntime")) == ("int8-onnxruntime", "onnxruntime", Picked.RULE)


# Float arithmetic -----------------------------------------------------------------------------------------------


def test_the_float_arithmetic_is_taken_as_it_was_measured(measured: Measured) -> None:
    choice = picked(measured(INT8, latency("fp16", "openvino", 2, "fp32")))
    assert (choice.graph.variant, choice.options.precision) == ("fp16", "fp32")
    assert picked(measured(INT8, latency("fp16", "openvino", 20, "fp32"))).options.precision is None


@pytest.mark.parametrize("here", [processors.PLAIN, processors.WITH_BF16])
@pytest.mark.parametrize("judged", [("fp32", "bf16"), ("fp32",), ()])
def test_float_arithmetic_that_this_machine_lacks_or_that_nobody_judged_is_not_picked(
    measured: Measured, monkeypatch: pytest.MonkeyPatch, here: Capabilities, judged: tuple[str, ...]
) -> None:
    bundle = measured(FP32, latency("fp32", "openvino", 1, "bf16"))
    with extend_bundle(bundle.path) as writer:
        writer.judged_in("frame", "fp32", judged)
        writer.finish_extended()
    processors.answer(monkeypatch, here)
    expected = "bf16" if "bf16" in here.floats and "bf16" in judged else None
    assert picked(open_bundle(bundle.path)).options.precision == expected


def test_a_variant_that_is_named_runs_in_its_own_arithmetic(measured: Measured) -> None:
    bundle = measured(latency("fp32", "openvino", 20), latency("fp32", "openvino", 2, "bf16"))
    assert picked(bundle, variant="fp32").options.precision is None
    assert picked(bundle, variant="fp32", precision="fp32").options.precision == "fp32"


def test_a_forced_arithmetic_is_held_against_figures_that_were_taken_with_it(measured: Measured) -> None:
    bundle = measured(INT8, latency("fp32", "openvino", 20, "fp32"), latency("fp16", "openvino", 15, "fp32"))
    assert picked(bundle, precision="fp32").graph.variant == "fp16"
    assert picked(bundle).graph.variant == "int8-openvino"


# What does not go together --------------------------------------------------------------------------------------


def test_a_misfit_that_was_asked_for_names_the_variants_that_fit(quantized_bundle: Path) -> None:
    with pytest.raises(GraphError, match="was quantized for tensorrt") as error:
        picked(open_bundle(quantized_bundle), "openvino", "int8-tensorrt")
    assert "fp32, fp16, int8-openvino" in error.value.remedy and "int8-onnxruntime" not in error.value.remedy


def test_a_variant_that_no_engine_here_reads(quantized_bundle: Path) -> None:
    bundle = open_bundle(quantized_bundle)
    with pytest.raises(MissingRequirementError, match="No engine that can run here takes the variant 'int8-tensorrt'"):
        picked(bundle, variant="int8-tensorrt")


def test_an_engine_without_a_variant_that_it_takes(quantized_bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(quantized_bundle, tmp_path / "int8.i2i"))
    with extend_bundle(path, without_variants=["fp32", "fp16", "int8-tensorrt"]) as writer:
        writer.finish_extended()
    bundle = open_bundle(path)
    assert picked(bundle).graph.variant == "int8-openvino"
    assert picked(bundle, engine="onnxruntime").graph.variant == "int8-onnxruntime"
    with pytest.raises(UsageError, match="none of them goes with it"):
        picked(bundle, engine="torch")


def test_a_precision_that_the_engine_cannot_be_told(quantized_bundle: Path) -> None:
    with pytest.raises(UsageError, match="goes with it in bf16"):
        picked(open_bundle(quantized_bundle), engine="onnxruntime", precision="bf16")
