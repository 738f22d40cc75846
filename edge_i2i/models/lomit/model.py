"""LOMIT, "Local Image-to-Image Translation via Pixel-wise Highway Adaptive Instance Normalization".

Cho et al., arXiv 1906.03598. The networks are those of the authors' repository of the ICLR 2019 submission
(AnonymousIclrAuthor/Highway-Adaptive-Instance-Normalization); the later arXiv text may differ in details. One
generator translates in both directions: what the exemplar's foreground looks like, the frame's foreground takes over.

What runs once per exemplar, and what per frame. Both masks depend on both pictures: each is made from its own content
and a channel attention derived from the *other* content. So of the exemplar only its content and the attention derived
from it are constant; its mask, and with it its foreground style, changes with every frame. Nor can the first
convolution of that style be kept: it reads the exemplar multiplied by the mask. The frame graph therefore takes the
exemplar picture too. ``approximate`` cuts this knot, and changes the picture; ``approximation_error`` says by how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.contract import (
    DType,
    GraphDeclaration,
    GraphKind,
    Role,
    Size,
    SizeRule,
    TensorSpec,
    picture_spec,
)
from edge_i2i.errors import CheckpointError
from edge_i2i.models.family import Fidelity, ModelFamily, ModelGraph, NormMode, TranslationModel
from edge_i2i.models.lomit.config import MASK_SCALE, infer_config, recognise
from edge_i2i.models.lomit.config import LOMITConfig as LOMITConfig
from edge_i2i.models.lomit.networks import Discriminator as Discriminator
from edge_i2i.models.lomit.networks import Generator
from edge_i2i.models.weights import Initialisation, StateDict


def at_mask_size(mask: Tensor) -> Tensor:
    """A mask [1, 1, H, W] in 0..1 as the network's own are, [1, 1, H/4, W/4]: the mean of every 4x4 pixels."""
    return functional.avg_pool2d(mask, MASK_SCALE)


class ExactFrame(nn.Module):
    """The frame graph that computes what the authors do."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, frame: Tensor, exemplar: Tensor, other: Tensor, attention: Tensor) -> Tensor:
        """Translate one frame; both masks and both styles are computed anew for each.

        Args:
            frame: the picture to translate, [1, 3, H, W] in [-1, 1].
            exemplar: the picture whose foreground's look is taken over, likewise.
            other: the exemplar's content, [1, C, H/4, W/4].
            attention: how much each channel of the frame's content counts in its mask, [1, C] in 0..1; computed from
                the exemplar's content.

        Returns:
            The picture, [1, 3, H, W] in [-1, 1].
        """
        content = self.generator.c_encoder(frame)
        mask = self.generator.mask(content, attention)
        return self.generator.decode(frame, content, mask, exact_style(self.generator, content, exemplar, other))


class ExactMaskedFrame(nn.Module):
    """The exact frame graph with a mask that is given instead of the frame's own."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, frame: Tensor, mask: Tensor, exemplar: Tensor, other: Tensor) -> Tensor:
        """Translate one frame where the mask says; the exemplar's own mask is still the network's.

        Args:
            frame: the picture to translate, [1, 3, H, W] in [-1, 1].
            mask: [1, 1, H, W], from 0 (keep the frame's own look) to 1 (translate).
            exemplar: the picture whose foreground's look is taken over, [1, 3, H, W] in [-1, 1].
            other: the exemplar's content, [1, C, H/4, W/4].

        Returns:
            The picture, [1, 3, H, W] in [-1, 1].
        """
        content = self.generator.c_encoder(frame)
        foreground = exact_style(self.generator, content, exemplar, other)
        return self.generator.decode(frame, content, at_mask_size(mask), foreground)


class ApproximateFrame(nn.Module):
    """The frame graph of the approximate mode: the exemplar's style is an input, and the same for all frames."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, frame: Tensor, attention: Tensor, style: Tensor) -> Tensor:
        """Translate one frame; only its own mask and the style of its background are computed anew.

        Args:
            frame: the picture to translate, [1, 3, H, W] in [-1, 1].
            attention: how much each channel of the frame's content counts in its mask, [1, C] in 0..1; computed from
                the exemplar's content.
            style: the exemplar's foreground style, [1, style_dim].

        Returns:
            The picture, [1, 3, H, W] in [-1, 1].
        """
        content = self.generator.c_encoder(frame)
        return self.generator.decode(frame, content, self.generator.mask(content, attention), style)


class ApproximateMaskedFrame(nn.Module):
    """The frame graph of the approximate mode with a mask that is given instead of the frame's own."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, frame: Tensor, mask: Tensor, style: Tensor) -> Tensor:
        """Translate one frame where the mask says; only the style of its background is computed anew.

        Args:
            frame: the picture to translate, [1, 3, H, W] in [-1, 1].
            mask: [1, 1, H, W], from 0 (keep the frame's own look) to 1 (translate).
            style: the exemplar's foreground style, [1, style_dim].

        Returns:
            The picture, [1, 3, H, W] in [-1, 1].
        """
        content = self.generator.c_encoder(frame)
        return self.generator.decode(frame, content, at_mask_size(mask), style)


