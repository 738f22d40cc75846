"""What makes two engines the same engine. A field forgotten here is a wrong picture or a crash later."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from edge_i2i.engines.tensorrt.device import DeviceAttributes, HostPlatform
from edge_i2i.engines.tensorrt.options import BuildOptions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine was built from and for.

    ``graph`` and ``variant`` name the graph, ``graph_sha256`` is its content; ``runtime`` is ``tensorrt`` or ``rtx``;
    ``device`` is None for an engine built ahead of time, whose targets are in ``options``.
    """

    graph: str
    variant: str
    graph_sha256: str
    runtime: str
    version: str
    options: BuildOptions
    host: HostPlatform
    device: DeviceAttributes | None

    def digest(self) -> str:
        """SHA-256 over all fields in one canonical writing, in hexadecimal."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def differing_fields(mine: DataclassInstance, theirs: DataclassInstance) -> tuple[str, ...]:
    """A phrase for each field, nested ones too, in which two records of one kind differ: ``l2 cache 4, not 8``."""
    ours, others = _leaves(asdict(mine)), _leaves(asdict(theirs))
    return tuple(
        f"{name.replace('_', ' ')} {ours.get(name, 'unset')}, not {others.get(name, 'unset')}"
        for name in sorted(ours.keys() | others.keys())
        if ours.get(name) != others.get(name)
    )


def _leaves(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    leaves: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            leaves |= _leaves(value, f"{prefix}{name} ")
        else:
            leaves[f"{prefix}{name}"] = value
    return leaves
