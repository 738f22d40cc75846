"""MUNIT (Huang et al. 2018, arXiv 1804.04732; official repository NVlabs/MUNIT, commit a82e222).

A picture is content (where things are) and style (how they look). A translation keeps the content of the frame, which
its own domain's encoder reads, and takes the style from the other domain: read off an exemplar, drawn from N(0, 1), or
between two of these. The networks are in ``munit.networks`` and ``munit.blocks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn

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
from edge_i2i.models.family import (
    Direction,
    Fidelity,
    ModelFamily,
    ModelGraph,
    Rewrite,
    TranslationModel,
)
from edge_i2i.models.munit.config import MUNITConfig as MUNITConfig
from edge_i2i.models.munit.config import infer_config, recognise
from edge_i2i.models.munit.networks import MLP, STYLE_DOWNSAMPLINGS, AdaINGen, ContentEncoder, Decoder, StyleEncoder
from edge_i2i.models.weights import Initialisation, StateDict

ADAIN_AS_INPUT = Rewrite(
    "adain-as-input",
    "the MLP runs once a style, and every frame is given the shifts and scales of the AdaIN layers",
    default=True,
)
_UNBOUNDED = float("inf")


class GeneratorPair(nn.Module):
    """The generators of both domains under the keys of ``gen_*.pt``: ``a.…`` and ``b.…``."""

    def __init__(self, config: MUNITConfig) -> None:
        super().__init__()
        self.config = config
        self.a, self.b = build_generator(config), build_generator(config)

    @property
    def source(self) -> AdaINGen:
        """The generator of the domain that frames come from; its content encoder is used."""
        return self.a if self.config.direction is Direction.A2B else self.b

    @property
    def target(self) -> AdaINGen:
        """The generator of the domain that pictures are translated to; its style encoder, MLP and decoder are used."""
        return self.b if self.config.direction is Direction.A2B else self.a

    @property
    def size_rule(self) -> SizeRule:
        """Multiples of what the content encoder divides by.

        Reflection padding needs two positions at the content's level and before the style encoder's last halving.
        """
        multiple = 2**self.config.n_downsample
        return SizeRule(multiple, minimum=max(2 * multiple, 2**STYLE_DOWNSAMPLINGS))


def build_generator(config: MUNITConfig) -> AdaINGen:
    """One domain's networks, with torch's default initialisation."""
    sizes = (config.dim, config.style_dim, config.n_downsample, config.n_res, config.mlp_dim)
    return AdaINGen(3, *sizes, config.activ, config.pad_type)


class ModulatedFrame(nn.Module):
    """The frame graph: content encoder and decoder; the AdaIN vector comes from outside."""

    def __init__(self, encoder: ContentEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, frame: Tensor, adain: Tensor) -> Tensor:
        """frame [1, 3, H, W] in [-1, 1], adain [1, A] → picture [1, 3, H, W] in [-1, 1]."""
        picture: Tensor = self.decoder(self.encoder(frame), adain)
        return picture


class StyledFrame(nn.Module):
    """The frame graph as published, with the MLP inside: for comparison."""

    def __init__(self, frame: ModulatedFrame, mlp: MLP) -> None:
        super().__init__()
        self.frame, self.mlp = frame, mlp

    def forward(self, frame: Tensor, style: Tensor) -> Tensor:
        """frame [1, 3, H, W] in [-1, 1], style [1, style_dim] → picture [1, 3, H, W] in [-1, 1]."""
        picture: Tensor = self.frame(frame, self.mlp(style))
        return picture


class StyleOfExemplar(nn.Module):
    """The style encoder, with a flat code."""

    def __init__(self, encoder: StyleEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, exemplar: Tensor) -> Tensor:
        """[1, 3, H, W] in [-1, 1] → [1, style_dim]."""
        code: Tensor = self.encoder(exemplar)
        return code.flatten(1)


def frame_spec(size: Size) -> TensorSpec:
    """The declaration of the camera picture."""
    return picture_spec("frame", Role.FRAME, size, "the camera picture, of the domain that is translated from")


def image_spec(size: Size) -> TensorSpec:
    """The declaration of the result."""
    return picture_spec("image", Role.IMAGE, size, "the translated picture")


def style_spec(config: MUNITConfig) -> TensorSpec:
    """The declaration of a style code; N(0, 1) is the prior that training draws from."""
    low, high = -_UNBOUNDED, _UNBOUNDED
    meaning = "how the target domain looks: read off an exemplar, or drawn from N(0, 1)"
    shape = (config.style_dim,)
    return TensorSpec("style", Role.STYLE, shape, DType.FLOAT32, low, high, meaning, drawn=True, mixable=True)


def adain_spec(decoder: Decoder) -> TensorSpec:
    """The declaration of the AdaIN vector: per layer, first the shifts of its channels, then the scales."""
    shape, meaning = (decoder.adain_size,), "shifts and scales of the AdaIN layers, computed from the style"
    return TensorSpec("adain", Role.STYLE, shape, DType.FLOAT32, -_UNBOUNDED, _UNBOUNDED, meaning)


def encode_style_graph(pair: GeneratorPair, size: Size) -> ModelGraph:
    """The condition graph ``encode_style``: an exemplar → its style code."""
    exemplar = picture_spec("exemplar", Role.EXEMPLAR, size, "a picture of the target domain whose look is taken over")
    outputs = (style_spec(pair.config),)
    declaration = GraphDeclaration("encode_style", GraphKind.CONDITION, (exemplar,), outputs)
    return ModelGraph(declaration, StyleOfExemplar(pair.target.enc_style))


def modulate_graph(pair: GeneratorPair) -> ModelGraph:
    """The condition graph ``modulate``: a style code → the AdaIN vector, by the target domain's MLP."""
    inputs, outputs = (style_spec(pair.config),), (adain_spec(pair.target.dec),)
    return ModelGraph(GraphDeclaration("modulate", GraphKind.CONDITION, inputs, outputs), pair.target.mlp)


