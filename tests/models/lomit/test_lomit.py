"""LOMIT: reading its files, its graphs, what is exact in them and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.contract import DType, GraphKind, Role, Size, TensorSpec
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.family import ModelGraph, NormMode
from edge_i2i.models.lomit.model import FAMILY, LOMIT, Discriminator, LOMITConfig, approximation_error, at_mask_size
from edge_i2i.models.lomit.networks import Generator
from edge_i2i.models.pix2pixhd import model as pix2pixhd

SIZE = Size(32, 48)
TINY = FAMILY.tiny(FAMILY.full_config())
EXACT = (NormMode.BATCH, NormMode.EVAL)
INF = float("inf")


@cache
def _model(**changes: object) -> LOMIT:
    """A tiny network with random running statistics, so that the two norm modes differ."""
    model = FAMILY.random(replace(TINY, **changes), seed=3)  # type: ignore[arg-type]
    draws = torch.Generator().manual_seed(4)
    for name, buffer in model.generator.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0.0, 0.2, generator=draws)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0, generator=draws)
    return model


def _picture(seed: int, size: Size = SIZE) -> Tensor:
    """Soft shapes in [-1, 1]."""
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return functional.interpolate(coarse, (size.height, size.width), mode="bilinear")


def _graphs(model: LOMIT, size: Size = SIZE) -> tuple[ModelGraph, ModelGraph]:
    frame, encode = model.graphs(size)
    return frame, encode


@torch.no_grad()
def _run(model: LOMIT, frame: Tensor, exemplar: Tensor, mask: Tensor | None = None) -> Tensor:
    """Both graphs, connected by the names of their tensors as the translator does."""
    frame_graph, encode = _graphs(model, Size(*frame.shape[2:]))
    values = {"frame": frame, "exemplar": exemplar} | ({} if mask is None else {"mask": mask})
    values |= dict(zip([spec.name for spec in encode.declaration.outputs], encode.module(exemplar), strict=True))
    picture: Tensor = frame_graph.module(*[values[spec.name] for spec in frame_graph.declaration.inputs])
    return picture


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


# --- the graphs


@pytest.mark.parametrize("mode", EXACT)
@torch.no_grad()
def test_the_two_graphs_compute_the_official_forward(mode: NormMode) -> None:
    model = _model(norm_mode=mode)
    for frame, exemplar in ((0, 1), (0, 2), (2, 1)):
        pictures = _picture(frame), _picture(exemplar)
        assert _difference(_run(model, *pictures), model.generator(*pictures)) <= 1e-6


@pytest.mark.parametrize("config", FAMILY.architectures().values(), ids=list(FAMILY.architectures()))
def test_exemplars_frames_and_masks_change_the_picture(config: LOMITConfig) -> None:
    model = _model(norm_mode=config.norm_mode, approximate=config.approximate, given_mask=config.given_mask)
    mask = _soft_mask() if config.given_mask else None
    first = _run(model, _picture(0), _picture(1), mask)
    assert first.shape == (1, 3, SIZE.height, SIZE.width)
    assert float(first.abs().max()) <= 1.0
    assert _difference(first, _run(model, _picture(0), _picture(2), mask)) > 0.01
    assert _difference(first, _run(model, _picture(2), _picture(1), mask)) > 0.01
    if mask is not None:
        assert _difference(first, _run(model, _picture(0), _picture(1), 1.0 - mask)) > 0.01


def test_the_norm_modes_make_different_pictures() -> None:
    batch, stored = (_run(_model(norm_mode=mode), _picture(0), _picture(1)) for mode in EXACT)
    assert _difference(batch, stored) > 0.05


def _names(specs: tuple[TensorSpec, ...]) -> list[str]:
    return [spec.name for spec in specs]


@pytest.mark.parametrize(
    ("changes", "inputs", "cached"),
    [
        ({}, ["frame", "exemplar"], ["exemplar_content", "exemplar_attention"]),
        ({"given_mask": True}, ["frame", "mask", "exemplar"], ["exemplar_content"]),
        ({"approximate": True}, ["frame"], ["exemplar_attention", "exemplar_style"]),
        ({"approximate": True, "given_mask": True}, ["frame", "mask"], ["exemplar_style"]),
    ],
)
def test_what_each_form_of_the_network_takes(changes: dict[str, bool], inputs: list[str], cached: list[str]) -> None:
    frame, encode = _graphs(_model(**changes))
    assert (frame.declaration.kind, encode.declaration.kind) == (GraphKind.FRAME, GraphKind.CONDITION)
    assert encode.declaration.name == "encode_exemplar"
    assert _names(frame.declaration.inputs) == inputs + cached
    assert _names(frame.declaration.outputs) == ["image"]
    assert _names(encode.declaration.inputs) == ["exemplar"]
    assert _names(encode.declaration.outputs) == cached
    both = {spec.name: spec for spec in encode.declaration.inputs + encode.declaration.outputs}
    assert all(spec == both[spec.name] for spec in frame.declaration.inputs if spec.name in both)


def test_declared_tensors() -> None:
    frame, encode = _graphs(_model())
    specs = {spec.name: spec for spec in frame.declaration.inputs}
    assert (specs["exemplar"].role, specs["exemplar"].shape) == (Role.EXEMPLAR, (32, 48, 3))
    content, attention = encode.declaration.outputs
    assert (content.role, content.shape, content.low, content.high) == (Role.STYLE, (16, 8, 12), -INF, INF)
    assert (attention.role, attention.shape, attention.low, attention.high) == (Role.STYLE, (16,), 0, 1)
    with torch.no_grad():
        computed = encode.module(_picture(1))
    assert [tuple(value.shape[1:]) for value in computed] == [content.shape, attention.shape]
    assert 0 <= float(computed[1].min()) <= float(computed[1].max()) <= 1


def test_sizes() -> None:
    model = _model()
    assert _run(model, _picture(0, Size(20, 28)), _picture(1, Size(20, 28))).shape == (1, 3, 20, 28)
    assert _run(model, _picture(0, Size(16, 16)), _picture(1, Size(16, 16))).shape == (1, 3, 16, 16)
    for size in (Size(18, 16), Size(12, 16)):
        with pytest.raises(UsageError, match="multiples of 4 and at least 16"):
            model.graphs(size)


def test_there_is_no_rewrite() -> None:
    with pytest.raises(UsageError, match="has no rewrite"):
        _model().graphs(SIZE, ["fast"])


# --- the mask from outside


def _soft_mask() -> Tensor:
    return torch.linspace(0.0, 1.0, SIZE.width).expand(1, 1, SIZE.height, SIZE.width)


def test_the_declared_mask() -> None:
    frame, _ = _graphs(_model(given_mask=True))
    mask = frame.declaration.input(Role.MASK)
    assert mask is not None
    assert (mask.name, mask.shape, mask.dtype, mask.low, mask.high) == ("mask", (32, 48), DType.UINT8, 0, 255)


def test_a_mask_is_averaged_over_its_pixels() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :2, :4] = 1.0
    small = at_mask_size(mask)
    assert small.shape == (1, 1, 4, 4)
    assert float(small[0, 0, 0, 0]) == 0.5
    assert float(small.sum()) == 0.5


@torch.no_grad()
def test_the_networks_own_mask_from_outside_changes_nothing() -> None:
    """The exact form with the mask that the network would have found; blocks of 4x4 average to themselves."""
    generator = _model().generator
    frame, exemplar = _picture(0), _picture(1)
    own, _ = generator.masks(generator.c_encoder(frame), generator.c_encoder(exemplar))
    outside = functional.interpolate(own, scale_factor=4, mode="nearest")
    got = _run(_model(given_mask=True), frame, exemplar, outside)
    assert _difference(got, generator(frame, exemplar)) <= 1e-5


@torch.no_grad()
def test_with_an_empty_mask_the_exemplar_does_not_count() -> None:
    model = _model(given_mask=True)
    nothing = torch.zeros(1, 1, SIZE.height, SIZE.width)
    first, second = (_run(model, _picture(0), _picture(seed), nothing) for seed in (1, 2))
    assert _difference(first, second) <= 1e-6


# --- the approximate mode


@pytest.mark.parametrize("mode", EXACT)
def test_the_approximation_is_measured(mode: NormMode) -> None:
    """Not exact for two different pictures, but of the exact picture's kind: the exemplar still decides the look."""
    model, approximate = _model(norm_mode=mode), _model(norm_mode=mode, approximate=True)
    frame, exemplar = _picture(0), _picture(1)
    error = approximation_error(model.generator, frame, exemplar)
    exact = _run(model, frame, exemplar)
    assert error.largest == pytest.approx(_difference(_run(approximate, frame, exemplar), exact), abs=1e-6)
    assert error.largest > 1e-5
    assert error.mean < float((_run(model, frame, _picture(2)) - exact).abs().mean())


