"""UNIT's second code base against what the authors' own classes computed (see fixtures/unit.md)."""

from __future__ import annotations

import pytest
import torch

from edge_i2i.models.family import Direction
from edge_i2i.models.munit.blocks import Activation, Padding
from edge_i2i.models.munit.discriminators import MsImageDis
from edge_i2i.models.unit.model import AutoencoderPair, UnitConfig
from samples.models.reference import Reference, assert_same_keys

CONFIGS = {
    "vae_gen": UnitConfig(dim=4, n_res=2),
    "vae_gen_deep": UnitConfig(dim=2, n_downsample=3, n_res=1, activ=Activation.LRELU, pad_type=Padding.ZERO),
}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of("unit")


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_both_directions_compute_what_the_authors_do(reference: Reference, name: str) -> None:
    pair = AutoencoderPair(CONFIGS[name])
    assert_same_keys(pair, reference.listing[name]["shapes"])
    pair.load_state_dict(reference.state(name))
    a, b = reference.tensor(f"{name}.a"), reference.tensor(f"{name}.b")
    reference.holds(f"{name}.code", pair.a.encode(a))
    reference.holds(f"{name}.a2b", pair(a, Direction.A2B))
    reference.holds(f"{name}.b2a", pair(b, Direction.B2A))


@torch.no_grad()
def test_the_discriminator_scores_as_the_authors_do(reference: Reference) -> None:
    net = MsImageDis(dim=4, n_layer=2, num_scales=2)
    assert_same_keys(net, reference.listing["dis"]["shapes"])
    net.load_state_dict(reference.state("dis"))
    scores = net(reference.tensor("dis.input"))
    assert len(scores) == 2
    for scale, score in enumerate(scores):
        reference.holds(f"dis.score.{scale}", score)


def test_the_full_size_networks_have_the_authors_keys(reference: Reference) -> None:
    full = reference.listing["full"]
    with torch.device("meta"):
        assert_same_keys(AutoencoderPair(UnitConfig()), full["gen"])
        assert_same_keys(MsImageDis(), full["dis"])


def test_noise_is_for_training_only() -> None:
    torch.manual_seed(5)
    net, picture = AutoencoderPair(CONFIGS["vae_gen"]).a, torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        drawn = [net.train()(picture)[0] for _ in range(2)]
        still, code = net.eval()(picture)
        assert not torch.equal(*drawn)
        assert torch.equal(still, net.decode(code))
