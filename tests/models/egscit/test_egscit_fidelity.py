"""Our EGSC-IT against what the authors' own graph code computed (see fixtures/egscit.md)."""

from __future__ import annotations

import pytest
import torch

from edge_i2i.contract import Size
from edge_i2i.models.egscit.config import torch_state
from edge_i2i.models.egscit.model import FAMILY, EgscitConfig, EgscitNetworks
from edge_i2i.models.family import Direction
from samples.models.reference import FIXTURES, Reference

REFERENCE = Reference.of("egscit")
NETWORKS = ["n3", "n1", "deep"]


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_both_graphs_compute_what_the_authors_do(name: str, direction: Direction) -> None:
    source, target = direction.value.split("2")
    states = {"translator": REFERENCE.state(name)}
    model = FAMILY.load(states, FAMILY.infer_config(states, {"direction": direction}))
    picture, exemplar = REFERENCE.tensor(f"{name}.{source}"), REFERENCE.tensor(f"{name}.{target}")
    frame, encode = model.graphs(Size(*picture.shape[2:]))
    style = encode.module(exemplar)
    REFERENCE.holds(f"{name}.style_{target}", style[0])
    REFERENCE.holds(f"{name}.{direction.value}", frame.module(picture, style))


def test_the_architecture_is_read_off_the_variables() -> None:
    configs = {name: FAMILY.infer_config({"translator": REFERENCE.state(name)}, {}) for name in NETWORKS}
    assert configs["n3"] == EgscitConfig(ngf=4)
    assert configs["n1"] == EgscitConfig(ngf=6, n_encoder=1)
    deep = EgscitConfig(ngf=4, n_encoder=2, n_enc_resblock=2, n_enc_share=2, n_gen_share=2, n_gen_resblock=1)
    assert configs["deep"] == deep


@pytest.mark.parametrize("name", FAMILY.architectures())
def test_full_size_networks_have_the_authors_variables(name: str) -> None:
    with torch.device("meta"):
        variables = {key: torch.empty(shape) for key, shape in REFERENCE.listing["full"][name].items()}
        ours = EgscitNetworks(FAMILY.architectures()[name]).state_dict()
        converted = torch_state({"translator": variables})
    assert {key: value.shape for key, value in converted.items()} == {key: value.shape for key, value in ours.items()}
    assert FAMILY.infer_config({"translator": variables}, {}) == FAMILY.architectures()[name]


def test_the_parameters_are_as_many_as_the_paper_s_network_has() -> None:
    """One direction with both feature encoders has 18.03 million."""
    with torch.device("meta"):
        networks = EgscitNetworks(EgscitConfig())
    used = (networks.enc_a, networks.share_enc, networks.share_gen, networks.gen_b, networks.feat_a, networks.feat_b)
    assert sum(parameter.numel() for part in used for parameter in part.parameters()) == 18_026_755


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.glob("egscit*")) <= 100 * 1024
