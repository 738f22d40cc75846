"""BridgeGAN (Huang et al., ICCV 2021, "Bridging the Gap between Label- and Reference-based Synthesis in Multi-attribute
Image-to-Image Translation"; official repository huangqiusheng/BridgeGAN, ``models_712.py``, TensorFlow 1.15).

One generator changes a face's attributes by d = strength · (target - source attributes). Its SPADE norms read a style
map S = style + E(frame, -d), where the style is *drawn*, M(noise, d) (the paper's LEM), or *given*, E(exemplar, d) (its
REM). The style is computed once; E(frame, -d) and all of the generator run for every frame, since S changes with the
frame: nothing of that is approximated.

Tensors inside are NCHW RGB in [-1, 1]; a style map is [1, 2 · ch_enc, H/2, W/2]. The authors' options and test script
were read; they published no weights. Drawing a style works at one size only (128x128 for the release), because the
mapping network's output has a fixed size: at other sizes there is no ``draw_style`` graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
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
    attributes_spec,
    picture_spec,
)
from edge_i2i.models.bridgegan.config import SMALLEST_MAP, BridgeGANConfig, infer_config, recognise
from edge_i2i.models.bridgegan.networks import (
    AttributeConv,
    Resampling,
    ResBlock,
    SpadeNorm,
    StyleMaps,
    attributes_as_bias,
    instance_normed,
    pointwise,
    without_norm,
)
from edge_i2i.models.bridgegan.variables import first_spade_block, our_keys
from edge_i2i.models.checkpoints.tensorflow_layout import slim_instance_norm, unflatten_as_tensorflow
from edge_i2i.models.family import Fidelity, ModelFamily, ModelGraph, Rewrite, TranslationModel
from edge_i2i.models.weights import StateDict

ATTRIBUTES_AS_BIAS = "attributes-as-bias"


class StyleEncoder(nn.Module):
    """E (``Encoder4_wIN_wRelu_concat``), shared by both modes: a picture and an attribute difference → a style map.

    Args:
        n_attributes: length of the attribute difference.
        ch: channels behind the first convolution; the style map has 2 · ch.
        n_middle: residual blocks at half the size, behind the one that halves.
    """

    def __init__(self, n_attributes: int, ch: int = 16, n_middle: int = 3) -> None:
        super().__init__()
        self.n_middle = n_middle
        self.stem = AttributeConv(n_attributes, ch)
        self.down0 = instance_normed(ch, 2 * ch, Resampling.DOWN)
        for i in range(n_middle):
            self.add_module(f"mid{i}", instance_normed(2 * ch, 2 * ch))
        self.out = pointwise(2 * ch, 2 * ch)
        self.norm = slim_instance_norm(2 * ch)

    def forward(self, picture: Tensor, difference: Tensor) -> Tensor:
        """[1, 3, H, W] in [-1, 1], [1, n_attributes] → [1, 2 · ch, H/2, W/2], not negative; H and W even."""
        x = self.down0(self.stem(picture, difference))
        for i in range(self.n_middle):
            x = getattr(self, f"mid{i}")(x)
        return functional.relu(self.norm(self.out(functional.relu(x))))


class MappingNetwork(nn.Module):
    """M (``MappingNet_multiStream_deconv_wIN_wRelu_concat``): noise and an attribute difference → a style map.

    Args:
        n_attributes: length of the attribute difference.
        dim_noise: length of the noise vector.
        ch: channels of the style map, which have to be the style encoder's.
        n_up: how many times the 4x4 map at the start is doubled.
    """

    def __init__(self, n_attributes: int, dim_noise: int = 16, ch: int = 32, n_up: int = 4) -> None:
        super().__init__()
        self.n_up = n_up
        self.fc = nn.Linear(dim_noise + n_attributes, SMALLEST_MAP * SMALLEST_MAP * 2 * ch)
        for i in range(n_up):
            self.add_module(f"up{i}", instance_normed(ch if i else 2 * ch, ch, Resampling.UP))
        self.out = pointwise(ch, ch)
        self.norm = slim_instance_norm(ch)

    def forward(self, noise: Tensor, difference: Tensor) -> Tensor:
        """[1, dim_noise] from N(0, 1), [1, n_attributes] → [1, ch, 4 · 2^n_up, 4 · 2^n_up], not negative."""
        x = unflatten_as_tensorflow(self.fc(torch.cat([noise, difference], dim=1)), SMALLEST_MAP, SMALLEST_MAP)
        for i in range(self.n_up):
            x = getattr(self, f"up{i}")(x)
        return functional.relu(self.norm(self.out(functional.relu(x))))


class SpadeGenerator(nn.Module):
    """G (``Generator2_wRelu``): down with instance norm, then up with SPADE; H, W multiples of 2^n_down.

    Args:
        style_channels: channels of the style maps.
        ch: channels at full size; each halving doubles them.
        n_down: residual blocks that halve, and as many that double again.
        n_middle: residual blocks at the smallest size; those from ``first_spade_block`` on have SPADE.
        spade_hidden: channels between the two convolutions that make γ and β.
    """

    def __init__(
        self, style_channels: int, ch: int = 32, n_down: int = 3, n_middle: int = 2, spade_hidden: int = 128
    ) -> None:
        super().__init__()
        self.n_down, self.n_middle = n_down, n_middle
        widths = [ch * 2**i for i in range(n_down + 1)]

        def spade(channels: int, out: int, resampling: Resampling = Resampling.NONE) -> ResBlock:
            norms = [SpadeNorm(width, style_channels, spade_hidden) for width in (channels, out)]
            return ResBlock(channels, out, (norms[0], norms[1]), resampling)

        self.stem = pointwise(3, ch)
        for i, (channels, out) in enumerate(pairwise(widths)):
            self.add_module(f"down{i}", instance_normed(channels, out, Resampling.DOWN))
        for i in range(n_middle):
            block = instance_normed if i < first_spade_block(n_middle) else spade
            self.add_module(f"mid{i}", block(widths[-1], widths[-1]))
        for i, (channels, out) in enumerate(pairwise(reversed(widths))):
            self.add_module(f"up{i}", spade(channels, out, Resampling.UP))
        self.out = pointwise(ch, 3)

    def forward(self, picture: Tensor, styles: StyleMaps) -> Tensor:
        """[1, 3, H, W] in [-1, 1], and its style maps → [1, 3, H, W] in [-1, 1]."""
        x = self.stem(picture)
        for i in range(self.n_down):
            x = getattr(self, f"down{i}")(x)
        for i in range(self.n_middle):
            block = getattr(self, f"mid{i}")
            x = block(x) if i < first_spade_block(self.n_middle) else block(x, styles)
        for i in range(self.n_down):
            x = getattr(self, f"up{i}")(x, styles)
        return torch.tanh(self.out(functional.relu(x)))


class Discriminator(nn.Module):
    """The training's critic and attribute classifier (``Discriminator``); pictures of ``img_size`` squared only.

    Args:
        n_attributes: how many attributes are classified.
        img_size: height and width of the pictures in pixels, a multiple of 2^n_resblks.
        ch: channels behind the first convolution; each halving doubles them.
        n_resblks: residual blocks, each of which halves.
    """

    def __init__(self, n_attributes: int, img_size: int = 128, ch: int = 16, n_resblks: int = 4) -> None:
        super().__init__()
        self.n_resblks = n_resblks
        widths = [ch * 2**i for i in range(n_resblks + 1)]
        self.stem = pointwise(3, ch)
        for i, (channels, out) in enumerate(pairwise(widths)):
            self.add_module(f"down{i}", without_norm(channels, out, Resampling.DOWN))
        self.activation = nn.LeakyReLU(0.2)
        whole = img_size // 2**n_resblks
        self.gan_conv, self.gan_fc = nn.Conv2d(widths[-1], widths[-1], whole), nn.Linear(widths[-1], 1)
        self.att_conv, self.att_fc = nn.Conv2d(widths[-1], widths[-1], whole), nn.Linear(widths[-1], n_attributes)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, img_size, img_size] → the critic's score [N, 1] and the attributes' logits [N, n_attributes]."""
        x = self.stem(picture)
        for i in range(self.n_resblks):
            x = getattr(self, f"down{i}")(x)
        x = self.activation(x)
        score: Tensor = self.gan_fc(self.activation(self.gan_conv(x)).flatten(1))
        logits: Tensor = self.att_fc(self.activation(self.att_conv(x)).flatten(1))
        return score, logits


