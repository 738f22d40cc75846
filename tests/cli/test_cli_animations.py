"""Animations as short films, by the verbs that take films: what a person gets, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.media.film import open_film
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.pictures import read_picture, write_picture
from samples.animations import SUFFIXES, frames, save

Run = Callable[..., tuple[int, str, str]]
DURATIONS = [40, 100, 20, 250, 70]
ENGINE = ("--engine", "onnxruntime", "--threads", "1")


def times(path: Path) -> list[Fraction]:
    with VideoReader(path) as reader:
        return [frame.pts_seconds for frame in reader]


STARTS = [Fraction(sum(DURATIONS[:index]), 1000) for index in range(5)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_file_becomes_a_film(run_verb: Run, rgb_bundle: Path, tmp_path: Path, suffix: str) -> None:
    source = save(tmp_path / f"a.{suffix}", frames(clear=True), DURATIONS)
    code, out, err = run_verb("translate", rgb_bundle, source, "--output", tmp_path / "out", *ENGINE, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["translated"], report["frames"], report["failed"]) == (1, 5, [])
    assert times(tmp_path / "out" / "a.mp4") == STARTS
    code, _, err = run_verb("translate", rgb_bundle, source, "--output", tmp_path / "a.jpg", *ENGINE)
    assert code == 2 and ".mkv" in err


def test_a_folder_of_stills_and_animations(run_verb: Run, rgb_bundle: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    made = frames()
    for suffix in SUFFIXES:
        save(folder / f"moves.{suffix}", made, DURATIONS)
        save(folder / f"still.{suffix}", made[:1])
    cut = folder / "cut.webp"
    cut.write_bytes((folder / "moves.webp").read_bytes()[:-40])
    code, out, err = run_verb("translate", rgb_bundle, folder, "--output", output, *ENGINE, "--json")
    report = json.loads(out)
    assert code == 4 and (report["translated"], len(report["failed"])) == (6, 1)
    assert "cut.webp" in err and "frames were read" in err
    results = sorted(path.name for path in output.glob("[!.]*"))
    assert results == [
        f"{kind}.{s}.{to}" for kind, to in (("moves", "mp4"), ("still", "png")) for s in sorted(SUFFIXES)
    ]
    assert times(output / "moves.png.mp4") == STARTS
    again = json.loads(run_verb("translate", rgb_bundle, folder, "--output", output, *ENGINE, "--json")[1])
    assert again["skipped_existing"] == 6


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_one_alone_leaves_nothing(run_verb: Run, rgb_bundle: Path, tmp_path: Path, suffix: str) -> None:
    source = save(tmp_path / f"a.{suffix}", frames(), DURATIONS)
    source.write_bytes(source.read_bytes()[:-40])
    code, _, err = run_verb("translate", rgb_bundle, source, "--output", tmp_path / "out", *ENGINE)
    assert code == 4 and "damaged or cut off" in err and "frames" in err
    assert not list((tmp_path / "out").glob("*"))


def test_as_an_exemplar_or_a_map_it_is_refused(run_verb: Run, label_bundle: Path, tmp_path: Path) -> None:
    moving = save(tmp_path / "a.png", [one.convert("L") for one in frames()])
    still = tmp_path / "ids.png"
    save(still, [frames(1)[0].convert("L")])
    output = ("--output", tmp_path / "b.png", *ENGINE)
    maps = ("--label-map", moving, "--instance-map", still)
    code, _, err = run_verb("translate", label_bundle, *maps, *output)
    assert code == 4 and "label_map" in err and "is a video" in err, err
    maps = ("--label-map", still, "--instance-map", still)
    code, _, err = run_verb("translate", label_bundle, *maps, "--exemplar", moving, *output)
    assert code == 4 and "it is an animation" in err and "one of its frames" in err
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_collect_looks_at_its_moments(run_verb: Run, tmp_path: Path, suffix: str) -> None:
    source = save(tmp_path / f"a.{suffix}", frames(), DURATIONS)
    arguments = ("collect", source, "--output", tmp_path / "out", "--every", 0.1, "--count", 4, "--json")
    code, out, err = run_verb(*arguments)
    assert code == 0, err
    record = json.loads(out)
    assert record["seen"] == 3  # at 0, 140 and 410 ms; 40 and 160 are too early
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_live_plays_it_once_and_records_its_times(run_verb: Run, rgb_bundle: Path, tmp_path: Path, suffix: str) -> None:
    source = save(tmp_path / f"a.{suffix}", frames(), DURATIONS)
    for number, text in enumerate((str(source), f"file:{source}")):
        target = tmp_path / f"out{number}.mp4"
        code, out, err = run_verb("live", rgb_bundle, "--source", text, "--sink", target, *ENGINE, "--json")
        assert code == 0, err
        assert json.loads(out)["frames"] == 5
        assert [round(float(at), 3) for at in times(target)] == [float(at) for at in STARTS]


def test_a_still_is_no_live_source(run_verb: Run, rgb_bundle: Path, tmp_path: Path) -> None:
    still = save(tmp_path / "a.webp", frames(1))
    code, _, err = run_verb("live", rgb_bundle, "--source", still, "--sink", "null", *ENGINE)
    assert code == 2 and "is a picture" in err


def test_a_folder_as_live_source_passes_films_over(run_verb: Run, rgb_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "1.webp", frames())
    write_picture(folder / "2.png", np.asarray(frames(1)[0]))
    code, _, err = run_verb("live", rgb_bundle, "--source", folder, "--sink", f"folder:{tmp_path / 'out'}", *ENGINE)
    assert code == 0 and "passed over: 1.webp" in err, err
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_a_result_is_never_named_by_what_lies_there(run_verb: Run, rgb_bundle: Path, tmp_path: Path) -> None:
    """Sinks and outputs go by their suffix."""
    source = save(tmp_path / "a.png", frames(1))
    there = save(tmp_path / "out.png", frames())
    code, _, err = run_verb("translate", rgb_bundle, source, "--output", there, *ENGINE)
    assert code == 0, err
    assert read_picture(there).shape == (24, 32, 3)


def test_a_film_of_an_odd_name(run_verb: Run, rgb_bundle: Path, tmp_path: Path) -> None:
    """As browsers save them."""
    source = save(tmp_path / "made.webp", frames(), DURATIONS).rename(tmp_path / "sticker.gif")
    code, _, err = run_verb("translate", rgb_bundle, source, "--output", tmp_path / "out.mkv", *ENGINE)
    assert code == 0, err
    with open_film(tmp_path / "out.mkv") as reader:
        assert len(list(reader)) == 5
