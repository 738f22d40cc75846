"""pix2pixHD (Wang et al. 2018, arXiv 1711.11585; official repository NVIDIA/pix2pixHD).

The family: its checkpoints, its graphs and what they take. Its networks are in ``pix2pixhd.networks``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

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
from edge_i2i.models.family import Fidelity, ModelFamily, ModelGraph, TranslationModel
from edge_i2i.models.pix2pixhd.config import Pix2PixHDConfig as Pix2PixHDConfig
from edge_i2i.models.pix2pixhd.config import assumed, infer_config, near_miss_is_ours, recognise
from edge_i2i.models.pix2pixhd.networks import (
    INSTANCE_SLOTS,
    FeatureEncoder,
    GlobalGenerator,
    LabelFrame,
    LocalEnhancer,
    build_generator,
)
from edge_i2i.models.weights import StateDict, load_state

LARGEST_INSTANCE_ID = 2**31 - 1


class Pix2PixHD(TranslationModel[Pix2PixHDConfig]):
    """A pix2pixHD generator, and its feature encoder where the architecture has one.

    Args:
        config: the architecture of both networks.
        generator: with its weights; it is put into eval mode.
        encoder: with its weights; it is put into eval mode. None: the features come from elsewhere, or there are none.
    """

    family = "pix2pixhd"

    def __init__(
        self, config: Pix2PixHDConfig, generator: GlobalGenerator | LocalEnhancer, encoder: FeatureEncoder | None
    ) -> None:
        self.config = config
        self.generator = generator.eval()
        self.encoder = encoder.eval() if encoder is not None else None

    @property
    def size_rule(self) -> SizeRule:
        """Reflection padding needs two positions at the coarsest level and four where a 7x7 kernel starts."""
        levels = self.config.n_downsample_global + self.config.n_local_enhancers
        if self.encoder is not None:
            levels = max(levels, self.config.n_downsample_E)
        return SizeRule(2**levels, minimum=max(2 * 2**levels, 4 * 2**self.config.n_local_enhancers, 8))

    def build_graphs(self, size: Size, rewrites: frozenset[str]) -> tuple[ModelGraph, ...]:
        """The frame graph, and the ``encode`` condition graph where there is an encoder."""
        frame = ModelGraph(self._frame_declaration(size), self._frame_module())
        if self.encoder is None:
            return (frame,)
        return frame, ModelGraph(self._encode_declaration(size), self.encoder)

    def _frame_module(self) -> nn.Module:
        plain = self.config.rgb and not self.config.instance_edges and not self.config.feat_num
        return self.generator if plain else LabelFrame(self.generator, self.config)

    def _frame_declaration(self, size: Size) -> GraphDeclaration:
        inputs = [_source_spec(self.config, size)]
        if self.config.instance_edges:
            inputs.append(_instance_spec(size))
        if self.config.feat_num:
            inputs.append(_features_spec(self.config, size))
        outputs = (picture_spec("image", Role.IMAGE, size, "the translated picture"),)
        return GraphDeclaration("frame", GraphKind.FRAME, tuple(inputs), outputs)

    def _encode_declaration(self, size: Size) -> GraphDeclaration:
        exemplar = picture_spec("exemplar", Role.EXEMPLAR, size, "a photograph whose appearance is taken over")
        inputs = (exemplar, _exemplar_instance_spec(size))
        return GraphDeclaration("encode", GraphKind.CONDITION, inputs, (_features_spec(self.config, size),))


def _source_spec(config: Pix2PixHDConfig, size: Size) -> TensorSpec:
    if config.rgb:
        return picture_spec("frame", Role.FRAME, size, "the camera picture")
    shape = (size.height, size.width)
    return TensorSpec("label_map", Role.LABEL_MAP, shape, DType.UINT8, 0, config.label_nc - 1, "class of every pixel")


def _instance_spec(size: Size) -> TensorSpec:
    shape = (size.height, size.width)
    meaning = "instance id of every pixel (things: label*1000+k, stuff: label)"
    return TensorSpec("instance_map", Role.INSTANCE_MAP, shape, DType.INT32, 0, LARGEST_INSTANCE_ID, meaning)


def _exemplar_instance_spec(size: Size) -> TensorSpec:
    shape, high = (size.height, size.width), INSTANCE_SLOTS - 1
    meaning = "instance id of every pixel of the exemplar"
    return TensorSpec("exemplar_instance_map", Role.INSTANCE_MAP, shape, DType.INT32, 0, high, meaning, INSTANCE_SLOTS)


def _features_spec(config: Pix2PixHDConfig, size: Size) -> TensorSpec:
    shape = (config.feat_num, size.height, size.width)
    meaning = "encoder features, constant inside each instance"
    return TensorSpec("features", Role.STYLE, shape, DType.FLOAT32, -1, 1, meaning)


class Pix2PixHDFamily(ModelFamily[Pix2PixHDConfig, Pix2PixHD]):
    """Reads official ``*_net_G.pth`` (and ``*_net_E.pth``) files and builds random or demo networks."""

    name = "pix2pixhd"
    title = "pix2pixHD"
    source = "Wang et al., CVPR 2018, arXiv 1711.11585; NVIDIA/pix2pixHD"
    reference_licence = "BSD (NVIDIA/pix2pixHD)"
    network_titles: ClassVar[Mapping[str, str]] = {
        "generator": "the pix2pixHD generator",
        "encoder": "the pix2pixHD feature encoder",
    }
    optional_networks = frozenset({"encoder"})
    config_type = Pix2PixHDConfig
    demo_weights = "pix2pixhd-demo.safetensors"
    demo_size = Size(480, 640)
    full_size = Size(512, 1024)
    tiny_size = Size(64, 64)
    released_weights = "label2city_1024p (Cityscapes, G2)"
    fidelity = Fidelity.AUTHORS_CODE

    def architectures(self) -> Mapping[str, Pix2PixHDConfig]:
        """First full-size G1 in RGB mode: it runs on camera frames without a segmentation network in front."""
        return {
            "G1, RGB": Pix2PixHDConfig(label_nc=0, instance_edges=False),
            "G1, labels": Pix2PixHDConfig(),
            "G2, RGB": Pix2PixHDConfig(label_nc=0, instance_edges=False, ngf=32, n_local_enhancers=1),
            "G2, labels": Pix2PixHDConfig(ngf=32, n_local_enhancers=1),
            "G2, labels, encoder": Pix2PixHDConfig(ngf=32, n_local_enhancers=1, feat_num=3),
        }

    def tiny(self, config: Pix2PixHDConfig) -> Pix2PixHDConfig:
        """Two downsamplings, one block, eight channels, five classes."""
        classes = min(config.label_nc, 5)
        small = replace(config, label_nc=classes, ngf=8, n_downsample_global=2, n_blocks_global=1, n_blocks_local=1)
        return replace(small, nef=4, n_downsample_E=2)

    def recognise(self, state: StateDict) -> str | None:
        """A generator with enhancers, or with other than two downsamplings (a plain one with two is CycleGAN's)."""
        return recognise(state)

    def near_miss(self, state: StateDict) -> CheckpointError | None:
        """Why a generator that resembles these is not read; None for those that would be CycleGAN's, and for others."""
        return super().near_miss(state) if near_miss_is_ours(state) else None

    def assumed(self, config: Pix2PixHDConfig, told: Collection[str]) -> tuple[str, ...]:
        """Say whether the input channels were taken for a picture or for labels, where no file told."""
        return assumed(config, told)

    def companion_files(self, checkpoint: Path) -> dict[str, Path]:
        """The feature encoder's file lies beside the generator's, with ``_net_E`` for ``_net_G``."""
        encoder = checkpoint.with_name(checkpoint.name.replace("_net_G", "_net_E"))
        found = {"generator": checkpoint}
        if encoder != checkpoint and encoder.is_file():
            found["encoder"] = encoder
        return found

    def infer_config(self, states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> Pix2PixHDConfig:
        """Read the architecture off the keys and shapes; raises what ``pix2pixhd.config.infer_config`` does."""
        return infer_config(states, overrides)

    def build_networks(self, config: Pix2PixHDConfig) -> dict[str, nn.Module]:
        """The generator, and the feature encoder where the architecture takes features."""
        networks: dict[str, nn.Module] = {"generator": build_generator(config)}
        return networks | ({"encoder": _build_encoder(config)} if config.feat_num else {})

    def assemble(self, config: Pix2PixHDConfig, networks: Mapping[str, Any]) -> Pix2PixHD:
        """A model of these networks; without an encoder, the features come from elsewhere."""
        return Pix2PixHD(config, networks["generator"], networks.get("encoder"))

    def load(self, states: Mapping[str, StateDict], config: Pix2PixHDConfig) -> Pix2PixHD:
        """Put official state dicts into the networks of ``config``.

        Raises:
            CheckpointError: keys or shapes differ from those of ``config``, or an encoder is given for no features.
        """
        model = super().load(states, config)
        if "encoder" in states and not config.feat_num:  # not dropped in silence
            with torch.device("meta"):
                encoder = _build_encoder(config)
            load_state(encoder, states["encoder"], self.network_titles["encoder"])
        return model


def _build_encoder(config: Pix2PixHDConfig) -> FeatureEncoder:
    return FeatureEncoder(3, config.feat_num, config.nef, config.n_downsample_E)


FAMILY = Pix2PixHDFamily()
