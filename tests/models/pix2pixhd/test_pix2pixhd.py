"""pix2pixHD: keys, sizes, reading the architecture off checkpoints, declarations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from edge_i2i.contract import DType, GraphKind, Role, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.pix2pixhd.discriminators import MultiscaleDiscriminator
from edge_i2i.models.pix2pixhd.model import FAMILY, Pix2PixHDConfig
from edge_i2i.models.pix2pixhd.networks import FeatureEncoder, GlobalGenerator, LocalEnhancer, build_generator

FIXTURES = Path(__file__).parents[1] / "fixtures"
REFERENCE: dict[str, Any] = json.loads((FIXTURES / "pix2pixhd_reference.json").read_text())
TINY = Pix2PixHDConfig(label_nc=0, instance_edges=False, ngf=2, n_downsample_global=1, n_blocks_global=1)


def _meta(build: Any) -> nn.Module:
    with torch.device("meta"):
        module: nn.Module = build()
    return module


FULL_SIZE = {
    "G1": lambda: GlobalGenerator(36),
    "G1_rgb": lambda: GlobalGenerator(3),
    "G2": lambda: LocalEnhancer(36),
    "E": FeatureEncoder,
    "D": lambda: MultiscaleDiscriminator(39),
}


def _shapes(module: nn.Module) -> dict[str, list[int]]:
    return {key: list(tensor.shape) for key, tensor in module.state_dict().items()}


@pytest.mark.parametrize("name", FULL_SIZE)
def test_keys_and_shapes_are_the_authors(name: str) -> None:
    ours = _shapes(_meta(FULL_SIZE[name]))
    assert ours == REFERENCE["full"][name]
    assert list(ours) == list(REFERENCE["full"][name])


def _keys(*stems: str) -> set[str]:
    return {f"{stem}.{kind}" for stem in stems for kind in ("weight", "bias")}


def _model(numbers: Any) -> list[str]:
    return [f"model.{i}" for i in numbers]


BLOCKS = [f"model.{i}.conv_block.{j}" for i in range(16, 25) for j in (1, 5)]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("G1", _keys(*_model([1, 4, 7, 10, 13]), *BLOCKS, *_model([25, 28, 31, 34, 38]))),
        (
            "G2",
            _keys(*_model([1, 4, 7, 10, 13]), *BLOCKS, *_model([25, 28, 31, 34]), "model1_1.1", "model1_1.4")
            | _keys(*(f"model1_2.{i}.conv_block.{j}" for i in range(3) for j in (1, 5)), "model1_2.3", "model1_2.7"),
        ),
        ("E", _keys(*_model([1, 4, 7, 10, 13, 16, 19, 22, 25, 29]))),
        ("D", _keys(*(f"scale{i}_layer{j}.0" for i in range(2) for j in range(5)))),
    ],
)
def test_keys_are_the_published_list(name: str, keys: set[str]) -> None:
    assert set(_meta(FULL_SIZE[name]).state_dict()) == keys


@pytest.mark.parametrize(("name", "millions"), [("G1", 182.55), ("G1_rgb", 182.44), ("G2", 182.86), ("E", 0.79)])
def test_full_size_networks_have_the_published_parameter_counts(name: str, millions: float) -> None:
    count = sum(parameter.numel() for parameter in _meta(FULL_SIZE[name]).parameters())
    assert round(count / 1e6, 2) == millions


# --- reading the architecture off a checkpoint

configs = st.builds(
    Pix2PixHDConfig,
    label_nc=st.sampled_from([0, 1, 2, 8, 35, 151]),
    instance_edges=st.booleans(),
    feat_num=st.sampled_from([0, 0, 1, 3, 5]),
    output_nc=st.just(3),
    ngf=st.sampled_from([1, 2, 4, 6]),
    n_downsample_global=st.integers(0, 5),
    n_blocks_global=st.integers(1, 11),
    n_local_enhancers=st.integers(0, 3),
    n_blocks_local=st.integers(0, 4),
    nef=st.sampled_from([1, 2, 3]),
    n_downsample_E=st.integers(0, 5),
)


def _states(config: Pix2PixHDConfig, with_encoder: bool) -> dict[str, Mapping[str, torch.Tensor]]:
    with torch.device("meta"):
        states: dict[str, Mapping[str, torch.Tensor]] = {"generator": build_generator(config).state_dict()}
        if with_encoder:
            states["encoder"] = FeatureEncoder(3, config.feat_num, config.nef, config.n_downsample_E).state_dict()
    return states


def _seen(config: Pix2PixHDConfig, with_encoder: bool) -> Pix2PixHDConfig:
    """What of a config leaves traces in the files; the rest has its defaults."""
    default = Pix2PixHDConfig()
    if config.n_local_enhancers == 0:
        config = replace(config, n_blocks_local=default.n_blocks_local)
    if not with_encoder:
        config = replace(config, nef=default.nef, n_downsample_E=default.n_downsample_E)
    return config


@given(configs, st.booleans(), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_architecture_is_read_off_keys_and_shapes(config: Pix2PixHDConfig, encoder: bool, random: Any) -> None:
    """The input channels alone do not say how they divide, so their three options are given; the order may be any."""
    encoder = encoder and config.feat_num > 0
    states = _states(config, encoder)
    items = list(states["generator"].items())
    random.shuffle(items)
    states["generator"] = dict(items)
    split = {"label_nc": config.label_nc, "instance_edges": config.instance_edges, "feat_num": config.feat_num}
    assert FAMILY.infer_config(states, split) == _seen(config, encoder)


@pytest.mark.parametrize(
    "config",
    [
        Pix2PixHDConfig(),  # 36 channels: one-hot and edges
        Pix2PixHDConfig(feat_num=3),  # 39: and features
        Pix2PixHDConfig(n_local_enhancers=1, ngf=32),  # the only released file
        Pix2PixHDConfig(label_nc=0, instance_edges=False),  # RGB
    ],
)
def test_the_releases_need_no_overrides(config: Pix2PixHDConfig) -> None:
    """What their channels are taken for is said; see ``assumed``."""
    assert FAMILY.infer_config(_states(config, with_encoder=False), {}) == config
    assert "label_nc=" in FAMILY.assumed(config, {})[0]
    assert FAMILY.assumed(config, {"label_nc"}) == ()


@pytest.mark.parametrize(
    ("config", "choices"),
    [
        (Pix2PixHDConfig(label_nc=151), ["label_nc=151 (151 classes and the edges", "label_nc=152 (152 classes alone"]),
        (Pix2PixHDConfig(label_nc=35, instance_edges=False), ["label_nc=34 (", "label_nc=35 ("]),
        (Pix2PixHDConfig(label_nc=0), ["label_nc=0 (RGB pictures and the edges", "label_nc=3 (", "label_nc=4 ("]),
        (Pix2PixHDConfig(label_nc=1), ["label_nc=1 (", "label_nc=2 ("]),
    ],
)
def test_what_other_channels_are_is_asked_with_the_choices(config: Pix2PixHDConfig, choices: list[str]) -> None:
    states = _states(config, with_encoder=False)
    with pytest.raises(UsageError, match="no file says what they are") as caught:
        FAMILY.infer_config(states, {})
    assert all(choice in caught.value.remedy for choice in choices)
    assert FAMILY.infer_config(states, {"label_nc": config.label_nc}) == config


def test_edges_that_are_told_leave_the_classes() -> None:
    for config in (Pix2PixHDConfig(label_nc=2), Pix2PixHDConfig(label_nc=35, instance_edges=False)):
        states = _states(config, with_encoder=False)
        assert FAMILY.infer_config(states, {"instance_edges": config.instance_edges}) == config


@given(configs)
@settings(max_examples=40, deadline=None)
def test_label_nc_alone_settles_the_edges(config: Pix2PixHDConfig) -> None:
    assume(config.feat_num == 0)
    states = _states(config, with_encoder=False)
    assert FAMILY.infer_config(states, {"label_nc": config.label_nc, "feat_num": 0}) == _seen(config, False)


@pytest.mark.parametrize(("label_nc", "feat_num"), [(35, 3), (38, 0)])
def test_39_channels_are_the_releases_only_with_its_labels(label_nc: int, feat_num: int) -> None:
    config = Pix2PixHDConfig(label_nc=label_nc, feat_num=feat_num)
    assert FAMILY.infer_config(_states(config, False), {"label_nc": label_nc}) == config


def test_a_generator_of_grey_pictures_is_refused() -> None:
    state = _tiny_state()
    state |= {"model.12.weight": torch.zeros(1, 2, 7, 7), "model.12.bias": torch.zeros(1)}
    assert {"model.12.weight", "model.12.bias"} <= _tiny_state().keys()
    _refused(state, "cannot be translated with: output_nc=1 is out of range")


def test_overrides_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(UsageError, match="first convolution takes 36 channels, but label_nc=20") as caught:
        FAMILY.infer_config(_states(Pix2PixHDConfig(), False), {"label_nc": 20})
    assert "add up" in caught.value.remedy
    assert caught.value.exit_code == 2


def _refused(state: Mapping[str, torch.Tensor], message: str) -> CheckpointError:
    with pytest.raises(CheckpointError, match=message) as caught:
        FAMILY.load({"generator": state}, FAMILY.infer_config({"generator": state}, {}))
    assert caught.value.exit_code == 4
    return caught.value


def _unet_state() -> dict[str, torch.Tensor]:
    """Key names of pix2pix's U-Net generator."""
    return {
        "model.model.0.weight": torch.zeros(64, 3, 4, 4),
        "model.model.1.model.1.weight": torch.zeros(128, 64, 4, 4),
    }


