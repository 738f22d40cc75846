from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from edge_i2i.bundle.locking import only_run
from edge_i2i.errors import OutputError, UsageError
from edge_i2i.learn.data import cached_pairs
from edge_i2i.learn.evaluate import HeldOutPicture, Scores
from edge_i2i.learn.recipe import Recipe
from edge_i2i.learn.results import thin_log, write_results
from edge_i2i.learn.run import RunOptions, train_recipe
from edge_i2i.learn.trainer import generator_config
from edge_i2i.learn.training_log import TrainingLog
from edge_i2i.models.checkpoints.reading import read_checkpoint
from edge_i2i.models.checkpoints.weights_file import write_weights_file
from edge_i2i.models.registry import get_family

MakeRecipe = Callable[..., Recipe]

REPOSITORY = Path(__file__).parents[2]


def _options(tmp_path: Path, cache: Path, **changes: object) -> RunOptions:
    return RunOptions(output=tmp_path / "run", cache=cache, accelerator="cpu", **changes)  # type: ignore[arg-type]


def test_a_run_leaves_weights_that_the_model_family_reads(
    tiny_recipe: MakeRecipe, tmp_path: Path, cache_folder: Path
) -> None:
    result = train_recipe(tiny_recipe(), _options(tmp_path, cache_folder, command="train.py --recipe tiny.yaml"))
    assert result["finished"] and result["step"] == 6
    weights = Path(result["weights"])
    with safe_open(weights, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["family"] == "pix2pixhd"
    assert json.loads(metadata["config"]) == asdict(generator_config(tiny_recipe()))
    family, states = get_family("pix2pixhd"), {"generator": read_checkpoint(weights)}
    config = family.infer_config(states, {})
    assert config == generator_config(tiny_recipe())
    family.load(states, config)


def test_the_results_are_ready_to_be_committed(tiny_recipe: MakeRecipe, tmp_path: Path, cache_folder: Path) -> None:
    result = train_recipe(tiny_recipe(), _options(tmp_path, cache_folder, command="train.py"))
    folder = Path(result["results"])
    assert sorted(file.name for file in folder.iterdir()) == ["heldout-chelsea.png", "heldout.json", "log.jsonl"]
    text = (folder / "heldout.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert {"held_out", "machine", "versions", "command", "date", "recipe", "step"} <= content.keys()
    assert set(content["held_out"]["mean"]) == {"ours", "identity", "colour_fit"}
    assert str(tmp_path) not in text
    assert cv2.imread(str(folder / "heldout-chelsea.png")).shape == (300, 3 * 450, 3)


FullDisk = Callable[[], AbstractContextManager[None]]


def test_a_disk_that_is_full_is_said_of_every_file_of_a_run(
    tiny_recipe: MakeRecipe, tmp_path: Path, cache_folder: Path, full_disk: FullDisk
) -> None:
    cached_pairs(tiny_recipe(), cache_folder)
    with full_disk(), pytest.raises(OutputError, match=r"\.npy' cannot be written") as caught:
        train_recipe(tiny_recipe(), _options(tmp_path, tmp_path / "cache"))
    assert "--cache" in caught.value.remedy and not list((tmp_path / "cache").iterdir())
    with full_disk(), pytest.raises(OutputError, match=r"run.* cannot be written"):
        train_recipe(tiny_recipe(), _options(tmp_path, cache_folder))
    grey = np.zeros((8, 8, 3), np.uint8)
    picture = HeldOutPicture("grey", grey, grey, grey, {"ours": Scores(1.0, 1.0)})
    for write in (
        lambda: write_weights_file(tmp_path / "w.safetensors", "x", {}, {"g": {"a": torch.ones(99, 99)}}),
        lambda: TrainingLog(tmp_path, tensorboard=False, enabled=True).write(1, {"x" * 2000: 1}),
        lambda: write_results(tmp_path / "results", [picture], tmp_path / "log.jsonl", {"x": "x" * 2000}),
    ):
        with full_disk(), pytest.raises(OutputError, match="cannot be written"):
            write()


def test_a_second_run_on_one_folder_says_so(tiny_recipe: MakeRecipe, tmp_path: Path, cache_folder: Path) -> None:
    with only_run(tmp_path / "run", inside=True), pytest.raises(OutputError, match="Another run is writing"):
        train_recipe(tiny_recipe(), _options(tmp_path, cache_folder))


def test_starting_over_a_run_is_refused_and_resuming_nothing_too(
    tiny_recipe: MakeRecipe, tmp_path: Path, cache_folder: Path
) -> None:
    with pytest.raises(UsageError, match="no checkpoint to resume from"):
        train_recipe(tiny_recipe(), _options(tmp_path, cache_folder, resume=True))
    train_recipe(tiny_recipe(steps=1), _options(tmp_path, cache_folder))
    with pytest.raises(UsageError, match="already holds a training run"):
        train_recipe(tiny_recipe(), _options(tmp_path, cache_folder))
    assert train_recipe(tiny_recipe(steps=2), _options(tmp_path, cache_folder, resume=True))["step"] == 2


def test_an_early_stop_is_reported_as_unfinished(tiny_recipe: MakeRecipe, tmp_path: Path, cache_folder: Path) -> None:
    result = train_recipe(tiny_recipe(), _options(tmp_path, cache_folder, should_stop=lambda: True))
    assert (result["finished"], result["step"]) == (False, 1)
    assert Path(result["weights"]).is_file()


def test_a_thinned_log_keeps_held_out_lines_and_an_even_spread() -> None:
    lines = [json.dumps({"step": step, "l1": 0.5}) for step in range(1, 1001)]
    lines.insert(500, json.dumps({"step": 500, "held_out_psnr": 20.0}))
    thinned = thin_log("\n".join(lines) + "\n", most=100).splitlines()
    assert 95 <= len(thinned) <= 105
    assert sum("held_out_psnr" in line for line in thinned) == 1
    assert json.loads(thinned[0])["step"] == 1
    assert json.loads(thinned[-1])["step"] == 1000


def test_the_command_trains_and_prints_json(
    tiny_recipe: MakeRecipe, tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    from edge_i2i.cli.train import train

    app = typer.Typer()
    app.command()(train)
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(tiny_recipe().to_yaml(), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["training/train.py", "--json"])
    common = ["--recipe", str(recipe), "--output", str(tmp_path / "out"), "--cache", str(cache_folder)]
    run = CliRunner().invoke(app, [*common, "--accelerator", "cpu", "--steps", "2", "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["step"] == 2
    shown = CliRunner().invoke(app, [*common, "--print-config"])
    assert shown.stdout == tiny_recipe().to_yaml()


def test_the_program_and_its_help_show_an_example() -> None:
    from edge_i2i.cli.train import train

    assert "Example:" in str(train.__doc__)
    assert "edge_i2i.cli.train import train" in (REPOSITORY / "training" / "train.py").read_text(encoding="utf-8")


def test_the_library_is_not_left_with_one_thread_by_reading_a_recipe(tiny_recipe: MakeRecipe) -> None:
    threads = torch.get_num_threads()
    tiny_recipe()
    assert torch.get_num_threads() == threads
