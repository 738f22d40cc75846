"""Out of a session: what sinks and receivers are given, and what people see of it."""
