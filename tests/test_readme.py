"""The README's install lines: each brings what the commands below it need, and each is tried in an empty environment.

The latter downloads gigabytes and takes minutes: ``EDGE_I2I_INSTALL_TESTS=1 pytest tests/test_readme.py``. With
``EDGE_I2I_TORCH_FIRST``, a command such as the page has for PyTorch's CPU build, that one is run first.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text()
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
GET_STARTED = "https://pytorch.org/get-started/locally/"
REGISTRIES = re.compile(
    r"download\.pytorch\.org|pypi\.org|registry\.npmjs|files\.pythonhosted|--(extra-)?index-url +http"
)

# The extras that a verb needs whatever it is given; JetPack brings what `export trt` needs.
NEEDS = {
    "import": {"torch"},
    "export onnx": {"torch"},
    "collect": {"video"},
    "quantize": {"quantize"},
    "sensitivity": {"quantize"},
    "qat": {"quantize"},
    "train": {"train"},
    "serve": {"web"},
}


def blocks() -> dict[str, list[str]]:
    """The commands of each block that begins with an installation, by the bold words before it, comments left out."""
    part = PAGE[PAGE.index("## Your own network") : PAGE.index("## In a program")]
    found = re.findall(r"\*\*([^*]+)\*\*[^`]*?(?:`[^`]+`[^`]*?)*```bash\n(.*?)```", part, flags=re.DOTALL)
    lines = {name: [line.partition(" #")[0].strip() for line in text.splitlines()] for name, text in found}
    return {name: [line for line in commands if line] for name, commands in lines.items()}


BLOCKS = blocks()


def extras_of(commands: list[str]) -> set[str]:
    """What the block installs, extras of extras with it."""
    (line,) = [command for command in commands if command.startswith("pip install")]
    (wanted,) = re.findall(r"'\.\[([a-z,]+)\]'", line)
    found, waiting = set(), wanted.split(",")
    while waiting:
        extra = waiting.pop()
        found.add(extra)
        items = [Requirement(text) for text in EXTRAS[extra]]
        waiting += [inner for item in items if item.name == "edge-i2i" for inner in item.extras]
    return found


def verbs_of(commands: list[str]) -> list[list[str]]:
    return [shlex.split(command)[1:] for command in commands if command.startswith("edge-i2i")]


def test_there_is_a_line_for_every_person() -> None:
    assert list(BLOCKS) == ["Run a bundle", "Live, and the web page", "Export your own network", "Quantize", "Jetson"]
    assert all(len(verbs_of(commands)) >= 3 for commands in BLOCKS.values())


@pytest.mark.parametrize("name", BLOCKS)
def test_what_a_line_installs_is_enough_for_the_commands_below_it(name: str) -> None:
    brought = extras_of(BLOCKS[name])
    for arguments in verbs_of(BLOCKS[name]):
        verb = " ".join(arguments[:2]) if arguments[0] == "export" else arguments[0]
        needed = set(NEEDS.get(verb, ()))
        needed |= {"cpu"} if "openvino" in arguments else set()
        needed |= {"video"} if any(text.endswith((".mp4", ".mkv")) for text in arguments) else set()
        assert needed <= brought, f"{name}: {' '.join(arguments)} needs {needed - brought}"


@pytest.mark.parametrize("name", BLOCKS)
def test_every_line_is_pinned_and_none_brings_cuda_unasked(name: str) -> None:
    (line,) = [command for command in BLOCKS[name] if command.startswith("pip install")]
    assert "-c constraints.txt" in line
    before = PAGE[PAGE.index(f"**{name}**") :].partition("```bash")[0]
    (pin,) = [text for text in _pins() if text.startswith("torch==")]
    assert (f"`{pin}`" in before and GET_STARTED in before) == ("torch" in extras_of(BLOCKS[name]))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml", "docs"])
def test_no_page_sends_anybody_to_the_host_of_a_registry(name: str) -> None:
    """Which one a machine asks is its owner's business: pip and npm know it."""
    for path in (ROOT / name).rglob("*.md") if (ROOT / name).is_dir() else [ROOT / name]:
        assert not REGISTRIES.search(path.read_text()), path


