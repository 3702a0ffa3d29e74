"""Guided Learned Vertex Descent (Caselles Rico and Moreno-Noguer, NeurIPS 2025)."""
