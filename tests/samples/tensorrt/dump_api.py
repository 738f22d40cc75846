"""Print what a TensorRT Python module offers, as JSON: run in a process of its own, as ``dump_api.py MODULE``."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import warnings
from typing import Any


def describe(module: Any) -> dict[str, Any]:
    """Every class with its members: kind, whether it can be set, and each signature's parameter names."""
    classes = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    classes["ILogger.Severity"] = module.ILogger.Severity
    return {
        "version": module.__version__,
        "enums": {name: _enum(cls) for name, cls in classes.items() if hasattr(cls, "__members__")},
        "classes": {
            name: {member: _member(cls, member) for member in dir(cls) if not member.startswith("_pybind")}
            for name, cls in classes.items()
        },
    }


def _enum(cls: Any) -> dict[str, int]:
    return {name: int(value) for name, value in cls.__members__.items()}


def _member(cls: type, name: str) -> dict[str, Any]:
    static = inspect.getattr_static(cls, name)
    if isinstance(static, property):
        return {"kind": "property", "settable": static.fset is not None}
    if callable(getattr(cls, name, None)):
        return {"kind": "method", "signatures": _signatures(name, getattr(cls, name).__doc__ or "")}
    return {"kind": "value"}


def _signatures(name: str, doc: str) -> list[dict[str, Any]]:
    return [_parameters(match[1]) for match in re.finditer(rf"(?m)^(?:\d+\. )?{name}\((.*)\) -> ", doc)]


def _parameters(text: str) -> dict[str, Any]:
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "[(<") - (character in "])>")
        if character == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    parts = [part.strip() for part in parts if part.strip()]
    return {
        "names": [part.split(":")[0].split("=")[0].strip() for part in parts],
        "required": sum(" = " not in part for part in parts),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    json.dump(describe(importlib.import_module(sys.argv[1])), sys.stdout)
