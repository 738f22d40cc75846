"""Where calibration data lies: which folder holds which input of a network.

A folder with sub-folders that are named by the declared inputs (``frame/``, ``label_map/``, ``instance_map/``,
``mask/``, ``exemplar/``, …) holds those inputs; any other folder holds pictures of the first one. What an option names
takes precedence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_i2i.contract import Role, TensorSpec
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.media.film import is_film
from edge_i2i.quantize.calibration.scenes import Specs


@dataclass(frozen=True)
class Folders:
    """What options name beside the data: a folder, a file or a glob pattern each."""

    exemplars: Path | None = None
    exemplar_instance_maps: Path | None = None
    instance_maps: Path | None = None
    masks: Path | None = None


@dataclass(frozen=True)
class Sources:
    """Where the inputs of each frame and of each exemplar lie, by declared name; the first names the others.

    ``exemplars`` is empty where there are none.
    """

    frames: Mapping[str, Path]
    exemplars: Mapping[str, Path]


def find_sources(data: Path, folders: Folders, frame_specs: Specs, exemplar_specs: Specs) -> Sources:
    """Settle where each input comes from.

    Args:
        data: a folder, a picture, a video or a glob pattern.
        folders: what else was named.
        frame_specs: the pictures and maps that belong to a frame; the first is what ``data`` holds.
        exemplar_specs: the pictures and maps that are set once.

    Raises:
        PictureError: an input has no source.
        UsageError: an option names an input that the network does not take.
    """
    main = next(iter(frame_specs))
    inside = _subfolders(data, (*frame_specs, *exemplar_specs))
    if inside and main not in inside:
        raise PictureError(
            f"'{data}' holds {', '.join(f'{name}/' for name in inside)} and no {main}/.",
            remedy=f"Put the pictures into {data / main}, or give folders of their own.",
        )
    if is_film(data) and not frame_specs[main].is_picture:
        raise PictureError(
            f"This network translates a {main}; '{data}' is a video.", remedy=f"Give a folder of {main} PNGs."
        )
    found = inside or {main: data}
    frames = {**_of(found, frame_specs), **_named(folders, frame_specs, exemplars=False)}
    exemplars = {**_of(found, exemplar_specs), **_named(folders, exemplar_specs, exemplars=True)}
    _check_frames(frames, frame_specs, data)
    return Sources(_in_order(frames, frame_specs), _exemplars(exemplars, exemplar_specs, frames, frame_specs))


def _subfolders(data: Path, names: tuple[str, ...]) -> dict[str, Path]:
    return {name: data / name for name in names if (data / name).is_dir()}


def _of(found: Mapping[str, Path], specs: Specs) -> dict[str, Path]:
    return {name: path for name, path in found.items() if name in specs}


def _in_order(sources: Mapping[str, Path], specs: Specs) -> dict[str, Path]:
    return {name: sources[name] for name in specs if name in sources}


def _named(folders: Folders, specs: Specs, *, exemplars: bool) -> dict[str, Path]:
    """The sources that options name, by declared name."""
    options = (
        {Role.EXEMPLAR: folders.exemplars, Role.INSTANCE_MAP: folders.exemplar_instance_maps}
        if exemplars
        else {Role.INSTANCE_MAP: folders.instance_maps, Role.MASK: folders.masks}
    )
    named = {}
    for role, path in options.items():
        if path is not None:
            named[_name_of(role, specs, "exemplar" if exemplars else "frame", path)] = path
    return named


def _name_of(role: Role, specs: Specs, whose: str, path: Path) -> str:
    for name, spec in specs.items():
        if spec.role is role:
            return name
    what = role.value.replace("_", " ")
    what = what if what == whose else f"{what} of {'an' if whose == 'exemplar' else 'a'} {whose}"
    raise UsageError(f"This network takes no {what}, so there is no use for '{path}'.", remedy="Leave it out.")


def _check_frames(frames: Mapping[str, Path], specs: Specs, data: Path) -> None:
    for name, spec in specs.items():
        if name not in frames and not may_be_drawn(spec):
            raise PictureError(
                f"This network takes '{name}' with every frame, and '{data}' holds none.",
                remedy=f"Name its folder with --{name.replace('_', '-')}s, or arrange the data as "
                f"{', '.join(f'FOLDER/{each}/' for each in specs)}.",
            )
    if len(frames) > 1 and any(is_film(path) for path in frames.values()):
        raise PictureError(
            f"'{data}' is a video: its frames have no names to pair maps by.",
            remedy="Give the frames as pictures, or leave the maps out.",
        )


def may_be_drawn(spec: TensorSpec) -> bool:
    """Whether an input that has no files can be made up."""
    return spec.role in (Role.MASK, Role.BOXES)


def _exemplars(given: dict[str, Path], specs: Specs, frames: Mapping[str, Path], frame_specs: Specs) -> dict[str, Path]:
    """The exemplars' sources; their instance maps may be the frames' own, paired by name."""
    pictures = [name for name, spec in specs.items() if spec.is_picture]
    if not any(name in given for name in pictures):
        return {}
    for name, spec in specs.items():
        if name not in given:
            same = [path for other, path in frames.items() if frame_specs[other].role is spec.role]
            if not same:
                raise PictureError(
                    f"The exemplars need '{name}'.", remedy=f"Name its folder with --{name.replace('_', '-')}s."
                )
            given[name] = same[0]
    return {name: given[name] for name in [*pictures, *(name for name in specs if name not in pictures)]}
