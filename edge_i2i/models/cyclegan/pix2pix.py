"""pix2pix (Isola et al. 2017, arXiv 1611.07004; official repository junyanz/pytorch-CycleGAN-and-pix2pix).

The networks, files and options are CycleGAN's (``cyclegan``); the defaults are pix2pix's: a U-Net with batch norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from edge_i2i.models.cyclegan.config import Generator
from edge_i2i.models.cyclegan.model import CycleGAN, CycleGANConfig, CycleGANFamily
from edge_i2i.models.family import NormMode

_UNET_128_DOWNS = 7


class Pix2Pix(CycleGAN):
    """A generator trained on pairs of pictures."""

    family = "pix2pix"


class Pix2PixFamily(CycleGANFamily):
    """Claims the U-Nets among the repository's files."""

    name = "pix2pix"
    title = "pix2pix"
    network_titles: ClassVar[Mapping[str, str]] = {"generator": "the pix2pix generator"}
    source = "Isola et al., CVPR 2017, arXiv 1611.07004; junyanz/pytorch-CycleGAN-and-pix2pix"
    released_weights = "the pix2pix model zoo (edges2shoes, sat2map, facades_label2photo, day2night and others)"
    claims = Generator.UNET
    model_type = Pix2Pix

    def architectures(self) -> Mapping[str, CycleGANConfig]:
        """The release's U-Net by both of the test script's norm modes, and the smaller one for 128x128."""
        unet = CycleGANConfig(generator=Generator.UNET, norm_mode=NormMode.BATCH)
        return {
            "U-Net-256, batch norm, batch": unet,
            "U-Net-256, batch norm, eval": replace(unet, norm_mode=NormMode.EVAL),
            "U-Net-128, batch norm, batch": replace(unet, num_downs=_UNET_128_DOWNS),
        }


FAMILY = Pix2PixFamily()
