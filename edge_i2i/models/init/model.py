"""INIT: instance-aware image-to-image translation (Shen et al., CVPR 2019, arXiv 1905.01744).

Neither code nor weights were published. What is here is built from the paper's abstract and from what is remembered of
the paper; each statement is marked: [pub] published abstract or project page, [mem] remembered from the paper and not
checked, [guess] ours.

- The networks are MUNIT's [mem], with MUNIT's sizes [guess]; one set of weights serves whole pictures and crops of
  objects [mem]. State-dict keys are MUNIT's, ``a.…`` and ``b.…`` [guess], so that MUNIT's weights initialise it.
- Boxes are a training input: at test time the global branch runs alone, and no boxes are needed [mem]. That is the
  default here, ``box_aware=false``: it computes what MUNIT computes.
- ``box_aware=true`` is an extension of ours [guess]: objects, given as boxes, get styles of their own inside one pass.
  Statistics stay those of the whole frame; only the shifts and scales differ from position to position.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, Size, SizeRule, TensorSpec
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config import NearMissError, overridden
from edge_i2i.models.family import Fidelity, ModelFamily, ModelGraph, Rewrite, TranslationModel
from edge_i2i.models.init.boxes import box_shares, spread_modulations
from edge_i2i.models.munit.config import MUNITConfig, checked_config, infer_architecture
from edge_i2i.models.munit.model import (
    ADAIN_AS_INPUT,
    GeneratorPair,
    ModulatedFrame,
    adain_spec,
    encode_style_graph,
    frame_spec,
    image_spec,
    modulate_graph,
    style_spec,
    translation_graphs,
)
from edge_i2i.models.munit.networks import MLP
from edge_i2i.models.weights import Initialisation, StateDict

MOST_SLOTS = 256
_UNBOUNDED = float("inf")
_OBJECT_NETWORK = re.compile(r"[ab]\.(enc_content_o|enc_style_o|mlp_o|dec_o)\.")


@dataclass(frozen=True)
class InitConfig(MUNITConfig):
    """MUNIT's options [guess], and ours: ``box_aware`` for styles by boxes, ``slots`` for how many boxes at most."""

    box_aware: bool = False
    slots: int = 16

    def __post_init__(self) -> None:
        """Refuse what no network can be built from.

        Raises:
            UsageError: a value is out of its legal range.
        """
        super().__post_init__()
        if not 1 <= self.slots <= MOST_SLOTS:
            raise UsageError(f"slots={self.slots} is out of range.", remedy=f"Legal values: 1..{MOST_SLOTS}.")


