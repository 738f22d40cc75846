"""What pickles name, found without running them."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_i2i.models.checkpoints.pickle_survey import survey


class _Calls:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("/nowhere/executed",)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_the_called_object_is_named_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    found = survey(_write(tmp_path / "net.pth", pickle.dumps([1, _Calls(), "text"], protocol=protocol)))
    assert found.foreign_names == (f"{os.mkdir.__module__}.mkdir",)
    assert found.whole
    assert found.protocol == (protocol if protocol >= 2 else 0)


def test_an_old_style_instance_is_named(tmp_path: Path) -> None:
    assert survey(_write(tmp_path / "net.pth", b"(S'ls'\nios\nsystem\n.")).foreign_names == ("os.system",)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8])
@pytest.mark.parametrize("new", [True, False])
def test_tensors_and_parameters_are_not_foreign(dtype: torch.dtype, new: bool, tmp_path: Path) -> None:
    weight = torch.ones(2, dtype=dtype)
    state = OrderedDict(weight=weight, parameter=torch.nn.Parameter(torch.ones(1)))
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=new)
    found = survey(tmp_path / "net.pth")
    assert (found.foreign_names, found.protocol, found.whole) == ((), 2, True)


@pytest.mark.parametrize("new", [True, False])
def test_a_cut_file_is_not_whole(new: bool, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(200)}, tmp_path / "net.pth", _use_new_zipfile_serialization=new)
    content = (tmp_path / "net.pth").read_bytes()
    assert not survey(_write(tmp_path / "cut.pth", content[:150])).whole


def test_a_name_before_the_cut_is_still_found(tmp_path: Path) -> None:
    found = survey(_write(tmp_path / "cut.pth", pickle.dumps(_Calls(), protocol=4)[:-2]))
    assert found.foreign_names
    assert not found.whole
