"""EMOCA (Danecek et al., CVPR 2022)."""
