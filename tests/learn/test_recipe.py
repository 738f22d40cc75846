from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edge_i2i.learn.recipe import Recipe, RecipeError, read_recipe

DEMO = Path(__file__).parents[2] / "training" / "recipes" / "demo.yaml"


def _write(tmp_path: Path, **changes: object) -> Path:
    content = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            content.setdefault(section, {})[name] = value
        else:
            content[section] = value
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_demo_recipe_is_valid_and_holds_two_photographs_out() -> None:
    recipe = read_recipe(DEMO)
    assert len(recipe.data.held_out) == 2
    assert recipe.losses.gan > 0
    assert recipe.losses.feature_matching == 10.0


def test_a_printed_recipe_reads_back_to_the_same_recipe(tmp_path: Path) -> None:
    recipe = read_recipe(DEMO)
    path = tmp_path / "again.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert read_recipe(path) == recipe


def test_with_steps_changes_nothing_else() -> None:
    recipe = read_recipe(DEMO)
    changed = recipe.with_steps(3)
    assert changed.training.steps == 3
    assert changed.with_steps(recipe.training.steps) == recipe


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("optimiser__learning_rat", "learning_rate"),
        ("training__step", "steps"),
        ("losse", "losses"),
        ("generator__nfg", "ngf"),
    ],
)
def test_an_unknown_key_suggests_the_nearest_one(tmp_path: Path, key: str, nearest: str) -> None:
    with pytest.raises(RecipeError, match=f"did you mean '{nearest}'") as caught:
        read_recipe(_write(tmp_path, **{key: 1}))
    assert caught.value.exit_code == 4
    assert key.replace("__", ".") in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training__steps": 0}, "training.steps"),
        ({"data__crop": 4000}, "larger than patch"),
        ({"data__held_out": ["astronaut.png"]}, "also trained on: astronaut.png"),
        ({"augment__scale": [2.0, 1.0]}, "not an increasing range"),
        ({"losses__gan": -1.0}, "losses.gan"),
        ({"name": "../elsewhere"}, "name"),
    ],
)
def test_impossible_values_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(_write(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "- a list", "a: [unclosed", "\x00"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError):
        read_recipe(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nothing\.yaml") as caught:
        read_recipe(tmp_path / "nothing.yaml")
    assert caught.value.exit_code == 4


def test_a_missing_section_is_named() -> None:
    with pytest.raises(ValueError, match="training"):
        Recipe.model_validate({"name": "x", "data": {"photographs": {"a.png": 1.0}, "held_out": ["b.png"]}})
