"""Trained weights as one safetensors file under the official key names, with the architecture in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import nn

from edge_i2i.models.checkpoints.weights_file import write_weights_file
from edge_i2i.models.pix2pixhd.config import Pix2PixHDConfig


def write_weights(
    generator: nn.Module, config: Pix2PixHDConfig, path: Path, *, extra: Mapping[str, str] | None = None
) -> Path:
    """Write a generator's float32 weights; an interrupted write leaves nothing under ``path``.

    Args:
        generator: its state-dict keys are written as they are (the official ones, ``model.1.weight`` …).
        config: its architecture; becomes the metadata ``{"family": "pix2pixhd", "config": <JSON>, …}``.
        path: the file, by convention ``*.safetensors``.
        extra: more metadata, text by text.
    """
    tensors = {key: value.detach().cpu().float() for key, value in generator.state_dict().items()}
    return write_weights_file(path, "pix2pixhd", asdict(config), {"generator": tensors}, extra)
