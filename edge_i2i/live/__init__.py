"""Live translation: sources, the one-frame slot, the session, sinks, and what people see of them."""