@pytest.mark.parametrize(
    "state",
    [_unet_state(), _meta(lambda: MultiscaleDiscriminator(6, 4)).state_dict(), {"fc.weight": torch.zeros(10, 512)}],
)
def test_other_networks_are_refused(state: Mapping[str, torch.Tensor]) -> None:
    error = _refused(state, "This is not a pix2pixHD generator")
    assert next(iter(state)) in error.what
    assert "_net_G.pth" in error.remedy


def _tiny_state() -> dict[str, torch.Tensor]:
    return dict(FAMILY.random(TINY, 0).generator.state_dict())


def test_missing_and_unexpected_keys_are_named() -> None:
    state = _tiny_state()
    state["model.99.weight"] = state.pop("model.4.bias")
    error = _refused(state, "does not fit the pix2pixHD generator")
    assert "missing: model.4.bias" in error.what
    assert "unexpected: model.99.weight" in error.what


def test_a_wrong_shape_is_named() -> None:
    state = _tiny_state() | {"model.4.weight": torch.zeros(4, 2, 5, 5)}
    error = _refused(state, "of another shape")
    assert "model.4.weight [4, 2, 5, 5] instead of [4, 2, 3, 3]" in error.what


@pytest.mark.parametrize("shape", [(1, 0, 0, 0), (2, 0, 7, 7)])
def test_a_first_convolution_of_no_input_is_the_checkpoints_fault(shape: tuple[int, ...]) -> None:
    state = _tiny_state() | {"model.1.weight": torch.zeros(shape)}
    with pytest.raises(CheckpointError):
        FAMILY.infer_config({"generator": state}, {})


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_wrong_shapes_never_escape(data: st.DataObject) -> None:
    state = _tiny_state()
    key = data.draw(st.sampled_from(sorted(state)))
    shape = data.draw(st.lists(st.integers(0, 5), max_size=5))
    assume(list(state[key].shape) != shape)
    state[key] = torch.zeros(shape)
    with pytest.raises((CheckpointError, UsageError)) as caught:
        FAMILY.load({"generator": state}, FAMILY.infer_config({"generator": state}, {}))
    assert isinstance(caught.value, CheckpointError)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_dropped_and_renamed_keys_never_escape(data: st.DataObject) -> None:
    state = _tiny_state()
    key = data.draw(st.sampled_from(sorted(state)))
    tensor = state.pop(key)
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(["model.0.conv_block.1.weight", "model7_1.1.weight", "model.38.weight"]))
        state[name] = tensor
    with pytest.raises(CheckpointError):
        FAMILY.load({"generator": state}, FAMILY.infer_config({"generator": state}, {}))