def translation_graphs(pair: GeneratorPair, size: Size, adain_as_input: bool) -> tuple[ModelGraph, ...]:
    """The frame graph, ``encode_style``, and ``modulate`` where the MLP does not run with every frame.

    Args:
        pair: both generators, which know the way they translate.
        size: height and width of frame and exemplar in pixels.
        adain_as_input: whether the frame graph takes the AdaIN vector rather than the style.
    """
    encode_style = encode_style_graph(pair, size)
    frame = ModulatedFrame(pair.source.enc_content, pair.target.dec)
    if adain_as_input:
        declaration = _frame_declaration(size, adain_spec(pair.target.dec))
        return ModelGraph(declaration, frame), encode_style, modulate_graph(pair)
    styled = StyledFrame(frame, pair.target.mlp)
    return ModelGraph(_frame_declaration(size, style_spec(pair.config)), styled), encode_style


def _frame_declaration(size: Size, condition: TensorSpec) -> GraphDeclaration:
    return GraphDeclaration("frame", GraphKind.FRAME, (frame_spec(size), condition), (image_spec(size),))


class MUNIT(TranslationModel[MUNITConfig]):
    """The generators of both domains, and which way they translate."""

    family = "munit"
    rewrites: ClassVar[tuple[Rewrite, ...]] = (ADAIN_AS_INPUT,)

    def __init__(self, pair: GeneratorPair) -> None:
        self.config, self.pair = pair.config, pair

    @property
    def size_rule(self) -> SizeRule:
        """See ``GeneratorPair.size_rule``."""
        return self.pair.size_rule

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph, ``encode_style``, and ``modulate`` where the MLP does not run with every frame."""
        return translation_graphs(self.pair, size, ADAIN_AS_INPUT.name in rewrites)


class MUNITFamily(ModelFamily[MUNITConfig, MUNIT]):
    """Reads official ``gen_*.pt`` files, which hold both domains' generators, and builds random networks."""

    name = "munit"
    title = "MUNIT"
    untold = ("activ", "pad_type")
    source = "Huang et al., ECCV 2018, arXiv 1804.04732; NVlabs/MUNIT"
    reference_licence = "CC BY-NC-SA 4.0 (NVlabs/MUNIT)"
    released_weights = "edges2shoes"
    fidelity = Fidelity.AUTHORS_CODE
    network = "generators"
    network_titles: ClassVar[Mapping[str, str]] = {"generators": "MUNIT's two generators"}
    initialisation = Initialisation.KAIMING  # official; layer norms' gammas start near 1 instead of in 0..1
    config_type = MUNITConfig
    demo_size = Size(256, 256)
    full_size = Size(256, 256)
    tiny_size = Size(32, 48)

    def architectures(self) -> Mapping[str, MUNITConfig]:
        """There is one: every published configuration has the same networks, at 256 or 512 pixels."""
        return {"MUNIT": MUNITConfig()}

    def tiny(self, config: MUNITConfig) -> MUNITConfig:
        """Four channels at full size, one residual block."""
        return replace(config, dim=4, n_res=1, mlp_dim=8)

    def recognise(self, state: StateDict) -> str | None:
        """Both domains' generators, or one alone and which one is missing; None if the file is another model's."""
        return recognise(state)

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> MUNITConfig:
        """Read the architecture off the keys and shapes; raises what ``munit.config.infer_config`` does."""
        return infer_config(states, overrides)

    def build_networks(self, config: MUNITConfig) -> dict[str, nn.Module]:
        """The generators of both domains."""
        return {"generators": GeneratorPair(config)}

    def assemble(self, config: MUNITConfig, networks: Mapping[str, Any]) -> MUNIT:
        """A model of that network."""
        return MUNIT(networks["generators"].eval())


FAMILY = MUNITFamily()
