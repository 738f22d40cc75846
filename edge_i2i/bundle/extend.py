"""More in a bundle that exists: everything that is in it, and new variants, written in its place in one step."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from os import PathLike

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter, Layout


@contextmanager
def extend_bundle(
    path: str | PathLike[str],
    *,
    output: str | PathLike[str] | None = None,
    without_variants: Collection[str] = (),
) -> Iterator[BundleWriter]:
    """A writer that holds all of the bundle at ``path`` already and will replace it, a file or a directory as before.

    Add variants and evidence, and call ``writer.finish_extended()`` last. Until that returns, the bundle stays as it
    was; leaving the block earlier drops what was built. ``output``: a name for the extended bundle; the one at ``path``
    then stays. ``without_variants`` is that of ``BundleWriter.add_bundle``. The disk has to hold the bundle twice
    meanwhile.

    >>> with extend_bundle("city.i2i") as writer:  # doctest: +SKIP
    ...     writer.add_graph(declaration, variant="int8-openvino", precision="int8", opset=18, onnx=path)
    ...     writer.finish_extended({"quantize": {"target": "openvino"}})

    Raises (on entering):
        BundleError: there is no sound bundle at ``path``, another export is writing to it, or the disk is full.
        UsageError: the bundle's name does not end in ``.i2i``, or a graph would be left without any variant.
    """
    place = open_bundle(path).path.resolve()  # of a link, what it leads to is replaced, and not the link
    layout: Layout = "directory" if place.is_dir() else "file"
    with BundleWriter(place if output is None else output, layout=layout) as writer:
        # Opened anew, now that the lock is held: another export may just have replaced it.
        writer.add_bundle(open_bundle(place), without_variants=without_variants)
        yield writer
