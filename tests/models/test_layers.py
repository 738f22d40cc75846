from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from edge_i2i.models.layers import SampleNorm, mean_in_two_steps


def test_sample_norm_is_group_norm_of_one_group() -> None:
    ours, theirs = SampleNorm(6), nn.GroupNorm(1, 6)
    state = {"weight": torch.randn(6), "bias": torch.randn(6)}
    ours.load_state_dict(state)
    theirs.load_state_dict(state)
    x = torch.randn(2, 6, 9, 11) * 3 + 1
    assert torch.allclose(ours(x), theirs(x), atol=2e-6)


def test_the_mean_of_a_large_picture_is_exact_on_onnx_runtime(tmp_path: Path) -> None:
    """Over all three axes at once, ONNX Runtime's mean of this is off by 2e-4."""

    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return mean_in_two_steps(x)

    x = (np.random.default_rng(0).normal(0.3, 1, (1, 64, 256, 256)) ** 2).astype(np.float32)
    program = torch.onnx.export(Mean().eval(), (torch.from_numpy(x),), dynamo=True, input_names=["x"], verbose=False)
    assert program is not None
    program.save(tmp_path / "mean.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "mean.onnx", providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": x})
    assert abs(float(got.reshape(())) / x.astype(np.float64).mean() - 1) < 5e-6
