"""UNIT's 2017 release against what the authors' own classes computed (see fixtures/unit2017.md)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edge_i2i.models.family import Direction
from edge_i2i.models.unit2017.discriminators import MultiscaleDiscriminator, PatchDiscriminator, SharedDiscriminator
from edge_i2i.models.unit2017.model import CocoGenerator, Unit2017Config, Variant
from samples.models.reference import Reference, assert_same_keys

CONFIGS = {
    "coco_res_gen": Unit2017Config(ch=4, n_enc_res_blk=2, n_gen_res_blk=2),
    "coco_res_gen_2": Unit2017Config(
        variant=Variant.COCO_RES_GEN_2,
        ch=3,
        n_enc_res_blk=1,
        n_enc_shared_blk=2,
        n_gen_res_blk=2,
        res_dropout_ratio=0.5,
    ),
}
Discriminator = PatchDiscriminator | SharedDiscriminator | MultiscaleDiscriminator
DISCRIMINATORS: dict[str, tuple[Discriminator, int]] = {
    "coco_dis": (PatchDiscriminator(4, 3), 1),
    "coco_ms_dis": (MultiscaleDiscriminator(3, 2), 3),
    "coco_shared_dis": (SharedDiscriminator(4, 2, 2), 1),
}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of("unit2017")


def _filled(reference: Reference, name: str) -> CocoGenerator:
    net = CocoGenerator(CONFIGS[name])
    assert_same_keys(net, reference.listing[name]["shapes"])
    net.load_state_dict(reference.state(name))
    return net.eval()


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_both_directions_compute_what_the_authors_do(reference: Reference, name: str) -> None:
    net = _filled(reference, name)
    image, shared = net(reference.tensor(f"{name}.a"), Direction.A2B)
    reference.holds(f"{name}.a2b", image)
    reference.holds(f"{name}.shared", shared)
    reference.holds(f"{name}.b2a", net(reference.tensor(f"{name}.b"), Direction.B2A)[0])


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_the_training_pass_computes_what_the_authors_do(reference: Reference, name: str) -> None:
    net = _filled(reference, name)
    aa, ba, ab, bb, shared = net.translate_both(reference.tensor(f"{name}.a"), reference.tensor(f"{name}.b"))
    for suffix, picture in {"aa": aa, "b2a": ba, "a2b": ab, "bb": bb, "shared": shared[:1]}.items():
        reference.holds(f"{name}.{suffix}", picture)


@pytest.mark.parametrize("name", CONFIGS)
def test_instance_norms_are_where_the_authors_have_them(reference: Reference, name: str) -> None:
    modules = CocoGenerator(CONFIGS[name]).named_modules()
    assert [key for key, module in modules if isinstance(module, nn.InstanceNorm2d)] == reference.listing[name]["norms"]


@pytest.mark.parametrize("name", DISCRIMINATORS)
@torch.no_grad()
def test_discriminators_score_as_the_authors_do(reference: Reference, name: str) -> None:
    net, scales = DISCRIMINATORS[name]
    assert_same_keys(net, reference.listing[name]["shapes"])
    net.load_state_dict(reference.state(name))
    scores = {"a": net.score_a(reference.tensor("discriminator.a"))}
    scores["b"] = net.score_b(reference.tensor("discriminator.b"))
    for domain, maps in scores.items():
        assert len(maps) == scales
        for i, logits in enumerate(maps):
            reference.holds(f"{name}.score_{domain}.{i}", logits.flatten())


def test_the_full_size_networks_have_the_authors_keys(reference: Reference) -> None:
    full = reference.listing["full"]
    with torch.device("meta"):
        assert_same_keys(CocoGenerator(Unit2017Config()), full["generator"])
        assert_same_keys(CocoGenerator(Unit2017Config(variant=Variant.COCO_RES_GEN_2)), full["generator"])
        assert_same_keys(PatchDiscriminator(), full["coco_dis"])
        assert_same_keys(MultiscaleDiscriminator(), full["coco_ms_dis"])
        assert_same_keys(SharedDiscriminator(), full["coco_shared_dis"])


@torch.no_grad()
def test_the_multiscale_discriminator_can_see_the_whole_width() -> None:
    """The official halving drops the columns right of the leading square; on squares both agree."""
    faithful = MultiscaleDiscriminator(2, 1)
    whole = MultiscaleDiscriminator(2, 1, whole_width=True)
    whole.load_state_dict(faithful.state_dict())
    square, wide = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 32)
    assert all(torch.equal(a, b) for a, b in zip(faithful.score_a(square), whole.score_a(square), strict=True))
    assert [score.shape[-1] for score in faithful.score_a(wide)] == [16, 4, 2]
    assert [score.shape[-1] for score in whole.score_a(wide)] == [16, 8, 4]


def test_noise_and_dropout_are_for_training_only() -> None:
    torch.manual_seed(5)
    net, frame = CocoGenerator(CONFIGS["coco_res_gen"]), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        drawn = [net.train()(frame, Direction.A2B)[0] for _ in range(2)]
        still = [net.eval()(frame, Direction.A2B)[0] for _ in range(2)]
    assert not torch.equal(*drawn)
    assert torch.equal(*still)