class BoxedFrame(nn.Module):
    """The box-aware frame graph: every position is modulated by the styles of the boxes that hold it. Ours [guess]."""

    def __init__(self, frame: ModulatedFrame, stride: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.stride = frame.encoder, frame.decoder, stride

    def forward(self, frame: Tensor, boxes: Tensor, adain: Tensor, object_adain: Tensor) -> Tensor:
        """Translate one frame [1, 3, H, W] into [1, 3, H, W], both in [-1, 1].

        Args:
            frame: the picture to translate.
            boxes: [1, K, 4]: left, top, right, bottom in pixels; unused rows are zero.
            adain: the AdaIN vector of what lies in no box, [1, A].
            object_adain: the AdaIN vectors of the boxes, [1, K, A].
        """
        content = self.encoder(frame)
        height, width = content.shape[2:]
        shares = box_shares(boxes[0], height, width, self.stride)
        vectors = torch.cat([adain, object_adain[0]])
        modulations = spread_modulations(self.decoder, vectors, shares, height, width)
        return self.decoder.modulated(content, modulations)


class StyledBoxedFrame(nn.Module):
    """The box-aware frame graph with the MLP inside: for comparison."""

    def __init__(self, frame: BoxedFrame, mlp: MLP) -> None:
        super().__init__()
        self.frame, self.objects = frame, ObjectModulation(mlp)

    def forward(self, frame: Tensor, boxes: Tensor, style: Tensor, object_styles: Tensor) -> Tensor:
        """Translate one frame [1, 3, H, W] into [1, 3, H, W], both in [-1, 1].

        Args:
            frame: the picture to translate.
            boxes: [1, K, 4]: left, top, right, bottom in pixels; unused rows are zero.
            style: the style code of what lies in no box, [1, S].
            object_styles: the style codes of the boxes, [1, K, S].
        """
        picture: Tensor = self.frame(frame, boxes, self.objects.mlp(style), self.objects(object_styles))
        return picture


class ObjectModulation(nn.Module):
    """The MLP over a stack of style codes."""

    def __init__(self, mlp: MLP) -> None:
        super().__init__()
        self.mlp = mlp

    def forward(self, object_styles: Tensor) -> Tensor:
        """[1, K, S] → [1, K, A]."""
        vectors: Tensor = self.mlp(object_styles[0])
        return vectors.unsqueeze(0)


class INIT(TranslationModel[InitConfig]):
    """Both domains' generators, translating the frame as a whole or with styles of their own for boxes."""

    family = "init"
    rewrites: ClassVar[tuple[Rewrite, ...]] = (ADAIN_AS_INPUT,)

    def __init__(self, config: InitConfig, pair: GeneratorPair) -> None:
        self.config, self.pair = config, pair

    @property
    def size_rule(self) -> SizeRule:
        """The size rule of MUNIT's networks, which INIT uses."""
        return self.pair.size_rule

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """MUNIT's graphs; box-aware, the frame graph also takes ``boxes`` and ``object_adain``."""
        adain_as_input = ADAIN_AS_INPUT.name in rewrites
        if not self.config.box_aware:
            return translation_graphs(self.pair, size, adain_as_input)
        source, target = self.pair.source, self.pair.target
        frame = BoxedFrame(ModulatedFrame(source.enc_content, target.dec), 2**self.config.n_downsample)
        encode_style = encode_style_graph(self.pair, size)
        if not adain_as_input:
            conditions = (style_spec(self.config), _object_styles_spec(self.config))
            styled = StyledBoxedFrame(frame, target.mlp)
            return ModelGraph(self._frame_declaration(size, *conditions), styled), encode_style
        vectors = (adain_spec(target.dec), self._object_adain_spec())
        boxed = ModelGraph(self._frame_declaration(size, *vectors), frame)
        return boxed, encode_style, modulate_graph(self.pair), self._modulate_objects_graph()

    def _frame_declaration(self, size: Size, style: TensorSpec, objects: TensorSpec) -> GraphDeclaration:
        inputs = (frame_spec(size), _boxes_spec(self.config, size), style, objects)
        return GraphDeclaration("frame", GraphKind.FRAME, inputs, (image_spec(size),))

    def _modulate_objects_graph(self) -> ModelGraph:
        inputs, outputs = (_object_styles_spec(self.config),), (self._object_adain_spec(),)
        declaration = GraphDeclaration("modulate_objects", GraphKind.CONDITION, inputs, outputs)
        return ModelGraph(declaration, ObjectModulation(self.pair.target.mlp))

    def _object_adain_spec(self) -> TensorSpec:
        shape = (self.config.slots, self.pair.target.dec.adain_size)
        meaning = "shifts and scales of the AdaIN layers inside each box"
        return TensorSpec("object_adain", Role.STYLE, shape, DType.FLOAT32, -_UNBOUNDED, _UNBOUNDED, meaning)


def _boxes_spec(config: InitConfig, size: Size) -> TensorSpec:
    shape, high = (config.slots, 4), max(size.height, size.width)
    meaning = "objects with styles of their own; overlapping boxes share a position in equal parts"
    return TensorSpec("boxes", Role.BOXES, shape, DType.FLOAT32, 0, high, meaning, default=0)


def _object_styles_spec(config: InitConfig) -> TensorSpec:
    shape, meaning = (config.slots, config.style_dim), "one style for each box, in the boxes' order"
    low, high = -_UNBOUNDED, _UNBOUNDED
    return TensorSpec(
        "object_styles", Role.STYLE, shape, DType.FLOAT32, low, high, meaning, drawn=True, stack_of="style"
    )


class InitFamily(ModelFamily[InitConfig, INIT]):
    """Reads files in MUNIT's packaging and builds random networks; there is no release to read."""

    name = "init"
    title = "INIT"
    source = "Shen et al., CVPR 2019, arXiv 1905.01744; no official code"
    reference_licence = "none: neither code nor weights were published"
    released_weights = "none"
    fidelity = Fidelity.OURS
    network = "generators"
    network_titles: ClassVar[Mapping[str, str]] = {"generators": "INIT's two generators"}
    initialisation = Initialisation.KAIMING  # as MUNIT's
    config_type = InitConfig
    demo_size = Size(256, 256)
    full_size = Size(256, 256)
    tiny_size = Size(32, 48)

    def architectures(self) -> Mapping[str, InitConfig]:
        """The global branch, as it is remembered of the paper, and our box-aware extension."""
        return {"INIT": InitConfig(), "INIT, box-aware (ours)": InitConfig(box_aware=True)}

    def tiny(self, config: InitConfig) -> InitConfig:
        """Four channels at full size, one residual block, three boxes."""
        return replace(config, dim=4, n_res=1, mlp_dim=8, slots=3)

    def recognise(self, state: StateDict) -> str | None:
        """What a file with networks of their own for objects holds; None for others, whose keys are MUNIT's."""
        found = _object_networks(state)
        return f"generators with networks of their own for objects ({', '.join(found)})" if found else None

    def near_miss(self, state: StateDict) -> CheckpointError | None:
        """Always None: what is wrong with files that have no networks for objects, MUNIT says."""
        return None

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> InitConfig:
        """Read the architecture off ``states["generators"]``, as MUNIT's; ``overrides`` win.

        Raises:
            CheckpointError: the file does not hold both generators, or has networks of their own for objects.
            UsageError: an override is out of range.
        """
        state = states["generators"]
        _refuse_object_networks(state)
        return overridden(checked_config(InitConfig, infer_architecture(state)), overrides)

    def build_networks(self, config: InitConfig) -> dict[str, nn.Module]:
        """The generators of both domains, as MUNIT's."""
        return {"generators": GeneratorPair(config)}

    def assemble(self, config: InitConfig, networks: Mapping[str, Any]) -> INIT:
        """A model of that network."""
        return INIT(config, networks["generators"].eval())

    def load(self, states: Mapping[str, StateDict], config: InitConfig) -> INIT:
        """Put a state dict into the networks of ``config``.

        Raises:
            CheckpointError: a key or a shape does not fit, or the file has networks of their own for objects.
        """
        _refuse_object_networks(states["generators"])
        return super().load(states, config)


def _object_networks(state: StateDict) -> list[str]:
    return sorted({match[1] for key in state if (match := _OBJECT_NETWORK.match(key))})


def _refuse_object_networks(state: StateDict) -> None:
    found = _object_networks(state)
    if found:
        raise NearMissError(
            f"The file has networks of their own for objects ({', '.join(found)}). Here whole pictures and objects "
            "share one set of weights, as remembered of the paper.",
            remedy="Give a file that was trained with shared weights.",
        )


FAMILY = InitFamily()
