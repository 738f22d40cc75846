"""A recipe so small that a step takes milliseconds, and its pairs, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_i2i.learn.data import cached_pairs
from edge_i2i.learn.recipe import Recipe


def _tiny_recipe(**training: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "seed": 7,
            "generator": {"ngf": 2, "n_downsample_global": 1, "n_blocks_global": 1},
            "discriminator": {"ndf": 2, "n_layers": 2, "num_D": 2},
            "data": {
                "photographs": {"astronaut.png": 1.0, "camera.png": 0.5},
                "held_out": ["chelsea.png"],
                "pairs": 4,
                "patch": 40,
                "crop": 32,
            },
            "losses": {"l1": 5.0},
            "training": {
                "steps": 6,
                "batch": 2,
                "log_every": 1,
                "checkpoint_every": 3,
                "tensorboard": False,
                **training,
            },
        }
    )


@pytest.fixture(scope="session")
def tiny_recipe() -> Callable[..., Recipe]:
    """Makes the tiny recipe; keywords change its ``training`` section."""
    return _tiny_recipe


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pairs")


@pytest.fixture(scope="session")
def tiny_pairs(cache_folder: Path) -> NDArray[np.uint8]:
    return cached_pairs(_tiny_recipe(), cache_folder)
