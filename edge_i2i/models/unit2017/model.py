"""UNIT, the NIPS 2017 release (Liu et al. 2017, arXiv 1703.00848; official repository mingyuliutw/UNIT, version_02).

One generator object for both directions: two encoders and two decoders around shared layers. Every network keeps the
official module layout, so that state-dict keys are the official ones (``encode_A.3.model.0.weight``). Tensors inside
are NCHW RGB in [-1, 1]. LeakyReLU slopes are torch's default 0.01, as in the official code; padding is zero padding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, SizeRule, picture_spec
from edge_i2i.models.family import Direction, Fidelity, ModelFamily, ModelGraph, TranslationModel
from edge_i2i.models.unit2017.config import Unit2017Config as Unit2017Config
from edge_i2i.models.unit2017.config import Variant as Variant
from edge_i2i.models.unit2017.config import describe, infer_config
from edge_i2i.models.weights import StateDict

_RELEASED_CH = Unit2017Config.ch


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), the official INSResBlock; nothing after the sum."""

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.InstanceNorm2d(channels),
        ]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        refined: Tensor = x + self.model(x)
        return refined


class ConvLayer(nn.Module):
    """A convolution and its activation, under the official key ``model.0``."""

    def __init__(self, convolution: nn.Module, *after: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(convolution, *after)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → [N, D, H', W']."""
        features: Tensor = self.model(x)
        return features


class GaussianNoise(nn.Module):
    """Adds N(0, 1) to the shared code while training; does nothing at test time."""

    def forward(self, code: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        return code + torch.randn_like(code) if self.training else code


class CocoGenerator(nn.Module):
    """The official COCOResGen or COCOResGen2: [N, 3, H, W] → [N, 3, H, W] in [-1, 1] and the shared code.

    H, W multiples of 2^n_downsample. The shared code is [N, ch·2^n, H/2^n, W/2^n]; the KL term of the loss is the mean
    of its square.
    """

    def __init__(self, config: Unit2017Config) -> None:
        super().__init__()
        widths = [config.ch * 2**i for i in range(config.n_enc_front_blk)]
        self.encode_A = self._encoder(config, widths)
        self.encode_B = self._encoder(config, widths)
        self.enc_shared = nn.Sequential(*_residual(config, widths[-1], config.n_enc_shared_blk), GaussianNoise())
        self.dec_shared = nn.Sequential(*_residual(config, widths[-1], config.n_gen_shared_blk))
        self.decode_A = self._decoder(config, widths)
        self.decode_B = self._decoder(config, widths)

    @staticmethod
    def _encoder(config: Unit2017Config, widths: list[int]) -> nn.Sequential:
        layers: list[nn.Module] = [ConvLayer(nn.Conv2d(3, config.ch, 7, padding=3), nn.LeakyReLU(inplace=True))]
        for channels, out in pairwise(widths):
            down = nn.Conv2d(channels, out, 3, stride=2, padding=1)
            layers.append(ConvLayer(down, *_after(config.variant, out)))
        return nn.Sequential(*layers, *_residual(config, widths[-1], config.n_enc_res_blk))

    @staticmethod
    def _decoder(config: Unit2017Config, widths: list[int]) -> nn.Sequential:
        layers: list[nn.Module] = _residual(config, widths[-1], config.n_gen_res_blk)
        for channels, out in pairwise(reversed(widths)):
            up = nn.ConvTranspose2d(channels, out, 3, stride=2, padding=1, output_padding=1)
            layers.append(ConvLayer(up, *_after(config.variant, out)))
        return nn.Sequential(*layers, nn.ConvTranspose2d(config.ch, 3, 1), nn.Tanh())

    def path(self, direction: Direction) -> tuple[nn.Sequential, nn.Sequential]:
        """The layers of one direction: those up to the shared code, and those after it."""
        a2b = direction is Direction.A2B
        encode, decode = (self.encode_A, self.decode_B) if a2b else (self.encode_B, self.decode_A)
        return nn.Sequential(encode, self.enc_shared), nn.Sequential(self.dec_shared, decode)

    def forward(self, picture: Tensor, direction: Direction) -> tuple[Tensor, Tensor]:
        """The official ``forward_a2b`` and ``forward_b2a``: the translated picture and the shared code."""
        before, after = self.path(direction)
        shared: Tensor = before(picture)
        return after(shared), shared

    def translate_both(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The official ``forward``, for training: a→a, b→a, a→b, b→b, and the shared codes of a, then b.

        One draw of noise serves both decoders, as in the official code.
        """
        shared = self.enc_shared(torch.cat((self.encode_A(a), self.encode_B(b))))
        code = self.dec_shared(shared)
        in_a, in_b = self.decode_A(code), self.decode_B(code)
        n = a.shape[0]
        return in_a[:n], in_a[n:], in_b[:n], in_b[n:], shared


def _residual(config: Unit2017Config, channels: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(channels, config.res_dropout_ratio) for _ in range(count)]


def _after(variant: Variant, channels: int) -> list[nn.Module]:
    """What follows a convolution that changes the size."""
    if variant is Variant.COCO_RES_GEN:
        return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]
    return [nn.LeakyReLU(inplace=True)]


