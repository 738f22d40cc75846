"""LOMIT's networks against what the authors' own classes computed (see fixtures/lomit.md)."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from edge_i2i.models.family import NormMode
from edge_i2i.models.lomit.model import FAMILY, LOMIT, Discriminator, LOMITConfig, approximate_style, exact_style
from edge_i2i.models.lomit.networks import Generator, highway_adain
from samples.models.reference import FIXTURES, Reference, assert_same_keys

REFERENCE = Reference.of("lomit")
CONFIGS = {
    "g": LOMITConfig(conv_dim=4, repeat_num=8, style_dim=3, mlp_dim=6),
    "g_small": LOMITConfig(conv_dim=2, repeat_num=2, style_dim=2, mlp_dim=4),
}
MODES = (NormMode.EVAL, NormMode.BATCH)
CASES = [(name, mode) for name in CONFIGS for mode in MODES]


def _state(name: str) -> dict[str, Tensor]:
    """The authors' weights: some of the mask's amplified, the background's style layers the foreground's."""
    state = REFERENCE.state(name)
    for prefix, factor in REFERENCE.listing[name]["amplified"].items():
        state |= {key: state[key] * factor for key in state if key.startswith(prefix) and key.endswith("weight")}
    tied = {key: key.replace("background", "foreground") for key in state if key.startswith("s_encoder.background.")}
    return state | {key: state[source] for key, source in tied.items()}


@cache
def _model(name: str, mode: NormMode) -> LOMIT:
    states = {"generator": _state(name)}
    config = FAMILY.infer_config(states, {"norm_mode": mode})
    assert (config.conv_dim, config.repeat_num) == (CONFIGS[name].conv_dim, CONFIGS[name].repeat_num)
    assert (config.style_dim, config.mlp_dim) == (CONFIGS[name].style_dim, CONFIGS[name].mlp_dim)
    return FAMILY.load(states, config)


def _picture(name: str, which: str) -> Tensor:
    return REFERENCE.tensor(f"{name}.{which}")


def _meta(config: LOMITConfig) -> Generator:
    with torch.device("meta"):
        return Generator(config)


@pytest.mark.parametrize("name", CONFIGS)
def test_keys_and_shapes_are_the_authors(name: str) -> None:
    assert_same_keys(_meta(CONFIGS[name]), REFERENCE.listing[name]["shapes"])


def test_full_size_networks_are_the_authors() -> None:
    with torch.device("meta"):
        discriminator = Discriminator()
    generator = _meta(FAMILY.full_config())
    assert_same_keys(generator, REFERENCE.listing["full"]["G"])
    assert list(generator.state_dict()) == list(REFERENCE.listing["full"]["G"])
    assert_same_keys(discriminator, REFERENCE.listing["full"]["D"])
    assert sum(parameter.numel() for parameter in generator.parameters()) == 18_120_588
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 44_753_861


@pytest.mark.parametrize(("name", "mode"), CASES)
@torch.no_grad()
def test_the_generator_translates_as_the_authors_do(name: str, mode: NormMode) -> None:
    generator = _model(name, mode).generator
    pairs = [pair for pair in ("AB", "AC", "CB") if f"{name}.{mode}.{pair}" in REFERENCE.arrays]
    assert len(pairs) >= 2
    for pair in pairs:
        REFERENCE.holds(f"{name}.{mode}.{pair}", generator(_picture(name, pair[0]), _picture(name, pair[1])))


@pytest.mark.parametrize(("name", "mode"), CASES)
@torch.no_grad()
def test_masks_and_styles_on_the_way_are_the_authors(name: str, mode: NormMode) -> None:
    generator = _model(name, mode).generator
    frame, exemplar = _picture(name, "A"), _picture(name, "B")
    content, other = generator.c_encoder(frame), generator.c_encoder(exemplar)
    mask, other_mask = generator.masks(content, other)
    background = generator.foreground_style(frame, 1.0 - mask)  # the two style encoders share every weight
    got = {
        "content": content,
        "mask_A": mask,
        "mask_B": other_mask,
        "self_mask_B": generator.masks(other, other)[0],
        "style_fB": exact_style(generator, content, exemplar, other)[..., None, None],
        "style_bA": background[..., None, None],
    }
    for what, value in got.items():
        REFERENCE.holds(f"{name}.{mode}.{what}", value, 1e-5 * max(1.0, float(value.abs().max())))


@torch.no_grad()
def test_the_approximate_style_is_that_of_the_exemplars_own_mask() -> None:
    generator = _model("g", NormMode.BATCH).generator
    exemplar, mask = _picture("g", "B"), REFERENCE.tensor("g.batch.self_mask_B")
    got = approximate_style(generator, generator.c_encoder(exemplar), exemplar)
    wanted = generator.foreground_style(exemplar, mask)
    assert float((got - wanted).abs().max()) <= 1e-4


@torch.no_grad()
def test_hadain_divides_by_the_deviation_of_deviations() -> None:
    parts = [REFERENCE.tensor(f"hadain.{part}") for part in ("content", "mask", "foreground", "background")]
    REFERENCE.holds("hadain.output", highway_adain(*parts))


@torch.no_grad()
def test_the_discriminator_is_the_authors() -> None:
    net = Discriminator(image_size=32, conv_dim=3, c_dim=2, repeat_num=3)
    assert_same_keys(net, REFERENCE.listing["discriminator"]["shapes"])
    net.load_state_dict(REFERENCE.state("discriminator"))
    scores, logits = net(REFERENCE.tensor("discriminator.input"))
    REFERENCE.holds("discriminator.scores", scores)
    REFERENCE.holds("discriminator.logits", logits)


@torch.no_grad()
def test_a_network_in_train_mode_is_the_authors_and_keeps_statistics() -> None:
    """Whatever the mode chosen for translating: a batch of one is normalised by its own statistics and remembered."""
    model = FAMILY.load({"generator": _state("g")}, _model("g", NormMode.EVAL).config)
    before = {key: value.clone() for key, value in model.generator.state_dict().items()}
    got = model.generator.train()(_picture("g", "A"), _picture("g", "B"))
    REFERENCE.holds("g.batch.AB", got)
    changed = {key for key, value in model.generator.state_dict().items() if not torch.equal(value, before[key])}
    assert {"c_encoder.main.0.norm.running_mean", "mask.main.5.norm.running_var"} <= changed
    assert all("running" in key or "num_batches" in key for key in changed)


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.glob("lomit*")) <= 150 * 1024
