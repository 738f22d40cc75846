"""BridgeGAN."""
