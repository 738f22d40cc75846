"""Calibration pictures: which files or frames they are, decoded, checked, and laid into a network's size.

A scene is one picture with all that belongs to it: a frame and its mask, or a label map and its instance map.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import Role, Size, TensorSpec
from edge_i2i.errors import PictureError
from edge_i2i.media.film import is_picture, open_film
from edge_i2i.media.geometry import Fit, place, place_boxes, place_into
from edge_i2i.media.pictures import read_instance_map, read_label_map, read_picture
from edge_i2i.progress import Progress
from edge_i2i.translate.plan import make_plan
from edge_i2i.translate.tensor_checks import size_of

_log = logging.getLogger(__name__)

_ZOOM = 0.75  # the part of each side that a zoomed view shows
_NOWHERE = ".edge-i2i-calibration"  # hidden, so that no listing holds it: files are paired here, nothing is written

Specs = Mapping[str, TensorSpec]


class Scene(Protocol):
    """A picture with its maps, decoded when it is read."""

    @property
    def name(self) -> str:
        """The name of the scene in messages."""
        ...

    def read(self) -> dict[str, Array]:
        """Its arrays by declared name, all of one size (boxes ``[K, 4]`` in its pixels).

        Raises:
            PictureError: a file cannot be read.
        """
        ...


@dataclass(frozen=True)
class FileScene:
    """Picture files, decoded whenever they are read: ``files`` by declared name."""

    files: Mapping[str, Path]
    specs: Specs = field(repr=False)

    @property
    def name(self) -> str:
        """The path of the scene's first file."""
        return str(next(iter(self.files.values())))

    def read(self) -> dict[str, Array]:
        """Decode the scene's files; see ``Scene.read``.

        Raises:
            PictureError: a file cannot be read.
        """
        return {name: _read(path, self.specs[name]) for name, path in self.files.items()}


@dataclass(frozen=True, eq=False)
class HeldScene:
    """A scene in memory: a video's frame, or a bundle's golden input."""

    name: str
    arrays: Mapping[str, Array] = field(repr=False)

    def read(self) -> dict[str, Array]:
        """The arrays as they are held; see ``Scene.read``."""
        return dict(self.arrays)


@dataclass(frozen=True)
class MirroredScene:
    """Another scene seen in a mirror, and on demand its middle only: a new picture where there are too few."""

    scene: Scene
    zoomed: bool = False

    @property
    def name(self) -> str:
        """The name of the scene that is mirrored, and what was done with it."""
        return f"{self.scene.name} ({'middle, ' if self.zoomed else ''}mirrored)"

    def read(self) -> dict[str, Array]:
        """The scene's arrays, left and right exchanged."""
        arrays = self.scene.read()
        size = next(size_of(array) for array in arrays.values() if not _is_boxes(array))
        return {name: self._view(array, size) for name, array in arrays.items()}

    def _view(self, array: Array, size: Size) -> Array:
        top, left = self._margins(size)
        if not _is_boxes(array):
            part = array[top : size.height - top, left : size.width - left]
            return np.ascontiguousarray(part[:, ::-1])
        used = (array[:, 0] < array[:, 2])[:, None]
        mirrored = np.stack([size.width - array[:, 2], array[:, 1], size.width - array[:, 0], array[:, 3]], axis=1)
        return moved_boxes(np.where(used, mirrored, 0), Size(size.height - 2 * top, size.width - 2 * left), top, left)

    def _margins(self, size: Size) -> tuple[int, int]:
        cut = (1 - _ZOOM) / 2 if self.zoomed else 0.0
        return int(size.height * cut), int(size.width * cut)


@dataclass(frozen=True)
class RelabelledScene:
    """Another scene's arrays under other names: a frame that serves as an exemplar."""

    scene: Scene
    names: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the scene whose arrays these are."""
        return self.scene.name

    def read(self) -> dict[str, Array]:
        """Those of the scene's arrays that ``names`` lists, under their new names."""
        arrays = self.scene.read()
        return {new: arrays[old] for old, new in self.names.items()}


def _is_boxes(array: Array) -> bool:
    return array.ndim == 2 and array.dtype == np.float32 and array.shape[1] == 4


def _read(path: Path, spec: TensorSpec) -> Array:
    if spec.is_picture:
        return read_picture(path)
    if spec.role is Role.MASK:
        import cv2

        return np.asarray(cv2.cvtColor(read_picture(path), cv2.COLOR_RGB2GRAY), np.uint8)
    return read_label_map(path) if spec.role is Role.LABEL_MAP else read_instance_map(path)


# Finding --------------------------------------------------------------------------------------------------------


