"""Numbers that nobody can reckon with are wrong usage of every option that takes one."""

from __future__ import annotations

import pytest
from click.testing import Result
from typer.testing import CliRunner

from edge_i2i.cli.main import app

OPTIONS = {
    "live x.i2i": ("--duration", "--fps", "--max-age", "--ladder", "--source-fps"),
    "collect x --output y": ("--seconds", "--every"),
    "quantize x.i2i --data y": ("--min-psnr", "--min-ssim", "--max-latency"),
    "sensitivity x.i2i --data y": ("--min-psnr",),
    "qat x.i2i --data y --target openvino": ("--learning-rate", "--range-learning-rate"),
}


def run(line: str) -> Result:
    return CliRunner().invoke(app, line.split())


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "-1", "2s"])
@pytest.mark.parametrize(("verb", "option"), [(verb, option) for verb, given in OPTIONS.items() for option in given])
def test_no_number(verb: str, option: str, number: str) -> None:
    told = run(f"{verb} {option} {number}")
    assert told.exit_code == 2 and option in told.output


@pytest.mark.parametrize("verb", OPTIONS)
def test_every_option_of_the_kind_is_listed_here(verb: str) -> None:
    """An option that takes any float at all shows it in its help."""
    assert "FLOAT" not in run(f"{verb.split()[0]} --help").output.replace("FLOAT>", "")


def test_zero_is_every_frame_of_a_collection_and_no_duration() -> None:
    assert "--every" not in run("collect /none --output /tmp --every 0").output
    assert run("live x.i2i --duration 0").exit_code == 2
