"""Our classes against what the authors' own classes computed (see fixtures/README.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edge_i2i.models.pix2pixhd.discriminators import MultiscaleDiscriminator
from edge_i2i.models.pix2pixhd.networks import FeatureEncoder, GlobalGenerator, LocalEnhancer, instance_edges, one_hot

FIXTURES = Path(__file__).parents[1] / "fixtures"
LISTING: dict[str, Any] = json.loads((FIXTURES / "pix2pixhd_reference.json").read_text())
TOLERANCE = 1e-5
# Of generators computed in double precision, so that no processor's kernels matter: what is left is the rounding of the
# authors' float32 run that the fixture keeps (1.7e-5 in the deepest).
ROUNDING = 2e-5


@pytest.fixture(scope="module")
def arrays() -> Iterator[Mapping[str, NDArray[Any]]]:
    with np.load(FIXTURES / "pix2pixhd_reference.npz") as file:
        yield file


def _filled(name: str, module: nn.Module) -> nn.Module:
    """The network with the reference's weights; its keys and shapes must be the reference's."""
    wanted = LISTING[name]
    state = module.state_dict()
    assert {key: list(tensor.shape) for key, tensor in state.items()} == wanted["shapes"]
    filled = {
        key: torch.from_numpy(
            np.random.RandomState(wanted["seed"] + i).normal(0.0, 0.1, tuple(state[key].shape)).astype(np.float32)
        )
        for i, key in enumerate(sorted(state))
    }
    module.load_state_dict(filled)
    return module.eval()


def _tensor(arrays: Mapping[str, NDArray[Any]], name: str) -> torch.Tensor:
    return torch.from_numpy(arrays[name])


def _close(got: torch.Tensor, wanted: NDArray[Any], tolerance: float = TOLERANCE) -> None:
    assert tuple(got.shape) == wanted.shape
    assert float(np.abs(got.numpy() - wanted).max()) <= tolerance


GENERATORS: dict[str, Callable[[], nn.Module]] = {
    "g1": lambda: GlobalGenerator(7, 3, 4, 2, 2),
    "g1_deep": lambda: GlobalGenerator(3, 3, 2, 4, 3),
    "g2_one": lambda: LocalEnhancer(7, 3, 4, 2, 2, 1, 3),
    "g2_two": lambda: LocalEnhancer(3, 3, 2, 2, 2, 2, 1),
}


@pytest.mark.parametrize("name", GENERATORS)
@torch.no_grad()
def test_generators_compute_what_the_authors_do(name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    net = _filled(name, GENERATORS[name]()).double()
    _close(net(_tensor(arrays, f"{name}.input").double()), arrays[f"{name}.output"], ROUNDING)


@torch.no_grad()
def test_the_encoder_pools_over_instances_as_the_authors_do(arrays: Mapping[str, NDArray[Any]]) -> None:
    net = _filled("encoder", FeatureEncoder(3, 3, 4, 2))
    ids = arrays["encoder.instances"]
    slots = np.unique(ids, return_inverse=True)[1].reshape(ids.shape).astype(np.int32)
    _close(net(_tensor(arrays, "encoder.input"), torch.from_numpy(slots)), arrays["encoder.output"])


@torch.no_grad()
def test_every_layer_of_the_discriminator_is_the_authors(arrays: Mapping[str, NDArray[Any]]) -> None:
    net = _filled("discriminator", MultiscaleDiscriminator(6, 4, 3, 2))
    outputs = net(_tensor(arrays, "discriminator.input"))
    named = {f"discriminator.output.{i}.{j}": layer for i, scale in enumerate(outputs) for j, layer in enumerate(scale)}
    assert len(named) == 10
    assert {name for name in arrays if name.startswith("discriminator.output")} == named.keys()
    for name, layer in named.items():
        _close(layer, arrays[name])


def test_labels_and_instances_are_encoded_as_the_authors_do(arrays: Mapping[str, NDArray[Any]]) -> None:
    label, instances = _tensor(arrays, "encode_input.label"), _tensor(arrays, "encode_input.instances")
    encoded = torch.cat((one_hot(label, 5), instance_edges(instances)), dim=1)
    np.testing.assert_array_equal(encoded.numpy(), arrays["encode_input.output"])


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.iterdir()) <= 2 * 1024 * 1024
