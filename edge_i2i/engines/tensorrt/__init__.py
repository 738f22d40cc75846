"""Full TensorRT (10.3 and later) and TensorRT-RTX behind one set of code; what differs is data in ``flavour``."""
