"""The weights that are shipped are those whose figures are committed, and they earn their place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.learn.evaluate import score, translate
from edge_i2i.learn.look import paint
from edge_i2i.learn.recipe import Recipe, read_recipe
from edge_i2i.learn.trainer import generator_config
from edge_i2i.media.photographs import load_photograph
from edge_i2i.models.checkpoints.reading import read_checkpoint
from edge_i2i.models.registry import get_family

REPOSITORY = Path(__file__).parents[2]
WEIGHTS = REPOSITORY / "edge_i2i" / "models" / "weights" / "pix2pixhd-demo.safetensors"
HELD_OUT = json.loads((REPOSITORY / "training" / "results" / "demo" / "heldout.json").read_text(encoding="utf-8"))


def test_the_file_is_small_and_was_trained_from_the_committed_recipe() -> None:
    assert WEIGHTS.stat().st_size == HELD_OUT["weights_bytes"] <= 4 * 2**20
    recipe = read_recipe(REPOSITORY / "training" / "recipes" / "demo.yaml")
    assert Recipe.model_validate(HELD_OUT["recipe"]) == recipe.with_steps(HELD_OUT["step"])
    assert HELD_OUT["step"] >= recipe.training.steps
    inferred = get_family("pix2pixhd").infer_config({"generator": read_checkpoint(WEIGHTS)}, {})
    assert inferred == generator_config(recipe)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png"])
def test_the_committed_figures_are_this_files(name: str) -> None:
    family, states = get_family("pix2pixhd"), {"generator": read_checkpoint(WEIGHTS)}
    generator = family.load(states, family.infer_config(states, {})).generator  # type: ignore[attr-defined]
    whole = load_photograph(name)
    height, width = (side - side % 4 for side in whole.shape[:2])
    photograph = np.ascontiguousarray(whole[:height, :width])
    ours = score(translate(generator, photograph), paint(photograph))
    kept = HELD_OUT["held_out"]["pictures"][name]
    assert ours.psnr == pytest.approx(kept["ours"]["psnr"], abs=0.1)
    assert ours.ssim == pytest.approx(kept["ours"]["ssim"], abs=0.002)
    for contender in ("identity", "colour_fit"):
        assert kept["ours"]["psnr"] > kept[contender]["psnr"] + 6
        assert kept["ours"]["ssim"] > kept[contender]["ssim"] + 0.05
