"""Steps around the network's call, each off unless it is named."""
