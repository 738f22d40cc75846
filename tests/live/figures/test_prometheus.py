"""The metrics page, read back by a strict parser of the text exposition format 0.0.4."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.errors import UsageError
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.prometheus import CONTENT_TYPE, Family, Sample, exposition, render, session_families
from edge_i2i.live.figures.stats import Quantiles, SinkSnapshot, StatsSnapshot

AGE = Quantiles(count=100, p50=40.0, p90=50.0, p99=60.0, max=70.0, mean=42.0)
SNAPSHOT = StatsSnapshot(
    captured=130, frames=100, age_ms=AGE, stage_ms={"model": AGE}, current_fps=29.5, recoveries=2,
    dropped={DropCause.NEWER_FRAME: 29}, sinks={"file": SinkSnapshot(90, {DropCause.SLOW_SINK: 10}, AGE)},
    source='say "cheese"\\\n', engine="openvino", effective_precision="bf16", seconds=4.5,
)  # fmt: skip

LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?!\})|(?=\}))')
LINE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(\{.*\})? (\S+)")


@dataclass
class Parsed:
    kind: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)


def labels_of(text: str) -> dict[str, str]:
    """Everything between the braces has to be labels, each name once."""
    at, found = 1, {}
    while at < len(text) - 1:
        match = LABEL.match(text, at)
        assert match, f"no label at {text[at:]!r}"
        assert match[1] not in found
        found[match[1]] = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), match[2])
        at = match.end()
    return found


def parse(page: str) -> dict[str, Parsed]:
    """A family is HELP, TYPE, then all of its samples, none of them twice; a summary's are named after it."""
    assert page.endswith("\n") or not page
    families: dict[str, Parsed] = {}
    name, helped = "", ""
    for line in page.split("\n")[:-1]:
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == helped and name not in families and kind in ("counter", "gauge", "summary")
            assert (kind == "counter") == name.endswith("_total")
            families[name] = Parsed(kind)
        else:
            read_sample(line, name, families[name])
    return families


def read_sample(line: str, name: str, family: Parsed) -> None:
    match = LINE.fullmatch(line)
    assert match, line
    suffixes = ("", "_sum", "_count") if family.kind == "summary" else ("",)
    assert match[1] in [name + suffix for suffix in suffixes], line
    labels = labels_of(match[2]) if match[2] else {}
    assert ("quantile" in labels) == (family.kind == "summary" and match[1] == name)
    key = (match[1], frozenset(labels.items()))
    assert key not in family.samples, line
    value = float(match[3])
    assert family.kind != "counter" or (math.isfinite(value) and value >= 0)
    family.samples[key] = value


def value(families: dict[str, Parsed], name: str, *, family: str = "", **labels: str) -> float:
    return families[family or name].samples[name, frozenset(labels.items())]


def test_a_session_can_be_read_back() -> None:
    page = parse(exposition(SNAPSHOT, {"session": "a"}))
    assert value(page, "edge_i2i_live_captured_total", session="a") == 130
    assert value(page, "edge_i2i_live_frames_total", session="a") == 100
    assert value(page, "edge_i2i_live_dropped_total", session="a", cause="newer-frame") == 29
    assert value(page, "edge_i2i_live_dropped_total", session="a", cause="too-old") == 0
    assert value(page, "edge_i2i_live_recoveries_total", session="a") == 2
    assert value(page, "edge_i2i_live_current_fps", session="a") == 29.5
    assert value(page, "edge_i2i_live_in_flight", session="a") == 1
    assert value(page, "edge_i2i_live_sink_written_total", session="a", sink="file") == 90
    assert value(page, "edge_i2i_live_sink_dropped_total", session="a", sink="file", cause="slow-sink") == 10
    info = {"source": 'say "cheese"\\\n', "engine": "openvino", "effective_precision": "bf16"}
    assert value(page, "edge_i2i_live_info", session="a", **info) == 1


def test_ages_and_stages_are_summaries_in_seconds() -> None:
    page = parse(exposition(SNAPSHOT))
    age = "edge_i2i_live_age_seconds"
    assert value(page, age, quantile="0.5") == 0.04 and value(page, age, quantile="0.99") == 0.06
    assert value(page, f"{age}_count", family=age) == 100
    assert value(page, f"{age}_sum", family=age) == pytest.approx(4.2)
    assert value(page, "edge_i2i_live_stage_seconds", stage="model", quantile="0.9") == 0.05
    assert value(page, "edge_i2i_live_sink_age_seconds", sink="file", quantile="1") == 0.07


def test_a_session_without_results_has_no_quantiles_yet() -> None:
    page = parse(exposition(StatsSnapshot()))
    age = "edge_i2i_live_age_seconds"
    assert math.isnan(value(page, age, quantile="0.5")) and value(page, f"{age}_count", family=age) == 0
    assert "edge_i2i_live_stage_seconds" not in page


def test_many_sessions_share_a_page_in_which_every_family_comes_once() -> None:
    sessions = [(SNAPSHOT, {"session": str(number)}) for number in range(3)]
    own = Family("edge_i2i_queue", "gauge", "Waiting.\nNow.", [Sample({}, math.inf)])
    page = parse(render([*session_families(sessions), own]))
    assert len(page["edge_i2i_live_frames_total"].samples) == 3
    assert value(page, "edge_i2i_queue") == math.inf
    assert parse(render(session_families([]))) == {}


@settings(max_examples=150)
@given(st.text(), st.text())
def test_any_text_can_be_a_label(source: str, sink: str) -> None:
    page = parse(exposition(StatsSnapshot(source=source, sinks={sink: SinkSnapshot(7)})))
    assert value(page, "edge_i2i_live_sink_written_total", sink=sink) == 7
    assert value(page, "edge_i2i_live_info", source=source, engine="", effective_precision="") == 1


def test_a_label_that_prometheus_would_refuse_is_refused() -> None:
    with pytest.raises(UsageError, match="no name of a label"):
        exposition(SNAPSHOT, {"not-a-name": "x"})
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
