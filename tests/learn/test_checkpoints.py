from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge_i2i.errors import CheckpointError, OutputError, UsageError
from edge_i2i.learn import checkpoints
from edge_i2i.learn.checkpoints import Snapshot, list_snapshots, load_snapshot, prune_snapshots, save_snapshot
from edge_i2i.learn.recipe import Recipe

MakeRecipe = Callable[..., Recipe]


def _snapshot(step: int = 3) -> Snapshot:
    networks = {name: {"weight": torch.arange(6.0).view(2, 3).t()} for name in checkpoints.NETWORKS}
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]).state_dict()
    training = {"generator": optimiser, "discriminator": optimiser, "random": torch.get_rng_state()}
    return Snapshot(step, networks, training)


def test_a_snapshot_reads_back(tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    path = save_snapshot(tmp_path, _snapshot(), tiny_recipe())
    again = load_snapshot(path, tiny_recipe())
    assert again.step == 3
    assert torch.equal(again.networks["ema"]["weight"], _snapshot().networks["ema"]["weight"])
    assert again.training["generator"]["param_groups"] == _snapshot().training["generator"]["param_groups"]


def test_only_the_newest_are_kept(tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    for step in (1, 20, 3):
        save_snapshot(tmp_path, _snapshot(step), tiny_recipe())
    prune_snapshots(tmp_path, 2)
    assert [path.name for path in list_snapshots(tmp_path)] == ["step-00000003", "step-00000020"]


def test_an_interrupted_write_leaves_the_older_checkpoint(
    tiny_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_snapshot(tmp_path, _snapshot(1), tiny_recipe())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_snapshot(tmp_path, _snapshot(2), tiny_recipe())
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


FullDisk = Callable[[], AbstractContextManager[None]]


@pytest.mark.parametrize("large", ["networks", "training"])
def test_a_disk_that_is_full_by_then_is_said_and_leaves_the_older_checkpoint(
    tiny_recipe: MakeRecipe, tmp_path: Path, full_disk: FullDisk, large: str
) -> None:
    save_snapshot(tmp_path, _snapshot(1), tiny_recipe())
    later = _snapshot(2)
    if large == "networks":
        later = replace(later, networks={name: {"weight": torch.ones(99, 99)} for name in checkpoints.NETWORKS})
    else:
        later = replace(later, training={"random": torch.ones(99, 99)})
    with full_disk(), pytest.raises(OutputError, match=r"step-00000002' cannot be written") as caught:
        save_snapshot(tmp_path, later, tiny_recipe())
    assert caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


@pytest.mark.parametrize("file", ["ema.safetensors", "training.pt", "state.json"])
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_checkpoint_is_named(tiny_recipe: MakeRecipe, tmp_path: Path, file: str, damage: str) -> None:
    path = save_snapshot(tmp_path, _snapshot(), tiny_recipe())
    if damage == "missing":
        (path / file).unlink()
    else:
        (path / file).write_bytes((path / file).read_bytes()[:20])
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        load_snapshot(path, tiny_recipe())
    assert "step-00000003" in str(caught.value)
    assert caught.value.exit_code == 4


def test_another_recipe_is_refused_and_the_keys_are_named(tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    path = save_snapshot(tmp_path, _snapshot(), tiny_recipe())
    other = tiny_recipe(batch=1).model_copy(update={"seed": 9})
    with pytest.raises(UsageError, match=r"different: seed, training\.batch") as caught:
        load_snapshot(path, other)
    assert caught.value.exit_code == 2


def test_how_often_to_log_may_change(tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    path = save_snapshot(tmp_path, _snapshot(), tiny_recipe())
    assert load_snapshot(path, tiny_recipe(log_every=5, checkpoint_every=1, steps=60)).step == 3
