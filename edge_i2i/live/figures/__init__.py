"""What is counted, measured and told of a session: statistics, events, traces."""