@pytest.mark.parametrize("mode", EXACT)
def test_the_approximation_is_exact_where_both_pictures_are_one(mode: NormMode) -> None:
    error = approximation_error(_model(norm_mode=mode).generator, _picture(1), _picture(1))
    assert error.largest <= 1e-6


@pytest.mark.parametrize("given_mask", [False, True])
def test_what_is_approximate_says_so(given_mask: bool) -> None:
    _, encode = _graphs(_model(approximate=True, given_mask=given_mask))
    assert encode.declaration.outputs[-1].meaning.startswith("approximate")
    exact = [spec.meaning for graph in _graphs(_model(given_mask=given_mask)) for spec in graph.declaration.outputs]
    assert not any("approximate" in meaning for meaning in exact)


# --- reading files


def _state(**changes: object) -> dict[str, Tensor]:
    return dict(_model(**changes).generator.state_dict())


@given(
    st.builds(
        LOMITConfig,
        conv_dim=st.integers(1, 3),
        repeat_num=st.sampled_from([2, 4, 8, 10]),
        style_dim=st.integers(1, 3),
        mlp_dim=st.integers(1, 3),
        norm_mode=st.sampled_from(EXACT),
        approximate=st.booleans(),
        given_mask=st.booleans(),
    )
)
@settings(max_examples=20, deadline=None)
def test_the_architecture_is_read_off_keys_and_shapes(config: LOMITConfig) -> None:
    with torch.device("meta"):
        state = Generator(config).state_dict()
    ours = {"norm_mode": config.norm_mode, "approximate": config.approximate, "given_mask": config.given_mask}
    assert FAMILY.infer_config({"generator": state}, ours) == config
    assert f"conv_dim {config.conv_dim}, " in str(FAMILY.recognise(state))


