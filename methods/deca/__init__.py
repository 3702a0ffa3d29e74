"""DECA (Feng et al., SIGGRAPH 2021)."""