@pytest.mark.parametrize(
    "change",
    [
        {"model.1.weight": torch.zeros(3)},
        {"model.1.weight": torch.zeros(())},
        {"model.4.weight": torch.zeros(7, 7)},
        {"model.99.weight": torch.zeros(())},
        {"model.8.weight": torch.zeros(0, 3, 7, 7)},
    ],
)
def test_odd_encoders_are_refused(change: dict[str, torch.Tensor]) -> None:
    config = replace(TINY, feat_num=3, nef=2, n_downsample_E=1)
    model = FAMILY.random(config, 0)
    assert model.encoder is not None
    states = {"generator": model.generator.state_dict(), "encoder": model.encoder.state_dict() | change}
    with pytest.raises(CheckpointError, match="encoder"):
        FAMILY.load(states, FAMILY.infer_config(states, {"label_nc": 0, "instance_edges": False}))


# --- declarations


def test_the_rgb_frame_graph_takes_and_gives_a_picture() -> None:
    (graph,) = FAMILY.random(TINY, 0).graphs(Size(8, 16))
    declaration = graph.declaration
    assert (declaration.name, declaration.kind, declaration.size) == ("frame", GraphKind.FRAME, Size(8, 16))
    assert [(spec.name, spec.role, spec.shape) for spec in declaration.inputs] == [("frame", Role.FRAME, (8, 16, 3))]
    assert [(spec.name, spec.role) for spec in declaration.outputs] == [("image", Role.IMAGE)]
    assert isinstance(graph.module, GlobalGenerator)


