"""UNIT, second code base (Liu et al. 2017, arXiv 1703.00848; official repository mingyuliutw/UNIT, master).

Also what NVlabs/MUNIT trains with ``--trainer UNIT``. One auto-encoder a domain, built from MUNIT's blocks, whose codes
are interchangeable: a picture is translated by one domain's encoder and the other's decoder. There is no style.
State-dict keys are the official ones (``a.enc.model.3.model.0.model.1.conv.weight``). Tensors inside are NCHW RGB in
[-1, 1]. The discriminator of each domain is ``munit.discriminators.MsImageDis`` with its default options. The networks
of the NIPS 2017 release are others: ``unit2017``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, SizeRule, picture_spec
from edge_i2i.models.family import Direction, Fidelity, ModelFamily, ModelGraph, TranslationModel
from edge_i2i.models.munit.blocks import Norm
from edge_i2i.models.munit.networks import ContentEncoder, Decoder
from edge_i2i.models.unit.config import UnitConfig as UnitConfig
from edge_i2i.models.unit.config import describe, infer_config
from edge_i2i.models.weights import Initialisation, StateDict


class VAEGen(nn.Module):
    """One domain's auto-encoder. H, W multiples of 2^n_downsample.

    The code is the mean of a Gaussian of unit variance: training decodes ``encode(x) + randn``, and the KL term of its
    loss is the mean of the code's square; at test time the code itself is decoded.
    """

    def __init__(self, config: UnitConfig) -> None:
        super().__init__()
        look = (config.activ, config.pad_type)
        self.enc = ContentEncoder(3, config.dim, config.n_downsample, config.n_res, *look)
        self.dec = Decoder(config.n_downsample, config.n_res, self.enc.output_dim, 3, Norm.INSTANCE, *look)

    def encode(self, picture: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1] → code [N, dim * 2^n, H / 2^n, W / 2^n]."""
        code: Tensor = self.enc(picture)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Code → picture [N, 3, H, W] in [-1, 1]."""
        picture: Tensor = self.dec(code)
        return picture

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct a picture; returns the reconstruction and the code, without the noise that training adds."""
        code = self.encode(picture)
        return self.decode(code + torch.randn_like(code) if self.training else code), code


class AutoencoderPair(nn.Module):
    """The auto-encoders of both domains, under the names that they have in an official file: ``a`` and ``b``."""

    def __init__(self, config: UnitConfig) -> None:
        super().__init__()
        self.a = VAEGen(config)
        self.b = VAEGen(config)

    def path(self, direction: Direction) -> nn.Sequential:
        """The layers of one direction: one domain's encoder, the other's decoder."""
        a2b = direction is Direction.A2B
        source, target = (self.a, self.b) if a2b else (self.b, self.a)
        return nn.Sequential(source.enc, target.dec)

    def forward(self, picture: Tensor, direction: Direction) -> Tensor:
        """Translate [N, 3, H, W] in [-1, 1], without noise."""
        translated: Tensor = self.path(direction)(picture)
        return translated


class Unit(TranslationModel[UnitConfig]):
    """Both domains' auto-encoders, translating one way."""

    family = "unit"

    def __init__(self, config: UnitConfig, networks: AutoencoderPair) -> None:
        self.config = config
        self.networks = networks.eval()

    @property
    def size_rule(self) -> SizeRule:
        """Reflection padding needs two positions at the coarsest level and four where a 7x7 kernel starts."""
        multiple = 2**self.config.n_downsample
        return SizeRule(multiple, minimum=max(2 * multiple, 4))

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph alone: nothing conditions this network."""
        source, target = self.config.direction.split("2")
        frame = picture_spec("frame", Role.FRAME, size, f"the camera picture, of domain {source}")
        image = picture_spec("image", Role.IMAGE, size, f"the picture translated to domain {target}")
        declaration = GraphDeclaration("frame", GraphKind.FRAME, (frame,), (image,))
        return (ModelGraph(declaration, self.networks.path(self.config.direction).eval()),)


class UnitFamily(ModelFamily[UnitConfig, Unit]):
    """Reads official ``gen_*.pt`` files and builds random networks."""

    name = "unit"
    title = "UNIT"
    untold = ("activ", "pad_type")
    source = "Liu et al., NIPS 2017, arXiv 1703.00848; mingyuliutw/UNIT, NVlabs/MUNIT --trainer UNIT"
    reference_licence = "CC BY-NC-SA 4.0 (mingyuliutw/UNIT)"
    released_weights = "gta2city (both directions, trained on 512x512 crops)"
    fidelity = Fidelity.AUTHORS_CODE
    network_titles: ClassVar[Mapping[str, str]] = {"generator": "UNIT's two auto-encoders"}
    initialisation = Initialisation.KAIMING  # as the official code; its layer norms start at 0..1, here at N(1, 0.02)
    config_type = UnitConfig
    demo_size = Size(256, 256)
    full_size = Size(256, 256)
    tiny_size = Size(32, 32)

    def architectures(self) -> Mapping[str, UnitConfig]:
        """There is one: every published configuration has it."""
        return {"VAEGen": UnitConfig()}

    def tiny(self, config: UnitConfig) -> UnitConfig:
        """Four channels, one residual block in each half."""
        return replace(config, dim=4, n_res=1)

    def recognise(self, state: StateDict) -> str | None:
        """Two auto-encoders ``a`` and ``b`` with one encoder each, ``enc``, where MUNIT has two."""
        return describe(state)

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> UnitConfig:
        """Read the architecture off the keys and shapes; raises what ``unit.config.infer_config`` does."""
        return infer_config(states, overrides)

    def build_networks(self, config: UnitConfig) -> dict[str, nn.Module]:
        """The auto-encoders of both domains."""
        return {"generator": AutoencoderPair(config)}

    def assemble(self, config: UnitConfig, networks: Mapping[str, Any]) -> Unit:
        """A model of that network."""
        return Unit(config, networks["generator"])


FAMILY = UnitFamily()
