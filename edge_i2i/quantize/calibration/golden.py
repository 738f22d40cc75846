"""A bundle's golden inputs as calibration data: enough to try the tools, not to calibrate by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile

from edge_i2i.arrays import Array
from edge_i2i.bundle.reader import Bundle
from edge_i2i.contract import Size
from edge_i2i.errors import BundleError
from edge_i2i.quantize.calibration.samples import Composition, Sample
from edge_i2i.quantize.calibration.scenes import HeldScene, MirroredScene, digest_of, digest_text
from edge_i2i.translate.conditions import PER_FRAME


def golden_compositions(bundle: Bundle) -> tuple[list[Composition], list[Composition]]:
    """The golden inputs of the frame graph as they are, and mirrored (with the same looks) to judge by.

    Raises:
        BundleError: the bundle has none, or they are not as declared.
    """
    own = {spec.name for spec in bundle.frame_graph.inputs if spec.role in PER_FRAME}
    plain: list[Composition] = []
    for number, arrays in enumerate(_golden_inputs(bundle)):
        scene = HeldScene(f"golden input {number}", {name: arrays[name] for name in arrays if name in own})
        look = {name: array for name, array in arrays.items() if name not in own}
        plain.append(Composition(scene, no_regions, partial(dict, look)))
    views = [
        replace(composition, scene=MirroredScene(composition.scene, zoomed))
        for zoomed in (False, True)
        for composition in plain
    ]
    return plain, views[: max(2, len(plain))]


def golden_sha256(compositions: Sequence[Composition]) -> str:
    """The checksum of the samples: of all their arrays with names, types and shapes."""
    return digest_text(digest_of({**composition.scene.read(), **composition.look()}) for composition in compositions)


def no_regions(size: Size) -> Sample:
    """The regions of a golden input: none are drawn, since it is complete."""
    return {}


def _golden_inputs(bundle: Bundle) -> list[dict[str, Array]]:
    frame = bundle.frame_graph
    samples = takewhile(lambda sample: frame.inputs[0].name in sample.inputs, bundle.golden_samples()[frame.name])
    inputs = [sample.all_inputs() for sample in samples]
    if not inputs:
        raise BundleError(
            f"The bundle '{bundle.path}' has no golden inputs.", remedy="Export it again, or give pictures with --data."
        )
    return inputs
