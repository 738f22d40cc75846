"""The middle stage: loading a network, running it, changing it between two frames."""