class BridgeGANNetworks(nn.Module):
    """The three networks of a checkpoint, under the keys ``gen.``, ``enc.`` and ``map.``."""

    def __init__(self, config: BridgeGANConfig) -> None:
        super().__init__()
        n_attributes = len(config.attributes)
        self.gen = SpadeGenerator(
            config.style_channels, config.ch_gen, config.n_downblks_gen, config.n_intermedblks_gen, config.ch_spade
        )
        self.enc = StyleEncoder(n_attributes, config.ch_enc, config.n_intermedblks_enc)
        self.map = MappingNetwork(n_attributes, config.dim_noise, config.style_channels, config.n_layers_map)


class FrameGraph(nn.Module):
    """What runs for every frame: E(frame, -d), and the whole generator.

    Args:
        generator: G, which runs as a whole.
        encoder: E, which reads the style that the frame itself has.
        config: its ``strength`` scales the attribute difference, its ``second_with_source`` rules the second style.
    """

    def __init__(self, generator: SpadeGenerator, encoder: StyleEncoder, config: BridgeGANConfig) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder
        self.strength, self.second_with_source = config.strength, config.second_with_source

    def forward(self, frame: Tensor, target: Tensor, source: Tensor, style: Tensor, *blended: Tensor) -> Tensor:
        """Translate one frame into [1, 3, H, W] in [-1, 1].

        Args:
            frame: the face, [1, 3, H, W] in [-1, 1].
            target: the attributes that it is to have, [1, n_attributes] in 0..1.
            source: the attributes that it has, likewise.
            style: the style map of ``StyleGraph``, [1, style_channels, H/2, W/2].
            blended: nothing; or a second style map, and how far the picture is from the first to it, [1, 1] in 0..1.
        """
        own = self.encoder(frame, (source - target) * self.strength)
        styles = StyleMaps(style + own)
        if blended:
            second, mix = blended
            whole = second + own if self.second_with_source else second
            styles = StyleMaps(style + own, whole, mix.reshape(1, 1, 1, 1))
        picture: Tensor = self.generator(frame, styles)
        return picture


