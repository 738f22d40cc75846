"""What layers reach over a calibration set: against numpy's own figures, kept between runs, and what is refused."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.quantize.calibration.samples import Sample
from edge_i2i.quantize.calibration.statistics import (
    RangeKind,
    Statistics,
    cache_key,
    cached_statistics,
    collect_statistics,
    range_kind,
)
from samples.calibration import toy_graph
from samples.quantizing import painter_with
from samples.sensitive import DECLARATION, LAYERS, painter, scenes


def collect(**options: Any) -> Statistics:
    return collect_statistics(painter(), scenes(), "scenes", threads=1, **options)


def tensors(names: Sequence[str]) -> list[list[NDArray[np.float32]]]:
    """What the painter's own tensors hold, for each name and scene."""
    model = onnx.load_from_string(painter().data)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = [session.run(list(names), dict(scene)) for scene in scenes()]
    return [[run[index] for run in runs] for index in range(len(names))]


def equal(one: Statistics, other: Statistics) -> bool:
    sides = ((one.inputs, other.inputs), (one.outputs, other.outputs))
    return replace(one, inputs={}, outputs={}) == replace(other, inputs={}, outputs={}) and all(
        list(a) == list(b)
        and all(np.array_equal(a[n].low, b[n].low) and np.array_equal(a[n].high, b[n].high) for n in a)
        for a, b in sides
    )


# Collecting ------------------------------------------------------------------------------------------------------


def test_min_max_is_that_of_every_channel_over_all_samples() -> None:
    found = collect(outputs=True)
    assert (found.samples, found.kind, found.data_sha256) == (len(scenes()), RangeKind.MIN_MAX, "scenes")
    assert found.graph_sha256 == painter().sha256
    read = dict(zip(LAYERS, tensors([f"value{index}" for index in range(5)]), strict=True))
    written = dict(zip(LAYERS, tensors(["conv0", "conv1", "conv2", "conv3", "painted"]), strict=True))
    for layers, arrays in ((found.inputs, read), (found.outputs, written)):
        assert tuple(layers) == LAYERS
        for name, ranges in layers.items():
            stacked = np.concatenate(arrays[name])
            np.testing.assert_array_equal(ranges.low, stacked.min(axis=(0, 2, 3)))
            np.testing.assert_array_equal(ranges.high, stacked.max(axis=(0, 2, 3)))


