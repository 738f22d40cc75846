"""Where frames come from: one file a kind, and the registry that picks by what a person writes."""

from edge_i2i.sources.registry import SOURCE_KINDS, SourceKind, source_spec

__all__ = ["SOURCE_KINDS", "SourceKind", "source_spec"]