class StyleGraph(nn.Module):
    """What runs once: the style of an exemplar (with E) or of a noise vector (with M)."""

    def __init__(self, network: StyleEncoder | MappingNetwork, strength: float) -> None:
        super().__init__()
        self.network, self.strength = network, strength

    def forward(self, origin: Tensor, target: Tensor, source: Tensor) -> Tensor:
        """The style map [1, style_channels, h, w] of an exemplar or of a noise vector.

        Args:
            origin: an exemplar [1, 3, H, W] in [-1, 1] for E, noise [1, dim_noise] from N(0, 1) for M.
            target: the attributes that the style is for, [1, n_attributes] in 0..1.
            source: the attributes of the face in the frame, likewise.
        """
        style: Tensor = self.network(origin, (target - source) * self.strength)
        return style


class BridgeGAN(TranslationModel[BridgeGANConfig]):
    """BridgeGAN's generator, its style encoder and its mapping network, with weights."""

    family = "bridgegan"
    rewrites: ClassVar[tuple[Rewrite, ...]] = (
        Rewrite(ATTRIBUTES_AS_BIAS, "the attributes of the style encoder's first convolution become its bias", False),
    )
    """Exact, and off: it was not measured faster on a CPU engine (docs/figures.md). SPADE's γ and β convolutions become
    one by the graph pass ``merge-parallel-convs``."""

    def __init__(self, config: BridgeGANConfig, networks: BridgeGANNetworks) -> None:
        self.config = config
        self.networks = networks.eval()

    @property
    def size_rule(self) -> SizeRule:
        """The generator halves the frame ``n_downblks_gen`` times; instance norm needs more than one pixel there."""
        multiple = int(2**self.config.n_downblks_gen)
        return SizeRule(multiple, minimum=2 * multiple)

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph, ``encode_reference``, and at the mapping network's own size ``draw_style``."""
        config, encoder, generator = self.config, self.networks.enc, self.networks.gen
        if ATTRIBUTES_AS_BIAS in rewrites:
            encoder = attributes_as_bias(encoder)
        frame = ModelGraph(_frame_declaration(config, size), FrameGraph(generator, encoder, config))
        exemplar = picture_spec("exemplar", Role.EXEMPLAR, size, "a face that has the attributes, and lends their look")
        given = ModelGraph(
            _style_declaration("encode_reference", exemplar, config, size), StyleGraph(encoder, config.strength)
        )
        if size != Size(config.drawn_side, config.drawn_side):
            return frame, given
        drawn = ModelGraph(
            _style_declaration("draw_style", _noise_spec(config), config, size),
            StyleGraph(self.networks.map, config.strength),
        )
        return frame, given, drawn


def _frame_declaration(config: BridgeGANConfig, size: Size) -> GraphDeclaration:
    frame = picture_spec("frame", Role.FRAME, size, "the camera picture: an aligned face, as in CelebA")
    style = _style_spec(config, size)
    inputs = [frame, *_attribute_specs(config), style]
    if config.blend:
        second = replace(style, name="second_style", meaning="the style at the mix's other end", second_of="style")
        meaning = "how far the result is from style (0) towards second_style (1)"
        inputs += [second, TensorSpec("mix", Role.MIX, (1,), DType.FLOAT32, 0, 1, meaning, default=0.0)]
    outputs = (picture_spec("image", Role.IMAGE, size, "the face with the target attributes"),)
    return GraphDeclaration("frame", GraphKind.FRAME, tuple(inputs), outputs)


