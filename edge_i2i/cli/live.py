"""``edge-i2i live``, and ``python runtime/webcam.py``: one function, one help text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.options.choices import chosen
from edge_i2i.cli.options.conditions import ConditionOptions, apply_conditions
from edge_i2i.cli.options.live_options import NetworkOptions, PaceOptions, PathOptions, ShowOptions
from edge_i2i.cli.options.numbers import positive
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.options.source_options import SourceOptions
from edge_i2i.cli.show.console import result, result_json, say
from edge_i2i.cli.show.live_keys import KEYS, LiveKeys
from edge_i2i.cli.signals import stop_on_signal
from edge_i2i.errors import OutputError
from edge_i2i.files.places import check_apart, check_file, check_folder, refuse_foreign

if TYPE_CHECKING:
    import threading

    from edge_i2i.live.figures.events import Event, OnEvent
    from edge_i2i.live.figures.stats import StatsSnapshot
    from edge_i2i.live.figures.trace import Trace
    from edge_i2i.live.session import LiveSession
    from edge_i2i.live.sinks.sink import Sink

_LOOK_EVERY = 0.1  # seconds between two looks at whether it is over
_SAY_EVERY = 5.0  # seconds between two lines of figures
_COMPARE_EVERY, _EVIDENCE = 0.5, 3.0  # seconds: between looks at the rates, and that a comparison takes in
_TOLERABLE = 0.1  # the share of frames that may be dropped before a network is called too slow
_STOPPING = 10.0  # seconds for recordings to be completed
_NO_DISPLAY = "note: --hud draws figures for a window, mjpeg and webrtc; there is none of them here"


@with_groups
def live(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE…", help="The .i2i bundle; of several, key m goes to the next.")
    ],
    source: Annotated[
        str,
        typer.Option("--source", help="0, /dev/video0, a video, rtsp://…, folder:…, photo:…, pattern:, screen:, gst:…"),
    ] = "0",
    sink: Annotated[
        list[str] | None,
        typer.Option("--sink", help="window, out.mp4, mjpeg[:PORT], webrtc, vcam, folder:…, null; repeatable."),
    ] = None,
    *,
    conditions: ConditionOptions,
    camera: SourceOptions,
    network: NetworkOptions,
    pace: PaceOptions,
    path: PathOptions,
    show: ShowOptions,
    duration: Annotated[
        float | None, typer.Option("--duration", parser=positive, metavar="S", help="Stop after so many seconds.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option("--trace", help="Write a Chrome/Perfetto trace of every stage into this file.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="Append what happens to this file, a line of JSON each.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object with the figures at the end.")] = False,
) -> None:
    """Translate a camera, a stream or a file as it plays.

    The newest frame wins: what the network cannot keep up with is dropped and counted, and the picture never lags.
    Files are translated frame by frame, unless --as-live. Ctrl-C ends it with a summary.

    Keys in the window: n next style, m next model, c compare, h figures, f mirror, s snapshot, r record, q quit.

    Example: edge-i2i live city.i2i --source 0 --sink window --compare split --hud
    """
    from edge_i2i.clock import SystemClock
    from edge_i2i.live.figures.trace import Trace
    from edge_i2i.live.opening import (
        default_policy,
        make_sinks,
        network_loader,
        open_session,
        places_of,
        sink_settings,
    )
    from edge_i2i.live.outlets.view import View
    from edge_i2i.live.sinks.switched import SnapshotSink, SwitchedRecording
    from edge_i2i.sources.registry import source_spec
    from edge_i2i.sources.source import SourceLostError

    logs = [path for path in (trace, events) if path is not None]
    _check_logs(trace, events)
    if show.keep != Path():
        check_folder(show.keep)
    clock = SystemClock()
    shared: dict[str, Any] = {
        **vars(network),
        "look": lambda translator: apply_conditions(translator, conditions),
        "path": path.of_library(pace.ladder),
        "clock": clock,
    }
    groups = [bundles] if pace.ladder is not None else [[bundle] for bundle in bundles]
    models = [(", ".join(map(str, group)), network_loader(group, **shared)) for group in groups]
    view = View(show.settings(), fit=chosen_fit(network.fit), clock=clock)
    snapshots, recording = SnapshotSink(show.keep), SwitchedRecording(show.keep)
    collected = Trace(clock) if trace is not None else None
    with stop_on_signal() as stop, ExitStack() as opened:
        keys = LiveKeys(view, snapshots, recording, models, stop, say)
        asked = pace.policy()
        spec = source_spec(source, as_live=asked is not None, clock=clock, **camera.of_library())
        policy = asked or default_policy(spec)
        settings = sink_settings(spec, policy, reads=[*bundles, *conditions.files()], on_key=keys, clock=clock)
        sinks = make_sinks(sink or ["window"], settings)
        check_apart([*logs, *places_of(sinks)], settings.reads)
        session = open_session(
            groups[0],
            spec,
            [*sinks, snapshots, recording],
            **shared,
            policy=policy,
            view=view,
            on_event=_listeners(events, quiet=json),
            trace=collected,
            wait_for_source=pace.wait_for_source,
        )
        keys.attach(session)
        opened.callback(_write_trace, collected, trace)
        with session:
            if not json and any(one.takes_keys for one in sinks):
                say(KEYS)
            if show.hud and not any(one.for_display for one in sinks):
                say(_NO_DISPLAY)
            is_time_up = _run(session, keys, _Notes(sinks), stop, duration, quiet=json)
            session.stop(_STOPPING)
        snapshot = session.stats()
    _tell(snapshot, json)
    session.raise_failed_sink()
    if is_time_up and not snapshot.captured:
        raise SourceLostError(
            f"The source gave no picture in {duration:g} s.", remedy="Check it, or give it longer with --duration."
        )


def _check_logs(trace: Path | None, events: Path | None) -> None:
    for path, beginning, what in ((trace, b'{"traceEvents"', "a trace"), (events, b'{"time"', "a log of events")):
        if path is not None:
            check_file(path)
            refuse_foreign(path, partial(_begins_with, beginning), what)


def _begins_with(beginning: bytes, path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def chosen_fit(name: str) -> Any:
    """The fit of that name.

    Raises:
        UsageError: there is none.
    """
    from edge_i2i.media.geometry import Fit

    return chosen(name, Fit, "fits")


class _TooSlow:
    """Says once that the network is too slow for its source, with both rates and what helps."""

    def __init__(self) -> None:
        self._before: StatsSnapshot | None = None
        self._said = False

    def look(self, snapshot: StatsSnapshot) -> None:
        """Compare with the look of some seconds ago."""
        from edge_i2i.live.figures.drops import DropCause

        before = self._before
        if before is None or before.frames == 0:
            self._before = snapshot
            return
        seconds = snapshot.seconds - before.seconds
        if self._said or seconds < _EVIDENCE:
            return
        self._before = snapshot
        captured, made = snapshot.captured - before.captured, snapshot.frames - before.frames
        missed = snapshot.dropped.get(DropCause.NEWER_FRAME, 0) - before.dropped.get(DropCause.NEWER_FRAME, 0)
        if missed <= _TOLERABLE * captured:
            return
        self._said = True
        say(
            f"note: the network is too slow for this source, which gives {captured / seconds:.1f} frames a second; "
            f"{made / seconds:.1f} are translated, the others dropped. Faster: a smaller --size at export, a quantized "
            "bundle (edge-i2i quantize), another --engine, or --ladder; --source-fps asks the camera for fewer."
        )


class _Notes:
    """Says what sinks have to tell, once each, as soon as they know it."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks, self._said = sinks, set[str]()

    def report(self) -> None:
        for note in [note for sink in self._sinks for note in sink.notes]:
            if note not in self._said:
                self._said.add(note)
                say(note)


