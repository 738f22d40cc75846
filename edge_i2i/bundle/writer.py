"""Writing a bundle: built beside its final place, and given its name in one step when it is complete."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from numpy.typing import NDArray
from pydantic import ValidationError

from edge_i2i.bundle.disk import disk_faults
from edge_i2i.bundle.golden import encode_golden
from edge_i2i.bundle.header import encode_digest, encode_header, explain
from edge_i2i.bundle.locking import export_lock
from edge_i2i.bundle.manifest import (
    DeclarationRecord,
    EvidenceRecord,
    FileRecord,
    GraphRecord,
    Manifest,
    ModelRecord,
    VariantRecord,
)
from edge_i2i.bundle.paths import DIGEST_NAME, GOLDEN_NAME, HEADER_NAME, SUFFIX, graph_path
from edge_i2i.bundle.reader import Bundle
from edge_i2i.bundle.staging import Staging
from edge_i2i.bundle.tree import FileTree
from edge_i2i.contract import GraphDeclaration, Size
from edge_i2i.errors import BundleError, BundleOutputError, OutputError, UsageError
from edge_i2i.files.places import check_file, check_folder, check_names
from edge_i2i.requirements import installed_version

Layout = Literal["file", "directory"]

# The distributions whose version can change what an exported graph computes.
_SOFTWARE = ("edge-i2i", "torch", "onnx", "onnxscript", "onnx-ir", "onnxruntime", "numpy")


class BundleWriter:
    """Builds the bundle ``target`` (``NAME.i2i``), as one file or as a directory.

    Use it as a context manager and call ``finish`` last. Until ``finish`` returns, nothing at ``target`` changes;
    leaving the block earlier, by an error, an interrupt or otherwise, drops what was built. A bundle that has the
    same name is replaced; a folder that is no bundle is refused. Files that are added by path are copied 1 MiB at a
    time.

    Raises (on entering):
        UsageError: the name does not end in ``.i2i``.
        BundleError: another export is writing to ``target``, or nothing can be written there.
    """

    def __init__(self, target: str | PathLike[str], *, layout: Layout = "file") -> None:
        self._target = Path(target)
        self._layout = layout
        self._closing = ExitStack()
        self._staging: Staging | None = None
        self._graphs: dict[str, tuple[VariantRecord, ...]] = {}
        self._declarations: dict[str, DeclarationRecord] = {}
        self._files: list[FileRecord] = []
        self._evidence: list[EvidenceRecord] = []
        self._carried: Manifest | None = None
        self._carried_variants: set[tuple[str, str]] = set()
        self._carried_evidence: list[EvidenceRecord] = []

    def __enter__(self) -> Self:
        target = _settled_target(self._target)
        with ExitStack() as stack:
            stack.enter_context(export_lock(target))
            staging = Staging(target)
            stack.callback(staging.discard)
            staging.create()
            self._staging = staging
            self._closing = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
        self._staging = None

    def add_bytes(self, path: str, data: bytes, *, role: str) -> None:
        """Add a file that is no graph, of the contents ``data``, at ``path`` (relative, in POSIX form).

        ``role`` says what it is for: ``golden``, ``clusters``, ``coreml``, ….

        Raises:
            BundleError: the path is unsafe or taken, or the disk is full.
        """
        added = self._tree().add_bytes(path, data)
        with _faults_of_records():
            self._files.append(FileRecord(path=path, sha256=added.sha256, bytes=added.size, role=role))

    def add_file(self, path: str, source: Path, *, role: str, move: bool = False) -> None:
        """Add the file ``source`` itself where it may ``move``, else a copy; ``path``, ``role``: as in ``add_bytes``.

        Raises:
            BundleError: as ``add_bytes``, or the source cannot be read.
        """
        added = self._tree().add_file(path, source, move=move)
        with _faults_of_records():
            self._files.append(FileRecord(path=path, sha256=added.sha256, bytes=added.size, role=role))

    def add_graph(
        self,
        declaration: GraphDeclaration,
        *,
        variant: str,
        precision: str,
        opset: int,
        onnx: bytes | Path,
        move: bool = False,
        targets: Collection[str] = (),
        label: str = "",
        recommended: bool = True,
        floats: Collection[str] = (),
    ) -> None:
        """Add one variant of a graph.

        A variant of that name that came with ``add_bundle`` is replaced, and its evidence dropped.

        Args:
            declaration: the graph's name, inputs and outputs; the same for all of its variants.
            variant: the variant's name, as ``--variant`` takes it.
            precision: what it is written in: ``fp32``, ``fp16``, ``int8`` or ``mixed``.
            opset: the ONNX operator set of the file, from 1.
            onnx: the ONNX file's bytes, or the path of the file.
            move: whether a file at ``onnx`` may be taken itself, as in ``add_file``.
            targets: the quantization targets whose engines read it as it is meant; empty: every engine does.
            label: a sentence on what is special about it, or why it is not recommended; may be empty.
            recommended: whether ``auto`` may pick it.
            floats: the float arithmetic that it was judged in, the one to run in first at the beginning; empty: in none
                by name.

        Raises:
            BundleError: as ``add_file``; or the graph was added before with another declaration.
        """
        name = declaration.name
        with _faults_of_records():
            declared = DeclarationRecord.of(declaration)
        self._declare(name, declared, variant)
        self._drop_carried(name, variant)
        path = graph_path(name, variant)
        tree = self._tree()
        added = tree.add_bytes(path, onnx) if isinstance(onnx, bytes) else tree.add_file(path, onnx, move=move)
        with _faults_of_records():
            record = VariantRecord(
                name=variant,
                precision=precision,
                opset=opset,
                path=path,
                sha256=added.sha256,
                bytes=added.size,
                targets=tuple(targets),
                label=label,
                recommended=recommended,
                floats=tuple(floats),
            )
        self._graphs[name] = (*self._graphs.get(name, ()), record)

    def judged_in(self, graph: str, variant: str, floats: Collection[str]) -> None:
        """Record that a ``variant`` of a ``graph``, added before, was judged in the float arithmetic ``floats``."""
        self._graphs[graph] = tuple(
            record.model_copy(update={"floats": tuple(floats)}) if record.name == variant else record
            for record in self._graphs[graph]
        )

    def add_golden(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add the example inputs and reference outputs, by name.

        Raises:
            BundleError: as ``add_bytes``.
        """
        self.add_bytes(GOLDEN_NAME, encode_golden(arrays), role="golden")

    def add_evidence(self, evidence: EvidenceRecord) -> None:
        """Add a measurement; one of the same on the same machine that came with ``add_bundle`` gives way to it."""
        measured = _what_was_measured(evidence)
        self._carried_evidence = [item for item in self._carried_evidence if _what_was_measured(item) != measured]
        self._evidence.append(evidence)

    def add_bundle(self, bundle: Bundle, *, without_variants: Collection[str] = ()) -> None:
        """Take over all that another bundle holds: graphs, files, golden data and evidence.

        Files are copied 1 MiB at a time and held against their checksums. ``without_variants``: names of variants that
        are left out of every graph, together with their evidence; names that are not there do no harm. Variants that
        are added later replace those of the same name.

        Raises:
            BundleError: a file is damaged or its path taken, a graph was added before with another declaration, or the
                disk is full.
            UsageError: a graph would be left without any variant.
        """
        manifest = bundle.manifest
        for graph in manifest.graphs:
            self._carry_graph(bundle, graph, without_variants)
        for file in manifest.files:
            self._tree().add_chunks(file.path, bundle.chunks(file.path), file.bytes)
        self._files += manifest.files
        self._carried_evidence += [
            record for record in manifest.evidence if record.variant is None or record.variant not in without_variants
        ]
        self._carried = manifest

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for intermediate files on the target's disk, gone when the export ends or is cleared after a kill.

        Raises:
            BundleError: in place of any OSError of the block; says so where the disk is full.
        """
        folder = self._open_staging().folder / "scratch"
        with disk_faults(folder.parent.parent, "the export's intermediate files"):
            folder.mkdir(exist_ok=True)
            yield folder

    def finish(
        self,
        *,
        name: str,
        model: ModelRecord,
        size: Size,
        recipe: Mapping[str, Any],
        software: Mapping[str, str] | None = None,
        created: datetime | None = None,
    ) -> Path:
        """Complete the bundle and give it its name; returns the bundle's path.

        Args:
            name: what the bundle is called, not empty; by custom the name of its file without ``.i2i``.
            model: where the network and its weights come from.
            size: the picture size that the graphs were made for.
            recipe: the export options as they were resolved; plain JSON.
            software: versions by distribution; None: those of ``installed_software``.
            created: the moment of the export, with a time zone; None: now.

        Raises:
            BundleError: the parts do not make a valid manifest, or the disk is full; ``target`` is then as it was.
        """
        staging, tree = self._open_staging(), self._tree()
        with _faults_of_records():
            manifest = Manifest(
                name=name,
                created=created or datetime.now(UTC).replace(microsecond=0),
                software=dict(installed_software() if software is None else software),
                model=model,
                size=size,
                graphs=tuple(
                    GraphRecord(declaration=self._declarations[graph], variants=variants)
                    for graph, variants in self._graphs.items()
                ),
                files=tuple(sorted(self._files, key=lambda file: file.path)),
                golden=next((file.path for file in self._files if file.role == "golden"), None),
                recipe=dict(recipe),
                evidence=(*self._carried_evidence, *self._evidence),
            )
        header = encode_header(manifest)
        tree.add_bytes(HEADER_NAME, header)
        tree.add_bytes(DIGEST_NAME, encode_digest(header))
        if self._layout == "file":
            tree.pack(staging.archive)
            staging.publish(staging.archive)
        else:
            tree.settle()
            staging.publish(tree.root)
        self._staging = None
        return self._target

    def finish_extended(self, recipe: Mapping[str, Any] | None = None, without: Collection[str] = ()) -> Path:
        """Complete what began with ``add_bundle``, as a later state of that bundle; returns the bundle's path.

        Name, model, size, software and the time of creation stay those of the bundle that was taken over, and so does
        its recipe: the entries that are named in ``without`` go, and those of ``recipe`` are added.

        Raises:
            BundleError: as ``finish``.
        """
        if self._carried is None:
            raise RuntimeError("finish_extended() follows add_bundle(); a new bundle is completed with finish()")
        before = self._carried
        return self.finish(
            name=before.name,
            model=before.model,
            size=before.size,
            recipe={**{name: entry for name, entry in before.recipe.items() if name not in without}, **(recipe or {})},
            software=before.software,
            created=before.created,
        )

    def _declare(self, graph: str, declared: DeclarationRecord, variant: str) -> None:
        if self._declarations.setdefault(graph, declared) != declared:
            raise BundleError(
                f"The variant '{variant}' of the graph '{graph}' has other inputs or outputs than those before it.",
                remedy="Export all variants of a graph from one network and at one size.",
            )

    def _carry_graph(self, bundle: Bundle, graph: GraphRecord, without_variants: Collection[str]) -> None:
        name = graph.declaration.name
        kept = tuple(variant for variant in graph.variants if variant.name not in without_variants)
        if not kept:
            raise UsageError(
                f"Without {', '.join(sorted(without_variants))} the graph '{name}' has no variant left.",
                remedy="Keep one of them.",
            )
        self._declare(name, graph.declaration, kept[0].name)
        for variant in kept:
            self._tree().add_chunks(variant.path, bundle.chunks(variant.path), variant.bytes)
        self._graphs[name] = (*self._graphs.get(name, ()), *kept)
        self._carried_variants |= {(name, variant.name) for variant in kept}

    def _drop_carried(self, graph: str, variant: str) -> None:
        """Make room for a new variant where one of that name was taken over."""
        if (graph, variant) not in self._carried_variants:
            return
        self._carried_variants.remove((graph, variant))
        (old,) = (record for record in self._graphs[graph] if record.name == variant)
        self._tree().remove(old.path)
        self._graphs[graph] = tuple(record for record in self._graphs[graph] if record is not old)
        self._carried_evidence = [
            record for record in self._carried_evidence if (record.graph, record.variant) != (graph, variant)
        ]

    def _open_staging(self) -> Staging:
        if self._staging is None:
            raise RuntimeError("a BundleWriter is used inside its 'with' block, and before finish()")
        return self._staging

    def _tree(self) -> FileTree:
        staging = self._open_staging()
        return FileTree(staging.tree, staging.target.parent)


def installed_software() -> dict[str, str]:
    """The versions of those installed packages that can change what an exported graph computes."""
    versions = {name: installed_version(name) for name in _SOFTWARE}
    return {name: version for name, version in versions.items() if version is not None}


def check_bundle_place(target: Path, *, needed: int = 0) -> None:
    """Refuse, before the work, a place where no bundle can be written; ``needed``: bytes that are known to be needed.

    Raises:
        UsageError: the name does not end in ``.i2i``.
        BundleOutputError: nothing can be written there, or something that is no bundle has that name.
    """
    _check_suffix(target)
    try:
        check_names(target)
        Staging(target).refuse_foreign_target()
        if target.is_dir():
            check_folder(target.parent, needed=needed)
        else:
            check_file(target, makes_folder=True, needed=needed)
    except BundleOutputError:
        raise
    except OutputError as error:
        raise BundleOutputError(error.what, remedy=error.remedy) from error


def _check_suffix(target: Path) -> None:
    if target.suffix != SUFFIX:
        raise UsageError(f"'{target}' is not a name for a bundle.", remedy=f"Give a name that ends in {SUFFIX}.")


def _settled_target(target: Path) -> Path:
    """The target with its folder made and its links resolved: one lock for one place, however it is spelled."""
    _check_suffix(target)
    with disk_faults(target.parent, f"'{target.name}'"):
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.parent.resolve() / target.name


@contextmanager
def _faults_of_records() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise BundleError(
            f"This does not make a valid bundle: {explain(error)}.",
            remedy="Change what is named here and export again.",
        ) from error


def _what_was_measured(evidence: EvidenceRecord) -> tuple[object, ...]:
    place = evidence.kind, evidence.stage, evidence.graph, evidence.variant
    return *place, evidence.engine, evidence.precision, evidence.machine
