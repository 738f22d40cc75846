"""Every model by name. Listing them imports none of them (and no torch); looking one up imports that one file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from edge_i2i.errors import UsageError, known_names
from edge_i2i.models.family import ModelFamily
from edge_i2i.requirements import require

_FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "pix2pixhd": "edge_i2i.models.pix2pixhd.model",
        "cyclegan": "edge_i2i.models.cyclegan.model",
        "pix2pix": "edge_i2i.models.cyclegan.pix2pix",
        "munit": "edge_i2i.models.munit.model",
        "init": "edge_i2i.models.init.model",
        "unit": "edge_i2i.models.unit.model",
        "unit2017": "edge_i2i.models.unit2017.model",
        "bicyclegan": "edge_i2i.models.bicyclegan.model",
        "egscit": "edge_i2i.models.egscit.model",
        "lomit": "edge_i2i.models.lomit.model",
        "bridgegan": "edge_i2i.models.bridgegan.model",
    }
)


def family_names() -> tuple[str, ...]:
    """The names that ``--model`` takes."""
    return tuple(_FAMILIES)


def get_family(name: str) -> ModelFamily[Any]:
    """The model family of that name.

    Raises:
        UsageError: there is none; suggests the nearest name.
        MissingRequirementError: torch is not installed.
    """
    if name not in _FAMILIES:
        raise UsageError(f"There is no model '{name}'.", remedy=known_names(name, _FAMILIES, "models"))
    require("torch", extra="torch", purpose=f"Reading a {name} network")
    family: ModelFamily[Any] = importlib.import_module(_FAMILIES[name]).FAMILY
    return family
