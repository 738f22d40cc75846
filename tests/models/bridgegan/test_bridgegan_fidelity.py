"""Our networks against what the authors' own functions computed (see fixtures/bridgegan.md)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from edge_i2i.models.bridgegan.config import BridgeGANConfig, infer_config
from edge_i2i.models.bridgegan.model import BridgeGANNetworks, Discriminator, FrameGraph, StyleGraph
from edge_i2i.models.bridgegan.variables import convert, discriminator_names, infer_depths, our_keys, variable_names
from edge_i2i.models.weights import load_state
from samples.models.reference import FIXTURES, Reference, assert_same_keys

ATTRIBUTES = "Smiling,Bangs,Male"
REFERENCE = Reference.of("bridgegan")


@pytest.fixture(scope="module")
def networks() -> BridgeGANNetworks:
    """Ours, with the weights that the authors' graph was filled with."""
    state = REFERENCE.state("all")
    built = BridgeGANNetworks(infer_config(state, {"atts": ATTRIBUTES}))
    load_state(built, our_keys(state), "BridgeGAN")
    return built.eval()


def _frame_graph(networks: BridgeGANNetworks, second_with_source: bool = True) -> FrameGraph:
    """Strength 1: the fixture stores the difference that the networks see."""
    config = BridgeGANConfig(atts=ATTRIBUTES, strength=1.0, second_with_source=second_with_source)
    return FrameGraph(networks.gen, networks.enc, config)


def _vectors() -> tuple[Tensor, Tensor]:
    """Target and source whose difference is the fixture's."""
    difference = REFERENCE.tensor("difference")
    return difference.clamp(min=0), (-difference).clamp(min=0)


@torch.no_grad()
def test_styles_are_the_authors(networks: BridgeGANNetworks) -> None:
    difference = REFERENCE.tensor("difference")
    REFERENCE.holds("source", networks.enc(REFERENCE.tensor("frame"), -difference))
    target, source = _vectors()
    REFERENCE.holds("given", StyleGraph(networks.enc, 1.0)(REFERENCE.tensor("exemplar"), target, source))
    REFERENCE.holds("drawn", StyleGraph(networks.map, 1.0)(REFERENCE.tensor("noise"), target, source))


@pytest.mark.parametrize(("style", "picture"), [("drawn", "label"), ("given", "reference")])
@torch.no_grad()
def test_both_modes_give_the_authors_picture(networks: BridgeGANNetworks, style: str, picture: str) -> None:
    frame = _frame_graph(networks)
    REFERENCE.holds(picture, frame(REFERENCE.tensor("frame"), *_vectors(), REFERENCE.tensor(style)))


@torch.no_grad()
def test_the_blend_is_the_authors_interp_mode(networks: BridgeGANNetworks) -> None:
    """Their list is [drawn, given] and α = 0.3 weighs its first entry, which is our second style."""
    ends = REFERENCE.tensor("given"), REFERENCE.tensor("drawn")
    frame = _frame_graph(networks)
    REFERENCE.holds("blend", frame(REFERENCE.tensor("frame"), *_vectors(), *ends, torch.tensor([[0.3]])))


@torch.no_grad()
def test_the_blend_of_the_test_script_leaves_the_source_out_of_the_second_style(networks: BridgeGANNetworks) -> None:
    ends = REFERENCE.tensor("given"), REFERENCE.tensor("drawn")
    frame = _frame_graph(networks, second_with_source=False)
    REFERENCE.holds("script_blend", frame(REFERENCE.tensor("frame"), *_vectors(), *ends, torch.tensor([[0.5]])))


@torch.no_grad()
def test_the_discriminator_is_the_authors() -> None:
    state = {key: value for key, value in REFERENCE.state("all").items() if key.startswith("Discriminator/")}
    net = Discriminator(3, img_size=32, ch=2, n_resblks=2)
    load_state(net, _without_network(convert(state, discriminator_names(2))), "the discriminator")
    score, logits = net(REFERENCE.tensor("frame"))
    REFERENCE.holds("gan", score)
    REFERENCE.holds("attributes", logits)


def _without_network(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix("dis."): value for key, value in state.items()}


def test_every_full_size_variable_has_its_place() -> None:
    """Names and shapes of the graph that the authors' code builds with the training script's defaults."""
    shapes = REFERENCE.listing["full"]["shapes"]
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    with torch.device("meta"):
        assert_same_keys(BridgeGANNetworks(BridgeGANConfig()), _shapes(our_keys(state)))
        critic = {name: tensor for name, tensor in state.items() if name.startswith("Discriminator/")}
        assert_same_keys(Discriminator(14), _shapes(_without_network(convert(critic, discriminator_names(4)))))
    assert infer_config(state, {}) == BridgeGANConfig()
    names = {*variable_names(infer_depths(shapes)).values(), *discriminator_names(4).values()}
    assert names == shapes.keys()


def _shapes(state: object) -> dict[str, list[int]]:
    assert isinstance(state, dict)
    return {key: list(tensor.shape) for key, tensor in state.items()}


def test_the_published_parameter_counts() -> None:
    """G, E and M as counted in the full-size graph of the authors' code."""
    with torch.device("meta"):
        networks = BridgeGANNetworks(BridgeGANConfig())
    counts = [sum(p.numel() for p in net.parameters()) for net in (networks.gen, networks.enc, networks.map)]
    shapes = REFERENCE.listing["full"]["shapes"]
    scopes = ("Ggenerator/", "Gencoder/", "Gmappingnet/")
    theirs = [sum(_size(s) for name, s in shapes.items() if name.startswith(scope)) for scope in scopes]
    assert counts == theirs


def _size(shape: list[int]) -> int:
    return int(torch.Size(shape).numel())


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.glob("bridgegan*")) <= 150 * 1024
