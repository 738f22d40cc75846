"""Help texts, choices and the shell's completion, as a person at a terminal meets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_i2i.cli.options import choices
from edge_i2i.engines.choice import AUTO
from edge_i2i.engines.registry import engine_names
from edge_i2i.graphs.qdq.targets import target_names
from edge_i2i.live.model.upsampling import Upsampling
from edge_i2i.live.outlets.compare import Comparison
from edge_i2i.live.steps.flip import Flip
from edge_i2i.media.geometry import Fit
from edge_i2i.media.tone_mapping import Hdr

COMMAND = Path(sys.executable).parent / "edge-i2i"
GROUPS = ([], ["export"], ["cache"])
VERBS = ("translate", "live", "serve", "verify", "quantize", "sensitivity", "qat", "train", "collect", "import")


def run(*arguments: str, **environment: str) -> str:
    env = {**os.environ, **environment}
    done = subprocess.run([COMMAND, *arguments], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def complete(line: str) -> list[str]:
    """What a bash offers at the end of this line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return run(_EDGE_I2I_COMPLETE="complete_bash", **words).split()


def test_the_choices_that_are_shown_are_those_that_are_taken() -> None:
    assert (AUTO, *engine_names()) == choices.ENGINES
    assert sorted(choices.TARGETS) == sorted(target_names())
    enums = ((choices.FITS, Fit), (choices.UPSAMPLINGS, Upsampling))
    for shown, taken in (*enums, (choices.FLIPS, Flip), (choices.COMPARISONS, Comparison), (choices.HDRS, Hdr)):
        assert set(shown) == {str(item.value) for item in taken}  # type: ignore[attr-defined]


@pytest.mark.parametrize("columns", [60, 80, 150, 230])
def test_help_is_as_wide_as_the_terminal_and_whole(columns: int) -> None:
    texts = [run(*group, "--help", COLUMNS=str(columns)) for group in GROUPS[: 3 if columns == 80 else 1]]
    texts.append(run("live", "--help", COLUMNS=str(columns)))
    for text in texts:
        longest = max(map(len, text.splitlines()))
        assert "..." not in text.partition("\n")[2]  # but in the line of usage, where it means: several
        assert longest <= columns and (columns <= 100 or longest > 80), longest


def test_choices_are_in_the_help() -> None:
    text = " ".join(run("translate", "--help", COLUMNS="200").split())
    for names in (choices.ENGINES, choices.FITS, choices.PRECISIONS):
        assert "|".join(names) in text
    assert "openvino|tensorrt|all" in run("quantize", "--help", COLUMNS="200")


def test_the_shell_completes_verbs_options_and_choices(rgb_bundle: Path) -> None:
    assert {"verify"} <= set(complete("edge-i2i ver"))
    assert set(complete("edge-i2i translate x.i2i --engine o")) == {"onnxruntime", "openvino"}
    assert set(complete("edge-i2i live x.i2i --fit ")) == set(choices.FITS)
    assert set(complete(f"edge-i2i verify {rgb_bundle} --variant fp")) == {"fp32", "fp16"}
    assert set(complete("edge-i2i cache clear q")) == {"quantize"}


def test_variants_are_those_of_the_bundle(quantized_bundle: Path, tmp_path: Path) -> None:
    offered = set(complete(f"edge-i2i translate {quantized_bundle} --variant "))
    assert {"auto", "fp32", "int8-openvino"} <= offered
    (tmp_path / "broken.i2i").write_bytes(b"no bundle")
    for name in ("missing.i2i", "broken.i2i"):
        assert set(complete(f"edge-i2i translate {tmp_path / name} --variant ")) == {"auto", "fp32", "fp16"}


def test_completion_can_be_installed() -> None:
    script = run(_EDGE_I2I_COMPLETE="source_bash")
    assert "_EDGE_I2I_COMPLETE=complete_bash" in script and "edge-i2i" in script
