from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edge_i2i.learn.evaluate import apply_colours, evaluate_held_out, fit_colours, score, summarise, translate


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_the_colour_fit_finds_a_colour_matrix_that_is_there() -> None:
    photographs = _random(3, 29, 29, 3)
    matrix = np.array([[0.5, 0.2, 0.0, 10.0], [0.1, 0.6, 0.1, 5.0], [0.0, 0.0, 0.8, 20.0]])
    paintings = np.stack([apply_colours(matrix, one) for one in photographs])
    fitted = fit_colours(np.stack([photographs, paintings], axis=1))
    assert np.allclose(fitted[:, :3], matrix[:, :3], atol=0.01)
    assert np.allclose(fitted[:, 3], matrix[:, 3], atol=1.0)


def test_scores_of_equal_and_of_known_pictures() -> None:
    picture = _random(40, 50, 3) // 2
    same = score(picture, picture)
    assert same.ssim == pytest.approx(1.0)
    lighter = score(picture + 10, picture)
    assert lighter.psnr == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)


def test_translate_keeps_an_identity_exact() -> None:
    class Identity(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nothing = nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    picture = _random(17, 23, 3)
    assert np.array_equal(translate(Identity(), picture), picture)


def test_held_out_pictures_are_cropped_to_the_size_rule_and_summed_up() -> None:
    colours = np.hstack([np.eye(3), np.zeros((3, 1))])
    generator = nn.Conv2d(3, 3, 1)
    pictures = evaluate_held_out(generator, ["chelsea.png"], colours, multiple=16)
    assert pictures[0].photograph.shape == (288, 448, 3)
    assert pictures[0].side_by_side().shape == (288, 3 * 448, 3)
    figures = summarise(pictures)
    assert figures["mean"]["identity"] == figures["mean"]["colour_fit"]
    assert set(figures["pictures"]["chelsea.png"]) == {"ours", "identity", "colour_fit"}
