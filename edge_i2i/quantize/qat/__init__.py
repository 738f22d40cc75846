"""Fine-tuning a quantized network: quantization-aware training."""
