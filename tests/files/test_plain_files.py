"""YAML and JSON from strangers cost what they hold, and are refused with a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.files.plain import LARGEST_FILE, PlainFileError, read_json, read_yaml
from edge_i2i.learn.recipe import RecipeError, is_recipe, read_recipe

DEMO = Path(__file__).parents[2] / "training" / "recipes" / "demo.yaml"


def _doubling(times: int) -> str:
    levels = (f"b{i}: &b{i} {{<<: [{', '.join([f'*b{i - 1}'] * 4)}], k{i}: 1}}\n" for i in range(1, times))
    return "b0: &b0 {k0: 1}\n" + "".join(levels)


ODD = {
    "merge keys that double": (_doubling(14), "repeated ones counted"),
    "aliases that multiply": (
        "a0: &a0 [x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)),
        "repeated ones counted",
    ),
    "an alias inside itself": ("a: &a [*a]\n", "stands inside itself"),
    "a merge key inside itself": ("a: &a {<<: *a}\n", "stands inside itself"),
    "an alias of nothing": ("a: *b\n", "is not YAML"),
    "brackets": ("[" * 100_000, "nested more than 50 deep"),
    "mappings": ("a: " + "{a: " * 3000 + "1" + "}" * 3000, "nested more than 50 deep"),
    "dashes": ("- " * 2000 + "1", "nested more than 50 deep"),
    "a list without end": ("[" + "1," * 30_000 + "]", "more than 20,000 values"),
    "5000 digits": ("a: 1" + "0" * 5000, "longer than 1000 characters"),
    "hexadecimal digits": ("a: 0x" + "f" * 200_000, "longer than 1000 characters"),
    "a date that is none": ("a: 2020-99-99", "a value that cannot be read: month must be in 1..12"),
    "sexagesimal": ("a: " + ":".join(["59"] * 300), ""),
    "a Python object": ("!!python/object/apply:os.system ['true']", "is not YAML"),
    "a control character": ("\x01", "is not YAML"),
    "no UTF-8": (b"\xff\xfe\xfa", "it is not UTF-8"),
    "megabytes": ("#" * (LARGEST_FILE + 1), "has more than 1,048,576 bytes"),
}


@pytest.mark.parametrize("case", ODD)
def test_yaml_beyond_any_recipe_is_refused(case: str, tmp_path: Path) -> None:
    content, reason = ODD[case]
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert reason in caught.value.what
    assert str(path) in caught.value.what
    assert caught.value.remedy
    assert caught.value.exit_code == 4
    assert not is_recipe(path)


@pytest.mark.parametrize(
    "line",
    [
        "learning_rate: .inf",
        "learning_rate: .nan",
        "steps: 1" + "0" * 300,
        "batch: 99999999999",
        "steps: 0x" + "f" * 99,
    ],
)
def test_numbers_that_no_training_has_are_refused(line: str, tmp_path: Path) -> None:
    key = line.partition(":")[0]
    section = "optimiser" if key == "learning_rate" else "training"
    content = yaml.safe_load(DEMO.read_text())
    content.setdefault(section, {})[key] = yaml.safe_load(line)[key]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(RecipeError, match=key):
        read_recipe(tmp_path / "recipe.yaml")


def test_anchors_in_measure_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}\nlist: [*base, *base]\n")
    assert read_yaml(tmp_path / "a.yaml") == {
        "base": {"a": 1, "b": 2},
        "more": {"a": 1, "b": 3},
        "list": [{"a": 1, "b": 2}] * 2,
    }
    assert is_recipe(DEMO)


def test_a_pipe_is_no_recipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recipe.yaml")
    with pytest.raises(RecipeError, match="it is no file"):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 5000, '{"a": 1' + "0" * 6000 + "}", "{", "", "nul"])
def test_odd_json_is_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PlainFileError, match="is not JSON"):
        read_json(tmp_path / "a.json")


@given(text=st.text("[]{}&*:,-ab<1 \n!", max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    try:
        value = read_yaml(path)
    except PlainFileError:
        return
    assert value == yaml.safe_load(text)


@given(
    value=st.recursive(
        st.integers() | st.text("abä →", max_size=5) | st.booleans(), lambda inner: st.lists(inner, max_size=4)
    )
)
@settings(max_examples=50, deadline=None)
def test_plain_values_come_back(value: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value))
    assert read_json(path) == value
    assert read_yaml(path) == value
