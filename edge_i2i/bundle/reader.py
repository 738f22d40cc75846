"""Opening a bundle: what is where, and every byte held against its checksum before anybody uses it.

When a bundle is opened, its header is checked whole, every listed file has to be there with its exact size, and
files of up to 1 MiB are read and checked. Larger files are checked each time they are read. Files that the manifest
does not list are ignored until ``verify_checksums``, which refuses them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge_i2i.bundle.archive import ArchiveStorage
from edge_i2i.bundle.golden import GoldenSample, decode_golden, samples_of
from edge_i2i.bundle.header import GET_AGAIN, LARGEST_DIGEST, LARGEST_HEADER, decode_header
from edge_i2i.bundle.manifest import EvidenceRecord, GraphRecord, Manifest, StoredFile, VariantRecord
from edge_i2i.bundle.paths import DIGEST_NAME, HEADER_NAME, RESERVED_NAMES
from edge_i2i.bundle.storage import FolderStorage, Storage
from edge_i2i.contract import GraphDeclaration, GraphKind
from edge_i2i.errors import BundleError, UsageError
from edge_i2i.files.kinds import FileKind, file_kind
from edge_i2i.gate import check_graph

SMALL_FILE = 1 << 20  # bytes; what is checked as soon as a bundle is opened

Progress = Callable[[str, int, int], None]
"""Called with the file in hand, the bytes checked so far, and the bytes to check in all."""


@dataclass(frozen=True)
class BundledGraph:
    """One variant of one graph; what engines take as a ``GraphSource``.

    ``path`` is the ONNX file on disk, or None where the bundle is a zip.
    """

    declaration: GraphDeclaration
    record: VariantRecord
    bundle: Bundle = field(repr=False)

    @property
    def variant(self) -> str:
        """The variant's name, as ``--variant`` takes it."""
        return self.record.name

    @property
    def precision(self) -> str:
        """What the graph computes in, as the exporter wrote it."""
        return self.record.precision

    @property
    def targets(self) -> tuple[str, ...]:
        """The quantization targets whose engines may run it; empty: every engine may."""
        return self.record.targets

    @property
    def floats(self) -> tuple[str, ...]:
        """The float arithmetic that its pictures were judged in, its own first; empty: in none by name."""
        return self.record.floats

    @property
    def sha256(self) -> str:
        """The checksum of the ONNX file, in hexadecimal."""
        return self.record.sha256

    @property
    def opset(self) -> int:
        """The ONNX operator set that the graph is written in."""
        return self.record.opset

    @property
    def path(self) -> Path | None:
        """The ONNX file on disk, or None where the bundle is a zip."""
        return self.bundle.storage.location(self.record.path)

    def read(self) -> bytes:
        """The ONNX file's bytes, held against ``sha256`` and admitted by the gate on every call.

        Checksums prove that a bundle is whole; whoever made it signed them. The gate proves that a graph is harmless.

        Raises:
            BundleError: the file is damaged, or changed since the bundle was opened.
            GraphFileError: the graph is not what its declaration says, or not known to be harmless.
        """
        data = self.bundle.read(self.record.path)
        check_graph(data, self.declaration, where=f" ({self.variant}) in the bundle '{self.bundle.path}'")
        return data