def test_a_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "G_exemplar_hair.pth"
    torch.save(_model().generator.state_dict(), path)
    files = FAMILY.companion_files(path)
    assert files == {"generator": path}
    states = {name: torch.load(file, weights_only=True) for name, file in files.items()}
    model = FAMILY.load(states, FAMILY.infer_config(states, {"norm_mode": NormMode.BATCH}))
    pictures = _picture(0), _picture(1)
    assert torch.equal(_run(model, *pictures), _run(_model(), *pictures))


def test_which_statistics_is_asked() -> None:
    with pytest.raises(UsageError, match="two different pictures") as caught:
        FAMILY.infer_config({"generator": _state()}, {})
    assert "--norm-mode batch" in caught.value.remedy
    assert "--norm-mode eval" in caught.value.remedy


def _others() -> dict[str, Mapping[str, Tensor]]:
    with torch.device("meta"):
        return {
            "pix2pixHD": pix2pixhd.GlobalGenerator(3).state_dict(),
            "LOMIT's discriminator": Discriminator().state_dict(),
            "a linear layer": nn.Linear(2, 2).state_dict(),
            "nothing": {},
        }


@pytest.mark.parametrize("other", _others())
def test_other_networks_are_not_claimed(other: str) -> None:
    state = _others()[other]
    assert FAMILY.recognise(state) is None
    with pytest.raises(CheckpointError, match="LOMIT") as caught:
        FAMILY.infer_config({"generator": state}, {"norm_mode": NormMode.EVAL})
    assert "G_exemplar_" in caught.value.remedy
    assert ("discriminator" in caught.value.what) == (other == "LOMIT's discriminator")


