"""The worked example in CONTRIBUTING.md does what it says: a new model is one file and one line."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pytest
import torch

from edge_i2i.models import registry

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
NAME = "edge_i2i_tint_of_contributing"


@pytest.fixture
def tint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Registers the page's model; gives its official file."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    path = tmp_path / "tint.py"
    path.write_text(source)
    specification = importlib.util.spec_from_file_location(NAME, path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, NAME, module)
    specification.loader.exec_module(module)
    monkeypatch.setattr(registry, "_FAMILIES", MappingProxyType({**registry._FAMILIES, "tint": NAME}))
    checkpoint = tmp_path / "tint.pth"
    torch.save({"mix.weight": torch.randn(3, 6, 5, 5) * 0.2, "mix.bias": torch.zeros(3)}, checkpoint)
    yield checkpoint


def test_the_example_runs_through_every_verb(tint: Path, run_verb: Callable[..., tuple[int, str, str]]) -> None:
    folder = tint.parent
    pictures = {}
    for name, colour in (("photo", (90, 120, 200)), ("sunset", (0, 40, 255)), ("sea", (255, 80, 0))):
        pictures[name] = folder / f"{name}.png"
        cv2.imwrite(str(pictures[name]), np.full((40, 60, 3), colour, np.uint8))
    code, out, err = run_verb("import", tint, "--output", folder / "tint.safetensors", "--json")
    assert code == 0, err
    assert (json.loads(out)["family"], json.loads(out)["config"]) == ("tint", {"kernel": 5})
    bundle = folder / "tint.i2i"
    common = ("--model", "tint", "--size", "32x32", "--output", bundle, "--threads", 2)
    code, _, err = run_verb("export", "onnx", "--checkpoint", folder / "tint.safetensors", *common)
    assert code == 0, err
    code, out, _ = run_verb("translate", bundle, "--help")
    assert code == 0 and "--exemplar FILE" in out.partition("takes")[2] and "--style-mix A B α" in out
    results = []
    for look in (
        ("--exemplar", pictures["sunset"]),
        ("--exemplar", pictures["sea"]),
        ("--style-mix", pictures["sunset"], pictures["sea"], 0.5),
    ):
        target = folder / f"{len(results)}.png"
        code, _, err = run_verb("translate", bundle, pictures["photo"], *look, "--output", target)
        assert code == 0, err
        results.append(cv2.imread(str(target)).astype(int))
    assert np.abs(results[0] - results[1]).max() > 10
    assert np.abs(results[2] - results[0]).max() > 3 < np.abs(results[2] - results[1]).max()
    code, _, err = run_verb("translate", bundle, pictures["photo"], "--output", folder / "x.png")
    assert code == 2 and "needs a look" in err and "Give --exemplar FILE." in err
    code, out, err = run_verb("verify", bundle, "--engine", "openvino")
    assert code == 0, err
