"""Seeded networks give pictures with a photograph's statistics, and activations of the trained network's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_i2i.cards.seeded_weights import load_realistic, photograph_inputs, realistic
from edge_i2i.contract import Size, TensorSpec, in_order
from edge_i2i.errors import UsageError
from edge_i2i.graphs.running import run_torch_network
from edge_i2i.graphs.samples import sample_network
from edge_i2i.metrics.parity import NETWORK_OUTPUT
from edge_i2i.models.checkpoints.loading import WeightsOrigin, load_demo
from edge_i2i.models.family import ModelFamily, ModelGraph, TranslationModel
from edge_i2i.models.registry import get_family
from edge_i2i.translate.conditions import PER_FRAME
from samples.architectures import tiny_architectures

LOOKS = 3


ARCHITECTURES = [
    pytest.param(get_family(name), config, id=f"{name}: {what}") for name, what, config in tiny_architectures()
]


def run(module: nn.Module, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        result = module(*inputs)
    return (result,) if isinstance(result, Tensor) else tuple(result)


def inputs_of_every_look(graphs: tuple[ModelGraph, ...]) -> list[list[Tensor]]:
    """What the frame graph is given for each photograph, with what its condition graphs compute."""
    known: list[dict[str, Tensor]] = [{} for _ in range(LOOKS)]
    for declaration in in_order([graph.declaration for graph in graphs])[:-1]:
        module = next(graph.module for graph in graphs if graph.declaration is declaration)
        for index, values in enumerate(known):
            results = run(module, photograph_inputs(declaration, index, values))
            values.update(zip([spec.name for spec in declaration.outputs], results, strict=True))
    return [photograph_inputs(graphs[0].declaration, index, values) for index, values in enumerate(known)]


def parameters(model: TranslationModel[Any], size: Size) -> Mapping[str, Tensor]:
    graphs = model.graphs(size, rewrites=())
    return {f"{graph.declaration.name}.{k}": v for graph in graphs for k, v in graph.module.state_dict().items()}


@pytest.mark.parametrize(("family", "config"), ARCHITECTURES)
def test_pictures_have_a_photographs_statistics(family: ModelFamily[Any], config: Any) -> None:
    graphs = realistic(family, config, 3, family.tiny_size).graphs(family.tiny_size)  # rewritten, as exported
    frame = graphs[0]
    inputs = inputs_of_every_look(graphs)
    pictures = torch.cat([run(frame.module, arguments)[0] for arguments in inputs])
    assert abs(float(pictures.mean())) < 0.1
    contrast = float(pictures.flatten(2).std(2).mean())  # inside a picture, not between pictures
    assert 0.3 < contrast < 0.5
    assert float((pictures.abs() > 0.99).float().mean()) < 0.02

    specs = frame.declaration.inputs
    if any(spec.role not in PER_FRAME for spec in specs):
        changes = [run(frame.module, in_the_look_of(other, inputs[0], specs))[0] - pictures[:1] for other in inputs[1:]]
        assert float(torch.cat(changes).square().mean().sqrt()) > 0.05  # more than six grey levels


def in_the_look_of(other: list[Tensor], inputs: list[Tensor], specs: Sequence[TensorSpec]) -> list[Tensor]:
    return [a if spec.role in PER_FRAME else b for spec, a, b in zip(specs, inputs, other, strict=True)]


@pytest.mark.parametrize(("family", "config"), ARCHITECTURES)
def test_the_seed_decides_and_the_keys_stay(family: ModelFamily[Any], config: Any) -> None:
    size = family.tiny_size
    first, again, other = (parameters(realistic(family, config, seed, size), size) for seed in (1, 1, 2))
    drawn = parameters(family.random(config, 1), size)
    assert {key: value.shape for key, value in first.items()} == {key: value.shape for key, value in drawn.items()}
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    weights = [key for key, value in first.items() if value.dim() > 1]
    assert not any(torch.equal(first[key], other[key]) for key in weights)
    assert all(value.isfinite().all() for value in first.values())
    assert not any(value.requires_grad for value in first.values())


def test_made_up_inputs_do_not_saturate_either() -> None:
    """Photographs set the scales, but exports are checked with made-up pictures."""
    family = get_family("munit")
    graphs = realistic(family, family.tiny(family.full_config()), 0, family.tiny_size).graphs(family.tiny_size)
    (result,) = run_torch_network(graphs[0], [sample_network(graphs, 7)["frame"]])
    picture = result[NETWORK_OUTPUT]
    assert picture.std() > 0.2
    assert (np.abs(picture) > 0.99).mean() < 0.1


def test_scales_from_outside_are_around_one_and_differ_between_looks() -> None:
    family = get_family("munit")
    config = family.tiny(family.full_config())
    graphs = realistic(family, config, 0, family.tiny_size).graphs(family.tiny_size)
    at = [spec.name for spec in graphs[0].declaration.inputs].index("adain")
    first, second, _ = (inputs[at].reshape(-1, 2, 4 * config.dim) for inputs in inputs_of_every_look(graphs))
    shifts, scales = first[:, 0], first[:, 1]
    assert abs(float(shifts.mean())) < 0.4 and 0.6 < float(scales.mean()) < 1.4
    assert 0.2 < float(scales.std()) < 1.0
    assert float((first - second).square().mean().sqrt()) > 0.1


# Beside the trained network ---------------------------------------------------------------------------------------


def conv_statistics(model: TranslationModel[Any], size: Size) -> np.ndarray[Any, Any]:
    """Means over convolutions: peak over deviation and kurtosis of what enters, spread of channels that leave."""
    frame = model.graphs(size)[0]
    rows: list[list[float]] = []

    def note(_: nn.Module, arguments: tuple[Tensor, ...], result: Tensor) -> None:
        x, y = arguments[0], result
        centred = x - x.mean()
        kurtosis = centred.pow(4).mean() / centred.square().mean().square()
        spread = y.std((0, 2, 3)).log().std()
        rows.append([float(x.abs().max() / x.std()), float(kurtosis), float(spread)])

    for layer in frame.module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(note)
    run(frame.module, photograph_inputs(frame.declaration, 1))
    return np.mean(rows[1:], axis=0)


def test_activations_are_as_heavy_tailed_and_as_uneven_as_the_trained_networks() -> None:
    size, trained = Size(128, 128), load_demo("pix2pixhd")
    seeded = realistic(trained.family, trained.model.config, 0, size)
    ratio = conv_statistics(seeded, size) / conv_statistics(trained.model, size)
    assert (ratio > 0.5).all() and (ratio < 2.0).all(), ratio


def test_a_loaded_network_says_that_its_weights_are_random() -> None:
    family = get_family("cyclegan")
    loaded = load_realistic("cyclegan", family.tiny(family.full_config()), seed=4, size=family.tiny_size)
    assert loaded.origin is WeightsOrigin.RANDOM
    assert loaded.checkpoint is None and loaded.config["ngf"] == family.tiny(family.full_config()).ngf


def test_an_unknown_model_and_a_size_that_does_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="no model"):
        load_realistic("cyclegann")
    with pytest.raises(UsageError, match="multiples of"):
        load_realistic("cyclegan", size=Size(63, 64))
