"""Who runs against whom, what an entry is compared to, and whether a quantized variant wins; on a clock of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from edge_i2i.arrays import Array
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.openvino.capabilities import Capabilities
from edge_i2i.engines.protocol import Availability, Engine, EngineOptions, GraphSource, Session, SessionInfo
from edge_i2i.engines.registry import get_engine
from edge_i2i.errors import GraphError
from edge_i2i.metrics.latency import Timings
from edge_i2i.quantize.judging.contest import Entry, Placing, best_float, entries, hold_contest, verdict_on
from samples import processors
from samples.quantizing import ROUNDS, placing
from samples.sensitive import DECLARATION, ONE_THREAD, painter, scenes


@dataclass
class Clock:
    """Time passes only when an engine says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stopwatch(Engine):
    """An engine whose frames take the milliseconds that are written down for a variant."""

    name: ClassVar[str] = "stopwatch"
    title: ClassVar[str] = "an engine of these tests"
    target: ClassVar[str | None] = "stopwatch"
    forced_precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16")
    clock: Clock = field(default_factory=Clock)
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    forced: list[str | None] = field(default_factory=list)

    def availability(self) -> Availability:
        return Availability(True, "1.0")

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        if graph.variant == "broken":
            raise GraphError("It does not load.")
        self.forced.append(options.precision)
        return Ticking(self, graph, options)


class Ticking(Session):
    def __init__(self, engine: Stopwatch, graph: GraphSource, options: EngineOptions) -> None:
        self._engine, self._name, self.declaration = engine, graph.variant, graph.declaration
        precision = options.precision or graph.precision
        self.info = SessionInfo("stopwatch", "1.0", "none", "none", precision, options.threads)
        engine.open.append(self._name)

    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self._engine.clock.now += self._engine.milliseconds[self._name] / 1e3

    def close(self) -> None:
        self._engine.open.remove(self._name)


def graph(variant: str, precision: str = "fp32", *targets: str) -> GraphInMemory:
    return GraphInMemory(DECLARATION, variant.encode(), variant, precision, targets)


FP32, FP16, INT8 = graph("fp32"), graph("fp16", "fp16"), graph("int8-stopwatch", "int8", "stopwatch")


def test_entries_are_timed_together_and_compared_to_fp32_of_their_engine() -> None:
    clock = Clock()
    engine = Stopwatch(clock, {"fp32": 20, "fp16": 16, "int8-stopwatch": 5})
    contestants = [Entry(FP16, engine), Entry(FP32, engine, "bf16"), Entry(FP32, engine), Entry(INT8, engine)]
    found = hold_contest(contestants, scenes()[0], ONE_THREAD, rounds=6, clock=clock)
    assert [item.entry for item in found] == contestants
    assert [item.timings.p50 * 1e3 for item in found] == pytest.approx([16, 20, 20, 5])
    assert [item.speed for item in found] == pytest.approx([1.25, 1, 1, 4])
    assert [item.effective_precision for item in found] == ["fp16", "bf16", "fp32", "int8"]
    assert engine.forced == [None, "bf16", None, None] and found[0].threads == 1
    assert {len(item.timings.seconds) for item in found} == {6} and engine.open == []


def test_without_fp32_on_the_engine_no_speed_is_claimed() -> None:
    clock = Clock()
    engine = Stopwatch(clock, {"int8-stopwatch": 5})
    (found,) = hold_contest([Entry(INT8, engine)], scenes()[0], ONE_THREAD, rounds=3, clock=clock)
    assert found.speed is None


def test_time_that_is_up_ends_the_contest_after_three_rounds() -> None:
    clock = Clock()
    engine = Stopwatch(clock, {"fp32": 2000})
    (found,) = hold_contest([Entry(FP32, engine)], scenes()[0], ONE_THREAD, rounds=30, seconds=3, clock=clock)
    assert len(found.timings.seconds) == 3


def test_sessions_are_closed_where_a_later_one_does_not_load() -> None:
    engine = Stopwatch(milliseconds={"fp32": 1})
    with pytest.raises(GraphError, match="does not load"):
        hold_contest([Entry(FP32, engine), Entry(graph("broken"), engine)], scenes()[0], ONE_THREAD)
    assert engine.open == []


