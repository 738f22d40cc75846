"""The runner's control flow, over a stand-in for the GPU: capture checked, no stale replay, freeing in order."""

from __future__ import annotations

import numpy as np
import pytest

from edge_i2i.engines.protocol import Session, SessionInfo
from edge_i2i.engines.tensorrt.adapter import EngineTensor
from edge_i2i.engines.tensorrt.runner import TensorRtSession, check_tensors
from edge_i2i.errors import BadInputError, EdgeI2IError, GraphError, PlanError, UsageError
from samples.tensorrt.fake_gpu import FakeContext, FakeGpu, OutOfMemory
from samples.tensorrt.toys import SIZE, toy_declaration

INFO = SessionInfo("tensorrt", "11.4.0", "a GPU", "TensorRT", "fp32")
PICTURES = np.random.default_rng(0).integers(0, 256, (3, SIZE.height, SIZE.width, 3), np.uint8)
FREED = ("destroy_graph", "release_context", "free", "free_pinned", "free", "free_pinned", "destroy_stream")


def open_session(gpu: FakeGpu, **context: object) -> Session:
    return TensorRtSession(toy_declaration(), INFO, lambda: FakeContext(gpu, **context), gpu)


def freeing(gpu: FakeGpu) -> tuple[str, ...]:
    return tuple(event for event in gpu.events if event.startswith(("free", "destroy", "release")))


def test_replays_one_graph_for_each_frame_and_never_an_old_picture() -> None:
    gpu = FakeGpu()
    with open_session(gpu) as session:
        gpu.events.clear()
        for picture in PICTURES:
            np.testing.assert_array_equal(session.run({"frame": picture})["image"], 255 - picture)
        assert gpu.events == ["launch", "synchronize"] * len(PICTURES)
        assert "one graph" in session.info.notes[0]


def test_runs_once_plainly_before_it_captures() -> None:
    gpu = FakeGpu()
    with open_session(gpu):
        assert gpu.events.index("enqueue") < gpu.events.index("begin_capture")
        assert gpu.events.count("enqueue") == 2


def test_an_inference_refused_during_the_capture_means_no_graph() -> None:
    gpu = FakeGpu()
    with open_session(gpu, refuse_at=2) as session:
        assert "not used" in session.info.notes[0] and "the stand-in refused" in session.info.notes[0]
        for picture in PICTURES:
            np.testing.assert_array_equal(session.run({"frame": picture})["image"], 255 - picture)
    assert "launch" not in gpu.events and gpu.leaks == 0


@pytest.mark.parametrize("call", ["begin_capture:1", "end_capture:1", "copy_to_device:2", "copy_to_host:2"])
def test_a_failing_capture_falls_back_to_queueing(call: str) -> None:
    gpu = FakeGpu(fail_at=call)
    with open_session(gpu) as session:
        assert "not used" in session.info.notes[0]
        np.testing.assert_array_equal(session.run({"frame": PICTURES[0]})["image"], 255 - PICTURES[0])
    assert gpu.leaks == 0


def test_a_runtime_that_captures_by_itself_is_not_captured() -> None:
    gpu = FakeGpu()
    with open_session(gpu, captures_itself=True) as session:
        assert "by the runtime itself" in session.info.notes[0]
        np.testing.assert_array_equal(session.run({"frame": PICTURES[0]})["image"], 255 - PICTURES[0])
    assert "begin_capture" not in gpu.events


def test_a_refused_frame_is_an_error_with_the_reason() -> None:
    with open_session(FakeGpu(), refuse_at=4, captures_itself=True) as session:
        session.run({"frame": PICTURES[0]})
        session.run({"frame": PICTURES[0]})
        with pytest.raises(GraphError, match="the stand-in refused"):
            session.run({"frame": PICTURES[0]})


def test_an_engine_that_refuses_its_first_inference_cannot_be_loaded() -> None:
    gpu = FakeGpu()
    with pytest.raises(GraphError, match="refused to run"):
        open_session(gpu, refuse_at=1)
    assert gpu.leaks == 0


def test_frees_graph_context_buffers_and_stream_in_this_order() -> None:
    gpu = FakeGpu()
    session = open_session(gpu)
    gpu.events.clear()
    session.close()
    session.close()
    assert gpu.events[0] == "synchronize"
    assert freeing(gpu) == FREED
    assert gpu.leaks == 0


@pytest.mark.parametrize(
    "call",
    ["create_stream:1", "allocate_pinned:1", "allocate:1", "allocate_pinned:2", "allocate:2", "synchronize:1"],
)
def test_frees_what_it_had_when_opening_fails(call: str) -> None:
    gpu = FakeGpu(fail_at=call)
    with pytest.raises(GraphError):
        open_session(gpu)
    assert gpu.leaks == 0
    assert FREED[len(FREED) - len(freeing(gpu)) :] == freeing(gpu)


def test_frees_the_buffers_when_there_is_no_memory_for_a_context() -> None:
    gpu = FakeGpu()

    def make_context() -> FakeContext:
        raise OutOfMemory("no memory")

    with pytest.raises(OutOfMemory):
        TensorRtSession(toy_declaration(), INFO, make_context, gpu)
    assert gpu.leaks == 0


@pytest.mark.parametrize("call", ["synchronize:2", "destroy_graph:1", "free:1", "free_pinned:2"])
def test_goes_on_freeing_when_one_step_fails(call: str) -> None:
    gpu = FakeGpu(fail_at=call)
    session = open_session(gpu)
    with pytest.raises(EdgeI2IError):
        session.close()
    assert freeing(gpu)[-1] == "destroy_stream"


def test_a_closed_session_refuses_to_run() -> None:
    session = open_session(FakeGpu())
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.run({"frame": PICTURES[0]})


def test_takes_any_layout_of_input_and_checks_shape_and_dtype() -> None:
    with open_session(FakeGpu()) as session:
        flipped = PICTURES[0][::-1]
        np.testing.assert_array_equal(session.run({"frame": flipped})["image"], 255 - flipped)
        with pytest.raises(BadInputError, match="must be uint8"):
            session.run({"frame": PICTURES[0].astype(np.float32)})


def test_an_engine_of_another_graph_is_named() -> None:
    shape = (SIZE.height, SIZE.width, 3)
    frame, image = EngineTensor("frame", True, "uint8", shape), EngineTensor("image", False, "uint8", shape)
    check_tensors((image, frame), toy_declaration())
    for wrong in (
        (frame,),
        (frame, EngineTensor("image", False, "float32", shape)),
        (frame, EngineTensor("image", False, "uint8", (1, *shape))),
        (frame, EngineTensor("image", True, "uint8", shape)),
    ):
        with pytest.raises(PlanError, match=r"not built from the graph 'frame'.*image") as caught:
            check_tensors(wrong, toy_declaration())
        assert caught.value.exit_code == 4