@dataclass(frozen=True)
class Bundle:
    """An open bundle. It keeps no file open, and may be used from several threads at once."""

    path: Path
    manifest: Manifest
    storage: Storage = field(repr=False)

    @property
    def frame_graph(self) -> GraphDeclaration:
        """The graph that runs for every frame."""
        return next(found for found in self._declarations() if found.kind is GraphKind.FRAME)

    @property
    def condition_graphs(self) -> tuple[GraphDeclaration, ...]:
        """The graphs that run once per exemplar, label or noise draw; often none."""
        return tuple(found for found in self._declarations() if found.kind is GraphKind.CONDITION)

    def variants(self, graph: str) -> tuple[str, ...]:
        """The names of a graph's variants, in the order in which they were exported.

        Raises:
            UsageError: the bundle has no such graph.
        """
        return tuple(variant.name for variant in self._graph_record(graph).variants)

    def recommended(self, graph: str) -> tuple[str, ...]:
        """The names of a graph's variants that may be picked without being asked for, in the order of ``variants``.

        Raises:
            UsageError: the bundle has no such graph.
        """
        return tuple(variant.name for variant in self._graph_record(graph).variants if variant.recommended)

    def evidence(self, kind: str, graph: str) -> tuple[EvidenceRecord, ...]:
        """The measurements of one kind that were taken of a graph, in the order in which they were added."""
        return tuple(record for record in self.manifest.evidence if (record.kind, record.graph) == (kind, graph))

    def latencies(self, graph: str) -> tuple[EvidenceRecord, ...]:
        """The measured latencies of a graph's variants, in the order in which they were added."""
        return self.evidence("latency", graph)

    def graph(self, name: str, variant: str) -> BundledGraph:
        """One variant of one graph, for an engine to load.

        Raises:
            UsageError: the bundle has no such graph or variant; names those that it has.
        """
        record = self._graph_record(name)
        for candidate in record.variants:
            if candidate.name == variant:
                return BundledGraph(record.declaration.declaration(), candidate, self)
        raise UsageError(
            f"The graph '{name}' in '{self.path}' has no variant '{variant}'.",
            remedy=f"It has: {', '.join(self.variants(name))}.",
        )

    def read(self, path: str) -> bytes:
        """A listed file's bytes, checked against the manifest on every call.

        Raises:
            BundleError: the manifest lists no such file, or it is missing or damaged.
        """
        record = self._stored(path)
        data = self.storage.read(path)
        self._hold_against(record, len(data), hashlib.sha256(data).hexdigest())
        return data

    def chunks(self, path: str) -> Iterator[bytes]:
        """A listed file's bytes in pieces of 1 MiB at most; the last one is given when the checksum has been checked.

        So whoever passes the pieces on never passes on the whole of another file.

        Raises:
            BundleError: as ``read``; where the file is damaged, in place of the last piece.
        """
        record = self._stored(path)
        self._check_size(record)
        digest, size, held = hashlib.sha256(), 0, b""
        for chunk in self.storage.chunks(path):
            if held:
                yield held
            digest.update(chunk)
            size += len(chunk)
            held = chunk
        self._hold_against(record, size, digest.hexdigest())
        yield held

    def golden(self) -> dict[str, NDArray[Any]]:
        """The example inputs and reference outputs, by name; empty where the bundle has none.

        Raises:
            BundleError: the file is damaged, or holds anything but plain arrays.
        """
        if self.manifest.golden is None:
            return {}
        return decode_golden(self.read(self.manifest.golden), self.path)

    def golden_samples(self) -> dict[str, tuple[GoldenSample, ...]]:
        """The examples of every graph, in order; each as far as the bundle holds it. The file is read once for all.

        Raises:
            BundleError: as ``golden``.
        """
        golden, graphs = self.golden(), (self.frame_graph, *self.condition_graphs)
        return {graph.name: samples_of(graph, golden, self.path) for graph in graphs}

    def verify_checksums(self, progress: Progress | None = None) -> None:
        """Read every file and hold it against the manifest, which has to list them all.

        Raises:
            BundleError: naming the first file that is damaged, missing, or not in the manifest.
        """
        records = list(self.manifest.stored_files())
        self._refuse_unlisted({record.path for record in records})
        total, done = sum(record.bytes for record in records), 0
        for record in records:
            for chunk in self.chunks(record.path):
                done += len(chunk)
                if progress is not None:
                    progress(record.path, done, total)

    def verify_graphs(self) -> None:
        """Pass every graph through the gate, also those that no engine here would run; nothing is run.

        Raises:
            BundleError: a graph's file is damaged.
            GraphFileError: a graph is not what its declaration says, or not known to be harmless.
        """
        for graph in self.manifest.graphs:
            for variant in graph.variants:
                self.graph(graph.declaration.name, variant.name).read()

    def _stored(self, path: str) -> StoredFile:
        record = next((stored for stored in self.manifest.stored_files() if stored.path == path), None)
        if record is None:
            raise BundleError(
                f"The bundle '{self.path}' has no file '{path}'.", remedy="'edge-i2i inspect' lists what it has."
            )
        return record

    def _check_structure(self) -> None:
        for record in self.manifest.stored_files():
            self._check_size(record)
            if record.bytes <= SMALL_FILE:
                self.read(record.path)

    def _check_size(self, record: StoredFile) -> None:
        size = self.storage.size(record.path)
        if size != record.bytes:
            raise self._damaged(record, f"it has {size:,} bytes, and the manifest says {record.bytes:,}")

    def _refuse_unlisted(self, listed: set[str]) -> None:
        unlisted = sorted(self.storage.names() - listed - RESERVED_NAMES)
        if unlisted:
            raise BundleError(
                f"The bundle '{self.path}' holds files that its manifest does not list: {', '.join(unlisted[:5])}"
                f"{' …' if len(unlisted) > 5 else ''}.",
                remedy="Remove them if you put them there; otherwise get the bundle again.",
            )

    def _hold_against(self, record: StoredFile, size: int, sha256: str) -> None:
        if size != record.bytes or sha256 != record.sha256:
            raise self._damaged(record, "its contents do not match the checksum in the manifest")

    def _damaged(self, record: StoredFile, reason: str) -> BundleError:
        return BundleError(f"'{record.path}' in the bundle '{self.path}' is damaged: {reason}.", remedy=GET_AGAIN)

    def _declarations(self) -> tuple[GraphDeclaration, ...]:
        return tuple(graph.declaration.declaration() for graph in self.manifest.graphs)

    def _graph_record(self, name: str) -> GraphRecord:
        for graph in self.manifest.graphs:
            if graph.declaration.name == name:
                return graph
        known = ", ".join(graph.declaration.name for graph in self.manifest.graphs)
        raise UsageError(f"The bundle '{self.path}' has no graph '{name}'.", remedy=f"It has: {known}.")


