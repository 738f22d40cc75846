"""What sinks are given: the comparison that was chosen, the right way round, figures only where people look."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from edge_i2i.errors import UsageError
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.live.figures.stats import Quantiles, StatsSnapshot
from edge_i2i.live.frame import Origin, Result
from edge_i2i.live.outlets.compare import LINE, Comparison, blend, side_by_side, split
from edge_i2i.live.outlets.view import View, ViewSettings
from edge_i2i.live.steps.flip import Flip, flipped
from edge_i2i.media.geometry import Fit
from samples.pictures import frame, noise, scene

SNAPSHOT = StatsSnapshot(frames=9, fps=25.0, age_ms=Quantiles(9, 40, 50, 60), dropped={DropCause.NEWER_FRAME: 3})


def result(image: np.ndarray | None = None, origin: Origin = Origin.TRANSLATED) -> Result:
    source = frame(scene(240, 320))
    return Result(255 - source.image if image is None else image, source, t_done=0.1, origin=origin)


def compose(view: View, given: Result, *, for_display: bool = False) -> np.ndarray:
    return view.compose(given, SNAPSHOT, for_display=for_display)


def test_by_default_it_is_the_results_own_picture() -> None:
    given = result()
    assert compose(View(), given) is given.image
    assert compose(View(), given, for_display=True) is given.image


@pytest.mark.parametrize(
    ("compare", "expected"),
    [
        (Comparison.SIDE, lambda a, b: side_by_side(a, b)),
        (Comparison.SPLIT, lambda a, b: split(a, b, 0.3)),
        (Comparison.BLEND, lambda a, b: blend(a, b, 0.7)),
    ],
)
def test_comparisons(compare: Comparison, expected: object) -> None:
    given = result()
    view = View(ViewSettings(compare, position=0.3, share=0.7))
    assert np.array_equal(compose(view, given), expected(given.frame.image, given.image))


@pytest.mark.parametrize("flip", list(Flip))
@pytest.mark.parametrize("compare", [Comparison.NONE, Comparison.SPLIT])
def test_a_flip_mirrors_frame_and_translation_and_not_their_places(flip: Flip, compare: Comparison) -> None:
    given = result()
    view = View(ViewSettings(compare, flip=flip))
    shown = flipped(given.image, flip)
    if compare is Comparison.SPLIT:
        shown = split(flipped(given.frame.image, flip), shown, 0.5)
    assert np.array_equal(compose(view, given), shown)
    assert np.array_equal(flipped(flipped(given.image, flip), flip), given.image)


def test_figures_are_drawn_only_where_people_look_and_never_mirrored() -> None:
    view, given = View(ViewSettings(hud=True, flip=Flip.HORIZONTAL)), result(np.full((240, 320, 3), 90, np.uint8))
    before = given.image.copy()
    shown = compose(view, given, for_display=True)
    assert (shown[:80, :160] != 90).any() and (shown[:, 300:] == 90).all()
    assert (compose(view, given, for_display=False) == 90).all()
    assert np.array_equal(given.image, before)


def test_a_picture_that_was_passed_through_says_what_it_waits_for() -> None:
    view, given = (
        View(ViewSettings(Comparison.SIDE)),
        result(np.full((240, 320, 3), 90, np.uint8), Origin.PASSED_THROUGH),
    )
    view.notice(Event(0.0, EventKind.LOADING, "building an engine, 40 %"))
    shown = compose(view, given, for_display=True)
    assert shown.shape == given.image.shape and (shown != given.image).any()
    further = View()
    further.notice(Event(0.0, EventKind.LOADING, "building an engine, 90 %"))
    assert not np.array_equal(compose(further, given, for_display=True), shown)
    assert compose(view, given, for_display=False) is given.image


def test_the_state_comes_and_goes_with_events() -> None:
    view, given = View(ViewSettings(hud=True)), result(np.full((240, 320, 3), 90, np.uint8))
    plain = compose(view, given, for_display=True)
    pairs = (
        (EventKind.LOADING, EventKind.LOADED),
        (EventKind.LOADING, EventKind.MODEL_FAILED),
        (EventKind.SOURCE_LOST, EventKind.RECOVERED),
    )
    for begin, end in pairs:
        view.notice(Event(0.0, begin, "x"))
        assert not np.array_equal(compose(view, given, for_display=True), plain)
        view.notice(Event(1.0, end, "x"))
        assert np.array_equal(compose(view, given, for_display=True), plain)


def test_of_a_cropped_frame_the_same_part_is_shown() -> None:
    source = frame(scene(240, 320))
    given = Result(source.image[:, 40:280], source, t_done=0.1)  # a square, cropped from the middle, not translated
    view = View(ViewSettings(Comparison.BLEND), fit=Fit.CROP)
    assert np.array_equal(compose(view, given), given.image)


def test_a_frame_of_another_size_than_the_result_is_brought_to_it() -> None:
    view, given = View(ViewSettings(Comparison.SIDE)), result(noise(64, 96))
    assert compose(view, given).shape == (64, 85 + LINE + 96, 3)


def test_settings_change_while_sinks_compose() -> None:
    view, given, stop = View(), result(noise(24, 32)), threading.Event()
    errors: list[Exception] = []

    def composing() -> None:
        while not stop.is_set():
            try:
                compose(view, given, for_display=True)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=composing) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(200):
        view.next_comparison()
        view.change(position=number / 200, hud=bool(number % 2))
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors and view.settings.compare is list(Comparison)[200 % len(Comparison)]


def test_settings_out_of_range_change_nothing() -> None:
    view = View()
    with pytest.raises(UsageError, match="position"):
        view.change(position=2.0, hud=True)
    assert view.settings == ViewSettings()
