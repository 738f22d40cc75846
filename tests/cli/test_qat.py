"""``edge-i2i qat`` and ``python training/qat.py`` as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from edge_i2i.bundle.locking import only_run
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.cli.qat import qat
from edge_i2i.errors import EdgeI2IError, OutputError, UsageError

pytest.importorskip("nncf")

PROGRAM = Path(__file__).parents[2] / "training" / "qat.py"
TINY = ("--random-weights", "--set", "ngf=4", "--set", "n_blocks_global=1", "--set", "n_downsample_global=2")


def run(*arguments: object) -> Result:
    """The verb in this process, until it has a place in the command; errors come out as they are."""
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command()(qat)
    done = CliRunner().invoke(program, [str(argument) for argument in arguments], catch_exceptions=True)
    if isinstance(done.exception, EdgeI2IError):
        raise done.exception
    return done


def test_a_model_is_exported_fine_tuned_and_written(tmp_path: Path) -> None:
    output, folder = tmp_path / "out.i2i", tmp_path / "run"
    common = ("--data", "golden", "--target", "tensorrt", "--output", output, "--run", folder, "--threads", "1")
    done = run("--model", "pix2pixhd", *TINY, "--size", "32x32", *common, "--steps", "60", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["finished"] and told["bundle"] == str(output) and told["variant"] == "int8-tensorrt-qat"
    assert told["after"]["psnr_db"] > told["before"]["psnr_db"] - 1 and 0 < told["best_step"] <= told["steps"] == 60
    assert set(open_bundle(output).variants("frame")) == {"fp32", "fp16", "int8-tensorrt-qat"}
    assert (folder / "checkpoint.pt").is_file() and (folder / "log.jsonl").is_file()


def test_one_network_is_named_once(rgb_bundle: Path) -> None:
    options = ("--data", "golden", "--target", "tensorrt")
    with pytest.raises(UsageError, match="Which network"):
        run(*options)
    with pytest.raises(UsageError, match="exclude each other"):
        run(rgb_bundle, "--model", "pix2pixhd", *options)


def test_unknown_targets_and_nothing_to_resume_are_refused(rgb_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run(rgb_bundle, "--data", "golden", "--target", "abacus", "--run", tmp_path)
    with pytest.raises(UsageError, match="nothing to resume"):
        run(rgb_bundle, "--data", "golden", "--target", "tensorrt", "--run", tmp_path, "--resume", "--steps", "1")


@pytest.mark.parametrize(("output", "folder"), [("one.i2i", "other"), ("other.i2i", "one")])
def test_a_second_run_on_one_output_or_in_one_folder_says_so(
    rgb_bundle: Path, tmp_path: Path, output: str, folder: str
) -> None:
    common = ("--data", "golden", "--target", "tensorrt", "--output", tmp_path / output, "--run", tmp_path / folder)
    first = ExitStack()
    first.enter_context(only_run(tmp_path / "one.i2i"))
    first.enter_context(only_run(tmp_path / "one", inside=True))
    with first, pytest.raises(OutputError, match="Another run is writing"):
        run(rgb_bundle, *common, "--steps", "1")
    assert not (tmp_path / output).exists()


def test_the_program_shows_its_help_with_an_example() -> None:
    done = subprocess.run([sys.executable, PROGRAM, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "Example:" in done.stdout and "--resume" in done.stdout
