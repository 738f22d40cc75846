"""Real engines: TensorRT-RTX's parser and builder run here, on no GPU."""

from __future__ import annotations

import hashlib
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.engines.tensorrt.adapter import Adapter
from edge_i2i.engines.tensorrt.builder import build_plan
from edge_i2i.engines.tensorrt.flavour import TENSORRT_RTX
from edge_i2i.engines.tensorrt.options import BuildOptions
from edge_i2i.engines.tensorrt.plan import check_plan, read_plan_header
from edge_i2i.errors import GraphError
from samples.tensorrt.toys import quantized_graph, toy_graph

OPTIONS = BuildOptions().resolved(TENSORRT_RTX)


class Recorder:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, str | None, int]] = []
        self.steps: dict[str, int] = {}
        self.finished: list[str] = []

    def phase_started(self, phase: str, parent: str | None, steps: int) -> None:
        self.phases.append((phase, parent, steps))

    def step_completed(self, phase: str, step: int) -> None:
        self.steps[phase] = self.steps.get(phase, 0) + 1

    def phase_finished(self, phase: str) -> None:
        self.finished.append(phase)


@pytest.fixture(scope="module")
def plan(rtx: Adapter) -> bytes:
    return build_plan(rtx, toy_graph(), OPTIONS)


def test_builds_an_engine_whose_header_names_product_and_version(rtx: Adapter, plan: bytes) -> None:
    header = read_plan_header(plan)
    assert header.flavour == TENSORRT_RTX and str(header.version) == rtx.version
    check_plan(header, TENSORRT_RTX, rtx.version, "rebuild")


def test_options_reach_the_builder(rtx: Adapter, plan: bytes) -> None:
    digests = {hashlib.sha256(plan).hexdigest()}
    for changed in (BuildOptions(targets=("7.5",)), BuildOptions(allow_tf32=True), BuildOptions(workspace_mb=256)):
        other = build_plan(rtx, toy_graph(), changed.resolved(TENSORRT_RTX))
        digests.add(hashlib.sha256(other).hexdigest())
    assert len(digests) == 4


def test_every_known_target_can_be_built_for(rtx: Adapter) -> None:
    options = BuildOptions(targets=TENSORRT_RTX.compute_capabilities).resolved(TENSORRT_RTX)
    assert read_plan_header(build_plan(rtx, toy_graph(), options)).flavour == TENSORRT_RTX


def test_progress_is_told_with_nested_phases(rtx: Adapter) -> None:
    recorder = Recorder()
    build_plan(rtx, toy_graph(), OPTIONS, listener=recorder)
    names = [phase for phase, _, _ in recorder.phases]
    assert recorder.phases[0][1] is None
    assert all(parent in names for _, parent, _ in recorder.phases[1:])
    assert sorted(recorder.finished) == sorted(names)
    for name, told in recorder.steps.items():  # a phase of the same name can come again
        assert told <= sum(steps for phase, _, steps in recorder.phases if phase == name)
    assert sum(recorder.steps.values()) > 10


def test_an_unknown_operator_is_named_with_its_node(rtx: Adapter) -> None:
    with pytest.raises(GraphError) as caught:
        build_plan(rtx, toy_graph(unknown_operator=True), OPTIONS)
    assert "node 'det_8' (Det)" in caught.value.what and "TensorRT-RTX 1." in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize("onnx", [b"", b"not a graph", toy_graph()[:300]])
def test_bytes_that_are_no_graph_are_refused(rtx: Adapter, onnx: bytes) -> None:
    with pytest.raises(GraphError, match="cannot read the graph"):
        build_plan(rtx, onnx, OPTIONS)


def test_refuses_uint8_zero_points_that_would_be_re_read_as_int8(rtx: Adapter) -> None:
    with pytest.raises(GraphError) as caught:
        build_plan(rtx, quantized_graph(np.uint8(0)), OPTIONS)
    assert "would compute other numbers than the graph says, in 2 places" in caught.value.what
    assert "UINT8 zero_point" in caught.value.what and "signed INT8" in caught.value.remedy


def test_builds_signed_quantisation_and_what_is_explicitly_allowed(rtx: Adapter) -> None:
    assert read_plan_header(build_plan(rtx, quantized_graph(np.int8(0)), OPTIONS)).flavour == TENSORRT_RTX
    lenient = BuildOptions(refuse_silent_arithmetic=False).resolved(TENSORRT_RTX)
    assert read_plan_header(build_plan(rtx, quantized_graph(np.uint8(0)), lenient)).flavour == TENSORRT_RTX


def test_a_zero_point_other_than_zero_is_an_error_with_the_node(rtx: Adapter) -> None:
    with pytest.raises(GraphError, match=r"node 'quantize_x' \(QuantizeLinear\).*zero point"):
        build_plan(rtx, quantized_graph(np.int8(5)), OPTIONS)


def test_too_small_a_workspace_is_explained(rtx: Adapter) -> None:
    with pytest.raises(GraphError, match="could not build the engine") as caught:
        build_plan(rtx, toy_graph(), BuildOptions(workspace_mb=1).resolved(TENSORRT_RTX))
    assert "workspace" in caught.value.what and "--workspace-mb" in caught.value.remedy


def test_a_target_that_the_library_does_not_know_is_refused(rtx: Adapter) -> None:
    with pytest.raises(GraphError, match=r"cannot build for compute capability 9\.9"):
        build_plan(rtx, toy_graph(), BuildOptions(targets=("9.9",)))


def test_the_listeners_exception_stops_the_build(rtx: Adapter) -> None:
    class Broken(Recorder):
        def step_completed(self, phase: str, step: int) -> None:
            raise BrokenPipeError("the terminal is gone")

    with pytest.raises(BrokenPipeError, match="the terminal is gone"):
        build_plan(rtx, toy_graph(), OPTIONS, listener=Broken())


def test_ctrl_c_stops_the_build_at_its_next_step(rtx: Adapter) -> None:
    class Interrupting(Recorder):
        def step_completed(self, phase: str, step: int) -> None:
            super().step_completed(phase, step)
            if sum(self.steps.values()) == 5:
                signal.raise_signal(signal.SIGINT)
            time.sleep(0.05)  # lets the waiting thread see the signal; the build has over a hundred steps

    recorder = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        build_plan(rtx, toy_graph(), OPTIONS, listener=recorder)
    assert sum(recorder.steps.values()) < 50


def test_the_same_build_gives_the_same_engine(rtx: Adapter, plan: bytes) -> None:
    assert build_plan(rtx, toy_graph(), OPTIONS) == plan


@pytest.mark.parametrize("saved", [None, b"", b"no timing cache at all"])
def test_the_timing_cache_is_read_and_written(rtx: Adapter, plan: bytes, tmp_path: Path, saved: bytes | None) -> None:
    """TensorRT-RTX keeps no timings (so its engines never ask for this), but takes and gives the same objects."""
    path = tmp_path / "timing.cache"
    if saved is not None:
        path.write_bytes(saved)
    assert build_plan(rtx, toy_graph(), OPTIONS, timing_cache=path) == plan
    assert path.exists() and list(tmp_path.iterdir()) == [path]
