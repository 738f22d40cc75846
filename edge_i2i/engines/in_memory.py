"""A graph that lies in no bundle, for engines all the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from edge_i2i.contract import GraphDeclaration
from edge_i2i.gate import check_graph


@dataclass(frozen=True)
class GraphInMemory:
    """An ONNX file in memory: a ``GraphSource``, named by its content; it passes the gate when it is read first."""

    declaration: GraphDeclaration
    data: bytes = field(repr=False)
    variant: str = "fp32"
    precision: str = "fp32"
    targets: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the checksum of the ONNX file once."""
        object.__setattr__(self, "sha256", hashlib.sha256(self.data).hexdigest())

    def read(self) -> bytes:
        """The ONNX file's bytes.

        Raises:
            GraphFileError: it is not what its declaration says, or not known to be harmless.
        """
        return self._admitted

    @cached_property
    def _admitted(self) -> bytes:
        check_graph(self.data, self.declaration)
        return self.data
