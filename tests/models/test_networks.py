"""The road that every family shares: ``networks``, ``load`` and ``random``."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edge_i2i.errors import CheckpointError
from edge_i2i.models.family import ModelFamily
from edge_i2i.models.registry import family_names, get_family

CASES = [(name, architecture) for name in family_names() for architecture in get_family(name).architectures()]


def _tiny(name: str, architecture: str) -> tuple[ModelFamily[Any], Any]:
    family = get_family(name)
    return family, family.tiny(family.architectures()[architecture])


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_networks_are_unfrozen_on_meta_and_the_same_each_time(name: str, architecture: str) -> None:
    family, config = _tiny(name, architecture)
    networks, again = family.networks(config), family.networks(config)
    assert networks.keys() <= family.network_titles.keys()
    assert family.main_network() in networks
    for key, network in networks.items():
        assert all(tensor.is_meta for tensor in network.state_dict().values())
        assert all(parameter.requires_grad for parameter in network.parameters())
        assert again[key] is not network


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_load_wants_the_keys_of_networks(name: str, architecture: str) -> None:
    family, config = _tiny(name, architecture)
    states = {key: network.state_dict() for key, network in family.new_networks(config, 1).items()}
    family.load(states, config)
    for network, state in states.items():
        learned = next(key for key in state if not key.endswith("num_batches_tracked"))
        lacking = {**states, network: {key: value for key, value in state.items() if key != learned}}
        with pytest.raises(CheckpointError):
            family.load(lacking, config)


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_new_networks_can_be_trained_and_models_are_frozen(name: str, architecture: str) -> None:
    family, config = _tiny(name, architecture)
    networks = family.new_networks(config, 5)
    assert all(weight.requires_grad and weight.is_leaf for net in networks.values() for weight in net.parameters())
    states = {key: network.state_dict() for key, network in networks.items()}
    for model in (family.load(states, config), family.random(config, 5)):
        weights = [w for part in vars(model).values() if isinstance(part, torch.nn.Module) for w in part.parameters()]
        assert weights
        assert not any(weight.requires_grad for weight in weights)
