"""Meshes, closest points, alignment, ray casting."""
