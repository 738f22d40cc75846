"""Pairs for the demo: photographs from the scikit-image and scikit-learn wheels, augmented, and painted.

Nothing is downloaded: every photograph lies inside an installed wheel. A pair is a pure function of the recipe's seed
and its index, so a run that is resumed sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edge_i2i.files.places import ANOTHER_CACHE, writing
from edge_i2i.files.whole import replacing
from edge_i2i.learn.augment import camera_noise, random_light, random_tint, random_view
from edge_i2i.learn.look import BORDER, paint
from edge_i2i.learn.recipe import Recipe
from edge_i2i.media.photographs import load_photograph
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.requirements import installed_version

logger = logging.getLogger(__name__)

CACHE_FORMAT = 2  # raise it when the code changes what a pair looks like
PAIR_STREAM, CROP_STREAM = 0, 1  # keep the two kinds of draws independent of each other


class PairMaker:
    """Makes training pairs of a recipe: ``pair(index)`` depends on the recipe and the index only."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._photographs = {name: load_photograph(name) for name in recipe.data.photographs}
        weights = np.asarray(list(recipe.data.photographs.values()), np.float64)
        self._weights = weights / weights.sum()

    def pair(self, index: int) -> NDArray[np.uint8]:
        """The pair ``index``: uint8 (2, patch, patch, 3), photograph then painting, RGB."""
        rng = np.random.default_rng([self._recipe.seed, PAIR_STREAM, index])
        side = self._recipe.data.patch + 2 * BORDER
        ranges = self._recipe.augment
        name = str(rng.choice(list(self._photographs), p=self._weights))
        view = random_view(self._photographs[name], side, ranges, rng)
        if np.ptp(view.astype(np.int16), axis=2).max() == 0:
            view = random_tint(view, rng)
        photograph = random_light(view, ranges, rng)
        painting = paint(photograph, border=BORDER)
        return np.stack([camera_noise(photograph, ranges, rng)[BORDER:-BORDER, BORDER:-BORDER], painting])


def cached_pairs(recipe: Recipe, folder: Path, *, progress: Progress | None = None) -> NDArray[np.uint8]:
    """All pairs of a recipe, made once and then read from the cache.

    Args:
        recipe: decides the pairs.
        folder: where the cache lies; made if needed. Files are named by what decides their content.
        progress: told about each pair while they are made; silent where they were made before.

    Returns:
        uint8 (pairs, 2, patch, patch, 3), memory-mapped, read-only.

    Raises:
        OutputError: the cache cannot be written.
    """
    path = folder / f"{recipe.name}-{_cache_key(recipe)}.npy"
    if not path.exists():
        logger.info("making %d pairs", recipe.data.pairs)
        _write_cache(recipe, path, progress or NullProgress())
    return cast("NDArray[np.uint8]", np.load(path, mmap_mode="r"))


def _write_cache(recipe: Recipe, path: Path, progress: Progress) -> None:
    maker, total = PairMaker(recipe), recipe.data.pairs
    shape = (total, 2, recipe.data.patch, recipe.data.patch, 3)
    with writing(path, remedy=ANOTHER_CACHE):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not memory-mapped: a full disk would kill the process.
        with replacing(path) as unfinished, unfinished.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            progress.start(total, "pairs")
            try:
                for index in range(total):
                    file.write(np.ascontiguousarray(maker.pair(index), np.uint8).tobytes())
                    progress.advance()
            finally:
                progress.finish()


def _cache_key(recipe: Recipe) -> str:
    """A hash of everything that decides the pairs, the OpenCV release among it."""
    content = {
        "format": CACHE_FORMAT,
        "seed": recipe.seed,
        "data": recipe.data.model_dump(mode="json", exclude={"crop", "held_out"}),
        "augment": recipe.augment.model_dump(mode="json"),
        "opencv": installed_version("opencv-python-headless") or installed_version("opencv-python"),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def batch_at(
    pairs: NDArray[np.uint8], recipe: Recipe, step: int, *, rank: int = 0, world_size: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The batch of one step on one rank: random pairs, random crops, random mirror.

    Args:
        pairs: as `cached_pairs` returns them.
        recipe: decides batch, crop and seed.
        step: counted from 0.
        rank: this process among ``world_size``.
        world_size: number of processes; each gets its own part of the step's draws.

    Returns:
        Photographs and paintings, float32 (batch, 3, crop, crop) in [-1, 1].
    """
    batch, crop = recipe.training.batch, recipe.data.crop
    rng = np.random.default_rng([recipe.seed, CROP_STREAM, step, rank, world_size])
    slack = recipe.data.patch - crop
    chosen = []
    for _ in range(batch):
        index, top, left = rng.integers(len(pairs)), rng.integers(slack + 1), rng.integers(slack + 1)
        pair = pairs[index, :, top : top + crop, left : left + crop]
        chosen.append(pair[:, :, ::-1] if rng.random() < recipe.augment.flip else pair)
    both = np.stack(chosen).astype(np.float32) / np.float32(127.5) - np.float32(1.0)
    both = np.ascontiguousarray(both.transpose(1, 0, 4, 2, 3))
    return both[0], both[1]
