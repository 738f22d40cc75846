"""INT8 in the graph: which layers can be quantized, QuantizeLinear / DequantizeLinear, and what each target takes."""