@pytest.mark.parametrize("name", BLOCKS)
def test_every_command_is_one(name: str) -> None:
    """Verbs and options of a page grow stale: each is looked up in its verb's help."""
    for arguments in verbs_of(BLOCKS[name]):
        verb = arguments[:2] if arguments[0] == "export" else arguments[:1]
        code = f"from edge_i2i.cli.main import run_command; raise SystemExit(run_command({[*verb, '--help']!r}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0
        for option in (text for text in arguments if text.startswith("--")):
            assert option in done.stdout, f"{' '.join(verb)} has no {option}"


def test_the_demo_is_small_and_make_uses_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "demo: $(DEMO_INSTALLED)" in makefile and "$(call install,demo)" in makefile
    brought = extras_of(["pip install '.[demo]'"])
    assert brought == {"demo", "torch", "video"}
    names = {Requirement(text).name for extra in brought for text in EXTRAS[extra]}
    assert {"torch", "av", "scikit-image"} <= names
    assert not names & {"tensorflow", "tensorflow-cpu", "tensorrt-rtx", "nncf", "PySide6-Essentials", "playwright"}


def test_every_pin_of_a_package_that_differs_by_platform_is_there() -> None:
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in _pins()}
    for extra in set(EXTRAS) - {"dev", "all"}:
        for text in EXTRAS[extra]:
            name = Requirement(text).name.lower()
            assert name == "edge-i2i" or name in pinned, f"{name} of {extra} has no pin in constraints.txt"


def _pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


# In an empty environment ------------------------------------------------------------------------------------------

ASKED = os.environ.get("EDGE_I2I_INSTALL_TESTS") == "1"
# What needs a camera, a browser, or JetPack.
ELSEWHERE = ("--source 0", "serve", "tensorrt")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, rgb_bundle: Path) -> Path:
    """What the page's commands are given, small: made here, where everything is installed."""
    import cv2
    import torch

    from edge_i2i.contract import Size
    from edge_i2i.media.films.video_writer import VideoWriter
    from edge_i2i.models.registry import get_family

    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(rgb_bundle, folder / "city.i2i")
    picture = cv2.cvtColor(cv2.imread(str(ROOT / "docs/images/chelsea.jpg")), cv2.COLOR_BGR2RGB)[:96, :128]
    frames = [np.ascontiguousarray(np.roll(picture, 9 * shift, axis=1)) for shift in range(14)]
    (folder / "photos").mkdir()
    for number, frame in enumerate(frames[::2]):
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), frame[..., ::-1])
    for name in ("drive.mp4", "holiday.mp4"):
        with VideoWriter(folder / name, Fraction(25), Size(96, 128)) as writer:
            for number, frame in enumerate(frames):
                writer.write(frame, Fraction(number, 25))
    family = get_family("pix2pixhd")
    config = family.tiny(family.architectures()["G1, RGB"])
    torch.save(family.random(config, 3).generator.state_dict(), folder / "latest_net_G.pth")
    return folder


@pytest.mark.skipif(not ASKED, reason="minutes, and gigabytes: EDGE_I2I_INSTALL_TESTS=1 pytest tests/test_readme.py")
@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "Jetson"])
def test_a_line_in_an_empty_environment(name: str, files: Path, tmp_path: Path) -> None:
    """Install, then run what needs no hardware; lines with files that were not made are left out."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    environment = {**os.environ, "PATH": f"{tmp_path / 'venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    (line,) = [command for command in BLOCKS[name] if command.startswith("pip install")]
    if "torch" in extras_of(BLOCKS[name]) and (first := os.environ.get("EDGE_I2I_TORCH_FIRST")):
        subprocess.run(first, shell=True, check=True, cwd=ROOT, env=environment)
    subprocess.run(line, shell=True, check=True, cwd=ROOT, env=environment)
    shutil.copytree(files, tmp_path / "work")
    ran = 0
    for arguments in verbs_of(BLOCKS[name]):
        command = " ".join(arguments)
        if any(text in command for text in ELSEWHERE) or not all(map(_was_made, arguments)):
            continue
        subprocess.run(["edge-i2i", *arguments], check=True, cwd=tmp_path / "work", env=environment)
        ran += 1
    assert ran, name


def _was_made(text: str) -> bool:
    """Not one of the page's files that were not made: what is written is none of them."""
    missing = ("street.i2i", "shoes.i2i", "faces.i2i", "gen_01000000.pt")
    return text not in missing
