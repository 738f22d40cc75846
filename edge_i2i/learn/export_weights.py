"""Trained weights as one safetensors file under the official key names, with the architecture in its metadata."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save
from torch import nn

from edge_i2i.models.pix2pixhd_config import Pix2PixHDConfig


def write_weights(
    generator: nn.Module, config: Pix2PixHDConfig, path: Path, *, extra: Mapping[str, str] | None = None
) -> Path:
    """Write a generator's float32 weights; an interrupted write leaves nothing under ``path``.

    Args:
        generator: its state-dict keys are written as they are (the official ones, ``model.1.weight`` …).
        config: its architecture; becomes the metadata ``{"family": "pix2pixhd", "config": <JSON>}``.
        path: the file, by convention ``*.safetensors``.
        extra: more metadata, text by text.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().cpu().float().contiguous() for key, value in generator.state_dict().items()}
    metadata = {"family": "pix2pixhd", "config": json.dumps(asdict(config), sort_keys=True), **(extra or {})}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as scratch:
        unfinished = Path(scratch) / path.name
        unfinished.write_bytes(save(tensors, metadata=metadata))  # keeps the umask; safetensors' own files are private
        unfinished.replace(path)
    return path
