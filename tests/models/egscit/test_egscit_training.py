"""EGSC-IT's training networks against what the authors' own graph code computed (see fixtures/egscit.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.egscit.model import FAMILY, EgscitConfig, EgscitNetworks, Encoder
from edge_i2i.models.egscit.training_networks import (
    Autoencoder,
    Autoencoders,
    Discriminator,
    DiscriminatorConfig,
    Discriminators,
    load_autoencoders,
    load_discriminators,
    training_state,
)
from edge_i2i.models.weights import load_state
from samples.models.reference import FIXTURES, Reference

REFERENCE = Reference.of("egscit_training")
NETWORKS = ["n3", "n1"]
DOMAINS = ["a", "b"]


@dataclass(frozen=True)
class Inputs:
    """What the fixture was computed from, by domain."""

    pictures: dict[str, Tensor]
    noise: dict[str, Tensor]


def _state(name: str) -> dict[str, Tensor]:
    return {**REFERENCE.state(f"{name} autoencoders"), **REFERENCE.state(f"{name} discriminators")}


def _inputs(name: str) -> Inputs:
    listed, rng = REFERENCE.listing[name], np.random.RandomState(REFERENCE.listing[name]["seed"])
    pictures = {domain: _nchw(rng.uniform(-1, 1, (1, *listed["size"], 3))) for domain in DOMAINS}
    return Inputs(pictures, {domain: _nchw(rng.normal(0, 1, listed["latent"])) for domain in DOMAINS})


def _nchw(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.astype(np.float32).transpose(0, 3, 1, 2)))


def _shapes(state: Mapping[str, Tensor]) -> dict[str, list[int]]:
    return {key: list(tensor.shape) for key, tensor in state.items()}


# --- against the authors


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_autoencoders_reconstruct_as_the_authors_do(name: str, domain: str) -> None:
    inputs = _inputs(name)
    network = load_autoencoders(_state(name)).get_submodule(f"recon_{domain}")
    reconstruction, _ = network(inputs.pictures[domain], inputs.noise[domain])
    REFERENCE.holds(f"{name}.recon_{domain}", reconstruction)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_discriminators_judge_as_the_authors_do(name: str, domain: str) -> None:
    network = load_discriminators(_state(name)).get_submodule(f"dis_{domain}")
    REFERENCE.holds(f"{name}.real_{domain}", network(_inputs(name).pictures[domain]))
    REFERENCE.holds(f"{name}.made_{domain}", network(REFERENCE.tensor(f"{name}.recon_{domain}")))


def test_every_variable_of_the_full_size_graph_has_its_place() -> None:
    variables = {name: torch.empty(shape, device="meta") for name, shape in REFERENCE.listing["full"].items()}
    with torch.device("meta"):
        autoencoders, discriminators = Autoencoders(EgscitConfig()), Discriminators(DiscriminatorConfig())
    ours = {**autoencoders.state_dict(), **discriminators.state_dict()}
    converted = training_state(variables)
    assert _shapes(converted) == _shapes(ours)
    assert len(converted) == len(variables)


def test_the_architecture_is_read_off_the_variables() -> None:
    n3, n1 = _state("n3"), _state("n1")
    assert load_autoencoders(n3).config == EgscitConfig(ngf=4)
    deep = EgscitConfig(ngf=4, n_encoder=1, n_enc_resblock=2, n_enc_share=2, n_gen_share=2, n_gen_resblock=1)
    assert load_autoencoders(n1).config == deep
    assert load_discriminators(n3).config == DiscriminatorConfig(ndf=4)
    assert load_discriminators(n1).config == DiscriminatorConfig(ndf=3, n_dis=3)


def test_the_translators_discriminators_are_read_too() -> None:
    """MODEL1's lie in the scope UNIT; by the authors' graph they have the same layers."""
    shapes = REFERENCE.listing["MODEL1"]["discriminators"]
    state = _state("n3")
    of_model1 = {name: state[name.removeprefix("UNIT/")] for name in shapes}
    assert _shapes(of_model1) == shapes
    others = {"UNIT/encoder_A/conv_0/conv2d/kernel": torch.ones(7, 7, 3, 4), "beta1_power": torch.tensor(0.5)}
    networks = load_discriminators({**of_model1, **others})
    wanted = load_discriminators(state).state_dict()
    assert all(torch.equal(tensor, wanted[key]) for key, tensor in networks.state_dict().items())


def test_what_the_optimizer_saves_is_left_out() -> None:
    state = _state("n3")
    slots = {f"{name}/{slot}": tensor + 1 for name, tensor in state.items() for slot in ("Adam", "Adam_1")}
    powers = {name: torch.tensor(0.5) for name in REFERENCE.listing["MODEL0 others"]}
    assert powers
    assert training_state({**state, **slots, **powers}).keys() == training_state(state).keys()


# --- what training does with them


@torch.no_grad()
def test_the_autoencoders_encoder_is_the_feature_encoder_of_inference() -> None:
    """What MODEL0 trains is what inference reads from the same checkpoint."""
    state = _state("n3")
    ours = load_autoencoders(state).recon_b.enc.state_dict()
    theirs = {key.removeprefix("feat_b."): x for key, x in FAMILY.portable({"features": state})["translator"].items()}
    assert isinstance(EgscitNetworks(EgscitConfig(ngf=4)).feat_b, Encoder)
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


@torch.no_grad()
def test_noise_is_added_to_the_latent() -> None:
    network, inputs = load_autoencoders(_state("n3")).recon_a, _inputs("n3")
    picture, noise = inputs.pictures["a"], inputs.noise["a"]
    noisy, latent = network(picture, noise)
    plain, mean = network(picture)
    torch.testing.assert_close(latent, mean + noise)
    torch.testing.assert_close(mean, network.encode(picture))
    torch.testing.assert_close(network.decode(latent), noisy)
    assert float((noisy - plain).abs().max()) > 0.05


def test_gradients_reach_every_weight() -> None:
    state, inputs = _state("n3"), _inputs("n3")
    autoencoder, discriminator = load_autoencoders(state).recon_a, load_discriminators(state).dis_a
    reconstruction, latent = autoencoder(inputs.pictures["a"], inputs.noise["a"])
    (discriminator(reconstruction).square().mean() + latent.square().mean()).backward()
    parameters = [*autoencoder.parameters(), *discriminator.parameters()]
    assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in parameters)


@pytest.mark.parametrize(("size", "patches"), [((256, 512), (16, 32)), ((112, 112), (7, 7)), ((28, 28), (2, 2))])
def test_a_patch_is_sixteen_pixels_rounded_up(size: tuple[int, int], patches: tuple[int, int]) -> None:
    with torch.device("meta"):
        assert Discriminator(DiscriminatorConfig())(torch.empty(1, 3, *size)).shape == (1, 1, *patches)


def test_the_parameters_are_as_many_as_the_authors_graph_has() -> None:
    with torch.device("meta"):
        counts = [_parameters(Autoencoder(EgscitConfig())), _parameters(Discriminator(DiscriminatorConfig()))]
    variables = REFERENCE.listing["full"]
    scopes = ("VAEGAN_recon_A/", "discriminator_A/")
    wanted = [sum(int(np.prod(s)) for name, s in variables.items() if name.startswith(scope)) for scope in scopes]
    assert counts == wanted


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# --- our own files, and what is refused


def test_our_own_state_dicts_are_read() -> None:
    for load in (load_autoencoders, load_discriminators):
        first = load(_state("n1"))
        again = load({**first.state_dict(), "enc_a.conv0.weight": torch.ones(1)})
        assert all(torch.equal(x, y) for x, y in zip(first.parameters(), again.parameters(), strict=True))


def test_a_checkpoint_without_the_decoders_says_where_they_are() -> None:
    encoders = {name: tensor for name, tensor in _state("n3").items() if "/part1/" in name}
    for state, held in ((encoders, "without the decoders"), ({}, "no autoencoders")):
        with pytest.raises(CheckpointError, match=held) as caught:
            load_autoencoders(state)
        assert "MODEL0" in str(caught.value.remedy)
    with pytest.raises(CheckpointError, match="no EGSC-IT discriminators"):
        load_discriminators(encoders)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("VAEGAN_recon_A/part4/conv_0/ins_norm/gamma", [4]),
        ("VAEGAN_recon_A/part4/deconv_tanh/conv2d_transpose/kernel", [3, 3, 3, 4]),
        ("discriminator_B/conv_0/weights", [4, 3]),
        ("discriminator_B/ins_norm_1/moving_mean", [8]),
    ],
)
def test_variables_of_other_networks_are_named(name: str, shape: list[int]) -> None:
    with pytest.raises(CheckpointError, match=name):
        training_state({**_state("n3"), name: torch.ones(shape)})


def test_networks_that_do_not_fit_are_refused() -> None:
    state = _state("n3")
    for missing in ("VAEGAN_recon_B/part4/deconv_0/", "VAEGAN_recon_A/part2/"):
        with pytest.raises(CheckpointError):
            load_autoencoders({name: tensor for name, tensor in state.items() if not name.startswith(missing)})
    with pytest.raises(CheckpointError, match=r"dis_b\.norm2\.bias"):
        load_discriminators(
            {name: tensor for name, tensor in state.items() if name != "discriminator_B/ins_norm_2/beta"}
        )
    with pytest.raises(UsageError, match="n_dis=0"):
        DiscriminatorConfig(n_dis=0)


def test_inference_still_drops_them() -> None:
    """The translator's loader takes the encoders of a MODEL0 checkpoint and nothing else of it."""
    converted = FAMILY.portable({"features": _state("n3")})["translator"]
    encoder = Encoder(EgscitConfig(ngf=4))
    load_state(encoder, {key.removeprefix("feat_a."): x for key, x in converted.items() if "feat_a" in key}, "F_A")
    assert {key.split(".")[0] for key in converted} == {"feat_a", "feat_b"}


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.glob("egscit_training*")) <= 60 * 1024