def _run(
    session: LiveSession,
    keys: LiveKeys,
    notes: _Notes,
    stop: threading.Event,
    duration: float | None,
    *,
    quiet: bool,
) -> bool:
    """Until the source ends, somebody stops it, or its time is over: then True."""
    began = said = looked = time.monotonic()
    too_slow = _TooSlow()
    while not session.wait(_LOOK_EVERY):
        keys.report()
        notes.report()
        now = time.monotonic()
        if stop.is_set() or (duration is not None and now - began >= duration):
            return not stop.is_set()
        if now - looked >= _COMPARE_EVERY:
            looked = now
            too_slow.look(session.stats())
        if not quiet and now - said >= _SAY_EVERY:
            said = now
            say(_line(session.stats()))
    return False


def _listeners(path: Path | None, *, quiet: bool) -> OnEvent:
    from edge_i2i.live.figures.event_log import JsonLinesLog

    log = JsonLinesLog(path) if path is not None else None

    def tell(event: Event) -> None:
        if log is not None:
            log(event)
        if not quiet:
            say(f"{event.kind}: {event.message}" if event.message else str(event.kind))

    return tell


def _write_trace(collected: Trace | None, path: Path | None) -> None:
    if collected is None or path is None:
        return
    try:
        collected.write(path)
    except OSError as error:
        raise OutputError(f"The trace '{path}' cannot be written: {error.strerror}.") from error
    say(f"trace: {path} (open it in ui.perfetto.dev or chrome://tracing)")


def _line(snapshot: StatsSnapshot) -> str:
    age = snapshot.age_ms
    dropped = sum(snapshot.dropped.values())
    return (
        f"{snapshot.fps:.1f} fps, age {age.p50:.0f} ms (99 %: {age.p99:.0f}), {dropped} of {snapshot.captured} dropped"
    )


def _tell(snapshot: StatsSnapshot, json: bool) -> None:
    if json:
        result_json(snapshot.as_json())
        return
    result(
        f"{snapshot.frames} frames in {snapshot.seconds:.1f} s on {snapshot.engine} "
        f"({snapshot.effective_precision}): {_line(snapshot)}"
    )
    for cause, count in snapshot.dropped.items():
        result(f"  dropped, {cause}: {count}")
    if snapshot.recoveries:
        result(f"  the source was lost and came back {snapshot.recoveries} times")
    for name, sink in snapshot.sinks.items():
        if sink.failed is not None:
            result(f"  {name} failed after {sink.written} frames: {sink.failed}")
