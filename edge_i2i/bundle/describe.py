"""A bundle in plain data, for `edge-i2i inspect` and for programs."""

from __future__ import annotations

from typing import Any

from edge_i2i.bundle.manifest import GraphRecord
from edge_i2i.bundle.reader import Bundle


def describe(bundle: Bundle) -> dict[str, Any]:
    """What a bundle is and holds: only dicts, lists, strings, numbers, booleans and None, so ``json.dumps`` takes it.

    ``bytes`` is the size of all listed files together. Infinite figures are the words ``Infinity``, ``-Infinity``.
    """
    manifest = bundle.manifest
    plain = manifest.model_dump(mode="json", exclude={"graphs"})
    return {
        "path": str(bundle.path),
        "layout": "directory" if bundle.path.is_dir() else "file",
        "bytes": sum(stored.bytes for stored in manifest.stored_files()),
        **plain,
        "graphs": [_describe_graph(graph) for graph in manifest.graphs],
    }


def _describe_graph(graph: GraphRecord) -> dict[str, Any]:
    """The declaration's fields beside the variants, one level less deep than in the manifest."""
    plain = graph.model_dump(mode="json")
    return {**plain["declaration"], "variants": plain["variants"]}
