"""What all model families share: overrides, loading of state dicts, random weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.pix2pixhd.model import FAMILY
from edge_i2i.models.weights import load_state, materialise


def test_overrides_become_values_of_the_configs_types() -> None:
    pairs = {"ngf": "32", "instance_edges": "False", "label_nc": " 8 "}
    assert FAMILY.parse_overrides(pairs) == {"ngf": 32, "instance_edges": False, "label_nc": 8}


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("FALSE", False), ("0", False)])
def test_truth_values_are_written_in_four_ways(text: str, value: bool) -> None:
    assert FAMILY.parse_overrides({"instance_edges": text}) == {"instance_edges": value}


@pytest.mark.parametrize(
    ("key", "nearest"), [("n_downsample_globl", "n_downsample_global"), ("label_c", "label_nc"), ("NGF", "ngf")]
)
def test_an_unknown_key_suggests_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"The architecture has no '{key}'") as caught:
        FAMILY.parse_overrides({key: "3"})
    assert f"Did you mean '{nearest}'?" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_a_key_like_no_other_lists_all() -> None:
    with pytest.raises(UsageError) as caught:
        FAMILY.parse_overrides({"zzz": "3"})
    assert "Did you mean" not in caught.value.remedy
    assert "n_blocks_global" in caught.value.remedy


@pytest.mark.parametrize(
    ("key", "text", "wanted"), [("ngf", "many", "int"), ("ngf", "1.5", "int"), ("instance_edges", "perhaps", "bool")]
)
def test_a_value_of_the_wrong_type_is_refused(key: str, text: str, wanted: str) -> None:
    with pytest.raises(UsageError, match=f"{key}={text}: a value of type {wanted} is needed"):
        FAMILY.parse_overrides({key: text})


def _net() -> nn.Sequential:
    with torch.device("meta"):
        return nn.Sequential(nn.Conv2d(3, 2, 1), nn.InstanceNorm2d(2), nn.Conv2d(2, 1, 1))


def _state() -> dict[str, torch.Tensor]:
    shapes = {"0.weight": (2, 3, 1, 1), "0.bias": (2,), "2.weight": (1, 2, 1, 1), "2.bias": (1,)}
    return {key: torch.full(shape, float(i)) for i, (key, shape) in enumerate(shapes.items())}


def test_a_state_that_fits_is_assigned_and_can_still_be_trained() -> None:
    net = _net()
    load_state(net, _state(), "the net")
    assert torch.equal(net.state_dict()["2.weight"], _state()["2.weight"])
    assert all(parameter.requires_grad for parameter in net.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_weights_of_another_precision_become_fp32(dtype: torch.dtype) -> None:
    net = _net()
    load_state(net, {key: tensor.to(dtype) for key, tensor in _state().items()}, "the net")
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}


def test_weights_of_whole_numbers_are_named() -> None:
    """They would be read as numbers like any other, and are quantized levels most likely."""
    with pytest.raises(CheckpointError, match=r"of whole numbers: 0\.weight\."):
        load_state(_net(), _state() | {"0.weight": _state()["0.weight"].to(torch.int8)}, "the net")


def test_running_statistics_are_dropped() -> None:
    """torch before 0.4 wrote them for instance norm; the official loader drops them as well."""
    old = {f"1.{name}": torch.zeros(2) for name in ("running_mean", "running_var")}
    old["1.num_batches_tracked"] = torch.tensor(7)
    load_state(_net(), _state() | old, "the net")


def test_every_kind_of_misfit_is_named() -> None:
    state = _state()
    del state["0.bias"]
    state |= {"3.weight": torch.zeros(1), "2.bias": torch.zeros(5)}
    with pytest.raises(CheckpointError) as caught:
        load_state(_net(), state, "the net")
    assert caught.value.what == (
        "The state dict does not fit the net: missing: 0.bias; unexpected: 3.weight; "
        "of another shape: 2.bias [5] instead of [1]."
    )
    assert "--set" in caught.value.remedy
    assert caught.value.exit_code == 4


def test_long_lists_are_cut() -> None:
    extra = {f"extra.{i}": torch.zeros(1) for i in range(9)}
    with pytest.raises(CheckpointError, match=r"unexpected: (extra\.\d, ){5}extra\.\d and 3 more"):
        load_state(_net(), _state() | extra, "the net")


def test_random_weights_are_seeded() -> None:
    nets = [_net() for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        materialise(net, seed)
    first, same, other = (net.state_dict()["0.weight"] for net in nets)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert not nets[0].state_dict()["0.bias"].any()
    assert 0 < float(first.abs().max()) < 0.2


def test_weights_that_are_not_numbers_are_refused() -> None:
    """Otherwise the first that anybody hears of them is a black picture, or a parity error."""
    state = _state()
    state["2.weight"][0, 1] = torch.nan
    state["0.bias"] = torch.full((2,), 1e300, dtype=torch.float64)  # finite, but not in FP32
    with pytest.raises(CheckpointError, match=r"holding NaN or infinite values: 0\.bias, 2\.weight"):
        load_state(_net(), state, "the net")


def test_each_tiny_network_is_there_once_by_its_first_architecture() -> None:
    tiny = FAMILY.tiny_architectures()
    assert next(iter(tiny)) == FAMILY.full_architecture == next(iter(FAMILY.architectures()))
    assert set(tiny.values()) == {FAMILY.tiny(config) for config in FAMILY.architectures().values()}
    assert len(tiny) == len(set(tiny.values())) and tiny.keys() <= FAMILY.architectures().keys()
