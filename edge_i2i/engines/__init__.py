"""Engines behind one small protocol: say whether you can run here, load a graph, run arrays to arrays."""
