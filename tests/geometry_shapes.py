"""Shapes that tests of geometry share."""

from __future__ import annotations

import numpy as np
import trimesh

from harness.geometry.mesh import Mesh


def bumpy(subdivisions: int = 2, radius: float = 80.0, offset: float = 0.0) -> Mesh:
    """A sphere with bumps, the size of a head: no symmetry, convex and concave parts."""
    sphere = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    bumps = 1 + 0.15 * np.sin(sphere.vertices / 13.0).sum(axis=1, keepdims=True)
    return Mesh(sphere.vertices * bumps + offset, sphere.faces)
