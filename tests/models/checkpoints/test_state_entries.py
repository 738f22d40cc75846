"""What wrappers put into keys is taken out, and what is more than a state dict is said."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edge_i2i.errors import CheckpointError
from edge_i2i.models.checkpoints.reading import read_checkpoint
from edge_i2i.models.checkpoints.state_entries import without_wrappers

HERE = Path("net.pth")
STATE = {"model.1.weight": torch.ones(2, 3), "model.1.bias": torch.zeros(2)}


@pytest.mark.parametrize(
    "prefix",
    [
        *("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."),
        *("_fsdp_wrapped_module.", "_fsdp_wrapped_module._checkpoint_wrapped_module._orig_mod."),
    ],
)
def test_wrappers_in_any_order_are_taken_out(prefix: str) -> None:
    wrapped = {f"{prefix}{key}": tensor for key, tensor in STATE.items()}
    assert without_wrappers(wrapped, HERE) == STATE


def test_wrapped_parts_are_taken_out_of_the_middle() -> None:
    wrapped = {"a.enc.module.conv.weight": torch.ones(1), "a._orig_mod.mlp.weight": torch.ones(1)}
    assert set(without_wrappers(wrapped, HERE)) == {"a.enc.conv.weight", "a.mlp.weight"}


def test_what_torch_itself_wraps_is_read(tmp_path: Path) -> None:
    """A network that was averaged, wrapped for several GPUs and compiled, saved as it was trained."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    averaged = torch.optim.swa_utils.AveragedModel(nn.DataParallel(torch.compile(net)))
    averaged.update_parameters(net)
    torch.save(averaged.state_dict(), tmp_path / "ema.pth")
    assert set(torch.load(tmp_path / "ema.pth")) > {"n_averaged", "module.module._orig_mod.0.weight"}
    assert set(read_checkpoint(tmp_path / "ema.pth")) == {"0.weight", "0.bias"}


def test_several_state_dicts_that_were_wrapped_are_read(tmp_path: Path) -> None:
    wrapped = {f"module.{key}": tensor for key, tensor in STATE.items()}
    torch.save({"a": wrapped, "b": STATE}, tmp_path / "gen.pt")
    assert set(read_checkpoint(tmp_path / "gen.pt")) == {f"{half}.{key}" for half in "ab" for key in STATE}


def test_a_layer_beside_itself_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"holds module\.w beside w"):
        without_wrappers({"module.w": torch.ones(1), "w": torch.ones(1)}, HERE)


def _trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    net = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return net, optimizer


def test_the_state_of_an_optimizer_is_called_that(tmp_path: Path) -> None:
    torch.save(_trained()[1].state_dict(), tmp_path / "optimizer.pth")
    with pytest.raises(CheckpointError, match="holds the state of an optimizer") as caught:
        read_checkpoint(tmp_path / "optimizer.pth")
    assert "generator" in caught.value.remedy


def test_a_training_checkpoint_says_which_of_its_parts_are_state_dicts(tmp_path: Path) -> None:
    net, optimizer = _trained()
    whole = {"epoch": 3, "nets": {"G": net.state_dict(), "D": net.state_dict()}, "optimizer": optimizer.state_dict()}
    torch.save(whole, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"not tensors by name: epoch, optimizer\.") as caught:
        read_checkpoint(tmp_path / "last.ckpt")
    assert "['nets']['G'], ['nets']['D']" in caught.value.remedy
    assert f"torch.load({str(tmp_path / 'last.ckpt')!r}, map_location='cpu')['nets']['G']" in caught.value.remedy


@pytest.mark.parametrize("name", ["\x1b[2Jw", "w\nerror: none", "w\u202e", "\x9b31mw"])
@pytest.mark.parametrize("kind", ["torch", "nested", "mixed", "safetensors"])
def test_names_that_forge_lines_are_refused(name: str, kind: str, tmp_path: Path) -> None:
    weight = torch.zeros(1)
    path = tmp_path / "net.pth"
    if kind == "safetensors":
        save_file({name: weight}, path)
    else:
        contents = {"torch": {name: weight}, "nested": {"G": {name: weight}}, "mixed": {name: 3, "w": weight}}
        torch.save(contents[kind], path)
    with pytest.raises(CheckpointError, match="characters that cannot be shown") as caught:
        read_checkpoint(path)
    assert str(caught.value.what).isprintable()


def test_a_safetensors_file_of_too_many_tensors_is_refused(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"w{index}": entry for index in range(100_001)}).encode()
    (tmp_path / "many.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(CheckpointError, match="more than 100,000 entries"):
        read_checkpoint(tmp_path / "many.safetensors")
