"""Optional packages: imported where they are used, and named with their remedy when they are missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from types import ModuleType

from edge_i2i.errors import MissingRequirementError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import ``module`` or say which extra brings it.

    Raises:
        MissingRequirementError: the module, or something that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingRequirementError(
            f"{purpose} needs the Python package '{module.partition('.')[0]}', which cannot be imported: {error}.",
            remedy=f"pip install 'edge-i2i[{extra}]'",
        ) from error


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None; imports nothing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
