"""BicycleGAN as a family: its graphs, its rewrite, what its files are recognised by, and what is refused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edge_i2i.contract import GraphKind, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.bicyclegan.config import BicycleGANConfig, EncoderKind, NonLinearity, Upsampling
from edge_i2i.models.bicyclegan.model import BIAS_MAPS, FAMILY, BicycleGAN, to_grey
from edge_i2i.models.bicyclegan.networks import MultiscaleDiscriminator, StyleEncoder, UnetGenerator
from edge_i2i.models.checkpoints.reading import read_checkpoint
from edge_i2i.models.family import NormMode
from edge_i2i.models.pix2pixhd.networks import GlobalGenerator
from edge_i2i.models.weights import load_state
from samples.models.reference import seeded_state

SIZE = Size(64, 96)
ARCHITECTURES = {name: FAMILY.tiny(config) for name, config in FAMILY.architectures().items()}
ALL, INPUT = ARCHITECTURES["unet_256, z at all levels"], ARCHITECTURES["unet_256, z at the input"]
VARIANTS = {
    **ARCHITECTURES,
    "bilinear": replace(ALL, upsample=Upsampling.BILINEAR),
    "batch norm": replace(ALL, norm_mode=NormMode.EVAL),
    "batch norm, the frame's statistics, z at the input": replace(INPUT, norm_mode=NormMode.BATCH),
    "leaky, z at the input": replace(INPUT, nl=NonLinearity.LRELU),
    "conv encoder": replace(ALL, netE=EncoderKind.CONV),
}


def _state(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Seeded weights with biases that are not zero, unlike those of random networks."""
    return seeded_state({key: list(tensor.shape) for key, tensor in network.state_dict().items()}, seed, 0.15)


def _states(config: BicycleGANConfig) -> dict[str, dict[str, Tensor]]:
    with torch.device("meta"):
        generator, encoder = UnetGenerator(config), StyleEncoder(config)
    return {"generator": _state(generator, 10), "encoder": _state(encoder, 20)}


def _model(config: BicycleGANConfig) -> BicycleGAN:
    return FAMILY.load(_states(config), config)


