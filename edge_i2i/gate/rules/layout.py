"""Operators that move numbers: their indices, sides and amounts are in the file, and in range."""

from __future__ import annotations

import math
from types import MappingProxyType

from edge_i2i.gate.facts import (
    ANY,
    BYTES,
    FLOATS,
    WHOLES,
    Fact,
    Given,
    Outcome,
    RuleError,
    Rules,
    an_axis,
    axes_of,
    broadcast,
    gives,
)

_MOST_AMOUNT = 1 << 16
_PIXELS = FLOATS | BYTES


def _transpose(given: Given) -> Outcome:
    x = given.input(0)
    rank = len(x.shape)
    attribute = given.node.attributes.get("perm")
    order = tuple(reversed(range(rank))) if attribute is None else tuple(attribute.value)
    if sorted(order) != list(range(rank)):
        raise RuleError("has an order that does not name every axis once")
    return gives(x.dtype, [x.shape[axis] for axis in order])


def _reshape(given: Given) -> Outcome:
    x, wanted = given.input(0), given.known(1)
    keeps_zero = given.whole("allowzero", 0, (0, 1))
    sides = [x.shape[i] if side == 0 and not keeps_zero and i < len(x.shape) else side for i, side in enumerate(wanted)]
    if sides.count(-1) == 1:
        rest = math.prod(side for side in sides if side != -1)
        sides[sides.index(-1)] = x.size // rest if rest > 0 else 0
    if any(side < 1 for side in sides) or math.prod(sides) != x.size:
        raise RuleError(f"gives {list(x.shape)} the shape {wanted}")
    return gives(x.dtype, sides)


def _unsqueeze(given: Given) -> Outcome:
    x, added = given.input(0), given.known(1)
    rank = len(x.shape) + len(added)
    axes, kept = set(axes_of(added, rank)), iter(x.shape)
    return gives(x.dtype, [1 if axis in axes else next(kept) for axis in range(rank)])


def _squeeze(given: Given) -> Outcome:
    x = given.input(0)
    axes = axes_of(given.known(1), len(x.shape))
    if any(x.shape[axis] != 1 for axis in axes):
        raise RuleError("drops an axis that has more than one side")
    return gives(x.dtype, [side for axis, side in enumerate(x.shape) if axis not in axes])


def _flatten(given: Given) -> Outcome:
    x = given.input(0)
    axis = given.whole("axis", 1)
    if not 0 <= axis <= len(x.shape):
        raise RuleError(f"has the axis {axis} of a value with {len(x.shape)} axes")
    return gives(x.dtype, [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])])


def _concat(given: Given) -> Outcome:
    facts = given.same(None, ANY)
    axis = given.axis(len(facts[0].shape))
    rest = {(fact.shape[:axis], fact.shape[axis + 1 :]) for fact in facts if len(fact.shape) > axis}
    if len(rest) != 1 or len({len(fact.shape) for fact in facts}) != 1:
        raise RuleError("joins shapes that do not fit")
    shape = list(facts[0].shape)
    shape[axis] = sum(fact.shape[axis] for fact in facts)
    return gives(facts[0].dtype, shape)


