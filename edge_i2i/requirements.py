"""Optional packages: imported where they are used, and named with their remedy when they are missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from edge_i2i.errors import MissingRequirementError
from edge_i2i.files.caches import cache_folder

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cpu": ("openvino",),
        "torch": ("torch", "onnx", "onnx_ir", "onnxscript", "safetensors"),
        "tensorflow": ("tensorflow",),
        "quantize": ("nncf", "matplotlib"),
        "rtx": ("tensorrt_rtx", "cuda"),
        "train": ("lightning_fabric", "skimage", "sklearn", "tensorboard", "torchmetrics"),
        "video": ("av",),
        "web": ("starlette", "uvicorn", "websockets", "segno", "cryptography"),
        "heif": ("pillow_heif",),
        "webrtc": ("aiortc",),
        "screen": ("mss",),
        "vcam": ("pyvirtualcam",),
    }
)
"""The modules that each extra brings, beside those of the extras that it includes."""

_INCLUDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"tensorflow": ("torch",), "quantize": ("torch",), "train": ("torch",)}
)

_FOLDERS: Mapping[str, str] = MappingProxyType({"MPLCONFIGDIR": "matplotlib", "KERAS_HOME": "keras"})
"""Where packages that write into the home folder when they are imported are told to write instead."""


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a module of an optional package, or say which extra brings it.

    Args:
        module: the dotted name of the module.
        extra: the extra of edge-i2i that installs it; stands in the remedy.
        purpose: what it is needed for, as the subject of the message: "Writing video files".

    Raises:
        MissingRequirementError: the module, or something that it imports, is not installed.
    """
    _keep_out_of_home()
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _not_here(purpose, module, extra, str(error)) from error


def require_extra(extra: str, *, purpose: str) -> None:
    """See that every module of an extra is there, before work begins that needs them all; imports none of them.

    Raises:
        MissingRequirementError: one is not installed.
    """
    _keep_out_of_home()
    modules = [module for name in (*_INCLUDED.get(extra, ()), extra) for module in EXTRAS[name]]
    absent = [module for module in modules if not _is_there(module)]
    if absent:
        raise _not_here(purpose, absent[0], extra, "it is not installed")


def _keep_out_of_home() -> None:
    """Tell packages where to write instead of the home folder.

    Done before any optional package is imported: others import those that write (torchmetrics imports matplotlib).
    """
    for variable, kind in _FOLDERS.items():
        os.environ.setdefault(variable, str(cache_folder(kind)))


def missing_requirement(error: ImportError) -> MissingRequirementError | None:
    """What an import error means to a person: an extra or a room of this package that is not here; else None."""
    name = error.name or ""
    module = name.partition(".")[0]
    if module == __package__ and isinstance(error, ModuleNotFoundError):
        return _room_not_here(name)
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    return None if extra is None else _not_here("This", module, extra, str(error))


def _room_not_here(name: str) -> MissingRequirementError:
    """A device that only runs bundles may have no more of this package than that needs."""
    return MissingRequirementError(
        f"This installation of edge-i2i has no '{name}'.",
        remedy="What runs bundles is here (verify, translate, live, serve); this needs all of it, here or on another"
        " machine: pip install edge-i2i",
    )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _not_here(purpose: str, module: str, extra: str, reason: str) -> MissingRequirementError:
    return MissingRequirementError(
        f"{purpose} needs the Python package '{module.partition('.')[0]}', which cannot be imported: {reason}.",
        remedy=f"pip install 'edge-i2i[{extra}]'",
    )


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None; imports nothing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
