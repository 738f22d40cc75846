from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_i2i.errors import UsageError
from edge_i2i.learn.data import PairMaker, batch_at, cached_pairs
from edge_i2i.learn.recipe import Recipe
from edge_i2i.media.photographs import LONGEST_SHORT_SIDE, load_photograph

MakeRecipe = Callable[..., Recipe]


class Recorder:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self, total: int | None, what: str) -> None:
        self.calls.append(f"start {total} {what}")

    def advance(self, n: int = 1, note: str = "") -> None:
        self.calls.append("advance")

    def finish(self) -> None:
        self.calls.append("finish")


@pytest.mark.parametrize("name", ["astronaut.png", "china.jpg", "camera.png", "retina.jpg"])
def test_photographs_are_colour_and_not_larger_than_needed(name: str) -> None:
    photograph = load_photograph(name)
    assert photograph.dtype == np.uint8
    assert photograph.shape[2] == 3
    assert min(photograph.shape[:2]) <= LONGEST_SHORT_SIDE


@pytest.mark.parametrize("name", ["atlantis.png", "../__init__.py", "README.txt"])
def test_an_unknown_photograph_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=r"No picture named") as caught:
        load_photograph(name)
    assert "astronaut.png" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_pair_depends_on_seed_and_index_only(tiny_recipe: MakeRecipe) -> None:
    maker = PairMaker(tiny_recipe())
    late, early = maker.pair(3), PairMaker(tiny_recipe()).pair(3)
    assert np.array_equal(late, early)
    assert late.shape == (2, 40, 40, 3)
    assert not np.array_equal(late, maker.pair(2))
    assert not np.array_equal(late, PairMaker(tiny_recipe().model_copy(update={"seed": 8})).pair(3))


def test_pairs_are_made_once(tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    told = Recorder()
    first = cached_pairs(tiny_recipe(), tmp_path, progress=told)
    second = cached_pairs(tiny_recipe(), tmp_path, progress=told)
    assert told.calls == ["start 4 pairs", *["advance"] * 4, "finish"]
    assert np.array_equal(first, second)
    assert [file.suffix for file in tmp_path.iterdir()] == [".npy"]


def test_an_interrupted_cache_leaves_nothing(tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    class Interrupting(Recorder):
        def advance(self, n: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

    told = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        cached_pairs(tiny_recipe(), tmp_path, progress=told)
    assert told.calls[-1] == "finish"
    assert list(tmp_path.iterdir()) == []


def test_another_recipe_gets_another_cache_file(tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = tiny_recipe()
    cached_pairs(recipe, tmp_path)
    cached_pairs(recipe.with_steps(99), tmp_path)  # steps do not decide the pairs
    assert len(list(tmp_path.iterdir())) == 1
    cached_pairs(recipe.model_copy(update={"seed": 8}), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_batches_are_a_function_of_step_and_rank(tiny_recipe: MakeRecipe, tiny_pairs: NDArray[np.uint8]) -> None:
    recipe = tiny_recipe()
    photograph, target = batch_at(tiny_pairs, recipe, 5)
    assert photograph.shape == target.shape == (2, 3, 32, 32)
    assert photograph.dtype == np.float32
    assert -1.0 <= photograph.min() <= photograph.max() <= 1.0
    assert np.array_equal(photograph, batch_at(tiny_pairs, recipe, 5)[0])
    assert not np.array_equal(photograph, batch_at(tiny_pairs, recipe, 6)[0])
    assert not np.array_equal(photograph, batch_at(tiny_pairs, recipe, 5, rank=1, world_size=2)[0])