def test_variants_meet_the_engines_that_read_them_and_no_others() -> None:
    quantized = [graph(f"int8-{name}", "int8", name) for name in ("openvino", "onnxruntime", "tensorrt")]
    found = [(item.graph.variant, item.engine.name) for item in entries([painter(), *quantized], ONE_THREAD)]
    expected = {("fp32", name) for name in ("openvino", "onnxruntime")}
    assert set(found) == {*expected, ("int8-openvino", "openvino"), ("int8-onnxruntime", "onnxruntime")}


@pytest.mark.parametrize("here", [processors.PLAIN, processors.WITH_BF16])
def test_variants_are_timed_in_the_float_arithmetic_that_they_were_judged_in(
    monkeypatch: pytest.MonkeyPatch, here: Capabilities
) -> None:
    processors.answer(monkeypatch, here)
    judged = [
        replace(FP32, floats=("fp32", "bf16")),
        replace(graph("int8-openvino", "int8", "openvino"), floats=("bf16", "fp32")),
        replace(graph("mixed-openvino", "mixed", "openvino"), floats=("fp32",)),
    ]
    found = [
        (item.graph.variant, item.precision)
        for item in entries([*judged, FP16], ONE_THREAD)
        if item.engine.name == "openvino"
    ]
    narrow = "bf16" in here.floats
    assert found == [
        *[("fp32", None), ("fp32", "bf16")][: 1 + narrow],
        *[("int8-openvino", "bf16"), ("int8-openvino", "fp32")][1 - narrow :],
        ("mixed-openvino", "fp32"),
        ("fp16", None),
    ]


# Verdicts --------------------------------------------------------------------------------------------------------


def placings(times: Mapping[str, float], engine: Stopwatch | None = None) -> list[Placing]:
    known = {item.variant: item for item in (FP32, FP16, INT8)}
    chosen = engine or Stopwatch()
    return [placing(Entry(known[name], chosen), milliseconds) for name, milliseconds in times.items()]


@pytest.mark.parametrize(("int8", "wins"), [(5, True), (7.8, True), (7.9, False), (8, False), (30, False)])
def test_it_has_to_be_1_02_times_faster_than_the_best_float_variant(int8: float, wins: bool) -> None:
    found = verdict_on(INT8.variant, placings({"fp32": 10, "fp16": 8, INT8.variant: int8}))
    assert (found == "") == wins
    assert wins or found == f"{8 / int8:.2f} times as fast as fp16 on stopwatch"


def test_a_gain_within_the_spread_is_none() -> None:
    entry = Entry(INT8, Stopwatch())
    noisy = Placing(entry, Timings((0.005, 0.006, 0.0095, 0.011, 0.012)), "int8", None, 1)
    found = verdict_on(INT8.variant, [*placings({"fp32": 10}), noisy])
    assert found.startswith("1.05 times as fast as fp32 on stopwatch, but not reliably so")


def test_a_forced_float_arithmetic_counts_as_a_float_variant() -> None:
    engine = Stopwatch()
    bf16 = placing(Entry(FP32, engine, "bf16"), 4)
    found = verdict_on(INT8.variant, [*placings({"fp32": 10, INT8.variant: 5}, engine), bf16])
    assert found == "0.80 times as fast as fp32 on stopwatch (bf16)"


def test_what_ran_nowhere_or_against_nothing_has_not_lost() -> None:
    assert verdict_on("int8-tensorrt", placings({"fp32": 10})) == ""
    assert verdict_on(INT8.variant, placings({INT8.variant: 10})) == ""


def test_the_best_float_is_that_of_the_same_engine() -> None:
    slow = placings({"fp32": 100, "fp16": 80, INT8.variant: 50})
    other = placing(Entry(FP32, get_engine("openvino")), 1.0)
    assert verdict_on(INT8.variant, [other, *slow]) == ""
    assert best_float([other, *slow], "stopwatch") is slow[1] and best_float(slow, "openvino") is None
    assert len(slow[0].timings.seconds) == ROUNDS


def test_who_wins_on_one_of_its_engines_is_worth_keeping() -> None:
    class Other(Stopwatch):
        name: ClassVar[str] = "other"

    both = [*placings({"fp32": 10, INT8.variant: 20}), *placings({"fp32": 10, INT8.variant: 5}, Other())]
    assert verdict_on(INT8.variant, both) == ""
