"""What `bundle.json` holds: frozen pydantic records, and their conversion from and to graph declarations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from edge_i2i.bundle.declarations import check_declarations
from edge_i2i.bundle.paths import RESERVED_NAMES, unsafe_because
from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, Size, TensorSpec
from edge_i2i.errors import UsageError

SCHEMA_VERSION = 4
"""2: tensors say how they are set (labels, drawn, mixable, second_of, stack_of, fallback, default). 3: variants say who
may read them (targets), whether ``auto`` may take them (recommended, label), and measurements which float arithmetic
was forced (precision). 4: variants say in which float arithmetic they were judged (floats). 1 to 3 are read, too."""

_INFINITIES = {"Infinity": math.inf, "-Infinity": -math.inf}


def _read_number(value: object) -> object:
    """JSON has no infinity, and the PSNR of equal pictures is one: it is written as the word."""
    if isinstance(value, str):
        if value not in _INFINITIES:
            raise ValueError("must be a number, or 'Infinity' or '-Infinity'")
        return _INFINITIES[value]
    return value


def _refuse_nan(value: float) -> float:
    if math.isnan(value):
        raise ValueError("must not be NaN")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("is too large a number") from error


def _write_number(value: float) -> float | str:
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _read_size(value: object) -> Size:
    try:
        return value if isinstance(value, Size) else Size.parse(str(value))
    except UsageError as error:
        raise ValueError(error.what) from error


def _check_path(path: str) -> str:
    reason = "is a name that the bundle keeps for itself" if path in RESERVED_NAMES else unsafe_because(path)
    if reason:
        raise ValueError(f"the path {path!r} {reason}")
    return path


def _plain_json(value: object) -> object:
    """Tuples and the like become what JSON makes of them, so that a manifest equals its own reading."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except TypeError as error:
        raise ValueError(f"must be plain JSON: {error}") from error


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is a moment at the end of time") from error


