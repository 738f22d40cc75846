"""The styles that a page offers: those that whoever serves the bundle names, or what the bundle itself can show.

A network that draws styles offers a few seeds, one that takes exemplars the examples it was exported with, one that
takes attributes one style an attribute, and any other just itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.bundle.reader import Bundle
from edge_i2i.contract import GraphDeclaration, Role, Size, TensorSpec
from edge_i2i.errors import UsageError
from edge_i2i.translate.conditions import SEED, Given, once_only

DRAWN_STYLES = 8  # a row of thumbnails


@dataclass(frozen=True, eq=False)
class Style:
    """A look that can be picked. ``id``: as it stands in addresses. ``given``: what ``Translator.condition`` takes."""

    id: str
    title: str
    given: Given


@dataclass(frozen=True)
class LooksTaken:
    """Which looks a bundle takes.

    ``exemplar``, ``attribute_tensor``, ``mixed_tensor``: what the graphs call that input, if they have it.
    ``attributes``: the labels of the attribute tensor.
    """

    exemplar: str | None
    style_seed: bool
    attribute_tensor: str | None
    attributes: tuple[str, ...]
    mixed_tensor: str | None

    @classmethod
    def by(cls, bundle: Bundle) -> LooksTaken:
        """The looks that a bundle takes, read from the declarations of its graphs."""
        specs = [spec for graph in (bundle.frame_graph, *bundle.condition_graphs) for spec in graph.inputs]
        exemplar = next((spec.name for spec in specs if spec.role is Role.EXEMPLAR), None)
        vector = _wanted_attributes(specs)
        return cls(
            exemplar=exemplar,
            style_seed=any(spec.drawn and spec.stack_of is None for spec in specs),
            attribute_tensor=vector.name if vector else None,
            attributes=vector.labels if vector else (),
            mixed_tensor=_mixed_tensor(specs),
        )


def _wanted_attributes(specs: Sequence[TensorSpec]) -> TensorSpec | None:
    """The vector of attributes that the result shall show; of two, the one that falls back to what the frame shows."""
    vectors = [spec for spec in specs if spec.role is Role.ATTRIBUTES]
    return next((spec for spec in vectors if spec.fallback), vectors[0] if vectors else None)


def _mixed_tensor(specs: Sequence[TensorSpec]) -> str | None:
    """Name of the tensor between two values of which a mix lies; None: looks cannot be mixed."""
    ends = [spec.second_of for spec in specs if spec.second_of]
    return next(iter([*ends, *(spec.name for spec in specs if spec.mixable)]), None)


def named_styles(styles: Mapping[str, Given]) -> tuple[Style, ...]:
    """Styles under titles that somebody gave; their ids are made of the titles."""
    return tuple(
        Style(f"{index}-{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')[:40]}", title, given)
        for index, (title, given) in enumerate(styles.items())
    )


def check_looks(bundle: Bundle, styles: Mapping[str, Given]) -> None:
    """Accept looks that are made of what a bundle's graphs take.

    Raises:
        UsageError: one holds something else, as a picture for a network without exemplars.
    """
    drawn = [SEED] * LooksTaken.by(bundle).style_seed
    known = [*once_only((bundle.frame_graph, *bundle.condition_graphs)), *drawn]
    for title, given in styles.items():
        unknown = [name for name in given if name not in known]
        if unknown:
            raise UsageError(
                f"The style '{title}' gives {', '.join(unknown)}, which the bundle '{bundle.path}' does not take.",
                remedy=f"It takes {', '.join(known) or 'no looks'}.",
            )


def own_styles(bundle: Bundle, takes: LooksTaken) -> tuple[Style, ...]:
    """What a bundle offers by itself; at least one style."""
    found = (*_drawn(takes), *_examples(bundle, takes), *_single_attributes(takes))
    return found or (Style("plain", bundle.manifest.name, {}),)


def example_frame(bundle: Bundle) -> Picture:
    """A picture to show styles on: the bundle's first example, or a colour wheel."""
    for picture in _golden_pictures(bundle, bundle.frame_graph, bundle.frame_graph.inputs[0]):
        return picture
    return _colours(bundle.frame_graph.size)


def _drawn(takes: LooksTaken) -> Iterator[Style]:
    for seed in range(DRAWN_STYLES if takes.style_seed else 0):
        yield Style(f"seed-{seed}", f"Style {seed + 1}", {SEED: seed})


def _examples(bundle: Bundle, takes: LooksTaken) -> Iterator[Style]:
    """The exemplars that the bundle was checked with; where styles are drawn, those show more."""
    if takes.exemplar is None or takes.style_seed:
        return
    for graph in (*bundle.condition_graphs, bundle.frame_graph):
        for spec in graph.inputs:
            if spec.name == takes.exemplar:
                for index, picture in enumerate(_golden_pictures(bundle, graph, spec)):
                    yield Style(f"example-{index}", f"Example {index + 1}", {spec.name: picture})
                return


def _single_attributes(takes: LooksTaken) -> Iterator[Style]:
    for label in takes.attributes:
        name = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
        yield Style(f"attribute-{name}", label.replace("_", " "), {str(takes.attribute_tensor): {label: 1.0}})


def _golden_pictures(bundle: Bundle, graph: GraphDeclaration, spec: TensorSpec) -> Iterator[Picture]:
    for sample in takewhile(lambda sample: spec.name in sample.inputs, bundle.golden_samples()[graph.name]):
        yield np.asarray(sample.inputs[spec.name], np.uint8)


def _colours(size: Size) -> Picture:
    """Every hue from left to right, lighter towards the top."""
    import cv2

    hues = np.broadcast_to(np.linspace(0, 179, size.width)[None], (size.height, size.width))
    light = np.broadcast_to(np.linspace(255, 60, size.height)[:, None], hues.shape)
    wheel = np.dstack([hues, np.full(hues.shape, 180), light]).astype(np.uint8)
    return np.asarray(cv2.cvtColor(wheel, cv2.COLOR_HSV2RGB), np.uint8)