def test_the_label_frame_graph_takes_maps_and_features() -> None:
    config = replace(TINY, label_nc=5, instance_edges=True, feat_num=3, nef=2, n_downsample_E=1)
    frame, encode = FAMILY.random(config, 0).graphs(Size(8, 16))
    assert [(spec.name, spec.dtype, spec.shape) for spec in frame.declaration.inputs] == [
        ("label_map", DType.UINT8, (8, 16)),
        ("instance_map", DType.INT32, (8, 16)),
        ("features", DType.FLOAT32, (3, 8, 16)),
    ]
    label, instance, features = frame.declaration.inputs
    assert (label.low, label.high) == (0, 4)
    assert (instance.high, instance.slots) == (2**31 - 1, None)
    assert encode.declaration.kind is GraphKind.CONDITION
    assert [(spec.role, spec.slots) for spec in encode.declaration.inputs] == [
        (Role.EXEMPLAR, None),
        (Role.INSTANCE_MAP, 256),
    ]
    assert encode.declaration.outputs == (features,)


def test_no_instance_leaves_the_edges_out() -> None:
    (graph,) = FAMILY.random(replace(TINY, label_nc=5), 0).graphs(Size(8, 8))
    assert [spec.name for spec in graph.declaration.inputs] == ["label_map"]


SMALLEST = [
    replace(TINY, n_downsample_global=down, n_local_enhancers=enhancers, feat_num=feat_num, nef=2, n_downsample_E=3)
    for down in (0, 1, 2, 3)
    for enhancers in (0, 1, 2)
    for feat_num in (0, 3)
]


@pytest.mark.parametrize("config", SMALLEST)
def test_the_smallest_size_really_runs(config: Pix2PixHDConfig) -> None:
    model = FAMILY.random(config, 0)
    rule = model.size_rule
    assert rule.minimum % rule.multiple == 0
    for size in (Size(rule.minimum, rule.minimum), Size(rule.minimum, rule.minimum + rule.multiple)):
        maps = torch.zeros(1, 1, size.height, size.width, dtype=torch.int32)
        features = [torch.zeros(1, 3, size.height, size.width)] * bool(config.feat_num)
        frame = model.graphs(size)[0].module
        assert frame(torch.zeros(1, 3, size.height, size.width), *features).shape[2:] == (size.height, size.width)
        if model.encoder is not None:
            assert model.encoder(torch.zeros(1, 3, size.height, size.width), maps).shape[2:] == maps.shape[2:]


def test_a_size_that_does_not_divide_is_refused_with_the_nearest_two() -> None:
    model = FAMILY.random(replace(TINY, n_downsample_global=3, n_local_enhancers=1), 0)
    with pytest.raises(UsageError, match="cannot take 100x200: both sides must be multiples of 16") as caught:
        model.graphs(Size(100, 200))
    assert "96x192 or 112x208" in caught.value.remedy


def test_the_released_sizes_fit_the_released_networks() -> None:
    for config in (Pix2PixHDConfig(), Pix2PixHDConfig(n_local_enhancers=1, ngf=32)):
        model = FAMILY.random(replace(config, ngf=2), 0)
        model.size_rule.check(Size(512, 1024))
        model.size_rule.check(Size(1024, 2048))


def test_full_size_is_the_mode_for_cameras() -> None:
    config = FAMILY.full_config()
    assert config.rgb
    assert config.input_nc == 3
    assert (config.ngf, config.n_downsample_global, config.n_blocks_global) == (64, 4, 9)


# --- the discriminator's shape


@pytest.mark.parametrize(("scales", "layers"), [(1, 1), (2, 3), (3, 2)])
def test_the_discriminator_gives_every_layer_of_every_scale_finest_first(scales: int, layers: int) -> None:
    net = MultiscaleDiscriminator(4, ndf=2, n_layers=layers, num_D=scales)
    outputs = net(torch.zeros(2, 4, 64, 48))
    assert len(outputs) == scales
    assert all(len(scale) == layers + 2 for scale in outputs)
    heights = [scale[0].shape[2] for scale in outputs]
    assert heights == sorted(heights, reverse=True)
    assert all(scale[-1].shape[:2] == (2, 1) for scale in outputs)


def test_the_finest_scale_has_the_highest_number() -> None:
    net = MultiscaleDiscriminator(3, ndf=2, n_layers=1, num_D=2)
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            parameter.fill_(1.0 if key == "scale1_layer2.0.bias" else 0.0)
    finest, coarsest = net(torch.zeros(1, 3, 32, 32))
    assert np.unique(finest[-1].detach()) == [1.0]
    assert np.unique(coarsest[-1].detach()) == [0.0]
