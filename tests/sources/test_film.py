"""Films as sources: every frame, in order, with its time; damage is an error and never a shorter film."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from edge_i2i.errors import PictureError
from edge_i2i.sources import source_spec
from edge_i2i.sources.film import FilmSource
from samples.live.virtual_clock import VirtualClock
from samples.sources.made import EVEN, film_of_primaries, mark


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("as_live", [False, True])
@pytest.mark.parametrize("ticks", [tuple(range(0, 800, 40)), (0, 1, 2, 500, 501, 1_400, 1_433)])
def test_every_frame_in_order_with_its_time(tmp_path: Path, name: str, as_live: bool, ticks: tuple[int, ...]) -> None:
    path = film_of_primaries(tmp_path / name, [Fraction(tick, 1000) for tick in ticks], marks=True)
    with VirtualClock() as clock:
        source = source_spec(f"file:{path}", as_live=as_live, clock=clock).make()
        info = source.open()
        frames = []
        while (captured := source.read()) is not None:
            frames.append((mark(captured.image), captured.t_source))
        source.close()
    assert info.label == name and info.size == EVEN and not source.live
    assert [number for number, _ in frames] == list(range(len(ticks)))
    assert [moment for _, moment in frames] == pytest.approx([tick / 1000 for tick in ticks], abs=1e-9)


def test_a_film_that_is_cut_off_is_an_error_that_names_it(tmp_path: Path) -> None:
    whole = film_of_primaries(tmp_path / "whole.mkv", [Fraction(n, 25) for n in range(25)], marks=True).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    source = source_spec(str(path)).make()
    source.open()
    with pytest.raises(PictureError, match=r"cut\.mkv"):
        while source.read() is not None:
            pass
    source.close()


def test_a_film_that_is_not_there_or_none(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a film")
    for name in ("missing.mp4", "text.mp4"):
        source = source_spec(str(tmp_path / name)).make()
        with pytest.raises(PictureError, match=name):
            source.open()
        source.close()


def test_a_file_url_names_the_same_file(tmp_path: Path) -> None:
    path = film_of_primaries(tmp_path / "with blank.mp4", [Fraction(0), Fraction(1)])
    assert "%20" in path.as_uri()
    source = source_spec(path.as_uri()).make()
    assert source.open().label == "with blank.mp4"
    source.close()


def test_an_hours_jump_in_the_times_is_not_waited_for_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A short gap is."""
    path = film_of_primaries(
        tmp_path / "a.mkv", [Fraction(0), Fraction(1), Fraction(11), Fraction(3611), Fraction(3612)]
    )
    with VirtualClock() as clock:
        began, source = clock.now(), FilmSource(path, clock=clock, as_live=True)
        source.open()
        while source.read() is not None:
            pass
        source.close()
        assert clock.now() - began == pytest.approx(12, abs=0.1)
    assert "jump ahead by 3600 s" in caplog.text