class EncodeExemplar(nn.Module):
    """exemplar [1, 3, H, W] → what the frame graph of ``config`` needs of it."""

    def __init__(self, generator: Generator, config: LOMITConfig) -> None:
        super().__init__()
        self.generator, self.config = generator, config

    def forward(self, exemplar: Tensor) -> tuple[Tensor, ...]:
        """The exemplar's content (exact) or style (approximate), and its attention where no mask is given.

        In the order of the frame graph's inputs: (content[, attention]) or ([attention, ]style).
        """
        content = self.generator.c_encoder(exemplar)
        attention = self.generator.mask.co_attn(content)
        needed_attention = () if self.config.given_mask else (attention,)
        if not self.config.approximate:
            return (content, *needed_attention)
        return (*needed_attention, approximate_style(self.generator, content, exemplar))


def exact_style(generator: Generator, content: Tensor, exemplar: Tensor, other: Tensor) -> Tensor:
    """The exemplar's foreground style [1, style_dim] for one frame.

    Args:
        generator: the network.
        content: the frame's content, [1, C, H/4, W/4].
        exemplar: [1, 3, H, W] in [-1, 1].
        other: the exemplar's content, [1, C, H/4, W/4].
    """
    mask = generator.mask(other, generator.mask.co_attn(content))
    return generator.foreground_style(exemplar, mask)


def approximate_style(generator: Generator, other: Tensor, exemplar: Tensor) -> Tensor:
    """The exemplar's foreground style [1, style_dim], whatever the frame: an approximation of ours.

    The exemplar's mask is made with the attention of its own content ``other``, as the authors do where they
    reconstruct a picture from itself, and not with that of each frame's content as where they translate.

    Args:
        generator: the network.
        other: the exemplar's content, [1, C, H/4, W/4].
        exemplar: [1, 3, H, W] in [-1, 1].
    """
    return exact_style(generator, other, exemplar, other)


@dataclass(frozen=True)
class ApproximationError:
    """How far a picture of the approximate mode lies from the exact one, in units of the range [-1, 1]."""

    largest: float
    mean: float


@torch.no_grad()
def approximation_error(generator: Generator, frame: Tensor, exemplar: Tensor) -> ApproximationError:
    """Translate ``frame`` in the look of ``exemplar`` by both modes of ``generator``, and compare the pictures.

    ``frame`` and ``exemplar`` are [1, 3, H, W] in [-1, 1].
    """
    other = generator.c_encoder(exemplar)
    style = approximate_style(generator, other, exemplar)
    approximate = ApproximateFrame(generator)(frame, generator.mask.co_attn(other), style)
    difference = (approximate - generator(frame, exemplar)).abs()
    return ApproximationError(float(difference.max()), float(difference.mean()))


class LOMIT(TranslationModel[LOMITConfig]):
    """A LOMIT generator."""

    family = "lomit"

    def __init__(self, config: LOMITConfig, generator: Generator) -> None:
        self.config = config
        self.generator = generator.eval()

    @property
    def size_rule(self) -> SizeRule:
        """Masks are a quarter of the picture; the style encoder's last reflection pad needs two positions at 1/8."""
        return SizeRule(MASK_SCALE, minimum=16)

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph and ``encode_exemplar``."""
        frame = GraphDeclaration(
            "frame",
            GraphKind.FRAME,
            self._frame_inputs(size),
            (picture_spec("image", Role.IMAGE, size, "the translated picture"),),
        )
        encode = GraphDeclaration(
            "encode_exemplar", GraphKind.CONDITION, (_exemplar_spec(size),), self._exemplar_outputs(size)
        )
        return (
            ModelGraph(frame, self._frame_module()),
            ModelGraph(encode, EncodeExemplar(self.generator, self.config)),
        )

    def _frame_module(self) -> nn.Module:
        if self.config.approximate:
            masked, plain = ApproximateMaskedFrame, ApproximateFrame
            return masked(self.generator) if self.config.given_mask else plain(self.generator)
        return ExactMaskedFrame(self.generator) if self.config.given_mask else ExactFrame(self.generator)

    def _frame_inputs(self, size: Size) -> tuple[TensorSpec, ...]:
        inputs = [picture_spec("frame", Role.FRAME, size, "the camera picture")]
        if self.config.given_mask:
            inputs.append(_mask_spec(size))
        if not self.config.approximate:
            inputs.append(_exemplar_spec(size))
        return (*inputs, *self._exemplar_outputs(size))

    def _exemplar_outputs(self, size: Size) -> tuple[TensorSpec, ...]:
        """What is computed once per exemplar, in the order of the frame graph's inputs."""
        attention = () if self.config.given_mask else (_attention_spec(self.config),)
        if self.config.approximate:
            return (*attention, _style_spec(self.config))
        return (_content_spec(self.config, size), *attention)


