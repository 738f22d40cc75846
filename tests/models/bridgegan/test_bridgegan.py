"""BridgeGAN as a family: its graphs, its rewrites, what its files are recognised by, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from edge_i2i.contract import GraphKind, Role, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.bridgegan.config import CELEBA_ATTRIBUTES, BridgeGANConfig, infer_config
from edge_i2i.models.bridgegan.model import FAMILY, BridgeGAN, BridgeGANNetworks
from edge_i2i.models.bridgegan.networks import SpadeNorm, StyleMaps
from edge_i2i.models.bridgegan.variables import Depths, infer_depths, variable_names
from edge_i2i.models.pix2pixhd.networks import GlobalGenerator
from samples.models.reference import Reference, seeded_state

SIZE = FAMILY.tiny_size
PLAIN = FAMILY.tiny(FAMILY.full_config())
BLEND = replace(PLAIN, blend=True)
STRENGTH = 1.5


def _filled(config: BridgeGANConfig, seed: int = 3) -> dict[str, Tensor]:
    """Seeded weights with biases that are not zero, unlike those of random networks."""
    with torch.device("meta"):
        keys = BridgeGANNetworks(config).state_dict()
    return seeded_state({key: list(tensor.shape) for key, tensor in keys.items()}, seed, 0.15)


def _model(config: BridgeGANConfig) -> BridgeGAN:
    return FAMILY.load({"networks": _filled(config)}, config)


def _picture(seed: int, size: Size = SIZE) -> Tensor:
    return torch.rand((1, 3, size.height, size.width), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _noise(seed: int) -> Tensor:
    return torch.randn((1, PLAIN.dim_noise), generator=torch.Generator().manual_seed(seed))


def _attributes(**present: float) -> Tensor:
    return torch.tensor([[present.get(name, 0.0) for name in CELEBA_ATTRIBUTES]])


TARGET, SOURCE = _attributes(Smiling=1, Male=1), _attributes(Male=1, Bangs=1)


@torch.no_grad()
def _run(model: BridgeGAN, graph: str, *inputs: Tensor, rewrites: tuple[str, ...] | None = None) -> Tensor:
    graphs = {item.declaration.name: item.module for item in model.graphs(SIZE, rewrites)}
    result: Tensor = graphs[graph](*inputs)
    return result


@torch.no_grad()
def _official(model: BridgeGAN, frame: Tensor, style: Tensor) -> Tensor:
    """The forward of ``test_arch9.py``: S = style + E(frame, -d), then G."""
    own = model.networks.enc(frame, -(TARGET - SOURCE) * STRENGTH)
    result: Tensor = model.networks.gen(frame, StyleMaps(style + own))
    return result


def _error(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).abs().max())


def test_graphs_by_name_with_their_inputs_and_outputs() -> None:
    frame, given, drawn = (graph.declaration for graph in _model(BLEND).graphs(SIZE))
    named = {item.name: [spec.name for spec in item.inputs] for item in (frame, given, drawn)}
    attributes = ["attributes", "source_attributes"]
    assert named == {
        "frame": ["frame", *attributes, "style", "second_style", "mix"],
        "encode_reference": ["exemplar", *attributes],
        "draw_style": ["noise", *attributes],
    }
    assert [item.kind for item in (frame, given, drawn)] == [GraphKind.FRAME, GraphKind.CONDITION, GraphKind.CONDITION]
    assert given.outputs == drawn.outputs == (frame.inputs[3],)
    assert frame.inputs[3].shape == (8, 16, 16) == frame.inputs[4].shape
    assert frame.inputs[4].second_of == "style"
    assert frame.inputs[5].role is Role.MIX and frame.inputs[5].default == 0.0
    assert frame.inputs[1].labels == CELEBA_ATTRIBUTES


def test_without_blend_the_frame_graph_takes_one_style() -> None:
    names = [spec.name for spec in _model(PLAIN).graphs(SIZE)[0].declaration.inputs]
    assert names == ["frame", "attributes", "source_attributes", "style"]


@pytest.mark.parametrize(("graph", "origin"), [("encode_reference", _picture(1)), ("draw_style", _noise(1))])
def test_condition_and_frame_graph_together_are_the_official_forward(graph: str, origin: Tensor) -> None:
    model = _model(PLAIN)
    network = model.networks.enc if graph == "encode_reference" else model.networks.map
    style = _run(model, graph, origin, TARGET, SOURCE)
    with torch.no_grad():
        assert _error(style, network(origin, (TARGET - SOURCE) * STRENGTH)) <= 1e-5
    picture = _run(model, "frame", _picture(2), TARGET, SOURCE, style)
    assert _error(picture, _official(model, _picture(2), style)) <= 1e-5


@pytest.mark.parametrize("rewrites", [("attributes-as-bias",), ()])
def test_rewrites_change_nothing(rewrites: tuple[str, ...]) -> None:
    model = _model(BLEND)
    inputs = (_picture(2), TARGET, SOURCE, *_ends(model), torch.tensor([[0.4]]))
    assert _error(_run(model, "frame", *inputs, rewrites=rewrites), _run(model, "frame", *inputs)) <= 1e-5
    exemplar = (_picture(1), TARGET, SOURCE)
    plain = _run(model, "encode_reference", *exemplar, rewrites=rewrites)
    assert _error(plain, _run(model, "encode_reference", *exemplar)) <= 1e-5


def test_a_rewrite_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no rewrite 'attributes-as-biases'"):
        _model(PLAIN).graphs(SIZE, ("attributes-as-biases",))


def _ends(model: BridgeGAN) -> tuple[Tensor, Tensor]:
    given = _run(model, "encode_reference", _picture(1), TARGET, SOURCE)
    return given, _run(model, "draw_style", _noise(1), TARGET, SOURCE)


@pytest.mark.parametrize("mix", [0.0, 1.0])
def test_each_end_of_the_mix_is_the_picture_of_its_style(mix: float) -> None:
    blend, plain = _model(BLEND), _model(PLAIN)
    ends = _ends(plain)
    got = _run(blend, "frame", _picture(2), TARGET, SOURCE, *ends, torch.tensor([[mix]]))
    wanted = _run(plain, "frame", _picture(2), TARGET, SOURCE, ends[int(mix)])
    assert _error(got, wanted) <= (0.0 if mix == 0 else 1e-5)
    assert _error(got, _run(plain, "frame", _picture(2), TARGET, SOURCE, ends[1 - int(mix)])) > 1e-3


@torch.no_grad()
def test_blending_hidden_activations_is_blending_the_results_of_two_spades() -> None:
    generator = _model(PLAIN).networks.gen
    spade = generator.get_submodule("up0.norm1")
    assert isinstance(spade, SpadeNorm)
    x, first, second = (torch.randn(1, c, 16, 16, generator=torch.Generator().manual_seed(c)) for c in (32, 8, 8))
    second = second.flip(3)
    mix = torch.tensor(0.3).reshape(1, 1, 1, 1)
    wanted = mix * spade(x, StyleMaps(second)) + (1 - mix) * spade(x, StyleMaps(first))
    assert _error(spade(x, StyleMaps(first, second, mix)), wanted) <= 1e-5


def test_exemplars_seeds_and_attributes_change_the_picture() -> None:
    model = FAMILY.random(PLAIN, seed=1)
    styles = [_run(model, "encode_reference", _picture(i), TARGET, SOURCE) for i in (5, 6)]
    styles += [_run(model, "draw_style", _noise(i), TARGET, SOURCE) for i in (5, 6)]
    pictures = [_run(model, "frame", _picture(2), TARGET, SOURCE, style) for style in styles]
    pictures.append(_run(model, "frame", _picture(2), SOURCE, TARGET, styles[0]))
    assert all(_error(a, b) > 0.02 for i, a in enumerate(pictures) for b in pictures[:i])


def test_only_the_difference_of_the_attributes_counts() -> None:
    model = _model(PLAIN)
    same = (_attributes(Male=1, Young=1), _attributes(Male=1)), (_attributes(Young=1), _attributes())
    pictures = [_run(model, "frame", _picture(2), *pair, _ends(model)[0]) for pair in same]
    assert _error(*pictures) == 0.0


def test_strength_scales_the_difference() -> None:
    weak = _model(replace(PLAIN, strength=0.75))
    double = _run(weak, "draw_style", _noise(1), 2 * TARGET, 2 * SOURCE)
    assert _error(double, _run(_model(PLAIN), "draw_style", _noise(1), TARGET, SOURCE)) <= 1e-5


@pytest.mark.parametrize("size", [Size(64, 64), Size(32, 48)])
def test_styles_are_drawn_at_the_mapping_networks_size_only(size: Size) -> None:
    frame, given = _model(PLAIN).graphs(size)
    assert given.declaration.name == "encode_reference"
    with torch.no_grad():
        style = given.module(_picture(1, size), TARGET, SOURCE)
        assert tuple(style.shape[1:]) == given.declaration.outputs[0].shape
        assert frame.module(_picture(2, size), TARGET, SOURCE, style).shape[2:] == (size.height, size.width)


def test_the_release_draws_at_128() -> None:
    with torch.device("meta"):
        model = BridgeGAN(BridgeGANConfig(), BridgeGANNetworks(BridgeGANConfig()))
    assert [graph.declaration.name for graph in model.graphs(FAMILY.full_size)][-1] == "draw_style"
    assert model.size_rule.multiple == 8 and model.size_rule.minimum == 16


def test_sizes_that_do_not_halve_are_refused() -> None:
    with pytest.raises(UsageError, match="multiples of 4"):
        _model(PLAIN).graphs(Size(32, 34))


@pytest.mark.parametrize(
    "changed",
    [{}, {"n_intermedblks_gen": 3}, {"n_intermedblks_gen": 1}, {"n_intermedblks_gen": 0}, {"n_intermedblks_enc": 0}],
)
def test_the_architecture_is_read_off_variables_and_off_our_keys(changed: dict[str, int]) -> None:
    config = replace(PLAIN, **changed)  # type: ignore[arg-type]
    ours = _filled(config)
    variables = _as_variables(ours, config)
    assert infer_config(variables, {}) == config == infer_config(ours, {})
    loaded = FAMILY.load({"networks": variables}, config).networks.state_dict()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in ours.items())


def _as_variables(state: Mapping[str, Tensor], config: BridgeGANConfig) -> dict[str, Tensor]:
    depths = Depths(config.n_downblks_gen, config.n_intermedblks_gen, config.n_layers_map, config.n_intermedblks_enc)
    names = variable_names(depths)
    assert infer_depths(names.values()) == depths
    layouts = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    return {names[key]: tensor.permute(layouts[tensor.dim()]) for key, tensor in state.items()}


def test_overrides_win() -> None:
    chosen: dict[str, Any] = {"strength": 1.0, "blend": True}
    assert infer_config(_filled(PLAIN), chosen) == replace(PLAIN, strength=1.0, blend=True)


def test_another_number_of_attributes_has_to_be_named() -> None:
    state = _filled(replace(PLAIN, atts="Smiling,Bangs"))
    with pytest.raises(CheckpointError, match="trained with 2 attributes, but 14 are named") as caught:
        infer_config(state, {})
    assert "--set atts=" in caught.value.remedy
    assert infer_config(state, {"atts": "Smiling,Bangs"}).attributes == ("Smiling", "Bangs")


def test_recognise_claims_its_own_and_nothing_else() -> None:
    state = Reference.of("bridgegan").state("all")
    assert FAMILY.recognise(state) == "a generator, encoder and mapping network for 3 attributes, ch_gen 4"
    assert FAMILY.recognise(_filled(PLAIN)) is not None
    others: list[Mapping[str, Tensor]] = [
        GlobalGenerator(3, 3, 4, 2, 2).state_dict(),
        {},
        {key: tensor for key, tensor in state.items() if not key.startswith("Gmappingnet/")},
        {"Ggenerator/targ999999999_inter_1/Conv/weights": torch.zeros(3, 3, 8, 8)},
        {"Ggenerator/Conv/weights": torch.zeros(3), "Gencoder/Conv/weights": torch.zeros(2, 2, 2, 2, 2)},
    ]
    assert [FAMILY.recognise(other) for other in others] == [None] * len(others)


def test_another_file_is_refused() -> None:
    with pytest.raises(CheckpointError, match="not a BridgeGAN checkpoint"):
        FAMILY.infer_config({"networks": GlobalGenerator(3, 3, 4, 2, 2).state_dict()}, {})


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("Ggenerator/Conv_3/biases", "missing: gen.down0.sc.bias"), ("Gencoder/Conv/biases", "missing: enc.stem.bias")],
)
def test_a_missing_variable_is_named(name: str, complaint: str) -> None:
    state = Reference.of("bridgegan").state("all")
    config = infer_config(state, {"atts": "Smiling,Bangs,Male"})
    del state[name]
    with pytest.raises(CheckpointError, match=complaint):
        FAMILY.load({"networks": state}, config)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"ch_gen": 0}, "ch_gen=0 is out of range"),
        ({"strength": 0.0}, "strength=0.0 is out of range"),
        ({"strength": float("nan")}, "strength=nan is out of range"),
        ({"atts": "Smiling,,Bangs"}, "every attribute needs a name of its own"),
        ({"atts": "Smiling,Smiling"}, "every attribute needs a name of its own"),
    ],
)
def test_values_out_of_range_are_refused(changed: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        replace(PLAIN, **changed)


def test_options_come_from_text() -> None:
    texts = {"blend": "true", "strength": "1.2", "atts": "Smiling,Bangs", "n_layers_map": "5"}
    assert FAMILY.parse_overrides(texts) == {**texts, "blend": True, "strength": 1.2, "n_layers_map": 5}


def test_random_weights_are_xavier_with_zero_biases() -> None:
    state = FAMILY.random(PLAIN, seed=2).networks.state_dict()
    weight = state["gen.mid0.conv1.weight"]
    bound = (6 / (9 * weight.shape[0] + 9 * weight.shape[1])) ** 0.5
    assert 0.95 * bound < float(weight.abs().max()) <= bound
    assert not state["gen.mid0.conv1.bias"].any()
