"""MUNIT: what its files are recognised as, what is read off them, and how its graphs fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from edge_i2i.contract import GraphKind, Role, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.family import Direction
from edge_i2i.models.munit.blocks import Activation, Padding
from edge_i2i.models.munit.config import MUNITConfig
from edge_i2i.models.munit.discriminators import MsImageDis
from edge_i2i.models.munit.model import ADAIN_AS_INPUT, FAMILY, MUNIT
from edge_i2i.models.pix2pixhd.networks import GlobalGenerator

TINY = FAMILY.tiny(FAMILY.full_config())
SIZE = FAMILY.tiny_size


@pytest.fixture(scope="module")
def model() -> MUNIT:
    return FAMILY.random(replace(TINY, n_res=2), seed=5)


@pytest.fixture
def state(model: MUNIT) -> dict[str, Tensor]:
    return dict(model.pair.state_dict())


def _pictures(count: int, size: Size = SIZE) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(1, 3, size.height, size.width, generator=generator) * 2 - 1 for _ in range(count)]


def _domain(state: Mapping[str, Tensor], domain: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{domain}."): value for key, value in state.items() if key.startswith(f"{domain}.")}


def test_both_generators_are_recognised(state: dict[str, Tensor]) -> None:
    assert FAMILY.recognise(state) == "the generators of domains a and b, dim 4, 2 blocks, style of 8"


@pytest.mark.parametrize(
    "other",
    [
        {},
        dict(GlobalGenerator(3, 3, 4, 4, 1).state_dict()),
        {f"a.{key}": value for key, value in MsImageDis(3, 4).state_dict().items()},
        {"a.enc_style.model.0.conv.weight": torch.zeros(4), "b.mlp.model.0.fc.weight": torch.zeros(())},
    ],
)
def test_other_files_are_left_to_others(other: dict[str, Tensor]) -> None:
    assert FAMILY.recognise(other) is None


def test_vae_generators_are_left_to_unit(state: dict[str, Tensor]) -> None:
    unit = {key.replace("enc_content", "enc"): v for key, v in state.items() if ".enc_style" not in key}
    assert FAMILY.recognise(unit) is None


def test_networks_for_objects_are_left_to_init(state: dict[str, Tensor]) -> None:
    assert FAMILY.recognise({**state, "a.dec_o.model.5.conv.bias": torch.zeros(3)}) is None


def test_one_generator_is_recognised_and_refused(state: dict[str, Tensor]) -> None:
    bare = _domain(state, "a")
    assert FAMILY.recognise(bare) == "one generator of the two; the other domain's is missing"
    with pytest.raises(CheckpointError, match=r"holds one generator.*content encoder of one domain") as refusal:
        FAMILY.infer_config({"generators": bare}, {})
    assert "'a': gen_a.state_dict()" in refusal.value.remedy


@pytest.mark.parametrize("domain", ["a", "b"])
def test_a_file_without_one_domain_says_which(state: dict[str, Tensor], domain: str) -> None:
    half = {key: value for key, value in state.items() if not key.startswith(f"{domain}.")}
    assert "the other domain's is missing" in (FAMILY.recognise(half) or "")
    with pytest.raises(CheckpointError, match=f"lacks the generator of domain {domain}"):
        FAMILY.infer_config({"generators": half}, {})


def test_discriminators_are_refused_by_name() -> None:
    state = {f"{d}.{key}": value for d in "ab" for key, value in MsImageDis(3, 4).state_dict().items()}
    with pytest.raises(CheckpointError, match="holds discriminators") as refusal:
        FAMILY.infer_config({"generators": state}, {})
    assert "gen_*.pt" in refusal.value.remedy


def test_another_network_is_refused_with_its_first_keys() -> None:
    with pytest.raises(CheckpointError, match=r"first keys: model\.1\.weight"):
        FAMILY.infer_config({"generators": GlobalGenerator(3, 3, 4, 4, 1).state_dict()}, {})


@pytest.mark.parametrize(
    "config",
    [
        replace(TINY, n_res=3, style_dim=5, mlp_dim=7),
        replace(TINY, n_downsample=1),
        replace(TINY, n_downsample=0),
        replace(TINY, dim=3, n_downsample=3, activ=Activation.PRELU),
    ],
)
def test_the_architecture_is_read_off_the_file(config: MUNITConfig) -> None:
    states = {"generators": FAMILY.random(config, 0).pair.state_dict()}
    assert FAMILY.infer_config(states, {}) == config


def test_what_leaves_no_trace_can_be_told(state: dict[str, Tensor]) -> None:
    told = FAMILY.parse_overrides({"pad_type": "zero", "activ": "lrelu", "direction": "b2a"})
    config = FAMILY.infer_config({"generators": state}, told)
    assert (config.pad_type, config.activ, config.direction) == (Padding.ZERO, Activation.LRELU, Direction.B2A)


@pytest.mark.parametrize(("name", "value"), [("dim", 0), ("n_downsample", 9), ("n_res", 0), ("activ", Activation.NONE)])
def test_impossible_architectures_are_refused(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name}="):
        replace(MUNITConfig(), **{name: value})


def test_a_file_without_residual_blocks_is_refused(state: dict[str, Tensor]) -> None:
    cut = {key: value for key, value in state.items() if ".enc_content.model.3." not in key}
    with pytest.raises(CheckpointError, match="n_res=0 is out of range"):
        FAMILY.infer_config({"generators": cut}, {})
    assert FAMILY.recognise(cut) is None


@pytest.mark.parametrize("domain", ["a", "b"])
def test_grey_domains_are_refused(state: dict[str, Tensor], domain: str) -> None:
    state[f"{domain}.enc_content.model.0.conv.weight"] = torch.zeros(4, 1, 7, 7)
    with pytest.raises(CheckpointError, match=f"domain {domain} reads pictures of 1 channels"):
        FAMILY.infer_config({"generators": state}, {})


def test_missing_and_unexpected_keys_are_named(state: dict[str, Tensor], model: MUNIT) -> None:
    state["b.dec.model.9.conv.bias"] = state.pop("b.dec.model.5.conv.bias")
    with pytest.raises(CheckpointError, match=r"missing: b.dec.model.5.conv.bias.*unexpected: b.dec.model.9"):
        FAMILY.load({"generators": state}, model.config)


def test_running_statistics_of_old_files_are_dropped(state: dict[str, Tensor], model: MUNIT) -> None:
    for norm in ("a.enc_content.model.0.norm", "b.dec.model.0.model.0.model.1.norm"):
        state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = torch.zeros(4), torch.ones(4)
    loaded = FAMILY.load({"generators": state}, FAMILY.infer_config({"generators": state}, {}))
    assert loaded.pair.state_dict().keys() == model.pair.state_dict().keys()


def test_the_graphs_and_their_tensors(model: MUNIT) -> None:
    frame, encode_style, modulate = (graph.declaration for graph in model.graphs(SIZE))
    assert [graph.kind for graph in (frame, encode_style, modulate)] == [
        GraphKind.FRAME,
        GraphKind.CONDITION,
        GraphKind.CONDITION,
    ]
    assert [(spec.name, spec.role, spec.shape) for spec in frame.inputs] == [
        ("frame", Role.FRAME, (32, 48, 3)),
        ("adain", Role.STYLE, (2 * 2 * 2 * 16,)),
    ]
    assert encode_style.inputs[0].shape == (32, 48, 3)
    assert encode_style.outputs == modulate.inputs
    assert modulate.outputs == frame.inputs[1:]
    style = modulate.inputs[0]
    assert (style.name, style.shape, style.drawn, style.mixable) == ("style", (8,), True, True)


@torch.no_grad()
def test_the_composed_graphs_are_the_official_forward(model: MUNIT) -> None:
    frame, exemplar = _pictures(2)
    content, _ = model.pair.a.encode(frame)
    _, style = model.pair.b.encode(exemplar)
    translate, encode_style, modulate = (graph.module for graph in model.graphs(SIZE))
    wanted = model.pair.b.decode(content, style)
    torch.testing.assert_close(translate(frame, modulate(encode_style(exemplar))), wanted, rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_directions_differ(model: MUNIT) -> None:
    frame, exemplar = _pictures(2)
    other = FAMILY.load({"generators": model.pair.state_dict()}, replace(model.config, direction=Direction.B2A))
    results = []
    for each in (model, other):
        translate, encode_style, modulate = (graph.module for graph in each.graphs(SIZE))
        results.append(translate(frame, modulate(encode_style(exemplar))))
    assert (results[0] - results[1]).abs().max() > 0.05


@torch.no_grad()
def test_styles_and_exemplars_change_the_picture(model: MUNIT) -> None:
    frame, dark, light = _pictures(3)
    translate, encode_style, modulate = (graph.module for graph in model.graphs(SIZE))
    drawn = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(1))
    styles = [encode_style(dark * 0.2 - 0.8), encode_style(light * 0.2 + 0.8), *drawn]
    looks = [translate(frame, modulate(style)) for style in styles]
    for i, look in enumerate(looks):
        for other in looks[i + 1 :]:
            assert (look - other).abs().max() > 0.02


@torch.no_grad()
def test_the_mlp_inside_the_frame_graph_changes_nothing(model: MUNIT) -> None:
    plain = model.graphs(SIZE, ())
    assert [graph.declaration.name for graph in plain] == ["frame", "encode_style"]
    assert [spec.name for spec in plain[0].declaration.inputs] == ["frame", "style"]
    translate, _, modulate = (graph.module for graph in model.graphs(SIZE, {ADAIN_AS_INPUT.name}))
    for frame in _pictures(2):
        style = torch.randn(1, 8, generator=torch.Generator().manual_seed(2))
        torch.testing.assert_close(plain[0].module(frame, style), translate(frame, modulate(style)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [Size(16, 20), Size(20, 16), Size(36, 28)])
@torch.no_grad()
def test_every_multiple_of_four_from_sixteen_on_runs(model: MUNIT, size: Size) -> None:
    frame, exemplar = _pictures(2, size)
    translate, encode_style, modulate = (graph.module for graph in model.graphs(size))
    assert translate(frame, modulate(encode_style(exemplar))).shape == frame.shape


@pytest.mark.parametrize(
    ("n_downsample", "size"), [(2, Size(12, 16)), (2, Size(18, 20)), (3, Size(20, 24)), (4, Size(16, 48))]
)
def test_sizes_that_do_not_fit_are_refused(n_downsample: int, size: Size) -> None:
    model = FAMILY.random(replace(TINY, n_downsample=n_downsample), 0)
    with pytest.raises(UsageError, match="cannot take"):
        model.graphs(size)


@pytest.mark.parametrize("n_downsample", [0, 1, 3, 4])
@torch.no_grad()
def test_the_smallest_size_runs(n_downsample: int) -> None:
    model = FAMILY.random(replace(TINY, n_downsample=n_downsample), 0)
    size = Size(model.size_rule.minimum, model.size_rule.minimum)
    (frame,) = _pictures(1, size)
    translate, encode_style, modulate = (graph.module for graph in model.graphs(size))
    assert translate(frame, modulate(encode_style(frame))).shape == frame.shape
