"""Roads from a checkpoint: to a bundle, and to TensorRT engines beside it."""
