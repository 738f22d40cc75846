"""Looking models up by name."""

from __future__ import annotations

import builtins
import importlib
import subprocess
import sys
from typing import Any

import pytest

from edge_i2i.errors import MissingRequirementError, UsageError
from edge_i2i.models.registry import family_names, get_family


@pytest.mark.parametrize("name", family_names())
def test_every_family_says_what_it_is(name: str) -> None:
    family = get_family(name)
    assert family.name == name
    assert family.title
    assert family.source
    assert family.reference_licence
    family.config_type()


def test_an_unknown_model_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="There is no model 'Pix2PixH'") as caught:
        get_family("Pix2PixH")
    assert "Did you mean 'pix2pixhd'?" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_a_name_like_no_other_lists_what_there_is() -> None:
    with pytest.raises(UsageError) as caught:
        get_family("zzz")
    assert caught.value.remedy == f"Known models: {', '.join(family_names())}."


def test_listing_models_imports_no_torch() -> None:
    code = "import sys, edge_i2i.models.registry as r; r.family_names(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str, *arguments: Any) -> Any:
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return builtins.__import__(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(
        MissingRequirementError, match="Reading a pix2pixhd network needs the Python package 'torch'"
    ) as e:
        get_family("pix2pixhd")
    assert "edge-i2i[torch]" in e.value.remedy
    assert e.value.exit_code == 3
