"""Where results go: a window, a recording, a web page, a virtual camera. ``make_sink`` makes one from its text."""

from edge_i2i.live.sinks.registry import SINK_FORMS, SinkForm, SinkSettings, make_sink

__all__ = ["SINK_FORMS", "SinkForm", "SinkSettings", "make_sink"]
