"""EGSC-IT (Ma et al. 2019)."""