def _split(given: Given) -> Outcome:
    x = given.input(0)
    axis, count = given.axis(len(x.shape)), len(given.node.outputs)
    side = x.shape[axis]
    if given.given(1):
        parts = given.known(1, most=4096)
    else:
        part = -(-side // count)
        parts = [part] * (count - 1) + [side - part * (count - 1)]
    if given.whole("num_outputs", count) != count or len(parts) != count or sum(parts) != side or min(parts) < 1:
        raise RuleError(f"splits {side} into {parts[:8]}")
    shapes = [(*x.shape[:axis], part, *x.shape[axis + 1 :]) for part in parts]
    return Outcome(tuple(Fact(x.dtype, shape) for shape in shapes))


def _slice(given: Given) -> Outcome:
    x, starts, ends = given.input(0), given.known(1), given.known(2)
    named = given.known(3) if given.given(3) else list(range(len(starts)))
    steps = given.known(4) if given.given(4) else [1] * len(starts)
    axes = axes_of(named, len(x.shape))
    if not len(starts) == len(ends) == len(axes) == len(steps) or not all(
        0 < abs(step) <= _MOST_AMOUNT for step in steps
    ):
        raise RuleError("has starts, ends, axes and steps that do not belong together")
    shape = list(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        shape[axis] = _taken(start, end, step, x.shape[axis])
    return gives(x.dtype, shape)


def _taken(start: int, end: int, step: int, side: int) -> int:
    """How many a slice takes of an axis; ONNX clamps both ends to the axis."""
    low, high = (0, side) if step > 0 else (-1, side - 1)
    first = min(max(start + side if start < 0 else start, 0), high)
    last = min(max(end + side if end < 0 else end, low), high)
    return max(0, -(-(last - first) // step))


def _pad(given: Given) -> Outcome:
    x, amounts = given.input(0, ANY), given.known(1)
    axes = axes_of(given.known(3), len(x.shape)) if given.given(3) else list(range(len(x.shape)))
    filler = given.optional(2)
    if filler is not None and (filler.dtype != x.dtype or filler.size != 1):
        raise RuleError("fills with what is not one number of its input's type")
    if len(amounts) != 2 * len(axes) or not all(0 <= amount <= _MOST_AMOUNT for amount in amounts):
        raise RuleError(f"pads by {amounts[:8]}")
    shape, mode = list(x.shape), given.text("mode", "constant")
    for place, axis in enumerate(axes):
        before, after = amounts[place], amounts[place + len(axes)]
        if mode == "reflect" and max(before, after) >= x.shape[axis]:
            raise RuleError(f"reflects {max(before, after)} of an axis of {x.shape[axis]}")
        shape[axis] += before + after
    return gives(x.dtype, shape)


def _gather(given: Given) -> Outcome:
    x, indices = given.input(0), given.input(1, WHOLES)
    axis = given.axis(len(x.shape))
    side = x.shape[axis]
    if indices.known is None:
        raise RuleError("looks up by indices that it computes, which could lie outside")
    if indices.size and not (-side <= int(indices.known.min()) and int(indices.known.max()) < side):
        raise RuleError(f"looks up outside an axis of {side}")
    return gives(x.dtype, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _expand(given: Given) -> Outcome:
    x = given.input(0)
    wanted = tuple(given.known(1))
    if any(side < 1 for side in wanted):
        raise RuleError(f"stretches to {list(wanted)}")
    return gives(x.dtype, broadcast(x.shape, wanted))


def _tile(given: Given) -> Outcome:
    x, times = given.input(0), given.known(1)
    if len(times) != len(x.shape) or any(number < 1 for number in times):
        raise RuleError(f"repeats {times}")
    return gives(x.dtype, [side * number for side, number in zip(x.shape, times, strict=True)])


def _depth_to_space(given: Given) -> Outcome:
    block = _block(given)
    images, channels, height, width = _picture(given)
    if channels % (block * block):
        raise RuleError(f"spreads {channels} channels over {block}x{block}")
    return gives(given.input(0).dtype, [images, channels // (block * block), height * block, width * block])


def _space_to_depth(given: Given) -> Outcome:
    block = _block(given)
    images, channels, height, width = _picture(given)
    if height % block or width % block:
        raise RuleError(f"folds {height}x{width} by {block}")
    return gives(given.input(0).dtype, [images, channels * block * block, height // block, width // block])


def _block(given: Given) -> int:
    return given.whole("blocksize", 0, range(1, 65))


def _picture(given: Given) -> tuple[int, int, int, int]:
    shape = given.input(0, _PIXELS).shape
    if len(shape) != 4:
        raise RuleError(f"reads {list(shape)} as pictures")
    return shape[0], shape[1], shape[2], shape[3]


def _resize(given: Given) -> Outcome:
    """Pictures ``[N, C, H, W]``, by scales or to sizes in the file; the allowed modes read no region of interest.

    Engines differ in what else they take, and say so only while they run.
    """
    x = given.input(0, FLOATS)
    images, channels, _, _ = _picture(given)
    if given.filled(1):
        raise RuleError("has a region of interest")
    given.whole("exclude_outside", 0, (0,))
    given.whole("antialias", 0, (0, 1) if given.text("mode", "nearest") == "linear" else (0,))
    rank = len(x.shape)
    axes_given = given.node.attributes.get("axes")
    axes = list(range(rank)) if axes_given is None else axes_of(axes_given.value, rank)
    if given.filled(2):
        if given.given(3):
            raise RuleError("has both scales and sizes")
        sides = _scaled([x.shape[axis] for axis in axes], given.input(2, frozenset({"float32"})))
    else:
        sides = given.known(3)
    if len(sides) != len(axes) or not all(1 <= side <= 1 << 20 for side in sides):
        raise RuleError(f"resizes {list(x.shape)} to {sides[:8]}")
    shape = list(x.shape)
    for axis, side in zip(axes, sides, strict=True):
        shape[axis] = side
    if shape[:2] != [images, channels]:
        raise RuleError(f"resizes {list(x.shape)} to {shape}, and not its pictures alone")
    return gives(x.dtype, shape)


def _scaled(sides: list[int], scales: Fact) -> list[int]:
    if scales.known is None or scales.shape != (len(sides),):
        raise RuleError("computes its scales, which have to be written in the file")
    factors = [float(factor) for factor in scales.known]
    if not all(1 / 4096 <= factor <= 4096 for factor in factors):
        raise RuleError(f"scales by {factors[:8]}")
    return [math.floor(side * factor) for side, factor in zip(sides, factors, strict=True)]


def _arg_extreme(given: Given) -> Outcome:
    x = given.input(0, FLOATS | WHOLES)
    axis = an_axis(given.whole("axis", 0), len(x.shape))
    kept = [1] if given.whole("keepdims", 1, (0, 1)) else []
    return gives("int64", (*x.shape[:axis], *kept, *x.shape[axis + 1 :]), x.size)


def _constant(given: Given) -> Outcome:
    value = given.node.attributes.get("value")
    if value is None or value.kind != "tensor":
        raise RuleError("has no value")
    tensor = value.value
    return Outcome((Fact(tensor.dtype, tensor.shape, tensor.array),))


RULES: Rules = MappingProxyType(
    {
        "ArgMax": _arg_extreme,
        "ArgMin": _arg_extreme,
        "Concat": _concat,
        "Constant": _constant,
        "DepthToSpace": _depth_to_space,
        "Expand": _expand,
        "Flatten": _flatten,
        "Gather": _gather,
        "Pad": _pad,
        "Reshape": _reshape,
        "Resize": _resize,
        "Slice": _slice,
        "SpaceToDepth": _space_to_depth,
        "Split": _split,
        "Squeeze": _squeeze,
        "Tile": _tile,
        "Transpose": _transpose,
        "Unsqueeze": _unsqueeze,
    }
)
"""The rules by operator."""
