"""The operators and attributes that a graph may use: the data in ``vocabulary.json``, and how it is read.

``written`` is what our exporter, passes, quantizers and FP16 conversion write for every published model;
``benchmarks/gate/graph_vocabulary.py`` makes it. ``further`` is kept by hand: plain operators that a model of
somebody's own may be traced to. Both need a rule in ``rules``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_i2i.gate.onnx_file import Node, shown

FILE = Path(__file__).with_name("vocabulary.json")


@dataclass(frozen=True)
class Word:
    """One operator: how many inputs and outputs it may have, its attributes' kinds, and the words that those may be."""

    inputs: tuple[int, int]
    outputs: tuple[int, int]
    attributes: Mapping[str, str]
    texts: Mapping[str, frozenset[str]]

    def complaint(self, node: Node) -> str:
        """What is wrong with a node of this operator; empty where nothing is."""
        if not self.inputs[0] <= len(node.inputs) <= self.inputs[1]:
            return f"has {len(node.inputs)} inputs"
        if not self.outputs[0] <= len(node.outputs) <= self.outputs[1]:
            return f"has {len(node.outputs)} outputs"
        for name, attribute in node.attributes.items():
            if self.attributes.get(name) != attribute.kind:
                return f"has the attribute {shown(name)}, which is not allowed in this form"
            if attribute.kind == "string" and attribute.value not in self.texts.get(name, ()):
                return f"has {shown(name)} = {shown(attribute.value)}, which is not allowed"
        return ""


@dataclass(frozen=True)
class Vocabulary:
    """All that a graph may be made of: versions of ONNX's format, operator sets, and operators by name."""

    ir_versions: frozenset[int]
    opsets: frozenset[int]
    operators: Mapping[str, Word]


@cache
def vocabulary() -> Vocabulary:
    """What this version of edge-i2i admits; read from ``vocabulary.json``, once a process."""
    stored = json.loads(FILE.read_text("utf-8"))
    operators = {name: _word(stored["further"].get(name), stored["written"].get(name)) for name in _names(stored)}
    return Vocabulary(frozenset(stored["ir_versions"]), frozenset(stored["opsets"]), MappingProxyType(operators))


def _names(stored: Mapping[str, Any]) -> set[str]:
    return {*stored["written"], *stored["further"]}


def _word(*entries: Mapping[str, Any] | None) -> Word:
    """One operator's rules, which allow what any of its entries in the file allows."""
    said = [entry for entry in entries if entry is not None]
    attributes = {name: kind for entry in said for name, kind in entry["attributes"].items()}
    texts: dict[str, frozenset[str]] = {}
    for entry in said:
        for name, words in entry.get("texts", {}).items():
            texts[name] = texts.get(name, frozenset()) | frozenset(words)
    return Word(_range(said, "inputs"), _range(said, "outputs"), MappingProxyType(attributes), MappingProxyType(texts))


def _range(said: list[Mapping[str, Any]], name: str) -> tuple[int, int]:
    return min(entry[name][0] for entry in said), max(entry[name][1] for entry in said)
