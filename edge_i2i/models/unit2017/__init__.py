"""UNIT (Liu et al. 2017), as its own repository has it."""