def _picture(seed: int, height: int = SIZE.height, width: int = SIZE.width) -> Tensor:
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _style(seed: int) -> Tensor:
    return torch.randn((1, 8), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def _translate(model: BicycleGAN, rewrites: Collection[str], frame: Tensor, style: Tensor) -> Tensor:
    """Run the graphs as the translator does: by the names of their tensors."""
    values = {"frame": frame, "style": style}
    graphs = model.graphs(Size(*frame.shape[2:]), rewrites)
    for graph in sorted(graphs, key=lambda graph: graph.declaration.kind is GraphKind.FRAME):
        if "exemplar" in {spec.name for spec in graph.declaration.inputs}:
            continue
        result = graph.module(*[values[spec.name] for spec in graph.declaration.inputs])
        results = [result] if isinstance(result, Tensor) else list(result)
        for spec, tensor in zip(graph.declaration.outputs, results, strict=True):
            assert tuple(tensor.shape) == ((1, 3, *spec.shape[:2]) if spec.is_picture else (1, *spec.shape))
            values[spec.name] = tensor
    return values["image"]


@torch.no_grad()
def _published(model: BicycleGAN, frame: Tensor, style: Tensor) -> Tensor:
    picture: Tensor = model.generator(to_grey(frame) if model.config.input_nc == 1 else frame, style)
    return picture


@pytest.mark.parametrize("rewrites", [(), (BIAS_MAPS,)], ids=["plain", "bias maps"])
@pytest.mark.parametrize("name", VARIANTS)
def test_the_graphs_together_are_the_published_generator(name: str, rewrites: tuple[str, ...]) -> None:
    model = _model(VARIANTS[name])
    for seed in (1, 2):
        frame, style = _picture(seed), _style(seed)
        wanted = _published(model, frame, style)
        assert wanted.std() > 0.02
        assert (_translate(model, rewrites, frame, style) - wanted).abs().max() <= 1e-5


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("rewrites", [(), (BIAS_MAPS,)], ids=["plain", "bias maps"])
def test_another_style_is_another_picture(name: str, rewrites: tuple[str, ...]) -> None:
    model = FAMILY.random(ARCHITECTURES[name], 3)
    one, two = (_translate(model, rewrites, _picture(1), _style(seed)) for seed in (5, 6))
    assert (one - two).abs().max() > 0.02


def test_a_lone_position_at_the_bottom_is_exact_too() -> None:
    model = _model(ALL)
    frame, style = _picture(1, 32, 32), _style(1)
    assert (_translate(model, (BIAS_MAPS,), frame, style) - _published(model, frame, style)).abs().max() <= 1e-5


def test_bias_maps_differ_at_the_border_only() -> None:
    graphs = {graph.declaration.name: graph for graph in _model(ALL).graphs(SIZE, (BIAS_MAPS,))}
    inside, corner = [], []
    for level in graphs["bias_maps"].module(_style(1))[:3]:
        inside.append((level[..., 1:-1, 1:-1] - level[..., 1:2, 1:2]).abs().max())
        corner.append((level[..., 0, 0] - level[..., 1, 1]).abs().max())
    assert max(inside) < 1e-6 < 0.01 < min(corner)


def test_the_rewrite_is_on_by_default_and_can_be_switched_off() -> None:
    model = _model(INPUT)
    assert [[spec.name for spec in graph.declaration.inputs] for graph in model.graphs(SIZE)] == [
        ["frame", "bias_0"],
        ["style"],
        ["exemplar"],
    ]
    assert [graph.declaration.name for graph in model.graphs(SIZE, ())] == ["frame", "encode_style"]


def test_the_exemplar_has_the_size_that_the_encoder_needs() -> None:
    with torch.device("meta"):
        full = BicycleGANConfig()
        model = BicycleGAN(full, UnetGenerator(full), StyleEncoder(full))
        encode = model.graphs(Size(512, 768))[-1]
    assert encode.declaration.inputs[0].shape == (256, 256, 3)
    style = encode.declaration.outputs[0]
    assert (style.name, style.shape, style.drawn, style.mixable) == ("style", (8,), True, True)


@torch.no_grad()
def test_an_exemplar_gives_the_mean_style_and_another_one_gives_another() -> None:
    model = FAMILY.random(ALL, 3)
    encode = model.graphs(SIZE)[-1]
    assert encode.declaration.name == "encode_style"
    assert model.encoder is not None
    styles = [encode.module(_picture(seed, 32, 32)) for seed in (1, 2)]
    assert torch.equal(styles[0], model.encoder(_picture(1, 32, 32))[0])
    pictures = [_translate(model, (BIAS_MAPS,), _picture(1), style) for style in styles]
    assert (pictures[0] - pictures[1]).abs().max() > 1e-3


def test_without_an_encoder_file_styles_are_only_drawn() -> None:
    states = _states(ALL)
    model = FAMILY.load({"generator": states["generator"]}, FAMILY.infer_config({"generator": states["generator"]}, {}))
    assert [graph.declaration.name for graph in model.graphs(SIZE)] == ["frame", "bias_maps"]


def test_grey_frames_stay_as_they_are() -> None:
    grey = _picture(1)[:, :1]
    assert (to_grey(grey.expand(-1, 3, -1, -1)) - grey).abs().max() < 1e-6


@pytest.mark.parametrize("name", VARIANTS)
def test_its_own_files_are_recognised_and_read_back(name: str) -> None:
    states = _states(VARIANTS[name])
    described, encoder = FAMILY.recognise(states["generator"]), FAMILY.recognise(states["encoder"])
    assert described is not None
    assert "U-Net of 5 levels" in described
    assert encoder is not None
    assert "32x32" in encoder
    chosen = {"nl": VARIANTS[name].nl, "norm_mode": VARIANTS[name].norm_mode}  # what no key can tell
    assert FAMILY.infer_config(states, chosen) == VARIANTS[name]
    if VARIANTS[name].norm_mode is NormMode.EVAL:
        assert FAMILY.infer_config(states, {}) == VARIANTS[name]


def test_old_files_with_running_statistics_are_read() -> None:
    old = dict(_states(ALL)["generator"])
    old["model.submodule.down.2.running_mean"] = torch.zeros(8)
    old["model.submodule.down.2.num_batches_tracked"] = torch.tensor(3)
    assert FAMILY.recognise(old) is not None
    model = FAMILY.load({"generator": old}, FAMILY.infer_config({"generator": old}, {}))
    assert torch.equal(_published(model, _picture(1), _style(1)), _published(_model(ALL), _picture(1), _style(1)))


def _pix2pix() -> dict[str, Tensor]:
    """pix2pix's U-Net with instance norm has the keys of G_Unet_add_input, but no z."""
    state = _states(INPUT)["generator"]
    return {**state, "model.model.0.weight": state["model.model.0.weight"][:, :3]}


def test_files_of_other_networks_are_not_claimed() -> None:
    others: dict[str, dict[str, Tensor]] = {
        "pix2pixHD": GlobalGenerator(3, 3, 4, 3, 2).state_dict(),
        "pix2pix": _pix2pix(),
        "discriminator": MultiscaleDiscriminator(ndf=4).state_dict(),
        "nothing": {},
        "scalars": {"model.down.0.weight": torch.tensor(1.0), "model.model.0.weight": torch.tensor(1.0)},
        "one tensor more": {**_states(ALL)["generator"], "model.extra.weight": torch.zeros(2)},
        "one tensor less": {k: v for k, v in _states(ALL)["generator"].items() if k != "model.up.1.bias"},
        "strange sizes": {
            "model.down.0.weight": torch.zeros(4, 9, 4, 4),
            "model.submodule.down.1.weight": torch.zeros(8, 4, 4, 4),
        },
        "fc alone": {"conv.0.weight": torch.zeros(4, 3, 4, 4), "fc.0.weight": torch.zeros(8, 4)},
    }
    assert {name: FAMILY.recognise(state) for name, state in others.items()} == dict.fromkeys(others)


def test_z_at_the_input_with_another_length_needs_nz() -> None:
    config = replace(INPUT, nz=5, input_nc=1)
    states = {"generator": _states(config)["generator"]}
    with pytest.raises(CheckpointError, match="not a BicycleGAN generator"):
        FAMILY.infer_config(states, {})
    assert FAMILY.infer_config(states, {"nz": 5}).input_nc == 1


def test_what_does_not_fit_together_is_refused() -> None:
    states = _states(ALL)
    with pytest.raises(CheckpointError, match="not a BicycleGAN generator"):
        FAMILY.infer_config({"generator": _pix2pix()}, {})
    with pytest.raises(CheckpointError, match="style encoder, and its generator does not lie beside it"):
        FAMILY.infer_config({"generator": states["encoder"]}, {})
    with pytest.raises(CheckpointError, match="not a BicycleGAN style encoder"):
        FAMILY.infer_config({**states, "encoder": states["generator"]}, {})
    with pytest.raises(CheckpointError, match="styles of 5 values, but the generator takes 8"):
        FAMILY.infer_config({**states, "encoder": _states(replace(ALL, nz=5))["encoder"]}, {})
    with pytest.raises(UsageError, match="norm_mode=eval, but the checkpoint's network has no batch norm"):
        FAMILY.infer_config(states, {"norm_mode": NormMode.EVAL})
    with pytest.raises(CheckpointError, match="of another shape"):
        FAMILY.load(states, FAMILY.infer_config(states, {"ngf": 6}))
    four = {"generator": _states(ALL)["generator"]}
    four["generator"]["model.down.0.weight"] = torch.zeros(4, 12, 4, 4)
    with pytest.raises(CheckpointError, match="input_nc=4 is out of range"):
        FAMILY.infer_config(four, {})


@pytest.mark.parametrize(
    "wrong", [{"input_nc": 2}, {"output_nc": 1}, {"nz": 0}, {"ngf": 0}, {"num_downs": 1}, {"n_blocks_E": 1}]
)
def test_networks_that_cannot_be_built_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))} is out of range"):
        BicycleGANConfig(**wrong)  # type: ignore[arg-type]


