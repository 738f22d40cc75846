"""Whether an array that was handed in is what a declared tensor has to be; one sentence where it is not."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from os import PathLike

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import DType, Role, Size, TensorSpec
from edge_i2i.errors import BadInputError, PictureError, UsageError

LEAST_EXEMPLAR_SIDE = 16  # pixels; below, an exemplar has no look left to take over


def size_of(array: Array) -> Size:
    """The size of a picture or a map.

    Raises:
        PictureError: the array has fewer than two axes.
    """
    if array.ndim < 2:
        raise PictureError(f"A picture or a map is needed, not an array of shape {list(array.shape)}.")
    return Size(array.shape[0], array.shape[1])


def check_array(value: object, name: str) -> None:
    """Refuse what is no NumPy array, and say how a path, another library's picture or a tensor becomes one.

    Raises:
        PictureError: ``value`` is no NumPy array.
    """
    if isinstance(value, np.ndarray):
        return
    origin = type(value).__module__.partition(".")[0]
    remedies = {
        "torch": "Turn it into an array: tensor.numpy(); [H, W, 3] with numbers from 0 to 255, as uint8.",
        "PIL": 'Turn it into an array: np.asarray(image.convert("RGB")).',
    }
    remedy = remedies.get(origin, "Pictures are uint8 arrays [H, W, 3], RGB.")
    if isinstance(value, str | PathLike):
        remedy = "Read it first: edge_i2i.media.pictures.read_picture(path)."
    kind = f"{origin}.{type(value).__name__}" if origin in remedies else type(value).__name__
    raise PictureError(f"'{name}' must be a NumPy array, not {kind}.", remedy=remedy)


def check_picture(array: Array, spec: TensorSpec) -> None:
    """Accept a picture or a map of any size; the dtype and the channels are not negotiable.

    Raises:
        PictureError: it is no array, has another dtype or other channels, is empty, or is an exemplar of a few pixels.
    """
    check_array(array, spec.name)
    if array.dtype != spec.dtype.value or array.ndim != len(spec.shape) or array.shape[2:] != spec.shape[2:]:
        wanted = "[H, W, 3] RGB" if len(spec.shape) == 3 else "[H, W]"
        steps = _way_to_a_picture(array) if len(spec.shape) == 3 else ""
        raise PictureError(
            f"'{spec.name}' must be {spec.dtype.value} {wanted}, not {array.dtype} {list(array.shape)}.",
            remedy=steps or "edge_i2i.media.pictures reads files into that form.",
        )
    if 0 in array.shape:
        raise PictureError(f"'{spec.name}' is empty: {list(array.shape)}.")
    if spec.role is Role.EXEMPLAR and min(array.shape[:2]) < LEAST_EXEMPLAR_SIDE:
        raise PictureError(
            f"'{spec.name}' is {size_of(array)}: too small to take a look from.",
            remedy=f"Give at least {LEAST_EXEMPLAR_SIDE} pixels a side; best is about {Size(*spec.shape[:2])}.",
        )


_CHANNELS = (1, 3, 4)


def _way_to_a_picture(array: Array) -> str:
    """What turns an array into a picture, step by step; empty where that cannot be told."""
    steps = []
    shape = array.shape
    if len(shape) == 4 and shape[0] == 1:
        steps.append("take it out of its batch: picture[0]")
        shape = shape[1:]
    if len(shape) == 3 and shape[0] in _CHANNELS and shape[2] not in _CHANNELS:
        steps.append("its channels come first; put them last: np.moveaxis(picture, 0, -1)")
        shape = (*shape[1:], shape[0])
    if len(shape) == 2 or shape[2:] == (1,):
        steps.append("it is grey; repeat it: cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)")
    if shape[2:] == (4,):
        steps.append("it has an alpha channel; leave that out: picture[..., :3]")
    if np.issubdtype(array.dtype, np.floating):
        steps.append("its numbers are fractions; from 0..1: np.round(picture * 255).astype(np.uint8)")
    elif array.dtype != np.uint8 and np.issubdtype(array.dtype, np.integer):
        steps.append("where its numbers are 0..255: picture.astype(np.uint8)")
    text = "; ".join(steps)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def check_tensor(array: Array, spec: TensorSpec) -> None:
    """Refuse an array that has not exactly the declared shape and dtype, or holds illegal values.

    Raises:
        BadInputError: the shape, the dtype or a value is not as declared.
        PictureError: a map or a picture holds illegal values.
    """
    if array.shape != spec.shape or array.dtype != spec.dtype.value:
        listed = f" ({', '.join(spec.labels)})" if spec.labels else ""
        raise BadInputError(
            f"'{spec.name}' must be {spec.dtype.value}{list(spec.shape)}, not {array.dtype}{list(array.shape)}.",
            remedy=f"It is {spec.meaning}{listed}.",
        )
    check_values(array, spec)


def check_values(array: Array, spec: TensorSpec) -> None:
    """Refuse illegal values: an id outside the declared range would pick no class, or a wrong one, silently.

    Raises:
        PictureError: a map or a picture holds a value outside the declared range.
        BadInputError: any other tensor holds such a value, or NaN.
    """
    if spec.is_spatial and (spec.dtype is DType.FLOAT32 or (spec.low, spec.high) == (0, 255)):
        return
    low, high = float(array.min()), float(array.max())
    if spec.low <= low and high <= spec.high:  # False for NaN
        return
    kind = PictureError if spec.is_spatial else BadInputError
    raise kind(
        f"'{spec.name}' holds values {low:g}..{high:g}; legal are {spec.low:g}..{spec.high:g} ({spec.meaning}).",
        remedy="Map the other ids to one of the network's classes first." if spec.is_spatial else "",
    )


def attribute_vector(given: Mapping[str, float], spec: TensorSpec, otherwise: Array) -> Array:
    """Named attributes as the declared vector, float32; entries that are not named keep their values.

    Args:
        given: values by attribute, whose names are compared without case.
        spec: the declared vector: its ``labels`` name its entries, ``low`` and ``high`` bound them.
        otherwise: the vector that unnamed entries are taken from, of the declared shape.

    Raises:
        UsageError: an unknown name (suggests the nearest), or a value out of range.
    """
    vector = otherwise.astype(np.float32).copy()
    names = {label.casefold(): index for index, label in enumerate(spec.labels)}
    for name, value in given.items():
        if name.casefold() not in names:
            near = difflib.get_close_matches(name.casefold(), names, n=1)
            hint = f"Did you mean '{spec.labels[names[near[0]]]}'? " if near else ""
            raise UsageError(
                f"'{spec.name}' has no '{name}'.", remedy=f"{hint}This network knows {', '.join(spec.labels)}."
            )
        if not spec.low <= value <= spec.high:
            raise UsageError(f"{name}={value:g} is out of range.", remedy=f"Give {spec.low:g} to {spec.high:g}.")
        vector[names[name.casefold()]] = value
    return vector


def renumber_instances(instances: Array, slots: int) -> Array:
    """Number instance ids densely from 0, in ascending order, as graphs that pool over slots need them.

    Raises:
        PictureError: there are more instances than slots.
    """
    ids, numbered = np.unique(instances, return_inverse=True)
    if len(ids) > slots:
        raise PictureError(
            f"The instance map holds {len(ids)} instances; this network pools over at most {slots}.",
            remedy="Merge small instances, or give a map of instances rather than of pixels.",
        )
    return numbered.reshape(instances.shape).astype(np.int32)


def padded_boxes(boxes: Array, spec: TensorSpec) -> Array:
    """Boxes ``[n, 4]`` (left, top, right, bottom) as the declared ``[K, 4]``, unused rows zero.

    Raises:
        BadInputError: they have another shape, are too many, or one is empty, upside down or not finite.
    """
    given = np.asarray(boxes, np.float32)
    if given.ndim != 2 or given.shape[1] != 4:
        raise BadInputError(
            f"'{spec.name}' must be [n, 4], not {list(given.shape)}.", remedy="Each row: left, top, right, bottom."
        )
    if len(given) > spec.shape[0]:
        raise BadInputError(
            f"{len(given)} boxes were given; this bundle has room for {spec.shape[0]}.",
            remedy="Give the largest, or export with more slots.",
        )
    good = np.isfinite(given).all(axis=1) & (given[:, 0] < given[:, 2]) & (given[:, 1] < given[:, 3])
    good |= (given == 0).all(axis=1)  # an unused row
    if not good.all():
        worst = given[~good][0].tolist()
        raise BadInputError(f"The box {worst} is empty or upside down.", remedy="Write left < right and top < bottom.")
    padded = np.zeros(spec.shape, np.float32)
    padded[: len(given)] = given
    return padded


def check_boxes_inside(boxes: Array, size: Size) -> None:
    """Accept boxes that lie in a picture of that size, their borders included.

    Raises:
        BadInputError: a box reaches out of the picture.
    """
    outside = (boxes.min(axis=1, initial=0.0) < 0) | (boxes[:, 2] > size.width) | (boxes[:, 3] > size.height)
    if outside.any():
        raise BadInputError(
            f"The box {boxes[outside][0].tolist()} lies outside the frame, which is {size} (height x width).",
            remedy="Boxes are left, top, right, bottom in pixels of the frame; clip them to it.",
        )
