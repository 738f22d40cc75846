from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors.torch import load_file

from edge_i2i.errors import UsageError
from edge_i2i.learn.recipe import Recipe
from edge_i2i.learn.trainer import Trainer, learning_rate_at, new_networks

MakeRecipe = Callable[..., Recipe]

Pairs = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _keep_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def _trainer(output: Path, pairs: Pairs, recipe: Recipe) -> Trainer:
    return Trainer(recipe, output, pairs, Fabric(accelerator="cpu", devices=1))


def _log_lines(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def _stop_after(steps: int) -> Iterator[bool]:
    yield from [False] * (steps - 1)
    while True:
        yield True


def test_a_resumed_run_equals_an_uninterrupted_one_bit_by_bit(
    tiny_recipe: MakeRecipe, tmp_path: Path, tiny_pairs: Pairs
) -> None:
    whole = _trainer(tmp_path / "whole", tiny_pairs, tiny_recipe()).run()
    answers = _stop_after(2)
    half = _trainer(tmp_path / "halves", tiny_pairs, tiny_recipe()).run(should_stop=lambda: next(answers))
    assert (half.step, half.finished) == (2, False)
    torch.manual_seed(12345)  # whatever the process did in between must not matter
    again = _trainer(tmp_path / "halves", tiny_pairs, tiny_recipe())
    assert again.resume()
    rest = again.run()
    assert whole.finished and rest.finished
    for name in ("generator", "discriminator", "ema"):
        one, other = (load_file(run.checkpoint / f"{name}.safetensors") for run in (whole, rest))
        assert all(torch.equal(one[key], other[key]) for key in one)
    logs = [[line | {"s": 0} for line in _log_lines(tmp_path / run) if "l1" in line] for run in ("whole", "halves")]
    assert len(logs[0]) == 6
    assert logs[0] == logs[1]


def test_a_run_writes_its_log_pictures_and_checkpoints(
    tiny_recipe: MakeRecipe, tmp_path: Path, tiny_pairs: Pairs
) -> None:
    outcome = _trainer(tmp_path, tiny_pairs, tiny_recipe()).run()
    assert outcome.checkpoint.name == "step-00000006"
    lines = _log_lines(tmp_path)
    assert {"gan", "feature_matching", "l1", "discriminator", "s", "step"} == lines[0].keys()
    assert [line["step"] for line in lines if "held_out_psnr" in line] == [3, 6]
    assert sorted(file.name for file in (tmp_path / "pictures").iterdir()) == [
        "step-00000003-chelsea.png",
        "step-00000006-chelsea.png",
    ]


def test_training_brings_the_output_nearer_to_the_target(
    tiny_recipe: MakeRecipe, tmp_path: Path, tiny_pairs: Pairs
) -> None:
    _trainer(tmp_path, tiny_pairs, tiny_recipe(steps=60, checkpoint_every=60)).run()
    losses = [line["l1"] for line in _log_lines(tmp_path) if "l1" in line]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_both_networks_learn_and_the_average_lags_behind(
    tiny_recipe: MakeRecipe, tmp_path: Path, tiny_pairs: Pairs
) -> None:
    recipe = tiny_recipe(steps=3, checkpoint_every=3)
    first_generator, first_discriminator = new_networks(recipe)
    outcome = _trainer(tmp_path, tiny_pairs, recipe).run()
    generator, discriminator, ema = (
        load_file(outcome.checkpoint / f"{name}.safetensors") for name in ("generator", "discriminator", "ema")
    )
    for key, before in first_generator.state_dict().items():
        if key.endswith("weight"):
            moved, averaged = (generator[key] - before).norm(), (ema[key] - before).norm()
            assert 0 < averaged < moved
    assert any(not torch.equal(discriminator[key], value) for key, value in first_discriminator.state_dict().items())


def test_resuming_in_an_empty_folder_says_no(tiny_recipe: MakeRecipe, tmp_path: Path, tiny_pairs: Pairs) -> None:
    assert not _trainer(tmp_path, tiny_pairs, tiny_recipe()).resume()


def test_resuming_past_the_end_is_refused(tiny_recipe: MakeRecipe, tmp_path: Path, tiny_pairs: Pairs) -> None:
    _trainer(tmp_path, tiny_pairs, tiny_recipe()).run()
    with pytest.raises(UsageError, match="at step 6, past the 4 asked for"):
        _trainer(tmp_path, tiny_pairs, tiny_recipe(steps=4)).resume()


def test_the_learning_rate_is_constant_then_falls_to_zero(tiny_recipe: MakeRecipe) -> None:
    recipe = tiny_recipe(steps=100)
    rates = [learning_rate_at(recipe, step) for step in range(101)]
    assert rates[:51] == [2e-4] * 51
    assert rates[75] == pytest.approx(1e-4)
    assert rates[100] == 0.0
