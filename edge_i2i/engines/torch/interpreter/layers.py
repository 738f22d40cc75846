"""Convolutions, norms, pools, padding and resizing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from edge_i2i.engines.torch.interpreter.arguments import Attributes, Inputs, Operation, ints, need, optional, text, wide
from edge_i2i.errors import GraphFileError


def _explicit_pads(a: Attributes, spatial: int = 2) -> list[int]:
    """The declared padding; padding that follows from the size is refused rather than taken for none."""
    if text(a, "auto_pad", "NOTSET") != "NOTSET" or "output_shape" in a:
        raise GraphFileError("The torch reference takes explicit padding only, no auto_pad and no output_shape.")
    return list(a.get("pads", [0] * 2 * spatial))


def _symmetric(pads: list[int]) -> tuple[int, ...] | None:
    half = len(pads) // 2
    return tuple(pads[:half]) if pads[:half] == pads[half:] else None


def _conv(inputs: Inputs, a: Attributes) -> Tensor:
    x, weight, bias = need(inputs[0]), need(inputs[1]), optional(inputs, 2)
    spatial = weight.dim() - 2
    pads = _explicit_pads(a, spatial)
    padding = _symmetric(pads)
    data = wide(x)
    if padding is None:
        data, padding = functional.pad(data, _torch_pads(pads, spatial)), (0,) * spatial
    result = functional.conv2d(
        data,
        wide(weight),
        wide(bias) if bias is not None else None,
        stride=tuple(a.get("strides", [1] * spatial)),
        padding=padding,
        dilation=tuple(a.get("dilations", [1] * spatial)),
        groups=a.get("group", 1),
    )
    return result.to(x.dtype)


def _conv_transpose(inputs: Inputs, a: Attributes) -> Tensor:
    x, weight, bias = need(inputs[0]), need(inputs[1]), optional(inputs, 2)
    pads = _explicit_pads(a)
    # What torch pads is cropped at both ends alike; the rest of a larger crop at one end is sliced off.
    common = [min(pads[axis], pads[2 + axis]) for axis in (0, 1)]
    result = functional.conv_transpose2d(
        wide(x),
        wide(weight),
        wide(bias) if bias is not None else None,
        stride=tuple(a.get("strides", [1, 1])),
        padding=tuple(common),
        output_padding=tuple(a.get("output_padding", [0, 0])),
        groups=a.get("group", 1),
        dilation=tuple(a.get("dilations", [1, 1])),
    )
    rest = [common[i % 2] - pad for i, pad in enumerate(pads)]
    return (functional.pad(result, _torch_pads(rest, 2)) if any(rest) else result).to(x.dtype)


def _instance_norm(inputs: Inputs, a: Attributes) -> Tensor:
    x = need(inputs[0])
    return functional.instance_norm(x, weight=inputs[1], bias=inputs[2], eps=a.get("epsilon", 1e-5))


def _batch_norm(inputs: Inputs, a: Attributes) -> Tensor:
    x, scale, bias, mean, variance = (need(value) for value in inputs)
    if a.get("training_mode", 0):
        raise GraphFileError("The torch reference takes BatchNormalization with stored statistics only.")
    eps = a.get("epsilon", 1e-5)
    return functional.batch_norm(wide(x), wide(mean), wide(variance), wide(scale), wide(bias), eps=eps).to(x.dtype)


def _group_norm(inputs: Inputs, a: Attributes) -> Tensor:
    """Scale and bias are one value a group up to opset 20, one a channel from 21 on."""
    x, scale, bias = (wide(need(value)) for value in inputs)
    groups, channels = a["num_groups"], x.shape[1]
    if scale.numel() == groups != channels:
        scale, bias = (value.repeat_interleave(channels // groups) for value in (scale, bias))
    return functional.group_norm(x, groups, scale, bias, a.get("epsilon", 1e-5)).to(need(inputs[0]).dtype)


def _layer_norm(inputs: Inputs, a: Attributes) -> Tensor:
    x, scale, bias = need(inputs[0]), need(inputs[1]), optional(inputs, 2)
    normed = x.shape[a.get("axis", -1) % x.dim() :]
    shift = None if bias is None else wide(bias).expand(normed)
    return functional.layer_norm(wide(x), normed, wide(scale).expand(normed), shift, a.get("epsilon", 1e-5)).to(x.dtype)


def _torch_pads(pads: list[int], rank: int) -> list[int]:
    """ONNX order (all begins, all ends) → torch order (last axis first, begin and end together)."""
    return [pads[side * rank + axis] for axis in reversed(range(rank)) for side in (0, 1)]


def _pad(inputs: Inputs, a: Attributes) -> Tensor:
    x = need(inputs[0])
    pads = _torch_pads(_pad_amounts(inputs, x.dim()), x.dim())
    while len(pads) > 2 and pads[-2:] == [0, 0]:
        pads = pads[:-2]
    mode, fill = text(a, "mode", "constant"), optional(inputs, 2)
    if mode == "constant":
        return functional.pad(x, pads, value=0.0 if fill is None else float(fill))
    return functional.pad(x, pads, mode={"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[mode])


def _pad_amounts(inputs: Inputs, rank: int) -> list[int]:
    """ONNX order for all axes, also where the amounts are given for some axes only."""
    given, named = ints(inputs[1]), optional(inputs, 3)
    if named is None:
        return given
    axes = [axis % rank for axis in ints(named)]
    amounts = [0] * 2 * rank
    for i, axis in enumerate(axes):
        amounts[axis], amounts[rank + axis] = given[i], given[len(axes) + i]
    return amounts


def _average_pool(inputs: Inputs, a: Attributes) -> Tensor:
    x = need(inputs[0])
    padding = _symmetric(_explicit_pads(a))
    if padding is None or set(a.get("dilations", [1])) != {1}:
        raise GraphFileError("The torch reference takes average pools with symmetric padding and no dilation only.")
    result = functional.avg_pool2d(
        wide(x),
        tuple(a["kernel_shape"]),
        stride=tuple(a.get("strides", [1, 1])),
        padding=padding,
        ceil_mode=bool(a.get("ceil_mode", 0)),
        count_include_pad=bool(a.get("count_include_pad", 0)),
    )
    return result.to(x.dtype)


def _max_pool(inputs: Inputs, a: Attributes) -> Tensor:
    x = need(inputs[0])
    pads = _explicit_pads(a)
    lowest = torch.finfo(x.dtype).min if x.is_floating_point() else torch.iinfo(x.dtype).min
    if _symmetric(pads) is None:
        x, pads = functional.pad(x, _torch_pads(pads, 2), value=lowest), [0, 0, 0, 0]
    return functional.max_pool2d(
        x,
        tuple(a["kernel_shape"]),
        stride=tuple(a.get("strides", [1, 1])),
        padding=tuple(pads[:2]),
        dilation=tuple(a.get("dilations", [1, 1])),
        ceil_mode=bool(a.get("ceil_mode", 0)),
    )


def _global_pool(inputs: Inputs, _: Attributes) -> Tensor:
    x = need(inputs[0])
    return wide(x).mean(dim=tuple(range(2, x.dim())), keepdim=True).to(x.dtype)


def _resize(inputs: Inputs, a: Attributes) -> Tensor:
    """Nearest and linear, axis after axis; edges are repeated."""
    x, mode = need(inputs[0]), text(a, "mode", "nearest")
    policy = text(a, "keep_aspect_ratio_policy", "stretch")
    if mode not in ("nearest", "linear") or a.get("antialias", 0) or policy != "stretch":
        raise GraphFileError(
            f"The torch reference resizes by 'nearest' and 'linear' only, not by '{mode}' with these settings."
        )
    value = wide(x) if mode == "linear" else x
    for axis, side, scale in _resized_axes(inputs, a, x):
        if (side, scale) != (x.shape[axis], 1.0):
            places = _source_places(side, x.shape[axis], scale, text(a, "coordinate_transformation_mode", "half_pixel"))
            if mode == "nearest":
                value = _pick(value, axis, _rounded(places, text(a, "nearest_mode", "round_prefer_floor")))
            else:
                value = _blend(value, axis, places)
    return value.to(x.dtype)


def _resized_axes(inputs: Inputs, a: Attributes, x: Tensor) -> list[tuple[int, int, float]]:
    """For each axis that a Resize names: the axis, its new side, and the scale that leads there."""
    axes = [axis % x.dim() for axis in a.get("axes", range(x.dim()))]
    scales, sizes = optional(inputs, 2), optional(inputs, 3)
    if sizes is not None and sizes.numel():
        return [(axis, side, side / x.shape[axis]) for axis, side in zip(axes, ints(sizes), strict=True)]
    factors = [float(factor) for factor in need(scales).tolist()]
    return [(axis, int(x.shape[axis] * factor), factor) for axis, factor in zip(axes, factors, strict=True)]


def _source_places(side: int, before: int, scale: float, mode: str) -> Tensor:
    """Where each new pixel lies among the old ones, in old pixels from the centre of the first.

    In FP32, as engines compute it: a place on the border of two pixels falls to the same side.
    """
    places = torch.arange(side, dtype=torch.float32)
    if mode == "asymmetric":
        return places / scale
    if mode == "align_corners":
        return places * ((before - 1) / (side - 1) if side > 1 else 0.0)
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and side > 1):
        return (places + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return places * 0.0
    raise GraphFileError(f"The torch reference knows no coordinate_transformation_mode '{mode}'.")


def _rounded(places: Tensor, mode: str) -> Tensor:
    if mode == "floor":
        return places.floor()
    if mode == "ceil":
        return places.ceil()
    return (places - 0.5).ceil() if mode == "round_prefer_floor" else (places + 0.5).floor()


def _pick(x: Tensor, axis: int, places: Tensor) -> Tensor:
    return x.index_select(axis, places.to(torch.int64).clamp(0, x.shape[axis] - 1).to(x.device))


def _blend(x: Tensor, axis: int, places: Tensor) -> Tensor:
    places = places.clamp(0, x.shape[axis] - 1)
    share = (places - places.floor()).to(x).reshape([-1 if i == axis else 1 for i in range(x.dim())])
    return torch.lerp(_pick(x, axis, places.floor()), _pick(x, axis, places.floor() + 1), share)


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "AveragePool": _average_pool,
        "BatchNormalization": _batch_norm,
        "Conv": _conv,
        "ConvTranspose": _conv_transpose,
        "GlobalAveragePool": _global_pool,
        "GroupNormalization": _group_norm,
        "InstanceNormalization": _instance_norm,
        "LayerNormalization": _layer_norm,
        "MaxPool": _max_pool,
        "Pad": _pad,
        "Resize": _resize,
    }
)
