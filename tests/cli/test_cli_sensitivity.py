"""``python calibration/sensitivity.py`` as a user runs it: table, recipe, plot, exit codes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from edge_i2i.bundle.locking import only_run
from edge_i2i.cli.main import run_command
from edge_i2i.quantize.search.report import read_recipe
from samples.calibration import photographs
from samples.sensitive import LAYERS, SENSITIVE, SIZE, write_painter

PROGRAM = Path(__file__).parents[2] / "calibration" / "sensitivity.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensitivity")
    write_painter(folder / "painter.i2i")
    photographs(folder / "photos", 6, size=SIZE)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], place: Path) -> object:
    """The verb in this process; returns exit code, stdout and stderr.

    Not as the program: that ends the process at once where a thread hangs, and tests of hanging threads leave some.
    """

    def run(*arguments: object) -> tuple[int, str, str]:
        code = run_command(["sensitivity", *map(str, arguments), "--threads", "1", "--cache", str(place / "cache")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_table_the_recipe_and_the_plot(run: object, place: Path) -> None:
    plot = place / "plot.png"
    code, out, err = run(place / "painter.i2i", "--data", place / "photos", "--min-psnr", 40, "--plot", plot)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["layer", "operator", "MACs"]
    assert lines[1].startswith(SENSITIVE) and lines[1].endswith("float (suggested)")
    assert any(line.startswith("paint") and "float: makes the picture" in line for line in lines)
    assert "all 4 layers of the rule in INT8" in out and "1 of them in float" in out and "judged by openvino" in out
    assert plot.read_bytes().startswith(b"\x89PNG") and str(plot) in out
    recipe = read_recipe(place / "painter.sensitivity-openvino.json", LAYERS)
    assert recipe.keep_float == (SENSITIVE,) and "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--plot", "plot.nonsense"), "no plot is drawn"),
        (("--plot", "r.png", "--output", "r.png"), "would be one file"),
        (("--plot", "file/plot.png"), "is a file, not a folder"),
    ],
)
def test_a_plot_that_cannot_be_is_found_out_before_the_work(
    run: object, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, out, err = run(place / "painter.i2i", "--data", place / "photos", *options)
    assert code == 2 and told in err and not out, err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_second_run_on_one_recipe_says_so(run: object, place: Path, tmp_path: Path) -> None:
    with only_run(tmp_path / "r.json"):
        code, out, err = run(place / "painter.i2i", "--data", place / "photos", "--output", tmp_path / "r.json")
    assert code == 2 and "Another run is writing" in err and not out


def test_json_is_the_recipe_and_where_it_is(run: object, place: Path) -> None:
    code, out, err = run(
        place / "painter.i2i",
        "--data",
        place / "photos",
        "--json",
        "--output",
        place / "r.json",
        "--target",
        "tensorrt",
    )
    assert code == 0, err
    told = json.loads(out)
    assert told.pop("recipe") == str(place / "r.json")
    assert told == read_recipe(place / "r.json").model_dump(mode="json")
    assert told["emulated"] and "tensorrt emulated" in told["judged_by"] and told["min_psnr_db"] == 45


def test_without_matplotlib_it_is_said_before_the_work(
    run: object, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    recipe = place / "kept.json"
    arguments = (place / "painter.i2i", "--data", place / "photos", "--output", recipe)
    code, out, err = run(*arguments, "--plot", place / "none.png")
    assert code == 3 and "edge-i2i[quantize]" in err
    assert not out and not recipe.exists() and not (place / "none.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["painter.i2i"], 2, "Give --data"),
        (["painter.i2i", "--data", "photos", "--target", "openvin"], 2, "Did you mean 'openvino'"),
        (["painter.i2i", "--data", "nowhere"], 4, "nowhere"),
        (["no.i2i", "--data", "photos"], 4, "no bundle"),
        (["painter.i2i", "--data", "photos", "--output", "photos"], 2, "it is a folder"),
        (["painter.i2i", "--data", "photos", "--plot", "no/plot.png"], 2, "its folder is not there"),
    ],
)
def test_errors_are_sentences_with_exit_codes(
    run: object, place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, complaint: str
) -> None:
    monkeypatch.chdir(place)
    found, out, err = run(*arguments)
    assert (found, out) == (code, "") and complaint in err and "Traceback" not in err


def test_on_a_terminal_the_table_is_drawn_and_progress_too(place: Path) -> None:
    """A real terminal: table and bar are only drawn there."""
    command = [sys.executable, str(PROGRAM), "painter.i2i", "--data", "photos", "--threads", "1", "--cache", "cache"]
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "160", "TERM": "xterm", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, cwd=place, env=environment) as process:
        os.close(terminal)
        told = b""
        while True:
            try:
                told += (part := os.read(controller, 65536))
            except OSError:
                break
            if not part:
                break
    os.close(controller)
    shown = told.decode()
    assert process.returncode == 0, shown
    assert "────" in shown and SENSITIVE in shown and "recipe" in shown


def test_the_program_shows_an_example() -> None:
    shown = subprocess.run([sys.executable, PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Example: edge-i2i sensitivity" in shown and "--min-psnr" in shown
