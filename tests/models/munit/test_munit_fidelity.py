"""MUNIT's networks against what the authors' own classes computed (see fixtures/munit.md)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from edge_i2i.models.munit.blocks import Activation, LayerNorm, Norm, Padding
from edge_i2i.models.munit.config import MUNITConfig
from edge_i2i.models.munit.discriminators import MsImageDis
from edge_i2i.models.munit.model import FAMILY, MUNIT, build_generator
from edge_i2i.models.munit.networks import AdaINGen
from edge_i2i.models.weights import load_state
from samples.models.reference import FIXTURES, Reference, assert_same_keys

REFERENCE = Reference.of("munit")
GENERATORS: Mapping[str, MUNITConfig] = {
    "gen_a": MUNITConfig(dim=4, n_res=2, mlp_dim=16),
    "lrelu_zero": MUNITConfig(
        dim=4, n_res=1, mlp_dim=16, n_downsample=3, style_dim=3, activ=Activation.LRELU, pad_type=Padding.ZERO
    ),
    "prelu_replicate": MUNITConfig(
        dim=3, n_res=3, mlp_dim=16, n_downsample=1, activ=Activation.PRELU, pad_type=Padding.REPLICATE
    ),
    "selu": MUNITConfig(dim=4, n_res=1, mlp_dim=5, activ=Activation.SELU),
}


def _without_unused(shapes: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """The authors' keys without the running statistics of AdaIN, which nothing reads."""
    return {key: shape for key, shape in shapes.items() if "running_" not in key}


def _filled(name: str, network: nn.Module) -> nn.Module:
    """The network with the reference's weights; its keys and shapes must be the reference's."""
    assert_same_keys(network, _without_unused(REFERENCE.listing[name]["shapes"]))
    load_state(network, REFERENCE.state(name), name)
    return network.eval()


def _generator(name: str) -> AdaINGen:
    generator = _filled(name, build_generator(GENERATORS[name]))
    assert isinstance(generator, AdaINGen)
    return generator


def _pair_state() -> dict[str, Tensor]:
    return {f"{domain}.{key}": tensor for domain in "ab" for key, tensor in REFERENCE.state(f"gen_{domain}").items()}


def _translator(direction: str) -> MUNIT:
    states = {"generators": _pair_state()}
    config = FAMILY.infer_config(states, FAMILY.parse_overrides({"direction": direction}))
    return FAMILY.load(states, config)


@pytest.mark.parametrize("name", GENERATORS)
@torch.no_grad()
def test_the_auto_encoder_computes_what_the_authors_does(name: str) -> None:
    generator = _generator(name)
    prefix = "a" if name == "gen_a" else name
    picture = REFERENCE.tensor(f"{prefix}.picture")
    REFERENCE.holds(f"{prefix}.style", generator.enc_style(picture))
    REFERENCE.holds(f"{prefix}.reconstruction", generator(picture))


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
@torch.no_grad()
def test_composed_graphs_translate_as_the_authors_test_script(direction: str) -> None:
    model = _translator(direction)
    source, target = direction[0], direction[2]
    frame, exemplar = REFERENCE.tensor(f"{source}.picture"), REFERENCE.tensor(f"{target}.picture")
    drawn = REFERENCE.tensor("drawn").flatten(1)
    translate, encode_style, modulate = (graph.module for graph in model.graphs(FAMILY.tiny_size))
    style = encode_style(exemplar)
    REFERENCE.holds(f"{target}.style", style[..., None, None])
    REFERENCE.holds(f"{direction}.adain", modulate(drawn))
    REFERENCE.holds(f"{direction}.drawn", translate(frame, modulate(drawn)))
    REFERENCE.holds(f"{direction}.exemplar", translate(frame, modulate(style)))


@torch.no_grad()
def test_the_content_is_the_authors() -> None:
    REFERENCE.holds("a.content", _generator("gen_a").enc_content(REFERENCE.tensor("a.picture")))


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("dis", MsImageDis(3, dim=4, n_layer=3, num_scales=3)),
        ("dis_ln", MsImageDis(3, dim=4, n_layer=2, num_scales=2, norm=Norm.LAYER)),
    ],
)
@torch.no_grad()
def test_every_scale_of_the_discriminator_is_the_authors(name: str, network: MsImageDis) -> None:
    scores = _filled(name, network)(REFERENCE.tensor(f"{name}.picture"))
    assert len(scores) == sum(key.startswith(f"{name}.scores.") for key in REFERENCE.arrays)
    for scale, score in enumerate(scores):
        REFERENCE.holds(f"{name}.scores.{scale}", score)


@torch.no_grad()
def test_layer_norm_divides_by_the_deviation_plus_eps() -> None:
    norm = LayerNorm(3)
    norm.load_state_dict({"gamma": REFERENCE.tensor("ln.gamma"), "beta": REFERENCE.tensor("ln.beta")})
    REFERENCE.holds("ln.output", norm(REFERENCE.tensor("ln.input")))


def test_the_full_networks_have_the_published_keys() -> None:
    with torch.device("meta"):
        generator, discriminator = build_generator(MUNITConfig()), MsImageDis()
    assert_same_keys(generator, _without_unused(REFERENCE.listing["full"]["gen"]))
    assert_same_keys(discriminator, REFERENCE.listing["full"]["dis"])
    assert sum(parameter.numel() for parameter in generator.parameters()) == 15_026_187
    assert generator.dec.adain_size == 4096


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.glob("munit*")) <= 150 * 1024