def test_sizes_must_halve_at_every_level() -> None:
    with pytest.raises(UsageError, match="multiples of 32"):
        _model(ALL).graphs(Size(64, 80))
    with pytest.raises(UsageError, match="no rewrite"):
        _model(ALL).graphs(SIZE, ("phase-convs",))


@pytest.mark.parametrize("start", ["latest", "edges2shoes"])
def test_the_encoder_is_found_beside_the_generator_and_the_other_way_round(tmp_path: Path, start: str) -> None:
    generator, encoder = tmp_path / f"{start}_net_G.pth", tmp_path / f"{start}_net_E.pth"
    states = _states(ALL)
    torch.save(states["generator"], generator)
    assert FAMILY.companion_files(generator) == {"generator": generator}
    torch.save(states["encoder"], encoder)
    assert FAMILY.companion_files(generator) == {"generator": generator, "encoder": encoder}
    assert FAMILY.companion_files(encoder) == {"generator": generator, "encoder": encoder}
    read = {network: read_checkpoint(path) for network, path in FAMILY.companion_files(encoder).items()}
    loaded = FAMILY.load(read, FAMILY.infer_config(read, {}))
    assert torch.equal(_published(loaded, _picture(1), _style(1)), _published(_model(ALL), _picture(1), _style(1)))
    generator.unlink()
    assert FAMILY.companion_files(encoder) == {"generator": encoder}


def test_discriminators_can_be_made_and_filled() -> None:
    with torch.device("meta"):
        network = MultiscaleDiscriminator(ndf=8, norm_mode=NormMode.EVAL)
    load_state(network, _state(network, 1), "the discriminator")
    assert [tuple(score.shape) for score in network.eval()(_picture(1, 64, 64))] == [(1, 1, 6, 6), (1, 1, 2, 2)]
