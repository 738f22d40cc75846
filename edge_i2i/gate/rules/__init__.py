"""What each operator makes of its inputs: types, shapes, work, and what it may not do."""

from types import MappingProxyType

from edge_i2i.gate.facts import Rules
from edge_i2i.gate.rules import elementwise, layers, layout

RULES: Rules = MappingProxyType({**elementwise.RULES, **layout.RULES, **layers.RULES})
"""The rules by operator. An operator without one is refused, whatever the vocabulary says."""
