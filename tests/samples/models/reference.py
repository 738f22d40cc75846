"""What the authors' own classes computed, kept as small fixtures (see fixtures/README.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FIXTURES = Path(__file__).parents[2] / "models" / "fixtures"
TOLERANCE = 1e-5


def seeded_state(shapes: Mapping[str, list[int]], seed: int, scale: float = 0.1) -> dict[str, Tensor]:
    """The weights that every fixture was made with: key number i, sorted, is RandomState(seed + i).normal(0, scale).

    Running variances are the absolute value plus 0.5, counters are zero.
    """
    state = {}
    for i, key in enumerate(sorted(shapes)):
        values = np.random.RandomState(seed + i).normal(0.0, scale, tuple(shapes[key])).astype(np.float32)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros((), dtype=torch.int64)
        elif key.endswith("running_var"):
            state[key] = torch.from_numpy(np.abs(values) + np.float32(0.5))
        else:
            state[key] = torch.from_numpy(values)
    return state


@dataclass(frozen=True)
class Reference:
    """One family's fixture: ``FAMILY_reference.json`` (NAME → seed, shapes[, scale]) and ``FAMILY_reference.npz``."""

    listing: dict[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, family: str) -> Reference:
        """Read the fixture of a family."""
        listing = json.loads((FIXTURES / f"{family}_reference.json").read_text())
        with np.load(FIXTURES / f"{family}_reference.npz") as file:
            return cls(listing, {name: file[name] for name in file.files})

    def state(self, name: str) -> dict[str, Tensor]:
        """The state dict that the authors' network NAME had, under the official keys."""
        wanted = self.listing[name]
        return seeded_state(wanted["shapes"], wanted["seed"], wanted.get("scale", 0.1))

    def tensor(self, name: str) -> Tensor:
        """A stored array as a tensor."""
        return torch.from_numpy(self.arrays[name])

    def holds(self, name: str, got: Tensor, tolerance: float = TOLERANCE) -> None:
        """Fail unless ``got`` is the stored array NAME."""
        wanted = self.arrays[name]
        assert tuple(got.shape) == wanted.shape
        assert float(np.abs(got.detach().numpy() - wanted).max()) <= tolerance


def assert_same_keys(module: nn.Module, shapes: Mapping[str, list[int]]) -> None:
    """The module's state dict has exactly these keys and shapes."""
    assert {key: list(tensor.shape) for key, tensor in module.state_dict().items()} == dict(shapes)
