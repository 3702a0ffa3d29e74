"""SMIRK (Retsinas et al., CVPR 2024)."""
