"""torch → ONNX: tracing with the picture contract fused in, exact rewrites, FP16, and parity after every stage."""
