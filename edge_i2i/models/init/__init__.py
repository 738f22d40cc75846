"""INIT (Shen et al. 2019)."""
