"""CycleGAN (Zhu et al. 2017, arXiv 1703.10593; official repository junyanz/pytorch-CycleGAN-and-pix2pix).

The repository is pix2pix's too: both read the same files here, and ``pix2pix`` differs in its defaults and in which
files it claims. A CycleGAN generator's file holds one direction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, SizeRule, picture_spec
from edge_i2i.errors import CheckpointError
from edge_i2i.models.cyclegan.config import CycleGANConfig as CycleGANConfig
from edge_i2i.models.cyclegan.config import Generator, infer_config, infer_generator
from edge_i2i.models.cyclegan.networks import ResnetGenerator, UnetGenerator, build_generator
from edge_i2i.models.family import Fidelity, ModelFamily, ModelGraph, NormMode, TranslationModel
from edge_i2i.models.weights import Initialisation, StateDict, materialise

_LUMA = (0.299, 0.587, 0.114)  # transforms.Grayscale's weights of red, green and blue (ITU-R 601-2)
_STATISTICS = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")
_TINY_DOWNS = 6  # the fewest that have a level with dropout


def to_grey(picture: Tensor) -> Tensor:
    """[N, 3, H, W] in [-1, 1] → [N, 1, H, W]: the authors' grey conversion.

    Theirs rounds to whole grey levels before the network, this does not: up to half a level apart.
    """
    red, green, blue = _LUMA
    return red * picture[:, 0:1] + green * picture[:, 1:2] + blue * picture[:, 2:3]


class PictureTranslator(nn.Module):
    """The frame graph of a generator that reads or makes grey pictures: RGB goes in and comes out all the same."""

    def __init__(self, generator: nn.Module, config: CycleGANConfig) -> None:
        super().__init__()
        self.generator, self.config = generator, config

    def forward(self, frame: Tensor) -> Tensor:
        """[1, 3, H, W] → [1, 3, H, W], both in [-1, 1]."""
        image: Tensor = self.generator(to_grey(frame) if self.config.input_nc == 1 else frame)
        return torch.cat([image, image, image], dim=1) if self.config.output_nc == 1 else image


class CycleGAN(TranslationModel[CycleGANConfig]):
    """A generator that translates one way."""

    family = "cyclegan"

    def __init__(self, config: CycleGANConfig, generator: ResnetGenerator | UnetGenerator) -> None:
        self.config = config
        self.generator = generator.eval()

    @property
    def size_rule(self) -> SizeRule:
        """The ResNet's reflection padding needs two positions at a quarter of the size."""
        multiple = self.config.size_multiple
        return SizeRule(multiple, minimum=max(multiple, 8))

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph alone: nothing conditions these generators."""
        frame = picture_spec("frame", Role.FRAME, size, "the camera picture")
        image = picture_spec("image", Role.IMAGE, size, "the translated picture")
        declaration = GraphDeclaration("frame", GraphKind.FRAME, (frame,), (image,))
        colour = self.config.input_nc == self.config.output_nc == 3
        module = self.generator if colour else PictureTranslator(self.generator, self.config)
        return (ModelGraph(declaration, module),)


class CycleGANFamily(ModelFamily[CycleGANConfig, CycleGAN]):
    """Reads official ``*_net_G.pth``, ``*_net_G_A.pth`` and ``*_net_G_B.pth`` files and builds random networks."""

    name = "cyclegan"
    title = "CycleGAN"
    source = "Zhu et al., ICCV 2017, arXiv 1703.10593; junyanz/pytorch-CycleGAN-and-pix2pix"
    reference_licence = "BSD (junyanz/pytorch-CycleGAN-and-pix2pix)"
    released_weights = "the CycleGAN model zoo (horse2zebra, style_monet, cityscapes and others), one direction a file"
    fidelity = Fidelity.AUTHORS_CODE
    network_titles: ClassVar[Mapping[str, str]] = {"generator": "the CycleGAN generator"}
    config_type = CycleGANConfig
    demo_size = Size(256, 256)
    full_size = Size(256, 256)
    tiny_size = Size(64, 64)
    claims: ClassVar[Generator] = Generator.RESNET
    model_type: ClassVar[type[CycleGAN]] = CycleGAN
    possible_answers = ({}, {"norm_mode": NormMode.BATCH})

    def architectures(self) -> Mapping[str, CycleGANConfig]:
        """The release's nine residual blocks, and the six that the paper has for 128x128 pixels (section 4)."""
        return {"ResNet-9, instance norm": CycleGANConfig(), "ResNet-6, instance norm": CycleGANConfig(n_blocks=6)}

    def tiny(self, config: CycleGANConfig) -> CycleGANConfig:
        """Eight channels, and one block or six levels."""
        return replace(config, ngf=8, n_blocks=1, num_downs=min(config.num_downs, _TINY_DOWNS))

    def recognise(self, state: StateDict) -> str | None:
        """A complete generator of the kind that this family's releases have; the other kind is the other family's."""
        try:
            seen = infer_generator(state)
        except CheckpointError:
            return None
        return _describe(seen) if seen.generator == self.claims and _fits(state, seen) else None

    def near_miss(self, state: StateDict) -> CheckpointError | None:
        """Why a generator of the kind that this family claims is not read; None for the other kind, and for others.

        Discriminators count as CycleGAN's.
        """
        claimed = Generator.UNET if "model.model.0.weight" in state else Generator.RESNET
        return super().near_miss(state) if claimed == self.claims else None

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> CycleGANConfig:
        """Read the architecture off the keys and shapes; raises what ``cyclegan.config.infer_config`` does."""
        return infer_config(states, overrides)

    def build_networks(self, config: CycleGANConfig) -> dict[str, nn.Module]:
        """The one network of the file: the generator."""
        return {"generator": build_generator(config)}

    def assemble(self, config: CycleGANConfig, networks: Mapping[str, Any]) -> CycleGAN:
        """A model of that network."""
        return self.model_type(config, networks["generator"])

    def initialise(self, networks: Mapping[str, Any], config: CycleGANConfig, seed: int) -> None:
        """N(0, 0.02) as the official code draws it, biases 0.

        A U-Net with stored statistics (norm_mode eval) has neither a norm nor a residual to keep such small weights
        from making every picture grey: there the official option ``--init_type kaiming``.


        Args:
            networks: by name, as ``build_networks`` made them; changed in place.
            config: their architecture.
            seed: decides every weight.
        """
        fading = config.generator == Generator.UNET and config.norm_mode == NormMode.EVAL
        materialise(networks["generator"], seed, Initialisation.KAIMING if fading else Initialisation.NORMAL)


def _on_meta(config: CycleGANConfig) -> ResnetGenerator | UnetGenerator:
    with torch.device("meta"):
        return build_generator(config)


def _fits(state: StateDict, config: CycleGANConfig) -> bool:
    """Whether the generator of that architecture has exactly these keys and shapes, statistics aside."""
    own = _on_meta(config).state_dict()
    expected, given = (
        {key: tuple(tensor.shape) for key, tensor in tensors.items() if not _STATISTICS.search(key)}
        for tensors in (own, state)
    )
    return expected == given


def _describe(config: CycleGANConfig) -> str:
    norm = "batch norm" if config.batch_norm else "instance norm"
    if config.generator == Generator.UNET:
        return f"a U-Net generator (unet_{config.size_multiple}), ngf {config.ngf}, {norm}"
    return f"a ResNet generator, ngf {config.ngf}, {config.n_blocks} blocks, {norm}"


FAMILY = CycleGANFamily()
