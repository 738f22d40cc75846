"""Which of the pictures at hand are calibrated over, and which are kept back to judge the result by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError
from edge_i2i.progress import Progress
from edge_i2i.quantize.calibration.scenes import Scene, Specs, digest_of
from edge_i2i.translate.tensor_checks import check_picture, check_values, renumber_instances, size_of

ONE_COLOUR = 1.0
"""Grey levels: a picture none of whose channels deviates more (JPEG's noise on a wall does not) shows nothing."""
_LOOKED_AT = 256  # pixels of a side that tell whether a picture shows anything


@dataclass(frozen=True)
class Gathered:
    """Distinct, readable scenes that show something, in their order; ``digests`` of their decoded arrays.

    ``unreadable``: why each that could not be read was passed over. ``smaller``: how many are smaller than the
    network's size in a direction.
    """

    scenes: tuple[Scene, ...]
    digests: tuple[str, ...]
    unreadable: tuple[str, ...] = ()
    duplicates: int = 0
    one_colour: int = 0
    smaller: int = 0


def gather(scenes: Sequence[Scene], want: int, specs: Specs, model: Size, progress: Progress, what: str) -> Gathered:
    """Decode scenes, spread evenly over all of them, until ``want`` are found that are fit for calibration.

    Files that cannot be read, copies of others and pictures of one colour are passed over and counted. (A picture of
    one colour has no variance that instance norm could divide by: it makes ranges that no real frame reaches.)

    Args:
        scenes: all that there are, decoded one at a time.
        want: how many are to be found.
        specs: the declared inputs by name, which arrays are held against.
        model: the network's size; scenes that are smaller are counted.
        progress: told about scenes that were taken.
        what: what they are called there, a plural.

    Raises:
        PictureError: none is left, and why; a map's ids are out of range; the arrays of a scene differ in size.
    """
    kept: dict[int, tuple[str, bool]] = {}
    seen: set[str] = set()
    unreadable: list[str] = []
    duplicates = one_colour = 0
    progress.start(min(want, len(scenes)), what)
    try:
        for index in spread_order(len(scenes), want):
            try:
                arrays = scenes[index].read()
            except PictureError as error:
                unreadable.append(error.what)
                continue
            check_scene(arrays, specs, scenes[index].name)
            digest = digest_of(arrays)
            if shows_nothing(next(iter(arrays.values()))):
                one_colour += 1
            elif digest in seen:
                duplicates += 1
            else:
                seen.add(digest)
                kept[index] = digest, _is_smaller(size_of(next(iter(arrays.values()))), model)
                progress.advance()
            if len(kept) == want:
                break
    finally:
        progress.finish()
    if not kept:
        raise _none_left(unreadable, one_colour)
    order = sorted(kept)
    return Gathered(
        tuple(scenes[index] for index in order),
        tuple(kept[index][0] for index in order),
        tuple(unreadable),
        duplicates,
        one_colour,
        sum(smaller for _, smaller in kept.values()),
    )


def spread_order(count: int, want: int) -> list[int]:
    """All of ``0..count-1``: first up to ``want`` evenly spread ones, the first and the last among them, then the rest.

    >>> spread_order(7, 3)
    [0, 3, 6, 1, 2, 4, 5]
    """
    if count <= want:
        return list(range(count))
    evenly = [round(step * (count - 1) / max(want - 1, 1)) for step in range(want)]
    return list(dict.fromkeys([*evenly, *range(count)]))


def split(count: int, held_out: int) -> tuple[list[int], list[int]]:
    """Positions for the ranges and positions held out, which lie evenly among them.

    Of fewer than four none is held out; otherwise ``held_out``, but at least two and at most a quarter where a quarter
    is more than two.

    >>> split(10, 4)
    ([0, 1, 3, 4, 5, 6, 8, 9], [2, 7])
    """
    if count < 4:
        return list(range(count)), []
    out = min(held_out, max(2, count // 4))
    held = [(2 * step + 1) * count // (2 * out) for step in range(out)]
    return [index for index in range(count) if index not in held], held


def check_scene(arrays: Mapping[str, Array], specs: Specs, name: str) -> None:
    """Refuse a scene whose arrays differ in size, or hold what the network does not take.

    Args:
        arrays: pictures uint8 ``[H, W, 3]`` and maps ``[H, W]`` by declared name.
        specs: the declared inputs by name: dtypes, legal values, slots for instances.
        name: what messages call the scene.

    Raises:
        PictureError: they are not; names the scene.
    """
    try:
        for key, array in arrays.items():
            check_picture(array, specs[key])
            slots = specs[key].slots
            check_values(array if slots is None else renumber_instances(array, slots), specs[key])
    except PictureError as error:
        raise PictureError(f"{name}: {error.what}", remedy=error.remedy) from error
    sizes = {key: size_of(array) for key, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key} {size}" for key, size in sizes.items())
        raise PictureError(f"{name}: its inputs differ in size: {listed}.", remedy="Give maps of the same picture.")


def shows_nothing(array: Array) -> bool:
    """Whether a picture has one colour only, or a map one id."""
    if array.ndim == 2:
        return bool(array.min() == array.max())
    step = max(1, min(array.shape[:2]) // _LOOKED_AT)
    pixels = array[::step, ::step].reshape(-1, array.shape[2])
    return bool(pixels.std(axis=0, dtype=np.float64).max() < ONE_COLOUR)


def _is_smaller(size: Size, model: Size) -> bool:
    return size.height < model.height or size.width < model.width


def _none_left(unreadable: Sequence[str], one_colour: int) -> PictureError:
    if one_colour:
        return PictureError(
            "Every calibration picture has one colour only: its ranges would say nothing about real pictures.",
            remedy="Give pictures as the camera makes them.",
        )
    return PictureError(
        f"None of the {len(unreadable)} calibration pictures can be read. The first: {unreadable[0]}",
        remedy="Give JPEG, PNG, WebP, BMP or TIFF pictures.",
    )
