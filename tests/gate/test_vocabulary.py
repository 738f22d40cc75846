"""The allow-list of operators is data: current, complete, and of words that the gate has rules for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gate import graph_vocabulary as made
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.gate.rules import RULES
from edge_i2i.gate.vocabulary import FILE, vocabulary
from edge_i2i.graphs.model_bytes import model_from_bytes
from edge_i2i.models.registry import family_names, get_family

COMMAND = "run: python -m benchmarks.gate.graph_vocabulary"
STORED = json.loads(FILE.read_text("utf-8"))


def test_every_word_has_a_rule() -> None:
    assert set(vocabulary().operators) <= set(RULES)


def test_every_architecture_was_asked() -> None:
    asked = {name: sorted(get_family(name).tiny_architectures()) for name in family_names()}
    assert STORED["architectures"] == asked, COMMAND


def test_bundles_say_nothing_else(rgb_bundle: Path, label_bundle: Path, quantized_bundle: Path) -> None:
    words = dict[str, Any]()
    for path in (rgb_bundle, label_bundle, quantized_bundle):
        bundle = open_bundle(path)
        for graph in (bundle.frame_graph, *bundle.condition_graphs):
            for variant in bundle.variants(graph.name):
                made.note(words, model_from_bytes(bundle.graph(graph.name, variant).read()))
    for operator, word in words.items():
        known = STORED["written"][operator]
        assert word["attributes"].items() <= known["attributes"].items(), COMMAND
        assert all(set(texts) <= set(known["texts"][name]) for name, texts in word["texts"].items()), COMMAND


@pytest.mark.every_architecture
@pytest.mark.parametrize("name", family_names())
def test_every_word_is_one_that_a_model_needs(name: str, request: pytest.FixtureRequest) -> None:
    """What this model writes is in the list; asked for, because it traces a model in every form."""
    if "every_architecture" not in request.config.getoption("markexpr"):
        pytest.skip("takes a minute a model: pytest -m every_architecture")
    words = dict[str, Any]()
    for config in get_family(name).tiny_architectures().values():
        for model in made.graphs_of(name, config):
            made.note(words, model)
    for operator, word in words.items():
        assert made.settled(word)["attributes"].items() <= STORED["written"][operator]["attributes"].items(), COMMAND
