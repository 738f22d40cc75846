"""The quality that a quantized variant has to keep unless another is stated."""

from __future__ import annotations

from edge_i2i.graphs.qdq.scheme import Scheme
from edge_i2i.metrics.quality import QualityBudget


def default_budget(scheme: Scheme) -> QualityBudget:
    """The budget of INT8 against FP32 of the same network: what the default placement reaches on its own networks.

    Symmetric activations have half the levels of asymmetric ones wherever a tensor does not lie evenly around zero.
    """
    return QualityBudget(45.0, 0.994) if scheme is Scheme.SYMMETRIC else QualityBudget(47.0, 0.996)
