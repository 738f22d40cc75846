from __future__ import annotations

import pytest
import torch

from edge_i2i.learn.losses import discriminator_loss, feature_matching, lsgan
from edge_i2i.models.pix2pixhd.discriminators import MultiscaleDiscriminator


def _outputs(score: float, feature: float = 0.0) -> list[list[torch.Tensor]]:
    layer = torch.full((1, 2, 4, 4), feature)
    return [[layer, layer, torch.full((1, 1, 3, 3), score)] for _ in range(2)]


@pytest.mark.parametrize(("score", "real", "expected"), [(1.0, True, 0.0), (0.0, True, 2.0), (0.5, False, 0.5)])
def test_lsgan_is_the_squared_distance_summed_over_scales(score: float, real: bool, expected: float) -> None:
    assert lsgan(_outputs(score), real=real).item() == pytest.approx(expected)


def test_a_perfect_discriminator_has_no_loss_and_a_fooled_one_has() -> None:
    assert discriminator_loss(_outputs(1.0), _outputs(0.0)).item() == 0.0
    assert discriminator_loss(_outputs(0.0), _outputs(1.0)).item() == pytest.approx(2.0)


def test_feature_matching_uses_the_official_weights_and_skips_the_score() -> None:
    made, real = _outputs(score=5.0, feature=0.0), _outputs(score=-5.0, feature=1.0)
    # 2 scales x 2 layers, each 1.0 away, times 4 / 2 layers and 1 / 2 scales.
    assert feature_matching(made, real).item() == pytest.approx(2 * 2 * (4 / 2) * (1 / 2))


def test_no_gradient_flows_into_the_real_features() -> None:
    made = torch.zeros(1, 2, 2, 2, requires_grad=True)
    real = torch.ones(1, 2, 2, 2, requires_grad=True)
    score = torch.zeros(1, 1, 1, 1)
    feature_matching([[made, score]], [[real, score]]).backward()  # type: ignore[no-untyped-call]
    assert made.grad is not None
    assert real.grad is None


def test_the_losses_fit_the_real_discriminator() -> None:
    discriminator = MultiscaleDiscriminator(6, ndf=4, n_layers=2, num_D=3)
    of_one, of_other = (discriminator(torch.rand(1, 6, 32, 32)) for _ in range(2))
    assert feature_matching(of_one, of_one).item() == 0.0
    assert feature_matching(of_one, of_other).item() > 0.0
    assert lsgan(of_one, real=True).shape == ()