Number = Annotated[
    float,
    BeforeValidator(_read_number),
    AfterValidator(_refuse_nan),
    PlainSerializer(_write_number, return_type=float | str, when_used="json"),
]
SizeText = Annotated[Size, PlainValidator(_read_size), PlainSerializer(str, return_type=str, when_used="json")]
BundlePath = Annotated[str, AfterValidator(_check_path)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
JsonObject = Annotated[dict[str, JsonValue], BeforeValidator(_plain_json)]
Dimension = Annotated[int, Field(ge=-1, lt=2**31)]  # -1: a named dynamic axis


class Record(BaseModel):
    """What every part of the manifest has in common: it cannot change, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorRecord(Record):
    """A ``TensorSpec`` as it is stored."""

    name: Annotated[str, Field(min_length=1)]
    role: Role
    shape: Annotated[tuple[Dimension, ...], Field(max_length=8)]
    dtype: DType
    low: Number
    high: Number
    meaning: str
    slots: int | None = None
    labels: tuple[str, ...] = ()
    drawn: bool = False
    mixable: bool = False
    second_of: str | None = None
    stack_of: str | None = None
    fallback: str | None = None
    default: Number | None = None

    @classmethod
    def of(cls, spec: TensorSpec) -> TensorRecord:
        """The record of a ``TensorSpec``, field by field."""
        return cls(**{field.name: getattr(spec, field.name) for field in fields(spec)})

    def spec(self) -> TensorSpec:
        """The ``TensorSpec`` that was recorded."""
        return TensorSpec(**{name: getattr(self, name) for name in type(self).model_fields})


class DeclarationRecord(Record):
    """A ``GraphDeclaration`` as it is stored."""

    name: Identifier
    kind: GraphKind
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]

    @classmethod
    def of(cls, declaration: GraphDeclaration) -> DeclarationRecord:
        """The record of a ``GraphDeclaration``, with one ``TensorRecord`` for each input and output."""
        return cls(
            name=declaration.name,
            kind=declaration.kind,
            inputs=tuple(TensorRecord.of(spec) for spec in declaration.inputs),
            outputs=tuple(TensorRecord.of(spec) for spec in declaration.outputs),
        )

    def declaration(self) -> GraphDeclaration:
        """The ``GraphDeclaration`` that was recorded."""
        return GraphDeclaration(
            self.name,
            self.kind,
            tuple(record.spec() for record in self.inputs),
            tuple(record.spec() for record in self.outputs),
        )


class StoredFile(Record):
    """A file inside the bundle. ``path`` is relative, in POSIX form; ``bytes`` is its size."""

    path: BundlePath
    sha256: Sha256
    bytes: Annotated[int, Field(ge=0)]


class VariantRecord(StoredFile):
    """One ONNX file of a graph: ``name`` is what ``--variant`` takes, ``precision`` what it computes in.

    ``targets``: the quantization targets whose engines read it as it is meant (empty: every engine does).
    ``recommended``: whether ``auto`` may take it; ``label`` says in a sentence why not, or what is special about it.
    ``floats``: the float arithmetic that its pictures were judged in, the one that it runs in first. Empty: it was
    judged in none by name, and an engine that has a choice computes its floats in FP32.
    """

    name: Identifier
    precision: Identifier
    opset: Annotated[int, Field(ge=1)]
    targets: tuple[Identifier, ...] = ()
    label: str = ""
    recommended: bool = True
    floats: tuple[Identifier, ...] = ()


class FileRecord(StoredFile):
    """A file that is no graph; ``role`` says what it is for (``golden``, ``clusters``, ``coreml``, …)."""

    role: Identifier


class GraphRecord(Record):
    """A graph and the variants of it that the bundle carries."""

    declaration: DeclarationRecord
    variants: Annotated[tuple[VariantRecord, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _variants_are_distinct(self) -> GraphRecord:
        _refuse_repeats("variant", [variant.name for variant in self.variants])
        return self


class ModelRecord(Record):
    """Where the network and its weights come from. ``licence`` is that of the weights, in words."""

    family: str
    title: str
    config: JsonObject
    source: str
    licence: str
    weights: Literal["checkpoint", "demo", "random"]
    checkpoint_name: str | None = None
    checkpoint_sha256: Sha256 | None = None


class EvidenceRecord(Record):
    """One measurement: its figures (their names carry the unit), and all that is needed to take it again.

    ``precision`` is the float arithmetic that was forced on the engine (None: none, the graph's own). Figures of speed
    are used by ``auto`` where ``machine`` and ``versions`` are those of the reader: see ``engines.figures``.
    """

    kind: Identifier
    stage: str = ""
    graph: str | None = None
    variant: str | None = None
    engine: str | None = None
    precision: str | None = None
    figures: dict[str, Number]
    machine: JsonObject = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    command: str = ""
    date: Moment
    note: str = ""


class Manifest(Record):
    """The whole of ``bundle.json``.

    ``created`` is in UTC. ``size`` is the picture size that the graphs were made for. ``golden`` is the path of a
    file with role ``golden``. ``recipe`` holds the export options as they were resolved.
    """

    schema_version: int = SCHEMA_VERSION
    name: Annotated[str, Field(min_length=1)]
    created: Moment
    software: dict[str, str]
    model: ModelRecord
    size: SizeText
    graphs: tuple[GraphRecord, ...]
    files: tuple[FileRecord, ...] = ()
    golden: BundlePath | None = None
    recipe: JsonObject = Field(default_factory=dict)
    evidence: tuple[EvidenceRecord, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Manifest:
        _refuse_repeats("graph", [graph.declaration.name for graph in self.graphs])
        _refuse_repeats("path", [stored.path for stored in self.stored_files()])
        frames = sum(graph.declaration.kind is GraphKind.FRAME for graph in self.graphs)
        if frames != 1:
            raise ValueError(f"a bundle has exactly one frame graph, not {frames}")
        check_declarations([graph.declaration.declaration() for graph in self.graphs], self.size)
        if self.golden is not None and self.golden not in {file.path for file in self.files}:
            raise ValueError(f"the golden file '{self.golden}' is not among the files")
        return self

    def stored_files(self) -> Iterator[StoredFile]:
        """Every file that the manifest lists: the graphs' variants first, then the others."""
        for graph in self.graphs:
            yield from graph.variants
        yield from self.files


def _refuse_repeats(kind: str, names: list[str]) -> None:
    """Case is not told apart: two such files are one on Windows and on macOS."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise ValueError(f"the {kind} '{name}' is there twice")
        seen.add(name.casefold())
