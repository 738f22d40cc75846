"""Training recipes: YAML files checked by pydantic before anything heavy is loaded.

A key that no recipe knows is an error that suggests the nearest one: a misspelt ``learning_rat`` must never train
with the default in silence. Every default below is written down in the pix2pixHD paper or its published code unless
its comment says otherwise.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_i2i.errors import BadInputError
from edge_i2i.files.plain import PlainFileError, read_yaml

Positive = Annotated[int, Field(ge=1, le=10**9)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class RecipeError(BadInputError):
    """A recipe cannot be read, or says something that no training run can do."""


class Section(BaseModel):
    """A part of a recipe: immutable, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GeneratorSection(Section):
    """The pix2pixHD global generator in RGB mode (``label_nc 0``): a picture in, a picture out."""

    family: Literal["pix2pixhd"] = "pix2pixhd"
    ngf: Positive = 64
    n_downsample_global: Positive = 4
    n_blocks_global: Positive = 9
    opponent_start: bool = False  # ours: half of the first filters start blind to brightness, so colours are found soon


class DiscriminatorSection(Section):
    """The multiscale PatchGAN discriminator; it sees the photograph and the painting together (6 channels)."""

    ndf: Positive = 64
    n_layers: Positive = 3
    num_D: Positive = 2


class DataSection(Section):
    """Where the pairs come from. Photographs are named by their file name in the two wheels."""

    photographs: dict[str, Annotated[float, Field(gt=0.0)]] = Field(min_length=1)  # name → sampling weight
    held_out: tuple[str, ...] = Field(min_length=1)
    look: Literal["ink-and-wash"] = "ink-and-wash"
    pairs: Positive = 800  # augmented pairs made once and kept in the cache
    patch: Positive = 256  # side of a cached pair, pixels
    crop: Positive = 256  # side of a training crop, pixels; the palette of a pair is fitted to its whole patch

    @model_validator(mode="after")
    def _held_out_is_never_trained_on(self) -> Self:
        both = sorted(set(self.held_out) & set(self.photographs))
        if both:
            raise ValueError(f"held-out photographs are also trained on: {', '.join(both)}")
        if self.crop > self.patch:
            raise ValueError(f"crop ({self.crop}) is larger than patch ({self.patch})")
        return self


class AugmentSection(Section):
    """Ranges from which each pair's augmentation is drawn; the defaults were chosen by eye for the demo."""

    scale: tuple[float, float] = (0.5, 1.5)
    rotation_degrees: Annotated[float, Field(ge=0.0, le=180.0)] = 25.0
    flip: Fraction = 0.5
    gamma: tuple[float, float] = (0.6, 1.6)
    contrast: tuple[float, float] = (0.7, 1.3)
    brightness: Annotated[float, Field(ge=0.0, le=0.5)] = 0.1
    white_balance: Annotated[float, Field(ge=0.0, le=0.9)] = 0.15
    saturation: tuple[float, float] = (0.3, 1.4)
    hue_degrees: Annotated[float, Field(ge=0.0, le=180.0)] = 25.0
    any_hue: Fraction = 0.2  # how often the hue is turned to anywhere on the circle
    defocus: Fraction = 0.2
    noise: Fraction = 0.4
    noise_sigma: Annotated[float, Field(ge=0.0, le=64.0)] = 7.0  # grey levels, the largest that is drawn

    @model_validator(mode="after")
    def _ranges_are_ordered_and_positive(self) -> Self:
        for name in ("scale", "gamma", "contrast", "saturation"):
            low, high = getattr(self, name)
            if not 0.0 < low <= high:
                raise ValueError(f"{name}: [{low}, {high}] is not an increasing range above zero")
        return self


class LossSection(Section):
    """Weights of the generator's losses. The paper's VGG term is left out: it needs a download."""

    gan: Weight = 1.0
    feature_matching: Weight = 10.0
    l1: Weight = 0.0  # not in the paper; steadies a small generator with few photographs


class OptimiserSection(Section):
    """Adam for both networks; the rate is constant, then falls linearly to zero."""

    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-4
    betas: tuple[Fraction, Fraction] = (0.5, 0.999)
    decay_from: Fraction = 0.5  # fraction of all steps after which the rate starts to fall


class TrainingSection(Section):
    """How long, on what, and what is written down on the way."""

    steps: Positive
    batch: Positive = 1
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999  # ours: 0 keeps the raw weights
    precision: Precision = "32-true"
    threads: Positive = 1
    log_every: Positive = 20
    checkpoint_every: Positive = 500
    keep_checkpoints: Positive = 2
    tensorboard: bool = True


class Recipe(Section):
    """Everything that decides the result of a training run."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    generator: GeneratorSection = GeneratorSection()
    discriminator: DiscriminatorSection = DiscriminatorSection()
    data: DataSection
    augment: AugmentSection = AugmentSection()
    losses: LossSection = LossSection()
    optimiser: OptimiserSection = OptimiserSection()
    training: TrainingSection

    def with_steps(self, steps: int) -> Recipe:
        """The same recipe, trained for another number of steps."""
        return self.model_copy(update={"training": self.training.model_copy(update={"steps": steps})})

    def to_yaml(self) -> str:
        """The whole recipe with every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        RecipeError: the file cannot be read, is not YAML, or has unknown keys, missing keys or impossible values.
    """
    try:
        content = read_yaml(path)
    except PlainFileError as error:
        raise RecipeError(
            f"The recipe {path} {error}.", remedy="Check the path, or correct what is named above."
        ) from error
    if not isinstance(content, dict):
        raise RecipeError(
            f"The recipe {path} is not a mapping of sections.", remedy="Start from training/recipes/demo.yaml."
        )
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(
            f"The recipe {path} cannot be used:\n" + "\n".join(f"  {line}" for line in _explain(error)),
            remedy="Correct these lines; `--print-config` shows a whole recipe with its defaults.",
        ) from error


def is_recipe(path: Path) -> bool:
    """Whether a file is a recipe that can be used."""
    try:
        read_recipe(path)
    except RecipeError:
        return False
    return True


def _explain(error: ValidationError) -> list[str]:
    return [_explain_one(item) for item in error.errors()]


def _explain_one(item: Any) -> str:
    where = ".".join(str(part)[:80] for part in item["loc"])
    if item["type"] != "extra_forbidden":
        return f"{where}: {item['msg']}" if where else str(item["msg"])
    known = _known_keys(item["loc"][:-1])
    nearest = difflib.get_close_matches(str(item["loc"][-1]), known, n=1, cutoff=0.0)
    return f"{where}: no such key; did you mean '{nearest[0]}'?" if nearest else f"{where}: no such key"


def _known_keys(section: tuple[Any, ...]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in section:
        annotation = model.model_fields[str(part)].annotation
        candidates = (annotation, *get_args(annotation))
        model = next(one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel))
    return list(model.model_fields)
