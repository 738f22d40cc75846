"""What is really computed is found out, can be forced, and a graph for another target is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.engines.effective import Arithmetic
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.openvino import capabilities as openvino_capabilities
from edge_i2i.engines.openvino.capabilities import Capabilities
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import engine_names, get_engine
from edge_i2i.errors import GraphError, MissingRequirementError, UsageError
from edge_i2i.graphs.qdq.targets import get_target
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.machine import describe_machine
from edge_i2i.metrics.picture import psnr
from edge_i2i.quantize.judging.emulation import EmulatingEngine
from samples import processors
from samples.qdq import DECLARATION, QdqGraph

ONE_THREAD = EngineOptions(threads=1)


def forced(precision: str) -> EngineOptions:
    return EngineOptions(threads=1, precision=precision)


def quantized(
    *, norms: bool = True, targets: tuple[str, ...] = (), precision: str = "int8", largest_weight: int = 64
) -> GraphInMemory:
    """Four convolutions, all but the last behind Q/DQ; with norms between them nothing can be fused behind them."""
    data = QdqGraph(4, norms=norms, largest_weight=largest_weight).serialised()
    return GraphInMemory(DECLARATION, data, variant="int8-x", precision=precision, targets=targets)


# Effective precision --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["int8", "mixed"])
def test_openvino_tells_how_many_convolutions_are_integers(precision: str) -> None:
    with get_engine("openvino").load(quantized(precision=precision), ONE_THREAD) as session:
        assert session.info.effective_precision == "int8+fp32", "in FP32 on every processor: nobody judged another"
        assert session.info.notes == ("3 of 4 convolutions in INT8, 1 in FP32",)


def test_the_float_rest_of_a_quantized_graph_can_be_forced() -> None:
    with get_engine("openvino").load(quantized(), forced("fp32")) as session:
        assert session.info.effective_precision == "int8+fp32"


def test_onnxruntime_fuses_convolutions_that_are_quantized_on_both_sides() -> None:
    with get_engine("onnxruntime").load(quantized(norms=False), ONE_THREAD) as session:
        assert session.info.effective_precision == "int8+fp32"
        assert session.info.notes == ("2 of 4 convolutions in INT8, 2 in FP32",)


def test_onnxruntime_says_that_it_computes_in_fp32_what_it_cannot_fuse() -> None:
    with get_engine("onnxruntime").load(quantized(), ONE_THREAD) as session:
        assert session.info.effective_precision == "fp32"
        assert session.info.notes == ("4 of 4 convolutions in FP32", "Q/DQ convolutions are computed in FP32")


def test_a_session_that_was_inspected_runs_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = sample_inputs(DECLARATION, 3)
    with get_engine("onnxruntime").load(quantized(), ONE_THREAD) as session:
        once = session.run(inputs)["image"]
        assert (session.run(inputs)["image"] == once).all()
    assert list(tmp_path.iterdir()) == [], "the profiler left a file"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_fp16_graph_that_is_computed_otherwise_says_so(rgb_bundle: Path, engine: str) -> None:
    with get_engine(engine).load(open_bundle(rgb_bundle).graph("frame", "fp16"), ONE_THREAD) as session:
        if session.info.effective_precision != "fp16":
            assert any("FP16 graph" in note for note in session.info.notes)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_a_plain_fp32_graph_needs_no_notes(rgb_bundle: Path, engine: str) -> None:
    with get_engine(engine).load(open_bundle(rgb_bundle).graph("frame", "fp32"), ONE_THREAD) as session:
        assert (session.info.effective_precision, session.info.notes) == ("fp32", ())


@pytest.mark.parametrize(
    ("convolutions", "rest", "name", "note"),
    [
        ({"bf16": 26, "fp32": 1}, "bf16", "bf16+fp32", "26 of 27 convolutions in BF16, 1 in FP32"),
        ({"int8": 5}, "bf16", "int8+bf16", "5 of 5 convolutions in INT8"),
        ({"int8": 5}, "", "int8", "5 of 5 convolutions in INT8"),
        ({"fp32": 9, "int8": 1}, "fp32", "int8+fp32", "1 of 10 convolutions in INT8, 9 in FP32"),
        ({}, "fp32", "fp32", ""),
        ({}, "", "none", ""),
    ],
)
def test_arithmetic_in_words(convolutions: dict[str, int], rest: str, name: str, note: str) -> None:
    arithmetic = Arithmetic(convolutions, rest)
    assert (arithmetic.name, arithmetic.note()) == (name, note)


# The integers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("here", [processors.PLAIN, processors.WITHOUT_VNNI])
@pytest.mark.parametrize("largest_weight", [64, 127])
def test_openvino_multiplies_integers_only_where_they_are_added_up_exactly(
    monkeypatch: pytest.MonkeyPatch, here: Capabilities, largest_weight: int
) -> None:
    processors.answer(monkeypatch, here)
    with get_engine("openvino").load(quantized(largest_weight=largest_weight), ONE_THREAD) as session:
        as_floats = largest_weight > 64 and not here.exact_integers
        assert session.info.effective_precision == ("fp32" if as_floats else "int8+fp32")
        assert any("computed as floats" in note for note in session.info.notes) is as_floats


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("norms", [True, False])
@pytest.mark.parametrize("largest_weight", [64, 127])
def test_the_largest_products_come_out_as_written_on_every_processor(
    engine: str, norms: bool, largest_weight: int
) -> None:
    """Without VNNI the kernels of both cut sums off, unless they are kept from it; with the stand-in none is asked."""
    graph = quantized(norms=norms, largest_weight=largest_weight, targets=(engine,))
    sample = {"frame": np.random.default_rng(3).choice(np.array([0, 255], np.uint8), (16, 24, 3))}
    with EmulatingEngine(get_target(engine)).load(graph, ONE_THREAD) as written:
        expected = written.run(sample)["image"]
    with get_engine(engine).load(graph, ONE_THREAD) as session:
        assert psnr(session.run(sample)["image"], expected) > 45


def test_what_the_processor_adds_up_is_found_out_by_one_convolution() -> None:
    found = openvino_capabilities.found()
    assert "fp32" in found.floats and get_engine("openvino").precisions_here() == found.floats
    assert get_engine("openvino").largest_weight() == (127 if found.exact_integers else 64)
    flags = set(describe_machine()["instructions"])
    if flags & {"avx512_vnni", "avx_vnni"} and not openvino_capabilities.limited_to():
        assert found.exact_integers


def test_with_fewer_instructions_openvino_computes_the_same_picture() -> None:
    """``ONEDNN_MAX_CPU_ISA``: AVX2 on any x86 processor, so without BF16, AMX and VNNI."""
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(__file__).parent)]!r}\n"
        "import numpy as np\n"
        "from test_precision import ONE_THREAD, get_engine, quantized, sample_inputs, DECLARATION\n"
        "with get_engine('openvino').load(quantized(largest_weight=127), ONE_THREAD) as session:\n"
        "    print(session.info.effective_precision, *session.run(sample_inputs(DECLARATION, 3))['image'].ravel())\n"
    )
    told = []
    for limit in ("ALL", "AVX2"):
        environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": limit}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        precision, *values = done.stdout.split()
        assert "bf16" not in precision
        told.append(np.array(values, np.uint8).reshape(1, -1))
    assert np.abs(told[0].astype(int) - told[1]).mean() < 0.5


# Forced precision -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("variant", ["fp32", "fp16"])
def test_openvino_computes_in_what_was_forced_or_not_at_all(rgb_bundle: Path, precision: str, variant: str) -> None:
    engine, graph = get_engine("openvino"), open_bundle(rgb_bundle).graph("frame", variant)
    if precision in engine.precisions_here():
        with engine.load(graph, forced(precision)) as session:
            assert precision in session.info.effective_precision.split("+")
        return
    with pytest.raises(MissingRequirementError, match=f"does not compute in {precision.upper()} here") as error:
        engine.load(graph, forced(precision))
    assert error.value.exit_code == 3 and "--precision fp32" in error.value.remedy


def test_every_processor_computes_in_fp32() -> None:
    assert "fp32" in get_engine("openvino").precisions_here()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("variant", ["fp32", "fp16"])
def test_onnxruntime_can_only_be_told_to_compute_in_fp32(rgb_bundle: Path, precision: str, variant: str) -> None:
    graph = open_bundle(rgb_bundle).graph("frame", variant)
    with pytest.raises(UsageError, match=f"cannot be told to compute the variant '{variant}' in {precision}"):
        get_engine("onnxruntime").load(graph, forced(precision))
    with get_engine("onnxruntime").load(graph, forced("fp32")) as session:
        assert session.info.effective_precision == "fp32"


@pytest.mark.parametrize("engine", ["torch", "tensorrt", "rtx"])
def test_engines_that_compute_what_the_graph_says_take_no_other_precision(rgb_bundle: Path, engine: str) -> None:
    graph = open_bundle(rgb_bundle).graph("frame", "fp16")
    get_engine(engine).check_precision(graph, "fp16")
    with pytest.raises(UsageError, match=r"what the graph says \(fp16\)"):
        get_engine(engine).load(graph, forced("fp32"))


def test_an_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no float arithmetic 'int8'") as error:
        EngineOptions(precision="int8")
    assert "fp32, bf16, fp16" in error.value.remedy


# Targets --------------------------------------------------------------------------------------------------------


def test_every_engine_reads_what_is_meant_for_it() -> None:
    targets = {name: get_engine(name).target for name in engine_names()}
    assert targets == {
        "onnxruntime": "onnxruntime",
        "openvino": "openvino",
        "torch": None,
        "tensorrt": "tensorrt",
        "rtx": "tensorrt",
    }


@pytest.mark.parametrize("name", engine_names())
def test_a_graph_that_was_quantized_for_another_target_is_refused(name: str) -> None:
    engine = get_engine(name)
    others = tuple({"onnxruntime", "openvino", "tensorrt"} - {engine.target or ""})
    with pytest.raises(GraphError) as error:
        engine.load(quantized(targets=others), ONE_THREAD)
    assert f"the engine '{name}' would not compute it as it was measured" in error.value.what
    assert engine.misreading in error.value.what and all(target in error.value.what for target in others)
    assert "another variant" in error.value.remedy


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_graph_for_this_target_is_taken(name: str) -> None:
    with get_engine(name).load(quantized(targets=("onnxruntime", "openvino")), ONE_THREAD) as session:
        assert session.info.engine == name


def test_no_tensorrt_engine_is_built_of_a_graph_for_another_target(tmp_path: Path) -> None:
    from edge_i2i.engines.tensorrt.engine import TensorRtRtxEngine
    from edge_i2i.engines.tensorrt.options import BuildOptions
    from edge_i2i.engines.tensorrt.store import EngineStore

    with pytest.raises(GraphError, match="unsigned zero points"):
        TensorRtRtxEngine().build(quantized(targets=("openvino",)), BuildOptions(), EngineStore(tmp_path))