def test_percentiles_are_taken_in_each_frame_and_channel() -> None:
    found = collect(kind=RangeKind.PERCENTILE)
    for name, arrays in zip(LAYERS, tensors([f"value{index}" for index in range(5)]), strict=True):
        low, high = (
            np.stack([np.quantile(array, share, axis=(0, 2, 3)) for array in arrays]) for share in (1e-4, 1 - 1e-4)
        )
        np.testing.assert_allclose(found.inputs[name].low, low.min(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.inputs[name].high, high.max(axis=0), rtol=1e-4, atol=1e-5)
    assert found.inputs["body"].whole.high < collect().inputs["body"].whole.high


def test_what_layers_write_is_collected_only_when_asked_for() -> None:
    assert collect().outputs == {} and list(collect(outputs=True).outputs) == list(LAYERS)


class Watched(Sequence[Sample]):
    """Many samples, and the megabytes that the process has grown by when the last one is asked for."""

    def __init__(self, count: int) -> None:
        self._count, self.grown = count, 0.0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        return scenes()[index % len(scenes())]

    def __iter__(self) -> Iterator[Sample]:
        began = 0.0
        for index in range(self._count):
            began = _resident_megabytes() if index == 2 else began
            yield self[index]
        self.grown = _resident_megabytes() - began


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_does_not_grow_with_the_samples() -> None:
    samples = Watched(100)
    collect_statistics(painter(), samples, "scenes", outputs=True, threads=1)
    assert samples.grown < 30, "all tensors of all samples would be 110 MB"


def test_a_kind_is_looked_up_by_its_name() -> None:
    assert [range_kind("min-max"), range_kind("percentile")] == list(RangeKind)
    with pytest.raises(UsageError, match="no kind of ranges 'entropy'") as caught:
        range_kind("entropy")
    assert "min-max, percentile" in caught.value.remedy


# Refusals --------------------------------------------------------------------------------------------------------


def nan_somewhere(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    weight[2, 1, 0, 2] = np.nan
    return weight


@pytest.mark.parametrize("layer", ["edges", "paint"])
def test_the_layer_with_a_weight_that_is_nan_is_named(layer: str) -> None:
    graph = painter_with(layer, nan_somewhere)
    with pytest.raises(BadInputError, match=rf"weight of the layer '{layer}' holds NaN") as caught:
        collect_statistics(graph, scenes(), "scenes", threads=1)
    assert caught.value.exit_code == 4 and caught.value.remedy


@pytest.mark.parametrize("outputs", [False, True])
@pytest.mark.parametrize("layer", ["edges", "paint"])
def test_the_layer_that_overflows_is_named_and_not_the_one_that_reads_it(layer: str, outputs: bool) -> None:
    graph = painter_with(layer, lambda weight: np.full_like(weight, 3e38))
    with pytest.raises(BadInputError, match=f"result of the layer '{layer}' is NaN or infinite") as caught:
        collect_statistics(graph, scenes(), "scenes", outputs=outputs, threads=1)
    assert caught.value.exit_code == 4 and caught.value.remedy


def test_what_is_no_number_before_any_layer_is_told_by_the_layer_that_reads_it() -> None:
    model = onnx.load_from_string(painter().data)
    for tensor in model.graph.initializer:
        if tensor.name == "unit":
            tensor.CopyFrom(numpy_helper.from_array(np.float32(np.inf), "unit"))
    with pytest.raises(BadInputError, match="The input of the layer 'stem' is NaN or infinite"):
        collect_statistics(GraphInMemory(DECLARATION, model.SerializeToString()), scenes(), "scenes", threads=1)


def test_a_graph_without_convolutions_is_refused() -> None:
    with pytest.raises(BadInputError, match="'frame' has no convolution") as caught:
        collect_statistics(GraphInMemory(DECLARATION, toy_graph(DECLARATION)), scenes(), "scenes", threads=1)
    assert caught.value.remedy


def test_no_samples_are_refused() -> None:
    with pytest.raises(BadInputError, match="nothing to calibrate with") as caught:
        collect_statistics(painter(), (), "none", threads=1)
    assert caught.value.remedy


# Keeping ---------------------------------------------------------------------------------------------------------


def cached(folder: Path, samples: Sequence[Sample] | None = None, **options: Any) -> tuple[Statistics, bool]:
    given = {"graph": painter(), "data_sha256": "scenes", **options}
    graph, data = given.pop("graph"), given.pop("data_sha256")
    return cached_statistics(folder, graph, scenes() if samples is None else samples, data, threads=1, **given)


def test_a_second_run_reads_what_the_first_one_kept(tmp_path: Path) -> None:
    first, from_cache = cached(tmp_path / "new", outputs=True)
    again, hit = cached(tmp_path / "new", outputs=True)
    assert (from_cache, hit) == (False, True) and equal(first, again)


@pytest.mark.parametrize(
    "other",
    [
        {"data_sha256": "other scenes"},
        {"kind": RangeKind.PERCENTILE},
        {"outputs": True},
        {"graph": painter_with("body", lambda weight: weight * np.float32(2))},
    ],
)
def test_other_data_another_kind_more_outputs_or_another_graph_are_collected(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    cached(tmp_path)
    found, hit = cached(tmp_path, **other)
    assert not hit
    again, hit = cached(tmp_path, **other)
    assert hit and equal(found, again)


def test_what_was_collected_with_outputs_serves_those_who_need_none(tmp_path: Path) -> None:
    first, _ = cached(tmp_path, outputs=True)
    found, hit = cached(tmp_path)
    assert hit and equal(first, found)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, Statistics]:
    """A cache folder's only file, its bytes, and what they hold."""
    folder = tmp_path_factory.mktemp("kept")
    statistics, _ = cached(folder)
    (path,) = folder.iterdir()
    return path, path.read_bytes(), statistics


class Unread(Sequence[Sample]):
    """Samples that must be asked for: a damaged file was noticed."""

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Any:
        raise LookupError("collecting")

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Iterator[Sample]:
        raise LookupError("collecting")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_collected_again(kept: tuple[Path, bytes, Statistics], data: st.DataObject) -> None:
    path, whole, _ = kept
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytes([whole[place] ^ data.draw(st.integers(1, 255))])
    damaged = data.draw(st.sampled_from([whole[:place], whole[:place] + flipped + whole[place + 1 :]]))
    path.write_bytes(damaged)
    with pytest.raises(LookupError, match="collecting"):
        cached(path.parent, Unread())


def test_a_damaged_file_is_replaced(kept: tuple[Path, bytes, Statistics]) -> None:
    path, whole, statistics = kept
    path.write_bytes(b"")
    found, hit = cached(path.parent)
    assert not hit and equal(found, statistics) and path.read_bytes() == whole


def test_a_file_of_another_key_is_not_believed(kept: tuple[Path, bytes, Statistics], tmp_path: Path) -> None:
    path, whole, _ = kept
    key = cache_key(painter().sha256, "others", RangeKind.MIN_MAX, outputs=False)
    mine = cache_key(painter().sha256, "scenes", RangeKind.MIN_MAX, outputs=False)
    (tmp_path / path.name.replace(mine, key)).write_bytes(whole)
    with pytest.raises(LookupError, match="collecting"):
        cached(tmp_path, Unread(), data_sha256="others")


class Interrupted(Unread):
    """Ctrl-C at the third sample."""

    def __iter__(self) -> Iterator[Sample]:
        yield from scenes()[:2]
        raise KeyboardInterrupt


class Seen:
    """Progress that remembers whether it was ended."""

    ended = False

    def start(self, total: int | None, what: str) -> None: ...
    def advance(self, n: int = 1, note: str = "") -> None: ...
    def finish(self) -> None:
        self.ended = True


def test_an_interrupted_collection_leaves_no_file_and_ends_its_bar(tmp_path: Path) -> None:
    seen = Seen()
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, Interrupted(), progress=seen)
    assert list(tmp_path.iterdir()) == [] and seen.ended
    assert not cached(tmp_path)[1]