@given(st.sampled_from(sorted(_state())), st.lists(st.integers(0, 3), max_size=5))
@settings(max_examples=40, deadline=None)
def test_a_wrong_shape_never_escapes(key: str, shape: list[int]) -> None:
    state = _state()
    if list(state[key].shape) == shape or key.endswith("num_batches_tracked"):
        return
    state[key] = torch.zeros(shape)
    FAMILY.recognise(state)
    with pytest.raises(CheckpointError):
        FAMILY.load({"generator": state}, FAMILY.infer_config({"generator": state}, {"norm_mode": NormMode.EVAL}))


def test_missing_and_unexpected_keys_are_named() -> None:
    state = _state()
    state["mask.main.7.conv.bias"] = state.pop("decoder.main.2.conv.bias")
    with pytest.raises(CheckpointError, match=r"missing: decoder\.main\.2\.conv\.bias; unexpected: mask\.main\.7"):
        FAMILY.load({"generator": state}, TINY)


def test_style_encoders_that_differ_are_refused() -> None:
    state = _state()
    state["s_encoder.background.0.conv.bias"] = state["s_encoder.background.0.conv.bias"] + 1.0
    with pytest.raises(CheckpointError, match=r"foreground\.0\.conv\.bias' and .* differ"):
        FAMILY.load({"generator": state}, TINY)


def test_the_two_style_encoders_are_one() -> None:
    encoder = _model().generator.s_encoder
    assert encoder.foreground[0] is encoder.background[0]
    assert encoder.foreground[3] is encoder.background[3]


# --- the config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv_dim": 0}, "conv_dim=0 is out of range"),
        ({"style_dim": 5000}, "style_dim=5000 is out of range"),
        ({"mlp_dim": 0}, "mlp_dim=0 is out of range"),
        ({"repeat_num": 0}, "repeat_num=0 is out of range"),
        ({"repeat_num": 7}, "half of the residual blocks"),
        ({"norm_mode": NormMode.NONE}, "norm_mode=none"),
    ],
)
def test_values_that_no_network_has_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        LOMITConfig(**changes)  # type: ignore[arg-type]
    assert caught.value.remedy


def test_overrides_are_read_from_text() -> None:
    given = FAMILY.parse_overrides({"norm_mode": "eval", "approximate": "true", "given_mask": "1"})
    assert given == {"norm_mode": NormMode.EVAL, "approximate": True, "given_mask": True}
    assert FAMILY.infer_config({"generator": _state()}, given) == replace(TINY, **given)  # type: ignore[arg-type]


def test_the_release_comes_first() -> None:
    architectures = FAMILY.architectures()
    assert list(architectures)[:2] == ["batch statistics", "stored statistics"]
    assert FAMILY.full_config() == LOMITConfig() == architectures["batch statistics"]
    assert architectures["stored statistics"].norm_mode is NormMode.EVAL


@pytest.mark.parametrize(("image_size", "repeat_num"), [(0, 3), (24, 3), (64, 6)])
def test_a_discriminator_that_cannot_be_built_is_refused(image_size: int, repeat_num: int) -> None:
    with pytest.raises(UsageError, match="cannot judge pictures"):
        Discriminator(image_size=image_size, repeat_num=repeat_num)
