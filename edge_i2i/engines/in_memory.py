"""A graph that lies in no bundle, for engines all the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from edge_i2i.models.contract import GraphDeclaration


@dataclass(frozen=True)
class GraphInMemory:
    """An ONNX file in memory: a ``GraphSource``, named by its content."""

    declaration: GraphDeclaration
    data: bytes
    variant: str = "fp32"
    precision: str = "fp32"
    targets: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the checksum once."""
        object.__setattr__(self, "sha256", hashlib.sha256(self.data).hexdigest())

    def read(self) -> bytes:
        """The ONNX file's bytes."""
        return self.data