def open_bundle(path: str | PathLike[str]) -> Bundle:
    """Open the bundle at ``path``, a folder or a file.

    Raises:
        BundleError: there is no bundle there; or it is damaged, incomplete, unsafe, or newer than this software.

    Example:
        >>> import edge_i2i
        >>> bundle = edge_i2i.open_bundle("city.i2i")
        >>> str(bundle.frame_graph.size), bundle.variants("frame")
        ('64x64', ('fp32',))
    """
    root = Path(path)
    storage = _storage(root)
    header = _read_small(storage, HEADER_NAME, LARGEST_HEADER)
    digest = _read_small(storage, DIGEST_NAME, LARGEST_DIGEST)
    bundle = Bundle(root, decode_header(header, digest, root), storage)
    bundle._check_structure()
    return bundle


def _storage(root: Path) -> Storage:
    try:
        return _storage_of_kind(root)
    except OSError as error:
        raise BundleError(
            f"The bundle '{root}' cannot be opened: {error.strerror}.", remedy="Check the permissions of its folders."
        ) from error


def _storage_of_kind(root: Path) -> Storage:
    if root.is_dir() and (root / HEADER_NAME).exists():
        return FolderStorage(root)
    kind = file_kind(root)
    if kind is not None and not kind.maybe_bundle:
        raise BundleError(_no_bundle(root, kind), remedy=kind.remedy_for_bundle.replace("FILE", str(root)))
    if root.is_file():
        return ArchiveStorage(root)
    raise BundleError(
        f"There is no bundle at '{root}'.",
        remedy="Check the path; 'edge-i2i export onnx' makes a bundle.",
    )


def _no_bundle(root: Path, kind: FileKind) -> str:
    if root.is_dir():
        also = "" if kind.what.endswith(" folder") else f" It is {kind.what}."
        return f"The folder '{root}' is not an edge-i2i bundle: it has no {HEADER_NAME}.{also}"
    return f"'{root}' is not an edge-i2i bundle, but {kind.what}."


def _read_small(storage: Storage, name: str, limit: int) -> bytes:
    """A file whose size is held against a limit before a byte of it is read."""
    size = storage.size(name)
    if size > limit:
        raise BundleError(
            f"The bundle '{storage.root}' is refused: its {name} has {size:,} bytes; at most {limit:,} are accepted.",
            remedy="Do not use this bundle; get it from a source that you trust.",
        )
    return storage.read(name)
