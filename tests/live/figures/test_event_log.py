"""The event log: one line of JSON an event, of bounded size, and never a credential."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edge_i2i.errors import UsageError
from edge_i2i.live.figures.event_log import JsonLinesLog, LoggingLog
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.sources.addresses import without_credentials

LOST = Event(
    12.5,
    EventKind.SOURCE_LOST,
    "rtsp://admin:s3cret@cam:554/live did not answer",
    {"uri": "rtsp://admin:s3cret@cam/live", "tries": [1, "http://x:s3cret@y"], "seconds": float("nan")},
)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_event_is_a_line_without_credentials(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "events.jsonl")
    log(Event(1.0, EventKind.STARTED, "»läuft«\nzwei Zeilen"))
    log(LOST)
    text = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    assert "s3cret" not in text and "admin" not in text and "NaN" not in text
    started, lost = lines(tmp_path / "events.jsonl")
    assert started == {"time": 1.0, "kind": "started", "message": "»läuft«\nzwei Zeilen", "details": {}}
    assert (lost["time"], lost["kind"]) == (12.5, "source-lost")
    assert lost["message"] == "rtsp://cam:554/live did not answer"
    assert lost["details"] == {"uri": "rtsp://cam/live", "tries": [1, "http://y"], "seconds": "nan"}


def test_a_second_session_appends(tmp_path: Path) -> None:
    for _ in range(2):
        JsonLinesLog(tmp_path / "events.jsonl")(LOST)
    assert len(lines(tmp_path / "events.jsonl")) == 2


def test_the_log_keeps_two_files_within_their_limit(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "events.jsonl", limit=1000)
    for number in range(100):
        log(Event(float(number), EventKind.RETRYING, "in a second"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.1"]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    times = [line["time"] for name in ("events.jsonl.1", "events.jsonl") for line in lines(tmp_path / name)]
    assert times == [float(number) for number in range(100 - len(times), 100)]


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        JsonLinesLog(tmp_path / "no such folder" / "events.jsonl")


def test_a_log_that_fails_later_ends_no_session(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)  # libraries that tests before this one used raise the level of all handlers
    folder = tmp_path / "unmounted"
    folder.mkdir()
    log = JsonLinesLog(folder / "events.jsonl")
    (folder / "events.jsonl").unlink()
    folder.rmdir()
    for _ in range(3):
        log(LOST)
    told = [record.getMessage() for record in caplog.records if record.name == "edge_i2i.live.figures.event_log"]
    assert len(told) == 1 and told[0].startswith("events are lost")


def test_logging_gets_events_at_their_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = LoggingLog()
    log(LOST)
    log(Event(13.0, EventKind.LOADING, "half"))
    log(Event(14.0, EventKind.RECOVERED, "100 % back", {"seconds": 1.5}))
    told = [record for record in caplog.records if record.name == "edge_i2i.live"]
    assert [record.levelname for record in told] == ["WARNING", "DEBUG", "INFO"]
    assert told[2].getMessage() == "recovered: 100 % back (seconds=1.5)"
    assert vars(told[0])["event"]["details"]["uri"] == "rtsp://cam/live"
    assert "s3cret" not in caplog.text and "s3cret" not in str(vars(told[0]))
    assert logging.getLogger("edge_i2i.live").handlers == []


plain = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
hosts = plain | st.sampled_from(["192.168.1.7:554", "[fe80::1]:8554", "camera.local", "[::1]"])
rests = st.sampled_from(["", "/", "/live/ch1", "/a?channel=2&width=640", "#x", "/mail@example"])
secrets = st.text(st.characters(codec="utf-8", exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=20)


@settings(max_examples=300)
@given(
    st.sampled_from(["rtsp", "http", "HTTPS", "rtmp+tls"]),
    plain,
    secrets,
    hosts,
    st.sampled_from(["", "/live", "/a?b=c"]),
)
@example("rtsp", "admin", "p@ss", "cam", "/live")
@example("rtsp", "admin", "p/ss#?", "cam", "/live")
@example("rtsp", "admin", ":", "cam", "")
def test_no_part_of_a_password_is_left(scheme: str, user: str, password: str, host: str, rest: str) -> None:
    assume(not re.match(r"\d+[/?#]|[^/?#]*@.*[/?#]", password))  # then it is a valid address of another host
    assert without_credentials(f"{scheme}://{user}:{password}@{host}{rest}") == f"{scheme}://{host}{rest}"


@settings(max_examples=200)
@given(st.sampled_from(["rtsp", "http"]), hosts, rests)
def test_addresses_without_credentials_stay_as_they_are(scheme: str, host: str, rest: str) -> None:
    uri = f"{scheme}://{host}{rest}"
    assert without_credentials(uri) == uri


@settings(max_examples=200)
@given(st.text(max_size=80) | st.builds("{}://{}@{}".format, plain, secrets, plain))
def test_a_second_time_changes_nothing(text: str) -> None:
    assert without_credentials(without_credentials(text)) == without_credentials(text)


@pytest.mark.parametrize(
    ("uri", "safe"),
    [
        ("rtsp://token@cam/live", "rtsp://cam/live"),
        ("http://cam/snap?user=me&pwd=x&size=2", "http://cam/snap?user=…&pwd=…&size=2"),
        ("rtsp://cam:554/user=me&password=x&channel=1", "rtsp://cam:554/user=…&password=…&channel=1"),
        ("http://cam/v?access_token=abc", "http://cam/v?access_token=…"),
        ('gst:rtspsrc location=rtsp://a:b@c user-id=me user-pw="x y" ! fakesink',
         "gst:rtspsrc location=rtsp://c user-id=… user-pw=… ! fakesink"),
        ("lost rtsp://a:b@c/d, then http://e:f@g/h too", "lost rtsp://c/d, then http://g/h too"),
        ("0", "0"),
        ("file:/videos/keynote=1/monkey=2.mp4", "file:/videos/keynote=1/monkey=2.mp4"),
        ("C:\\clips\\a@b.mp4", "C:\\clips\\a@b.mp4"),
    ],
)  # fmt: skip
def test_addresses_as_cameras_have_them(uri: str, safe: str) -> None:
    assert without_credentials(uri) == safe