def _style_declaration(name: str, origin: TensorSpec, config: BridgeGANConfig, size: Size) -> GraphDeclaration:
    inputs = (origin, *_attribute_specs(config))
    return GraphDeclaration(name, GraphKind.CONDITION, inputs, (_style_spec(config, size),))


def _attribute_specs(config: BridgeGANConfig) -> tuple[TensorSpec, TensorSpec]:
    """The target attributes and the source attributes; only their difference counts.

    Attributes that both leave at 0 stay as they are in the frame.
    """
    target = attributes_spec("attributes", config.attributes, "what the face is to have", fallback="source_attributes")
    meaning = "what the face in the frame has (fixed for a session)"
    return target, attributes_spec("source_attributes", config.attributes, meaning, default=0.0)


def _noise_spec(config: BridgeGANConfig) -> TensorSpec:
    infinity = float("inf")
    meaning = "which of the looks that fit the attributes"
    shape = (config.dim_noise,)
    return TensorSpec("noise", Role.STYLE, shape, DType.FLOAT32, -infinity, infinity, meaning, drawn=True)


def _style_spec(config: BridgeGANConfig, size: Size) -> TensorSpec:
    """Styles come out of a ReLU. Values between two are looks: the networks were trained on them too."""
    shape = (config.style_channels, size.height // 2, size.width // 2)
    meaning = "look of the target attributes, drawn or taken from an exemplar"
    # not mixable: the authors mix what SPADE makes of two styles (``blend``), which a mix of the styles only resembles
    return TensorSpec("style", Role.STYLE, shape, DType.FLOAT32, 0, float("inf"), meaning)


class BridgeGANFamily(ModelFamily[BridgeGANConfig, BridgeGAN]):
    """Reads the authors' TensorFlow checkpoints (``Epoch_(e)_(iofn).ckpt``), or our own files, and builds networks."""

    name = "bridgegan"
    title = "BridgeGAN"
    source = "Huang et al., ICCV 2021, arXiv 2110.05055; huangqiusheng/BridgeGAN"
    reference_licence = "MIT (huangqiusheng/BridgeGAN)"
    network = "networks"
    network_titles: ClassVar[Mapping[str, str]] = {"networks": "BridgeGAN"}
    config_type = BridgeGANConfig
    demo_size = Size(128, 128)
    full_size = Size(128, 128)
    tiny_size = Size(32, 32)
    released_weights = "none found"
    fidelity = Fidelity.AUTHORS_CODE

    def architectures(self) -> Mapping[str, BridgeGANConfig]:
        """The release, and the same networks with a slider between two styles."""
        return {"CelebA, 14 attributes": BridgeGANConfig(), "CelebA, 14 attributes, blend": BridgeGANConfig(blend=True)}

    def tiny(self, config: BridgeGANConfig) -> BridgeGANConfig:
        """Few channels; one block in the encoder, two in each other part. Styles are drawn for 32x32 pixels."""
        blocks = replace(config, n_downblks_gen=2, n_intermedblks_gen=2, n_intermedblks_enc=1, n_layers_map=2)
        return replace(blocks, ch_gen=8, ch_enc=4, ch_spade=16, dim_noise=4)

    def recognise(self, state: StateDict) -> str | None:
        """A TensorFlow checkpoint with the scopes of all three networks, or our own keys."""
        return recognise(state)

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> BridgeGANConfig:
        """Read the architecture off names and shapes; raises what ``bridgegan.config.infer_config`` does."""
        return infer_config(states["networks"], overrides)

    def build_networks(self, config: BridgeGANConfig) -> dict[str, nn.Module]:
        """All networks as one."""
        return {"networks": BridgeGANNetworks(config)}

    def assemble(self, config: BridgeGANConfig, networks: Mapping[str, Any]) -> BridgeGAN:
        """A model of that network."""
        return BridgeGAN(config, networks["networks"])

    def initialise(self, networks: Mapping[str, Any], config: BridgeGANConfig, seed: int) -> None:
        """Draw weights by slim's rule: Xavier uniform, biases 0.

        Args:
            networks: by name, as ``build_networks`` made them; changed in place.
            config: their architecture.
            seed: decides every weight.
        """
        super().initialise(networks, config, seed)
        generator = torch.Generator().manual_seed(seed)
        for parameter in networks["networks"].parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)

    def portable(self, states: Mapping[str, StateDict]) -> Mapping[str, StateDict]:
        """TensorFlow variables under our keys, without what only the training needs."""
        return {"networks": our_keys(states["networks"])}


FAMILY = BridgeGANFamily()
