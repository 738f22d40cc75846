"""The picture contract in torch: what lies between uint8 HWC outside and float NCHW inside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edge_i2i.contract import DType, Role, Size, TensorSpec, picture_spec
from edge_i2i.graphs.picture import PictureModule, example_inputs, to_network_form, to_outside_form
from samples.graphs.tiny import picture_graph

IMAGE = picture_spec("image", Role.IMAGE, Size(2, 3), "")
STYLE = TensorSpec("features", Role.STYLE, (3, 2, 3), DType.FLOAT32, -1, 1, "")


@pytest.mark.parametrize("role", [Role.FRAME, Role.EXEMPLAR])
def test_a_picture_becomes_float_channels_first(role: Role) -> None:
    picture = torch.arange(18, dtype=torch.uint8).reshape(2, 3, 3) * 15
    network = to_network_form(picture, picture_spec("frame", role, Size(2, 3), ""))
    assert (network.shape, network.dtype) == ((1, 3, 2, 3), torch.float32)
    assert float(network[0, 2, 1, 0]) == pytest.approx(float(picture[1, 0, 2]) / 127.5 - 1)


def test_black_and_white_are_the_ends_of_the_range() -> None:
    ends = to_network_form(torch.tensor([[[0, 255, 255]]], dtype=torch.uint8), IMAGE)
    assert ends.reshape(-1).tolist() == [-1, 1, 1]


def test_every_grey_level_survives_the_way_in_and_out() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(16, 16, 1).expand(16, 16, 3)
    assert torch.equal(to_outside_form(to_network_form(levels, IMAGE), IMAGE), levels)


def test_values_are_rounded_to_the_nearest_level_and_clamped() -> None:
    greys = torch.tensor([-0.6, 0.4, 0.6, 1.6, 2.4, 254.6, 300.0])
    value = (greys / 127.5 - 1).double()[None, None, None].expand(1, 3, 1, 7)
    out = to_outside_form(value, IMAGE)
    assert out.dtype == torch.uint8
    assert out[0, :, 0].tolist() == [0, 0, 1, 2, 2, 255, 255]


@pytest.mark.parametrize(("role", "dtype"), [(Role.LABEL_MAP, torch.uint8), (Role.INSTANCE_MAP, torch.int32)])
def test_maps_become_whole_numbers_with_a_channel(role: Role, dtype: torch.dtype) -> None:
    map_ = torch.tensor([[0, 200], [7, 9]], dtype=dtype)
    network = to_network_form(map_, TensorSpec("map", role, (2, 2), DType.UINT8, 0, 255, ""))
    assert (network.shape, network.dtype) == ((1, 1, 2, 2), torch.int32)
    assert network[0, 0].tolist() == map_.tolist()


def test_other_tensors_only_gain_and_lose_a_leading_one() -> None:
    style = torch.rand(3, 2, 3)
    assert torch.equal(to_network_form(style, STYLE), style[None])
    assert torch.equal(to_outside_form(style[None], STYLE), style)


def test_the_module_gives_the_picture_and_the_float_behind_it() -> None:
    module = PictureModule(picture_graph(nn.Tanh(), Size(2, 3)))
    frame = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8))
    image, network = module(frame)
    assert (image.shape, network.shape) == ((2, 3, 3), (3, 2, 3))
    assert torch.equal(network, torch.tanh(to_network_form(frame, IMAGE))[0])
    assert torch.equal(image, to_outside_form(network[None], IMAGE))


def test_examples_have_the_declared_forms() -> None:
    (frame,) = example_inputs(picture_graph(nn.Tanh(), Size(2, 3)).declaration)
    assert (frame.shape, frame.dtype) == ((2, 3, 3), torch.uint8)
