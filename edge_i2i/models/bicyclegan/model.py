"""BicycleGAN (Zhu et al. 2017, arXiv 1711.11586; official repository junyanz/BicycleGAN, commit 40b9d52).

One picture in, many out: which one is decided by the style code z, which is drawn from N(0, 1) or read off an exemplar
by the encoder. The networks are in ``bicyclegan.networks``, under the official state-dict keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
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
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.bicyclegan.config import BicycleGANConfig as BicycleGANConfig
from edge_i2i.models.bicyclegan.config import (
    WhereAdd,
    infer_config,
    infer_encoder,
    infer_generator,
    norm_mode_of,
)
from edge_i2i.models.bicyclegan.networks import Level, StyleEncoder, UnetGenerator, spread
from edge_i2i.models.family import Fidelity, ModelFamily, ModelGraph, Rewrite, TranslationModel
from edge_i2i.models.weights import Initialisation, StateDict, materialise

BIAS_MAPS = "z-as-bias-maps"
_UNBOUNDED = float("inf")


def to_grey(picture: Tensor) -> Tensor:
    """RGB [N, 3, H, W] in [-1, 1] → grey [N, 1, H, W], as the official loader of 2017-2018 made ``--input_nc 1``.

    Its weights are 0.299, 0.587, 0.114 on the normalised picture (``data/single_dataset.py`` before commit 86d3319).
    Later commits make the picture grey before it is normalised (Pillow's mode L), with the same weights and rounding
    to whole grey levels: half a level of difference at most.
    """
    red, green, blue = picture[:, 0:1], picture[:, 1:2], picture[:, 2:3]
    return red * 0.299 + green * 0.587 + blue * 0.114


class StyledFrame(nn.Module):
    """The frame graph as published: frame [1, 3, H, W] and style [1, nz] → picture [1, 3, H, W]."""

    def __init__(self, generator: UnetGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, frame: Tensor, style: Tensor) -> Tensor:
        """Translate one frame."""
        picture: Tensor = self.generator(_source(frame, self.generator.config), style)
        return picture


def _source(frame: Tensor, config: BicycleGANConfig) -> Tensor:
    return to_grey(frame) if config.input_nc == 1 else frame


class BiasMappedFrame(nn.Module):
    """The frame graph of the rewrite z-as-bias-maps: frame and one map a level that takes z → picture.

    A convolution over concatenated channels is the sum of one over the picture's and one over z's. The second depends
    on the style alone: ``BiasMaps`` computes it once.
    """

    def __init__(self, generator: UnetGenerator) -> None:
        super().__init__()
        self.generator = generator
        self.convolutions = nn.ModuleList(
            _part_of(_convolution(level), slice(None, -generator.config.nz), with_bias=False)
            for level in generator.levels
            if level.takes_z
        )

    def forward(self, frame: Tensor, *maps: Tensor) -> Tensor:
        """Translate one frame; the maps are [1, C, H, W] of their levels, outermost first."""

        def encode(number: int, level: Level, x: Tensor) -> Tensor:
            for layer in level.down:
                split = level.takes_z and isinstance(layer, nn.Conv2d)
                x = self.convolutions[number](x) + maps[number] if split else layer(x)
            return x

        return self.generator.run(_source(frame, self.generator.config), encode)


class BiasMaps(nn.Module):
    """style [1, nz] → what it adds to every convolution that takes z, with the convolution's own bias.

    The maps hold the border exactly, where the zero padding cuts z's share; inside they are constant.
    """

    def __init__(self, generator: UnetGenerator, size: Size) -> None:
        super().__init__()
        self.size = size
        self.levels = [level for level in generator.levels if level.takes_z]
        nz = generator.config.nz
        self.convolutions = nn.ModuleList(
            _part_of(_convolution(level), slice(-nz, None), with_bias=True) for level in self.levels
        )

    def forward(self, style: Tensor) -> tuple[Tensor, ...]:
        """``style`` [1, nz] → one map [1, C, H, W] for each level that takes z, outermost first."""
        maps = []
        for number, (level, convolution) in enumerate(zip(self.levels, self.convolutions, strict=True)):
            x = spread(style, self.size.height >> number, self.size.width >> number)
            for layer in level.down:
                if isinstance(layer, nn.Conv2d):
                    break
                x = layer(x)
            maps.append(convolution(x))
        return tuple(maps)


def _convolution(level: Level) -> nn.Conv2d:
    return next(layer for layer in level.down if isinstance(layer, nn.Conv2d))


def _part_of(convolution: nn.Conv2d, channels: slice, with_bias: bool) -> nn.Conv2d:
    """The same convolution over some of its input channels."""
    weight = convolution.weight[:, channels].contiguous()
    with torch.device("meta"):
        part = nn.Conv2d(weight.shape[1], weight.shape[0], 4, stride=2, padding=1, bias=with_bias)
    state = {"weight": weight, "bias": convolution.bias} if with_bias else {"weight": weight}
    part.load_state_dict(state, assign=True)
    return part.requires_grad_(False)


class MeanStyle(nn.Module):
    """The encoder's mean alone, which is the style that the official test script takes."""

    def __init__(self, encoder: StyleEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, exemplar: Tensor) -> Tensor:
        """[1, 3, S, S] → [1, nz]."""
        mean: Tensor = self.encoder(exemplar)[0]
        return mean


class BicycleGAN(TranslationModel[BicycleGANConfig]):
    """A BicycleGAN generator, and its style encoder where its file is there.

    Args:
        config: the architecture of both networks.
        generator: with its weights; it is put into eval mode.
        encoder: with its weights; it is put into eval mode. None: styles can be drawn, but not read off an exemplar.
    """

    family = "bicyclegan"
    rewrites: ClassVar[tuple[Rewrite, ...]] = (
        Rewrite(
            BIAS_MAPS,
            "what the style adds to the convolutions is computed once, as maps, instead of concatenated every frame",
            default=True,
        ),
    )

    def __init__(self, config: BicycleGANConfig, generator: UnetGenerator, encoder: StyleEncoder | None) -> None:
        self.config = config
        self.generator = generator.eval()
        self.encoder = encoder.eval() if encoder is not None else None

    @property
    def size_rule(self) -> SizeRule:
        """Every level halves; the innermost may be one position."""
        return SizeRule(2**self.config.num_downs, minimum=2**self.config.num_downs)

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph; ``bias_maps`` where that rewrite is on; ``encode_style`` where there is an encoder."""
        graphs = self._mapped_graphs(size) if BIAS_MAPS in rewrites else [self._styled_graph(size)]
        if self.encoder is not None:
            graphs.append(self._encoder_graph(self.encoder))
        return tuple(graphs)

    def _styled_graph(self, size: Size) -> ModelGraph:
        inputs = (_frame_spec(size), _style_spec(self.config))
        declaration = GraphDeclaration("frame", GraphKind.FRAME, inputs, (_image_spec(size),))
        return ModelGraph(declaration, StyledFrame(self.generator))

    def _mapped_graphs(self, size: Size) -> list[ModelGraph]:
        maps = _map_specs(self.config, size)
        frame = GraphDeclaration("frame", GraphKind.FRAME, (_frame_spec(size), *maps), (_image_spec(size),))
        once = GraphDeclaration("bias_maps", GraphKind.CONDITION, (_style_spec(self.config),), maps)
        mapped = ModelGraph(frame, BiasMappedFrame(self.generator))
        return [mapped, ModelGraph(once, BiasMaps(self.generator, size))]

    def _encoder_graph(self, encoder: StyleEncoder) -> ModelGraph:
        side = self.config.exemplar_side
        meaning = "a picture of the target domain whose look is taken over"
        inputs = (picture_spec("exemplar", Role.EXEMPLAR, Size(side, side), meaning),)
        outputs = (_style_spec(self.config),)
        return ModelGraph(GraphDeclaration("encode_style", GraphKind.CONDITION, inputs, outputs), MeanStyle(encoder))


def _frame_spec(size: Size) -> TensorSpec:
    return picture_spec("frame", Role.FRAME, size, "the camera picture, or the drawing")


def _image_spec(size: Size) -> TensorSpec:
    return picture_spec("image", Role.IMAGE, size, "the translated picture")


def _style_spec(config: BicycleGANConfig) -> TensorSpec:
    return TensorSpec(
        name="style",
        role=Role.STYLE,
        shape=(config.nz,),
        dtype=DType.FLOAT32,
        low=-_UNBOUNDED,
        high=_UNBOUNDED,
        meaning="the style code z",
        drawn=True,
        mixable=True,
    )


def _map_specs(config: BicycleGANConfig, size: Size) -> tuple[TensorSpec, ...]:
    """The maps in front of the norms of the way down, outermost first: half of what enters the level."""
    return tuple(
        TensorSpec(
            name=f"bias_{level}",
            role=Role.STYLE,
            shape=(config.width(level), size.height >> (level + 1), size.width >> (level + 1)),
            dtype=DType.FLOAT32,
            low=-_UNBOUNDED,
            high=_UNBOUNDED,
            meaning=f"what the style adds to the convolution of level {level}",
        )
        for level in range(config.num_downs)
        if config.takes_z(level)
    )


class BicycleGANFamily(ModelFamily[BicycleGANConfig, BicycleGAN]):
    """Reads official ``*_net_G.pth`` (and ``*_net_E.pth``) files and builds random networks."""

    name = "bicyclegan"
    title = "BicycleGAN"
    untold = ("nl",)
    source = "Zhu et al., NIPS 2017, arXiv 1711.11586; junyanz/BicycleGAN"
    reference_licence = "BSD (junyanz/BicycleGAN)"
    released_weights = "edges2shoes, edges2handbags (1-channel input), night2day, facades, maps (map to aerial)"
    fidelity = Fidelity.AUTHORS_CODE
    network_titles: ClassVar[Mapping[str, str]] = {
        "generator": "the BicycleGAN generator",
        "encoder": "the BicycleGAN style encoder",
    }
    optional_networks = frozenset({"encoder"})
    config_type = BicycleGANConfig
    demo_size = Size(256, 256)
    full_size = Size(256, 256)
    tiny_size = Size(64, 64)

    def architectures(self) -> Mapping[str, BicycleGANConfig]:
        """The released networks (z at all levels; RGB or 1-channel input), and the paper's other place for z."""
        return {
            "unet_256, z at all levels": BicycleGANConfig(),
            "unet_256, z at all levels, 1-channel input": BicycleGANConfig(input_nc=1),
            "unet_256, z at the input": BicycleGANConfig(where_add=WhereAdd.INPUT),
        }

    def tiny(self, config: BicycleGANConfig) -> BicycleGANConfig:
        """Five levels, the last of which no longer widens; four channels; a 32x32 exemplar."""
        return replace(config, ngf=4, num_downs=5, nef=4, n_blocks_E=2)

    def recognise(self, state: StateDict) -> str | None:
        """Exactly the tensors of a generator (z at the input: with z's eight channels there) or of a style encoder."""
        try:
            return _describe_encoder(state) or _describe_generator(state)
        except (CheckpointError, UsageError):
            return None

    def companion_files(self, checkpoint: Path) -> dict[str, Path]:
        """The generator's file has ``_net_G`` in its name and the encoder's ``_net_E``; either may be given."""
        generator = checkpoint.with_name(checkpoint.name.replace("_net_E", "_net_G"))
        if not generator.is_file():
            return {"generator": checkpoint}
        encoder = generator.with_name(generator.name.replace("_net_G", "_net_E"))
        return {"generator": generator, **({"encoder": encoder} if encoder != generator and encoder.is_file() else {})}

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> BicycleGANConfig:
        """Read the architecture off the keys and shapes; raises what ``bicyclegan.config.infer_config`` does."""
        return infer_config(states, overrides)

    def build_networks(self, config: BicycleGANConfig) -> dict[str, nn.Module]:
        """The generator and the style encoder."""
        return {"generator": UnetGenerator(config), "encoder": StyleEncoder(config)}

    def assemble(self, config: BicycleGANConfig, networks: Mapping[str, Any]) -> BicycleGAN:
        """A model of these networks; without an encoder, styles are only drawn."""
        return BicycleGAN(config, networks["generator"], networks.get("encoder"))

    def initialise(self, networks: Mapping[str, Any], config: BicycleGANConfig, seed: int) -> None:
        """The generator starts at N(0, 0.02) (the official ``--init_type normal``), the encoder at ``kaiming``.

        The official Xavier initialisation with gain 0.02 leaves pictures and styles too near to zero to tell apart.


        Args:
            networks: by name, as ``build_networks`` made them; changed in place.
            config: their architecture.
            seed: decides every weight.
        """
        materialise(networks["generator"], seed)
        materialise(networks["encoder"], seed + 1, Initialisation.KAIMING)


def _describe_generator(state: StateDict) -> str | None:
    seen = infer_generator(state)
    with torch.device("meta"):
        network = UnetGenerator(seen)
    if not _fits(network, state):
        return None
    where = "at all levels" if seen.where_add is WhereAdd.ALL else "at the input"
    return f"a U-Net of {seen.num_downs} levels, {seen.input_nc}-channel input, z {where}, ngf {seen.ngf}"


def _describe_encoder(state: StateDict) -> str | None:
    found = infer_encoder(state)
    if found is None:
        return None
    config = BicycleGANConfig(**found, norm_mode=norm_mode_of(state))
    with torch.device("meta"):
        network = StyleEncoder(config)
    if not _fits(network, state):
        return None
    side = config.exemplar_side
    return f"a {config.netE} style encoder for {side}x{side} exemplars (its generator is in the file with _net_G)"


def _fits(network: nn.Module, state: StateDict) -> bool:
    """Whether the state dict has every tensor of the network, in its shape, and no other that it would need."""
    wanted = {key: tensor.shape for key, tensor in network.state_dict().items()}
    given = {key: tensor.shape for key, tensor in state.items()}
    extra = {key for key in given.keys() - wanted.keys() if not key.endswith(_STATISTICS)}
    missing = {key for key in wanted.keys() - given.keys() if not key.endswith("num_batches_tracked")}
    return not extra and not missing and all(given[key] == wanted[key] for key in wanted.keys() & given.keys())


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # files of torch before 0.4 carry them


FAMILY = BicycleGANFamily()