def _exemplar_spec(size: Size) -> TensorSpec:
    meaning = "a picture whose foreground's look is taken over (the part that the network finds by itself)"
    return picture_spec("exemplar", Role.EXEMPLAR, size, meaning)


def _mask_spec(size: Size) -> TensorSpec:
    meaning = "where to translate, 255, and where to keep the frame's own look, 0; in place of the network's own mask"
    return TensorSpec("mask", Role.MASK, (size.height, size.width), DType.UINT8, 0, 255, meaning)


def _content_spec(config: LOMITConfig, size: Size) -> TensorSpec:
    shape = (config.content_dim, size.height // MASK_SCALE, size.width // MASK_SCALE)
    return _cached("exemplar_content", shape, float("-inf"), float("inf"), "the exemplar's content features")


def _attention_spec(config: LOMITConfig) -> TensorSpec:
    meaning = "how much each content channel of the frame counts in its mask, from the exemplar's content"
    return _cached("exemplar_attention", (config.content_dim,), 0, 1, meaning)


def _style_spec(config: LOMITConfig) -> TensorSpec:
    meaning = (
        "approximate: the style of the exemplar's foreground, found with the exemplar's own attention; "
        "the exact one depends on the frame"
    )
    return _cached("exemplar_style", (config.style_dim,), float("-inf"), float("inf"), meaning)


def _cached(name: str, shape: tuple[int, ...], low: float, high: float, meaning: str) -> TensorSpec:
    return TensorSpec(name, Role.STYLE, shape, DType.FLOAT32, low, high, meaning)


class LOMITFamily(ModelFamily[LOMITConfig, LOMIT]):
    """Reads official ``G_exemplar_<name>.pth`` files and builds random networks."""

    name = "lomit"
    title = "LOMIT"
    possible_answers = ({"norm_mode": NormMode.BATCH},)
    source = "Cho et al., arXiv 1906.03598; AnonymousIclrAuthor/Highway-Adaptive-Instance-Normalization"
    reference_licence = "none stated (no licence file)"
    released_weights = "none found"
    fidelity = Fidelity.AUTHORS_CODE
    network_titles: ClassVar[Mapping[str, str]] = {"generator": "the LOMIT generator"}
    initialisation = Initialisation.KAIMING  # as the release's config asks for
    config_type = LOMITConfig
    demo_size = Size(128, 128)
    full_size = Size(128, 128)
    tiny_size = Size(32, 32)

    def architectures(self) -> Mapping[str, LOMITConfig]:
        """The release in both of its norm modes, and our two options: the approximate mode and a given mask."""
        release = LOMITConfig()
        return {
            "batch statistics": release,
            "stored statistics": replace(release, norm_mode=NormMode.EVAL),
            "approximate style (ours)": replace(release, approximate=True),
            "given mask (ours)": replace(release, given_mask=True),
            "approximate style, given mask (ours)": replace(release, approximate=True, given_mask=True),
        }

    def tiny(self, config: LOMITConfig) -> LOMITConfig:
        """Four channels at the first layer, one residual block on either side."""
        return replace(config, conv_dim=4, repeat_num=2, style_dim=4, mlp_dim=8)

    def recognise(self, state: StateDict) -> str | None:
        """A generator: no other network has its four parts under these names."""
        return recognise(state)

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> LOMITConfig:
        """Read the architecture off the keys and shapes; raises what ``lomit.config.infer_config`` does."""
        return infer_config(states, overrides)

    def build_networks(self, config: LOMITConfig) -> dict[str, nn.Module]:
        """The one network of the file: the generator."""
        return {"generator": Generator(config)}

    def assemble(self, config: LOMITConfig, networks: Mapping[str, Any]) -> LOMIT:
        """A model of that network."""
        return LOMIT(config, networks["generator"])

    def load(self, states: Mapping[str, StateDict], config: LOMITConfig) -> LOMIT:
        """Put an official state dict into the network of ``config``.

        Raises:
            CheckpointError: a key or a shape does not fit, or the two copies of the style encoder's last layers differ.
        """
        model = super().load(states, config)
        _check_copies(states["generator"])
        return model


def _check_copies(state: StateDict) -> None:
    """The official network has one such part, saved under two names: where they differ, one of them would be lost."""
    part = "s_encoder.foreground."
    for key in state:
        copy = key.replace(part, "s_encoder.background.")
        if copy != key and not torch.equal(state[key], state[copy]):
            raise CheckpointError(
                f"'{key}' and '{copy}' differ, but in the official network both are one and the same layer.",
                remedy="Give a file written by the official code, whose style encoders share their weights.",
            )


FAMILY = LOMITFamily()
