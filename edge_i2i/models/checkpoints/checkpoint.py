"""One checkpoint on its way through recognising, reading and recording: its file is read once and hashed once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from edge_i2i.models.checkpoints.reading import checkpoint_sha256, read_checkpoint, read_metadata
from edge_i2i.models.weights import StateDict


class Checkpoint:
    """A file of weights; what is asked of it is read when it is first asked for, and kept as long as this is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, file: Path | Checkpoint) -> Checkpoint:
        """The checkpoint at a path; one that is there already stays itself, with what was read of it."""
        return file if isinstance(file, Checkpoint) else cls(file)

    def __str__(self) -> str:
        return str(self.path)

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """What ``read_metadata`` returns, and raises."""
        return read_metadata(self.path)

    @cached_property
    def state(self) -> StateDict:
        """What ``read_checkpoint`` returns, and raises."""
        return read_checkpoint(self.path)

    @cached_property
    def sha256(self) -> str:
        """What ``checkpoint_sha256`` returns."""
        return checkpoint_sha256(self.path)
