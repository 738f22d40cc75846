"""What a judge says of a variant: of rounded pictures and of the float output, on the engine that it is for."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.registry import get_engine
from edge_i2i.errors import BadInputError, GraphError
from edge_i2i.graphs.qdq.targets import get_target
from edge_i2i.metrics.parity import NETWORK_OUTPUT
from edge_i2i.metrics.quality import PictureQuality
from edge_i2i.quantize.judging.emulation import EmulatingEngine
from edge_i2i.quantize.judging.judge import Judge, JudgedInputs, engine_for, judge_for, with_network_output
from edge_i2i.quantize.judging.verdicts import QualityVerdict, VerdictCache
from samples import processors
from samples.sensitive import LAYERS, ONE_THREAD, judge, judged_inputs, painter, quantizer


def variant(target: str = "openvino", layers: tuple[str, ...] = ("body",)) -> GraphInMemory:
    return quantizer(target).quantize(layers, "a-variant").source


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_reference_itself_loses_nothing(engine: str) -> None:
    verdict = Judge(painter(), judged_inputs(), get_engine(engine), ONE_THREAD).judge(painter())
    assert verdict.network_psnr_db == verdict.quality.psnr_db == math.inf
    assert verdict.quality.ssim == verdict.quality.flicker_ratio == 1
    assert verdict.judged_by.startswith(engine) and "fp32" in verdict.judged_by and not verdict.emulated


def test_the_float_output_tells_more_than_rounded_pictures() -> None:
    verdict = judge().judge(variant())
    assert verdict.network_psnr_db is not None
    assert 50 < verdict.quality.psnr_db < verdict.network_psnr_db - 1
    assert verdict.fine_psnr_db == verdict.network_psnr_db


def test_a_quick_judge_finds_on_fewer_pictures_what_a_judge_of_them_alone_finds() -> None:
    inputs, engine = judged_inputs(), get_engine("openvino")
    quick = Judge(painter(), inputs, engine, ONE_THREAD).quick(1)
    alone = Judge(painter(), JudgedInputs(inputs.pictures[:1]), engine, ONE_THREAD)
    assert quick.judge(variant()) == alone.judge(variant())
    assert quick.judge(variant()).quality.flicker_ratio is None


def test_two_engines_show_the_same_float_output() -> None:
    shown = with_network_output(painter())
    sample = judged_inputs().pictures[0]
    outputs = []
    for name in ("openvino", "onnxruntime"):
        with get_engine(name).load(shown, ONE_THREAD) as session:
            outputs.append(session.run(sample))
    np.testing.assert_allclose(*(output[NETWORK_OUTPUT] for output in outputs), atol=1e-4)
    picture = outputs[0]["image"].transpose(2, 0, 1)
    grey = (outputs[0][NETWORK_OUTPUT] + 1) * 127.5
    assert np.abs(grey - picture).max() <= 0.51


def test_a_picture_that_is_made_in_another_way_is_judged_as_it_is() -> None:
    from samples.calibration import toy_graph

    toy = GraphInMemory(painter().declaration, toy_graph(painter().declaration))
    assert with_network_output(toy) is toy
    verdict = Judge(toy, judged_inputs(clip=False), get_engine("onnxruntime"), ONE_THREAD).judge(toy)
    assert verdict.network_psnr_db is None and verdict.fine_psnr_db == verdict.quality.psnr_db == math.inf
    assert verdict.quality.flicker_ratio is None


def test_a_broken_variant_has_the_worst_psnr() -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(painter().data)
    (last,) = (item for item in model.graph.initializer if item.name == "network.paint.weight")
    last.CopyFrom(numpy_helper.from_array(np.full_like(numpy_helper.to_array(last), np.nan), last.name))
    judging = Judge(painter(), judged_inputs(clip=False), get_engine("onnxruntime"), ONE_THREAD)
    verdict = judging.judge(replace(painter(), data=model.SerializeToString()))
    assert verdict.network_psnr_db == -math.inf and verdict.quality.psnr_db < 30


# The engine ------------------------------------------------------------------------------------------------------


def test_targets_are_judged_on_the_engine_that_computes_them() -> None:
    for name in ("openvino", "onnxruntime"):
        engine = engine_for(name)
        assert engine is not None and engine.name == name
    assert engine_for("no such target") is None


def test_a_target_that_no_engine_computes_here_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    import edge_i2i.quantize.judging.judge as module

    monkeypatch.setattr(module, "engine_for", lambda target: None)
    made = judge_for(get_target("tensorrt"), painter(), judged_inputs(clip=False), ONE_THREAD)
    verdict = made.judge(variant("tensorrt"))
    assert verdict.emulated and verdict.judged_by.startswith("onnxruntime") and "tensorrt" in verdict.judged_by
    assert 40 < verdict.quality.psnr_db < 70


def test_an_emulation_takes_its_own_target_and_no_other() -> None:
    emulation = EmulatingEngine(get_target("tensorrt"))
    assert emulation.reads(variant("tensorrt")) and emulation.reads(painter())
    with pytest.raises(GraphError, match="quantized for openvino"):
        emulation.load(variant("openvino"), ONE_THREAD)


def test_an_engine_that_would_read_the_variant_otherwise_is_refused() -> None:
    with pytest.raises(GraphError, match="quantized for openvino"):
        Judge(painter(), judged_inputs(clip=False), get_engine("onnxruntime"), ONE_THREAD).judge(variant("openvino"))


def test_the_fine_judge_computes_the_rest_in_fp32() -> None:
    assert judge().options.precision == "fp32"
    target = get_target("openvino")
    assert judge_for(target, painter(), judged_inputs(), ONE_THREAD).options.precision is None


# What is kept ----------------------------------------------------------------------------------------------------


def test_a_verdict_is_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = variant()
    first = judge(cache=tmp_path).judge(made)
    monkeypatch.setattr(Judge, "_judge", lambda self, graph: pytest.fail("judged again"))
    assert judge(cache=tmp_path).judge(made) == first


def test_other_pictures_another_engine_and_another_graph_are_judged_anew(tmp_path: Path) -> None:
    judge(cache=tmp_path, clip=False).judge(variant())
    judge(cache=tmp_path).judge(variant())
    judge("onnxruntime", cache=tmp_path, clip=False).judge(painter())
    assert len(list(tmp_path.iterdir())) == 3
    judge(cache=tmp_path, clip=False).judge(variant(layers=LAYERS[:2]))
    stored = [len(path.read_text().splitlines()) for path in tmp_path.iterdir()]
    assert sorted(stored) == [1, 1, 2]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, dict[str, QualityVerdict]]:
    """A file with two verdicts, its bytes, and the verdicts."""
    folder = tmp_path_factory.mktemp("verdicts")
    quality = PictureQuality(50.5, 48.25, 0.99, 1.0, 1.0, None)
    verdicts = {
        "a" * 64: QualityVerdict(quality, 61.5, "openvino 2026 (int8+fp32)"),
        "b" * 64: QualityVerdict(replace(quality, psnr_db=math.inf), None, "onnxruntime", emulated=True),
    }
    cache = VerdictCache(folder, "key")
    for sha256, verdict in verdicts.items():
        cache.put(sha256, verdict)
    (path,) = folder.iterdir()
    return path, path.read_bytes(), verdicts


def read(path: Path, key: str = "key") -> dict[str, QualityVerdict | None]:
    cache = VerdictCache(path.parent, key)
    return {sha256: cache.get(sha256) for sha256 in ("a" * 64, "b" * 64)}


@given(data=st.data())
def test_a_byte_that_was_changed_anywhere_is_never_believed(
    kept: tuple[Path, bytes, dict[str, QualityVerdict]], data: st.DataObject
) -> None:
    path, whole, verdicts = kept
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = bytes([data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))])
    changed = data.draw(
        st.sampled_from(
            [whole[:place], whole[:place] + byte + whole[place + 1 :], whole[:place] + byte + whole[place:]]
        )
    )
    path.write_bytes(changed)
    found = read(path)
    assert all(verdict in (None, verdicts[sha256]) for sha256, verdict in found.items())


@given(data=st.data())
def test_a_byte_that_was_flipped_anywhere_is_judged_again_and_said(
    kept: tuple[Path, bytes, dict[str, QualityVerdict]], data: st.DataObject
) -> None:
    """Ends of lines, too: each of the bytes that tell lines apart is tried for each of the others."""
    path, whole, verdicts = kept
    ends = [number for number, byte in enumerate(whole) if byte == ord("\n")]
    place = data.draw(st.sampled_from(ends) | st.integers(0, len(whole) - 1))
    byte = data.draw(
        (st.sampled_from(b"\r\n\0 \x85") | st.integers(0, 255)).filter(lambda value: value != whole[place])
    )
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    with said() as lines:
        found = read(path)
    assert None in found.values() and all(verdict in (None, verdicts[sha256]) for sha256, verdict in found.items())
    (line,) = lines
    assert "judged again" in line and path.name in line


class Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def said() -> Iterator[list[str]]:
    """What is logged meanwhile; caplog would hear every example."""
    listener, logger = Listener(), logging.getLogger("edge_i2i.quantize.judging.verdicts")
    logger.addHandler(listener)
    try:
        yield listener.lines
    finally:
        logger.removeHandler(listener)


def test_a_number_that_was_changed_is_judged_again_and_said_the_other_stays(
    kept: tuple[Path, bytes, dict[str, QualityVerdict]], caplog: pytest.LogCaptureFixture
) -> None:
    path, whole, verdicts = kept
    path.write_bytes(whole)
    assert read(path) == verdicts and not caplog.records
    path.write_bytes(whole.replace(b"48.25", b"58.25", 1))
    assert read(path) == {"a" * 64: None, "b" * 64: verdicts["b" * 64]}
    assert "1 of 2 verdicts" in caplog.text and "judged again" in caplog.text and path.name in caplog.text


def test_verdicts_of_another_judge_or_graph_are_not_taken_over(
    kept: tuple[Path, bytes, dict[str, QualityVerdict]], caplog: pytest.LogCaptureFixture
) -> None:
    path, whole, _ = kept
    other = path.with_name(path.name.replace("key", "another"))
    other.write_bytes(whole)
    assert read(other, "another") == {"a" * 64: None, "b" * 64: None} and "2 of 2" in caplog.text
    other.unlink()
    path.write_bytes(whole.replace(b"a" * 64, b"c" * 64))
    assert read(path)["a" * 64] is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b"0 " + b"[" * 100_000])
def test_a_damaged_file_is_as_none(tmp_path: Path, damage: bytes) -> None:
    first = judge(cache=tmp_path, clip=False).judge(painter())
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert judge(cache=tmp_path, clip=False).judge(painter()) == first
    assert len(path.read_bytes().splitlines()) == 1


def test_a_sound_checksum_of_nonsense_is_as_none(tmp_path: Path) -> None:
    judge(cache=tmp_path, clip=False).judge(painter())
    (path,) = tmp_path.iterdir()
    for text in ("[]", "3", '["key", "a", {}]', '["key", "a", {"quality": {"psnr_db": 1}}]', "[" * 100_000):
        path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()} {text}\n")
        judge(cache=tmp_path, clip=False).judge(painter())


def test_another_processor_judges_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(cache=tmp_path, clip=False).judge(painter())
    processors.answer(monkeypatch, processors.WITH_AMX)
    judge(cache=tmp_path, clip=False).judge(painter())
    assert len(list(tmp_path.iterdir())) == 2


def test_infinite_figures_survive_the_file(tmp_path: Path) -> None:
    for _ in range(2):
        assert judge(cache=tmp_path, clip=False).judge(painter()).quality.psnr_db == math.inf


def test_without_pictures_nothing_can_be_judged() -> None:
    with pytest.raises(BadInputError, match="no pictures to judge"):
        Judge(painter(), JudgedInputs(()), get_engine("onnxruntime"), ONE_THREAD).judge(painter())
