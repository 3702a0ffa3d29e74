"""Learned Vertex Descent (Corona et al., ECCV 2022) for faces."""
