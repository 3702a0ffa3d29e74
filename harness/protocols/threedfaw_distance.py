"""The 3DFAW program's distance from points to a surface, which looks at the nearest vertex's surroundings only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from harness.geometry.mesh import Mesh

Array = NDArray[Any]

_FLAT = 1e-16


def adjacent_surface_distances(points: Array, surface: Mesh, tree: cKDTree | None = None) -> Array:
    """(N,) float64: the least of the distances to the nearest vertex and to the triangles that touch it.

    Of those triangles count the inside, where the point's foot on their plane lies in it, and all three sides, where
    the foot lies between their ends; a foot exactly on the rim counts as outside. Triangles without area and sides
    without length are skipped. Where the surface is fine and smooth this is the distance to the surface; else it may
    be more, never less.

    Args:
        points: (N, 3).
        surface: what to measure to; vertices that no face uses count as points.
        tree: of its vertices, where the caller has one.
    """
    points = np.asarray(points, dtype=np.float64)
    distances, nearest = (tree or cKDTree(surface.vertices)).query(points)
    order = np.argsort(surface.faces.ravel(), kind="stable")
    counts = np.bincount(surface.faces.ravel(), minlength=len(surface.vertices))
    starts = np.cumsum(counts) - counts
    asked = np.repeat(np.arange(len(points)), counts[nearest])
    rank = np.arange(len(asked)) - np.repeat(np.cumsum(counts[nearest]) - counts[nearest], counts[nearest])
    corners = surface.vertices[surface.faces[order[starts[nearest][asked] + rank] // 3]]
    with np.errstate(divide="ignore", invalid="ignore"):
        to_pieces = np.fmin(_to_sides(points[asked], corners), _to_inside(points[asked], corners))
    best = np.asarray(distances, dtype=np.float64).copy()
    np.fmin.at(best, asked, to_pieces)
    return best


def _to_sides(points: Array, corners: Array) -> Array:
    """(M,) to the nearest of each triangle's three sides, of those with the foot between the ends; NaN if none."""
    best = np.full(len(points), np.nan)
    for k in range(3):
        start, side = corners[:, k], corners[:, (k + 1) % 3] - corners[:, k]
        share = ((points - start) * side).sum(axis=1) / (side**2).sum(axis=1)
        off = np.linalg.norm(points - start - share[:, None] * side, axis=1)
        best = np.fmin(best, np.where((share > 0) & (share < 1), off, np.nan))
    return best


def _to_inside(points: Array, corners: Array) -> Array:
    """(M,) to each triangle's plane where the foot is inside the triangle, else NaN."""
    a, u, v = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    w, normal = points - a, np.cross(u, v)
    uu, vv, uv = ((left * right).sum(axis=1) for left, right in ((u, u), (v, v), (u, v)))
    wu, wv = (w * u).sum(axis=1), (w * v).sum(axis=1)
    area = uu * vv - uv**2
    s, t = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    inside = (s > 0) & (t > 0) & (s + t < 1) & (s < 1) & (t < 1) & (np.abs(area) >= _FLAT)
    height = np.abs((w * normal).sum(axis=1)) / np.linalg.norm(normal, axis=1)
    return np.where(inside, height, np.nan)