def file_scenes(sources: Mapping[str, Path], specs: Specs, apart: Collection[Path] = ()) -> tuple[FileScene, ...]:
    """The picture files of the sources, each with its maps, which are paired by their names.

    Videos and pictures of a kind that is not read are passed over among many, which the log says.

    Args:
        sources: a file, a folder or a glob pattern for each input, by its declared name; scenes are found by the first.
        specs: the declared inputs by name, which say how a file is read.
        apart: folders that hold something else: what lies in those below the first source is left out.

    Raises:
        PictureError: a source does not exist or holds no picture; a picture lacks its map.
        UsageError: two files claim to be the same picture's; files and folders are mixed.
    """
    roles = {name: Role.FRAME.value if specs[name].is_picture else name for name in sources}
    first = next(iter(sources.values()))
    plan = make_plan({roles[name]: str(path) for name, path in sources.items()}, first / _NOWHERE)
    inner = {folder.resolve() for folder in apart if first.resolve() in folder.resolve().parents}
    failures = [failure for failure in plan.failures if not inner & {*failure.path.resolve().parents}]
    if failures:
        listed = "\n".join(f"  {failure.path}: {failure.reason}" for failure in failures[:5])
        raise PictureError(
            f"{len(failures)} of {len(plan.items) + len(failures)} calibration pictures lack a partner:\n{listed}",
            remedy="Pictures and maps are paired by their names; add what is missing, or take these out.",
        )
    names = {role: name for name, role in roles.items()}
    items = [item for item in plan.items if not inner & {*item.source.resolve().parents}]
    keeps_all = plan.folder is None or next(iter(roles.values())) != Role.FRAME  # a folder's maps are PNGs
    pictures = [item for item in items if keeps_all or is_picture(item.source)]
    if others := sorted(item.source.name for item in items if item not in pictures):
        _log.warning(
            "%d files of '%s' are no pictures that are read, and passed over: %s", len(others), first, others[0]
        )
    if not pictures:
        raise PictureError(f"'{first}' holds videos only.", remedy="Name the video itself: --data FILE.mp4.")
    return tuple(FileScene({names[role]: path for role, path in item.inputs.items()}, specs) for item in pictures)


def video_scenes(path: Path, name: str, least: int, covering: Size, progress: Progress) -> tuple[HeldScene, ...]:
    """Frames evenly spread over a video's whole length: at least ``least`` and below twice as many, if it has them.

    The video is read once, from its first frame to its last.

    Args:
        path: the video.
        name: the declared name of the input that the frames are.
        least: how many frames are wanted.
        covering: the network's size; a frame is kept just large enough to cover it.
        progress: told about frames that were read.

    Raises:
        PictureError: the video has no frame, is damaged or cut off.
        MissingRequirementError: PyAV is not installed.
    """
    kept: list[HeldScene] = []
    stride = 1
    with open_film(path) as reader:
        progress.start(reader.frame_count, "video frames")
        try:
            for frame in reader:
                if frame.index % stride == 0:
                    image = _just_covering(frame.image, covering)
                    kept.append(HeldScene(f"{path}, frame {frame.index}", {name: image}))
                if len(kept) == 2 * least:
                    kept, stride = kept[::2], 2 * stride
                progress.advance()
        finally:
            progress.finish()
    return tuple(kept)


def _just_covering(image: Array, size: Size) -> Array:
    """The picture made smaller, its proportions kept, until one more step would not cover ``size``."""
    import cv2

    height, width = image.shape[:2]
    scale = max(size.height / height, size.width / width)
    if scale >= 1:
        return image
    smaller = (max(size.width, round(width * scale)), max(size.height, round(height * scale)))
    return np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)


# Placing --------------------------------------------------------------------------------------------------------


def placed(arrays: Mapping[str, Array], specs: Specs, size: Size, fit: Fit) -> dict[str, Array]:
    """A scene's arrays laid into a size: fresh ones, in the declared dtypes.

    Args:
        arrays: the scene's arrays by declared name; boxes ``[K, 4]`` in pixels of its pictures.
        specs: the declared inputs by name.
        size: the height and width to lay them into.
        fit: what gives where the proportions differ.
    """
    source = next(size_of(array) for name, array in arrays.items() if specs[name].is_spatial)
    placement = place(source, size, fit)
    result: dict[str, Array] = {}
    for name, array in arrays.items():
        if specs[name].is_spatial:
            result[name] = np.zeros((size.height, size.width, *array.shape[2:]), specs[name].dtype.value)
            place_into(np.ascontiguousarray(array), placement, result[name])
        else:
            boxes = array if source == size else place_boxes(array, placement)
            result[name] = np.array(boxes, np.float32)
    return result


def moved_boxes(boxes: Array, size: Size, top: int, left: int) -> Array:
    """Boxes as a part of their picture has them; cut off at its edges, and all zero where it does not show them.

    Args:
        boxes: float32 ``[K, 4]``: left, top, right, bottom in pixels; unused rows are all zero.
        size: the view's height and width.
        top: how many rows lie above the view.
        left: how many columns lie left of it.
    """
    highest = np.array([size.width, size.height] * 2, np.float32)
    moved = np.clip(boxes - np.array([left, top] * 2, np.float32), 0, highest)
    seen = (moved[:, 0] < moved[:, 2]) & (moved[:, 1] < moved[:, 3]) & (boxes[:, 0] < boxes[:, 2])
    result: Array = np.where(seen[:, None], moved, 0).astype(np.float32)
    return result


def digest_of(arrays: Mapping[str, Array]) -> str:
    """The SHA-256 of arrays: their names, types, shapes and values."""
    return digest_text(
        f"{name} {array.dtype} {array.shape} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}"
        for name, array in sorted(arrays.items())
    )


def digest_text(lines: Iterable[str]) -> str:
    """The SHA-256 of lines of text, in hexadecimal."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
