"""A session as it is put together from texts and options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge_i2i
from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.live.frame import Origin, Result
from edge_i2i.live.model.upsampling import Upsampling
from edge_i2i.live.opening import default_policy, make_sinks, network_loader, open_session, sink_settings
from edge_i2i.live.outlets.compare import Comparison
from edge_i2i.live.outlets.view import View, ViewSettings
from edge_i2i.live.policy import Policy
from edge_i2i.live.sinks.registry import SinkSettings
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.steps.picture_path import PicturePathOptions
from edge_i2i.live.threads.ending import LiveError
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.films.video_writer import VideoWriter
from edge_i2i.progress import NullProgress
from edge_i2i.sources.registry import source_spec
from edge_i2i.translate.translator import Translator

CLIP = "pattern:64x96?frames=5"
ONE_THREAD = {"engine": "onnxruntime", "threads": 1}


class Collecting(Sink):
    """Keeps what it is shown."""

    name = "collecting"
    wants_every = True

    def __init__(self) -> None:
        self.shown: list[Picture] = []
        self.closed = 0

    def write(self, picture: Picture, result: Result) -> None:
        self.shown.append(picture)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    yield folder


def test_what_has_an_end_is_translated_frame_by_frame(rgb_bundle: Path, photos: Path) -> None:
    with open_session(rgb_bundle, str(photos), engine="onnxruntime", variant="fp32", threads=1) as session:
        results = list(session)
    assert [result.frame.seq for result in results] == [0, 1, 2]
    with edge_i2i.load(rgb_bundle, engine="onnxruntime", variant="fp32", threads=1) as translator:
        for result in results:
            assert result.origin is Origin.TRANSLATED
            assert (result.image == translator(result.frame.image)).all()


def test_a_live_policy_plays_a_clip_at_its_own_pace(rgb_bundle: Path) -> None:
    clip = "pattern:64x96@100?frames=20"
    with open_session(rgb_bundle, clip, [Collecting()], policy=Policy.live(), **ONE_THREAD) as session:
        assert session.wait(30)
    stats = session.stats()
    assert stats.captured == 20 and stats.in_flight == 0
    assert stats.seconds >= 0.19  # twenty frames at 100 fps, however fast they could be drawn


def test_a_program_hands_frames_over(rgb_bundle: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    with open_session(rgb_bundle, source=None, **ONE_THREAD) as session:
        origins = set()
        while Origin.TRANSLATED not in origins:
            session.submit(picture.copy())
            result = session.latest(timeout=5)
            if result is not None:
                origins.add(result.origin)
                assert result.image.shape == picture.shape
    assert session.stats().engine == "onnxruntime"


def test_defaults_of_the_policy() -> None:
    assert default_policy(None) == Policy.live()
    assert default_policy(source_spec("pattern:")) == Policy.live()
    assert default_policy(source_spec(CLIP)) == Policy.offline()


def test_sinks_are_shown_the_view(rgb_bundle: Path) -> None:
    sink = Collecting()
    with open_session(rgb_bundle, CLIP, [sink], view=ViewSettings(compare=Comparison.SIDE), **ONE_THREAD) as session:
        session.wait(30)
    assert len(sink.shown) == 5 and sink.closed == 1
    assert sink.shown[0].shape == (64, 96 + 2 + 96, 3)


def test_view_and_program_both_hear_of_events(rgb_bundle: Path) -> None:
    heard: list[Event] = []
    told: list[Event] = []

    class Listening(View):
        def notice(self, event: Event) -> None:
            heard.append(event)

    with open_session(rgb_bundle, CLIP, view=Listening(), on_event=told.append, **ONE_THREAD) as session:
        session.wait(30)
    assert heard == told
    assert {EventKind.LOADED, EventKind.SOURCE_ENDED} <= {event.kind for event in told}


def test_a_look_is_set_before_the_first_frame(rgb_bundle: Path) -> None:
    seen: list[Translator] = []
    with open_session(rgb_bundle, CLIP, look=seen.append, **ONE_THREAD) as session:
        assert len(list(session)) == 5
    assert len(seen) == 1
    session = open_session(rgb_bundle, CLIP, look={"style_seed": 7}, **ONE_THREAD)
    with pytest.raises(LiveError, match="takes no") as caught, session:
        session.wait(30)
    assert caught.value.exit_code == 2


def test_the_picture_path_is_used(rgb_bundle: Path, photos: Path) -> None:
    small = PicturePathOptions(upsample=Upsampling.NONE)
    with open_session(rgb_bundle, "pattern:128x192?frames=2", path=small, **ONE_THREAD) as session:
        assert [result.image.shape for result in session] == [(64, 96, 3)] * 2


def test_a_ladder_has_every_variant_as_a_rung(rgb_bundle: Path) -> None:
    path = PicturePathOptions(ladder_fps=1000.0)
    process = network_loader(rgb_bundle, variant=["fp32", "fp16"], path=path, **ONE_THREAD)(NullProgress())
    try:
        assert process.rung == 1  # nothing is that fast: the last one
    finally:
        process.close()
    with pytest.raises(UsageError, match="2 networks cannot translate one frame"):
        network_loader([rgb_bundle, rgb_bundle])


def test_a_film_that_is_played_in_full_is_recorded_with_its_times_and_sound() -> None:
    offline, live = Policy.offline(), Policy.live()
    assert sink_settings(source_spec("films/a.mp4"), offline).sound_of == Path("films/a.mp4")
    assert sink_settings(source_spec("file:films/a.mp4"), offline).sound_of == Path("films/a.mp4")
    assert sink_settings(source_spec("films/a.mp4"), live) == SinkSettings(reads=(Path("films/a.mp4"),))
    assert sink_settings(source_spec(CLIP), offline) == SinkSettings(source_times=True)
    assert sink_settings(None, offline).sound_of is None


def test_a_film_becomes_a_film_of_as_many_frames(rgb_bundle: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "film.mp4", tmp_path / "painted.mp4"
    with VideoWriter(source, Fraction(10), Size(64, 96)) as writer:
        for number in range(6):
            writer.write(np.full((64, 96, 3), number * 40, np.uint8))
    with open_session(rgb_bundle, str(source), [str(target)], **ONE_THREAD) as session:
        assert session.wait(60)
    with VideoReader(source) as before, VideoReader(target) as after:
        assert [frame.pts_seconds for frame in after] == [frame.pts_seconds for frame in before]


def test_sinks_that_were_made_are_closed_when_another_one_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Collecting()

    def make(text: str, settings: SinkSettings) -> Sink:
        if text == "null":
            return made
        raise UsageError(f"There is no sink '{text}'.")

    monkeypatch.setattr("edge_i2i.live.opening.make_sink", make)
    own = Collecting()
    with pytest.raises(UsageError, match="There is no sink 'nul'"):
        make_sinks(["null", own, "nul"], SinkSettings())
    assert (made.closed, own.closed) == (1, 0)  # a sink of the caller's stays the caller's


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda bundle: open_session(bundle, "patern:"), "names no source"),
        (lambda bundle: open_session(bundle, CLIP, ["windw"]), "There is no sink"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(
    rgb_bundle: Path, build: Callable[[Path], object], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        build(rgb_bundle)


def test_a_bundle_that_is_not_there_ends_the_session(tmp_path: Path) -> None:
    session = open_session(tmp_path / "missing.i2i", CLIP)
    with pytest.raises(LiveError, match=r"missing\.i2i") as caught, session:
        session.wait(30)
    assert caught.value.exit_code == 4 and caught.value.stage == "loading"
