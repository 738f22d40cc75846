"""One suite that every engine passes, or skips with the reason and the command that would let it run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, Size, TensorSpec, picture_spec
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import Engine, EngineOptions, Session
from edge_i2i.engines.registry import engine_names, get_engine
from edge_i2i.errors import BadInputError, EdgeI2IError, MissingRequirementError
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.metrics.parity import psnr

FLOAT_ERROR = 1e-4


@pytest.fixture(scope="module", params=engine_names())
def engine(request: pytest.FixtureRequest) -> Engine:
    return get_engine(request.param)


@pytest.fixture(scope="module")
def runnable(engine: Engine) -> Engine:
    availability = engine.availability()
    if not availability.ok:
        pytest.skip(f"{engine.name}: {availability.reason} → {availability.remedy}; then: pytest {Path(__file__).name}")
    return engine


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> EngineOptions:
    return EngineOptions(threads=2, engine_folder=tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def bundle(rgb_bundle: Path) -> Bundle:
    return open_bundle(rgb_bundle)


@pytest.fixture(scope="module")
def session(runnable: Engine, bundle: Bundle, options: EngineOptions) -> Iterator[Session]:
    with runnable.load(bundle.graph("frame", "fp32"), options) as session:
        yield session


def golden(bundle: Bundle, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    arrays = bundle.golden()
    return {"frame": arrays[f"frame.{index}.in.frame"]}, arrays[f"frame.{index}.out.image"]


def test_an_engine_says_whether_it_can_run_and_what_to_do(engine: Engine) -> None:
    availability = engine.availability()
    assert availability.ok or (availability.reason and availability.remedy)
    assert engine.title and engine.precisions


def test_an_engine_that_cannot_run_is_an_error_not_a_fallback(
    engine: Engine, bundle: Bundle, options: EngineOptions
) -> None:
    if engine.availability().ok:
        pytest.skip(f"{engine.name} can run here")
    with pytest.raises(MissingRequirementError) as error:
        engine.ensure_available()
    assert error.value.exit_code == 3
    assert error.value.remedy
    with pytest.raises(EdgeI2IError):
        engine.load(bundle.graph("frame", "fp32"), options)


@pytest.mark.parametrize("index", [0, 1])
def test_fp32_gives_the_reference_picture(session: Session, bundle: Bundle, index: int) -> None:
    inputs, expected = golden(bundle, index)
    result = session.run(inputs)["image"]
    difference = np.abs(result.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert psnr(result, expected) >= 67  # a rounding here and there


def test_fp16_gives_almost_the_reference_picture(runnable: Engine, bundle: Bundle, options: EngineOptions) -> None:
    inputs, expected = golden(bundle, 0)
    with runnable.load(bundle.graph("frame", "fp16"), options) as session:
        assert psnr(session.run(inputs)["image"], expected) >= 50.0


def test_results_do_not_depend_on_what_ran_before(session: Session, bundle: Bundle) -> None:
    first, _ = golden(bundle, 0)
    second, _ = golden(bundle, 1)
    once = session.run(first)["image"]
    session.run(second)
    assert np.array_equal(session.run(first)["image"], once)


def test_run_into_writes_the_callers_array_and_keeps_the_input(session: Session, bundle: Bundle) -> None:
    inputs, _ = golden(bundle, 0)
    before = inputs["frame"].copy()
    target = np.full(session.declaration.outputs[0].shape, 7, np.uint8)
    session.run_into(inputs, {"image": target})
    assert np.array_equal(target, session.run(inputs)["image"])
    assert np.array_equal(inputs["frame"], before)


def test_returned_arrays_are_the_callers_own(session: Session, bundle: Bundle) -> None:
    first, second = golden(bundle, 0)[0], golden(bundle, 1)[0]
    kept = session.run(first)["image"]
    copy = kept.copy()
    session.run(second)
    assert np.array_equal(kept, copy)


def test_a_read_only_input_is_read(session: Session, bundle: Bundle) -> None:
    frame = golden(bundle, 0)[0]["frame"]
    frozen = frame.copy()
    frozen.flags.writeable = False
    assert np.array_equal(session.run({"frame": frozen})["image"], session.run({"frame": frame})["image"])


def test_many_read_only_inputs_are_read_as_they_are(runnable: Engine, options: EngineOptions) -> None:
    """Cached looks are read-only; what an engine copies of them has to live until the call has ended."""
    graph, inputs = adding_maps(9)
    with runnable.load(graph, options) as session:
        expected = session.run(inputs)["image"].copy()
        for array in inputs.values():
            array.flags.writeable = False
        for _ in range(20):
            np.testing.assert_array_equal(session.run(inputs)["image"], expected)


def adding_maps(count: int) -> tuple[GraphInMemory, dict[str, np.ndarray]]:
    """A graph that adds up maps of falling size, as biases that belong to a look are added, and such maps."""
    size, rng = Size(256, 256), np.random.default_rng(4)
    sides = [2 ** (9 - number) for number in range(1, count)]
    shapes = {f"bias_{number}": (64, side, side) for number, side in enumerate(sides)}
    inputs = {name: rng.normal(0, 20, shape).astype(np.float32) for name, shape in shapes.items()}
    sums = "".join(f"s{n} = ReduceMean<keepdims=1>(bias_{n}) t{n + 1} = Add(t{n}, s{n}) " for n in range(count - 1))
    declared = ", ".join(f"float[{','.join(map(str, shape))}] {name}" for name, shape in shapes.items())
    text = f"""<ir_version: 10, opset_import: ["" : 18]>
    maps (uint8[{size},3] frame, {declared}) => (uint8[{size},3] image) {{
        floats = Cast<to=1>(frame) t0 = Unsqueeze(floats, first) {sums}
        flat = Squeeze(t{count - 1}, first) whole = Round(flat) kept = Clip(whole, black, white)
        image = Cast<to=2>(kept)
    }}""".replace(str(size), f"{size.height},{size.width}")
    model = onnx.parser.parse_model(text)
    constants = {"first": np.array([0], np.int64), "black": np.float32(0), "white": np.float32(255)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items())
    specs = [TensorSpec(n, Role.STYLE, shape, DType.FLOAT32, -100, 100, "a bias") for n, shape in shapes.items()]
    frame = picture_spec("frame", Role.FRAME, size, "the camera's picture")
    image = picture_spec("image", Role.IMAGE, size, "the picture")
    declaration = GraphDeclaration("frame", GraphKind.FRAME, (frame, *specs), (image,))
    inputs["frame"] = rng.integers(0, 256, (size.height, size.width, 3), np.uint8)
    return GraphInMemory(declaration, model.SerializeToString()), inputs


def test_a_non_contiguous_input_is_read_correctly(session: Session, bundle: Bundle) -> None:
    frame = golden(bundle, 0)[0]["frame"]
    mirrored = frame[:, ::-1]
    assert np.array_equal(
        session.run({"frame": mirrored})["image"], session.run({"frame": np.ascontiguousarray(mirrored)})["image"]
    )


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({}, "missing or unknown: ['frame']"),
        ({"frame": np.zeros((64, 96, 3), np.uint8), "more": np.zeros(1)}, "missing or unknown: ['more']"),
        ({"frame": np.zeros((64, 64, 3), np.uint8)}, "must be uint8[64, 96, 3], not uint8[64, 64, 3]"),
        ({"frame": np.zeros((64, 96, 3), np.float32)}, "not float32[64, 96, 3]"),
    ],
)
def test_wrong_inputs_are_named(session: Session, inputs: dict[str, np.ndarray], complaint: str) -> None:
    with pytest.raises(BadInputError) as error:
        session.run(inputs)
    assert complaint in str(error.value)
    assert error.value.exit_code == 4


def test_wrong_outputs_are_named(session: Session, bundle: Bundle) -> None:
    inputs, _ = golden(bundle, 0)
    with pytest.raises(BadInputError, match="output 'image' must be uint8"):
        session.run_into(inputs, {"image": np.zeros((64, 96, 3), np.float32)})
    with pytest.raises(BadInputError, match="C-contiguous"):
        session.run_into(inputs, {"image": np.zeros((64, 192, 3), np.uint8)[:, ::2]})


def test_the_session_says_what_is_really_used(session: Session, runnable: Engine) -> None:
    info = session.info
    assert info.engine == runnable.name
    assert info.version and info.device and info.provider
    assert info.effective_precision == "fp32"


def test_closing_twice_is_harmless_and_running_afterwards_is_an_error(
    runnable: Engine, bundle: Bundle, options: EngineOptions
) -> None:
    session = runnable.load(bundle.graph("frame", "fp32"), options)
    session.close()
    session.close()
    with pytest.raises(EdgeI2IError, match="closed"):
        session.run(golden(bundle, 0)[0])


@pytest.mark.parametrize("seed", [11, 12])
def test_label_mode_and_its_condition_graph_agree_with_torch(
    runnable: Engine, label_bundle: Path, options: EngineOptions, seed: int
) -> None:
    """Two styles, two label maps: nothing that was traced with zeros may be baked in."""
    bundle, reference = open_bundle(label_bundle), get_engine("torch")
    for graph in (bundle.frame_graph, *bundle.condition_graphs):
        inputs = sample_inputs(graph, seed)
        with reference.load(bundle.graph(graph.name, "fp32"), options) as session:
            (expected,) = session.run(inputs).values()
        with runnable.load(bundle.graph(graph.name, "fp32"), options) as session:
            (result,) = session.run(inputs).values()
        tolerance = 1 if result.dtype == np.uint8 else FLOAT_ERROR
        assert np.abs(result.astype(np.float64) - expected.astype(np.float64)).max() <= tolerance
