"""What each engine makes of a quantized graph: which layers to quantize for it, what it takes, and what it computes."""

from edge_i2i.graphs.qdq.targets.protocol import Placement, Target
from edge_i2i.graphs.qdq.targets.registry import get_target, target_names

__all__ = ["Placement", "Target", "get_target", "target_names"]
