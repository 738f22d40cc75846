"""The gate that every graph of a stranger passes before an engine sees it. Needs numpy alone: no onnx, no torch."""

from edge_i2i.gate.check import DEFAULT_LIMITS, check_graph
from edge_i2i.gate.limits import GraphCost, Limits

__all__ = ["DEFAULT_LIMITS", "GraphCost", "Limits", "check_graph"]
