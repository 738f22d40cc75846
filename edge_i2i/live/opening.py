"""Where a live session is put together, by the command line, by the samples and by programs that embed it.

>>> from edge_i2i.live.opening import open_session
>>> with open_session("city.i2i", source="0", sinks=["window"]) as session:  # doctest: +SKIP
...     session.wait()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from edge_i2i.clock import Clock, SystemClock
from edge_i2i.contract import Size
from edge_i2i.engines.choice import AUTO
from edge_i2i.files.places import check_apart
from edge_i2i.live.figures.events import Event, OnEvent
from edge_i2i.live.figures.trace import Trace
from edge_i2i.live.model.process import Loader
from edge_i2i.live.model.translation import SetLook, translator_loader
from edge_i2i.live.outlets.view import View, ViewSettings
from edge_i2i.live.policy import Mode, Policy
from edge_i2i.live.session import LiveSession
from edge_i2i.live.sinks.mjpeg import OnKey
from edge_i2i.live.sinks.registry import SinkSettings, make_sink
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.steps.picture_path import PicturePathOptions, picture_path_loader
from edge_i2i.media.geometry import Fit
from edge_i2i.media.tone_mapping import Hdr
from edge_i2i.sources.registry import SCHEMES, source_spec
from edge_i2i.sources.source import SourceSpec
from edge_i2i.translate.translator import LoadOptions, Translator

BundlePath = str | PathLike[str]
GivenLook = Mapping[str, Any] | SetLook
"""What ``Translator.condition`` takes (``{"style_seed": 7}``, ``{"exemplar": picture}``); or a function doing it."""


def open_session(
    bundle: BundlePath | Sequence[BundlePath],
    source: str | SourceSpec | None = "0",
    sinks: Sequence[str | Sink] = (),
    *,
    variant: str | Sequence[str] = AUTO,
    look: GivenLook | None = None,
    path: PicturePathOptions | None = None,
    policy: Policy | None = None,
    source_size: Size | None = None,
    source_fps: float | None = None,
    source_format: str | None = None,
    source_hdr: Hdr = Hdr.TONE_MAP,
    view: View | ViewSettings | None = None,
    on_key: OnKey | None = None,
    on_event: OnEvent | None = None,
    trace: Trace | None = None,
    wait_for_source: bool = False,
    clock: Clock | None = None,
    **options: Unpack[LoadOptions],
) -> LiveSession:
    """Put a session together; it starts as a context manager, or with ``start()``.

    Args:
        bundle: the ``.i2i`` bundle; several, from the best to the fastest, are the steps of a ladder.
        variant: ``auto`` or a variant; one for all bundles, or one for each.
        look: what ``Translator.condition`` takes (``{"style_seed": 7}``), or a function that is given the translator.
        path: what is done besides translating; None: nothing.
        source: where frames come from (``sources.registry``): a camera's number, a path, ``rtsp://…``, ``photo:…``;
            None: the program hands them over with ``submit``.
        sinks: where results go (``sinks.registry``), besides to whoever iterates: as text, or sinks of your own.
        policy: by default every frame of a source that has an end, and the newest frame of any other. A live policy
            plays what has an end at the pace of its time stamps.
        source_size: the size to ask the source for, where it can be asked.
        source_fps: the frames a second to ask the source for.
        source_format: the pixel format to ask a camera for: mjpg, yuyv, nv12, …
        source_hdr: what becomes of a film or stream of a high dynamic range.
        view: what sinks are shown of results; a ``View`` can be changed while the session runs, and is told of events.
        on_key: gets the keys that are pressed in a window.
        on_event: told what happens, in order, by a thread of its own.
        trace: collects what every stage did when.
        wait_for_source: take a live source that is not there at first for one that will come, not for an error.
        clock: what time is measured and waited by; None: the system's.
        options: ``engine``, ``precision``, ``threads``, ``fit``, …, as ``edge_i2i.load``.

    Raises:
        UsageError: a text names no source or sink, or two options exclude each other.
        MissingRequirementError: a sink needs what is not here.
        PictureError: a film's sound is to be recorded with it, and it cannot be read.
        EdgeI2IError: a sink cannot be had now (a port that is taken).

    What is wrong with the bundle, the engine or the look is raised by the session while it loads beside the pipeline.

    Example:
        >>> import edge_i2i
        >>> look, source = {"style_seed": 7}, "pattern:64x64@30?frames=12"
        >>> with edge_i2i.open_session("city.i2i", source, look=look, engine="onnxruntime", threads=1) as session:
        ...     pictures = [result.image for result in session]
        >>> len(pictures), pictures[0].shape
        (12, (64, 64, 3))
    """
    clock = clock or SystemClock()
    loader = network_loader(bundle, variant=variant, look=look, path=path, clock=clock, **options)
    as_live = policy is not None and policy.mode is Mode.LIVE
    spec = (
        source_spec(
            source,
            size=source_size,
            fps=source_fps,
            pixel_format=source_format,
            hdr=source_hdr,
            as_live=as_live,
            clock=clock,
        )
        if isinstance(source, str)
        else source
    )
    policy = policy or default_policy(spec)
    shown = view if isinstance(view, View) else View(view, fit=Fit(options.get("fit", Fit.LETTERBOX)), clock=clock)
    settings = sink_settings(spec, policy, reads=_listed(bundle), on_key=on_key, clock=clock)
    return LiveSession(
        spec,
        loader,
        make_sinks(sinks, settings),
        policy,
        view=shown,
        clock=clock,
        on_event=_both(shown.notice, on_event),
        trace=trace,
        wait_for_source=wait_for_source,
    )


def network_loader(
    bundle: BundlePath | Sequence[BundlePath],
    *,
    variant: str | Sequence[str] = AUTO,
    look: GivenLook | None = None,
    path: PicturePathOptions | None = None,
    clock: Clock | None = None,
    **options: Unpack[LoadOptions],
) -> Loader:
    """A loader of what a session does to frames, for its start and for ``LiveSession.swap``.

    Args:
        bundle, variant: one of each; or several, the best picture first, of which ``path.ladder_fps`` makes a ladder:
            every bundle in every variant.
        look: what the network needs before its first frame, and whatever else is set once.
        path: what is done besides translating.
        clock: measures the stages' times; None: the machine's own.
        options: ``engine``, ``precision``, ``threads``, ``fit``, …: the options of ``edge_i2i.load``.

    Raises:
        UsageError: several networks and no frame rate for a ladder, or the reverse; an unknown upsampling.
    """
    path = path or PicturePathOptions()
    networks = [
        translator_loader(one, variant=kind, upsample=path.upsample, look=_setter(look), clock=clock, **options)
        for one in _listed(bundle)
        for kind in _listed(variant)
    ]
    return picture_path_loader(networks, path, clock)


def default_policy(spec: SourceSpec | None) -> Policy:
    """Every frame of a source that has an end; of any other, and of a program, the newest."""
    return Policy.live() if spec is None or spec.live else Policy.offline()


def sink_settings(
    spec: SourceSpec | None,
    policy: Policy,
    *,
    reads: Sequence[BundlePath] = (),
    on_key: OnKey | None = None,
    clock: Clock | None = None,
) -> SinkSettings:
    """What sinks need to know: a film that is played in full is recorded with its own times and sound.

    Args:
        spec: where frames come from; None: the program hands them over.
        policy: an offline one plays the source in full.
        reads: files and folders that the session reads besides its source, so that no sink may write them.
        on_key: gets the keys that are pressed in a window.
        clock: measures what sinks wait for; None: the machine's own.
    """
    place = None if spec is None else spec.place
    places = [Path(one) for one in reads] + ([] if place is None else [place])
    offline = policy.mode is Mode.OFFLINE
    kind = None if spec is None else SCHEMES.get(spec.scheme)
    film = place if offline and kind is not None and kind.has_sound else None
    return SinkSettings(clock, on_key, source_times=offline, sound_of=film, reads=tuple(places))


def make_sinks(sinks: Sequence[str | Sink], settings: SinkSettings) -> list[Sink]:
    """Make the sinks that are given as text; those that are sinks already are kept.

    Where one cannot be made, those made before it are closed.

    Raises:
        OutputError: a recording cannot be written where it shall be.
        UsageError: two sinks would write one file, or one of them what the session reads.
        EdgeI2IError: one of the errors of ``make_sink``.
    """
    with ExitStack() as made_so_far:
        made: list[Sink] = []
        for sink in sinks:
            if isinstance(sink, str):
                sink = make_sink(sink, settings)
                made_so_far.callback(sink.close)
            made.append(sink)
        check_apart(places_of(made), settings.reads)
        for sink in made:
            sink.check()
        made_so_far.pop_all()
        return made


def places_of(sinks: Sequence[Sink]) -> list[Path]:
    """The files, folders and devices on this machine that sinks write."""
    return [sink.place for sink in sinks if sink.place is not None]


def _setter(look: GivenLook | None) -> SetLook | None:
    if not isinstance(look, Mapping):
        return look

    def set_look(translator: Translator) -> None:
        translator.condition(**look)

    return set_look


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | PathLike) else [*value]


def _both(first: OnEvent, second: OnEvent | None) -> OnEvent:
    if second is None:
        return first
    told: tuple[Callable[[Event], None], ...] = (first, second)

    def tell(event: Event) -> None:
        for listener in told:
            listener(event)

    return tell
