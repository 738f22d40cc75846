"""BicycleGAN (Zhu et al. 2017)."""