class Unit2017(TranslationModel[Unit2017Config]):
    """A generator of the 2017 release, translating one way."""

    family = "unit2017"

    def __init__(self, config: Unit2017Config, generator: CocoGenerator) -> None:
        self.config = config
        self.generator = generator.eval()

    @property
    def size_rule(self) -> SizeRule:
        """Instance norm needs more than one position at the coarsest level."""
        multiple = 2**self.config.n_downsample
        return SizeRule(multiple, minimum=2 * multiple)

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph alone: nothing conditions this network."""
        source, target = self.config.direction.upper().split("2")
        frame = picture_spec("frame", Role.FRAME, size, f"the camera picture, of domain {source}")
        image = picture_spec("image", Role.IMAGE, size, f"the picture translated to domain {target}")
        declaration = GraphDeclaration("frame", GraphKind.FRAME, (frame,), (image,))
        return (ModelGraph(declaration, nn.Sequential(*self.generator.path(self.config.direction)).eval()),)


class Unit2017Family(ModelFamily[Unit2017Config, Unit2017]):
    """Reads official ``*_gen_*.pkl`` files of the release and builds random networks."""

    name = "unit2017"
    title = "UNIT (2017 release)"
    possible_answers = ({}, {"variant": Variant.COCO_RES_GEN})
    source = "Liu et al., NIPS 2017, arXiv 1703.00848; mingyuliutw/UNIT, branch version_02"
    reference_licence = "CC BY-NC-SA 4.0 (mingyuliutw/UNIT)"
    released_weights = "cat2tiger, corgi2husky (COCOResGen), synthia2cityscape (COCOResGen2)"
    fidelity = Fidelity.AUTHORS_CODE
    network_titles: ClassVar[Mapping[str, str]] = {"generator": "the generator of UNIT's 2017 release"}
    config_type = Unit2017Config
    demo_size = Size(256, 256)
    full_size = Size(256, 256)
    tiny_size = Size(32, 32)

    def architectures(self) -> Mapping[str, Unit2017Config]:
        """The two classes of the release, as its ``exps/unit`` files configure them."""
        return {
            "COCOResGen": Unit2017Config(),
            "COCOResGen2": Unit2017Config(variant=Variant.COCO_RES_GEN_2, res_dropout_ratio=0.5),
        }

    def tiny(self, config: Unit2017Config) -> Unit2017Config:
        """Four channels, one residual block in every part."""
        return replace(config, ch=4, n_enc_res_blk=1, n_enc_shared_blk=1, n_gen_shared_blk=1, n_gen_res_blk=1)

    def recognise(self, state: StateDict) -> str | None:
        """Two encoders and two decoders for RGB pictures under the release's keys."""
        return describe(state)

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> Unit2017Config:
        """Read the architecture off the keys and shapes; raises what ``unit2017.config.infer_config`` does."""
        return infer_config(states, overrides)

    def build_networks(self, config: Unit2017Config) -> dict[str, nn.Module]:
        """The one network of the file: the generator."""
        return {"generator": CocoGenerator(config)}

    def assemble(self, config: Unit2017Config, networks: Mapping[str, Any]) -> Unit2017:
        """A model of that network."""
        return Unit2017(config, networks["generator"])

    def initialise(self, networks: Mapping[str, Any], config: Unit2017Config, seed: int) -> None:
        """At the released width N(0, 0.02), as the official code draws it; biases 0 (officially torch's default).

        A narrower network draws them wider by sqrt(64 / ch), so that its picture has the full-size network's contrast:
        with N(0, 0.02) it would be flat grey, and no comparison of pictures would find a fault.


        Args:
            networks: by name, as ``build_networks`` made them; changed in place.
            config: their architecture.
            seed: decides every weight.
        """
        super().initialise(networks, config, seed)
        for weight in networks["generator"].parameters():
            if weight.dim() == 4:
                weight.mul_(math.sqrt(_RELEASED_CH / config.ch))


FAMILY = Unit2017Family()
