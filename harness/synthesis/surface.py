"""Extra surfaces around a head: grids of points that become triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh with what its texture needs.

    Attributes:
        name: "hair", "torso" or the name of an occluder: selects the texture.
        vertices: (N, 3) float32 millimetres.
        faces: (M, 3) int32.
        coordinates: (N, 3) float32, surface coordinates that the texture reads.
        along: (N, 3) float32, direction of strands or threads (zero where there is none).
    """

    name: str
    vertices: Array
    faces: Array
    coordinates: Array
    along: Array


def grid_faces(rows: int, columns: int, closed: bool) -> Array:
    """Triangles of a grid of points numbered row by row; `closed` joins the last column to the first."""
    last = columns if closed else columns - 1
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(last), indexing="ij")
    after = (column + 1) % columns
    a, b = row * columns + column, row * columns + after
    c, d = a + columns, b + columns
    quads = np.stack([a, c, b, b, c, d], -1).reshape(-1, 3)
    return quads.astype(np.int32)


def grid_surface(name: str, points: Array, coordinates: Array, closed: bool = True) -> Surface:
    """A surface from (R, C, 3) points and as many coordinates; strands run from row to row."""
    rows, columns, _ = points.shape
    along = np.gradient(points, axis=0).reshape(-1, 3)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    return Surface(
        name=name,
        vertices=points.reshape(-1, 3).astype(np.float32),
        faces=grid_faces(rows, columns, closed),
        coordinates=coordinates.reshape(-1, 3).astype(np.float32),
        along=along.astype(np.float32),
    )


def ball(name: str, centre: Array, radii: Array, rows: int = 24, columns: int = 36) -> Surface:
    """An ellipsoid with its poles up and down."""
    polar, azimuth = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(-np.pi, np.pi, columns, endpoint=False), indexing="ij"
    )
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    coordinates = np.stack([azimuth, polar * 40, np.zeros_like(polar)], -1)
    return grid_surface(name, centre + unit * radii, coordinates)


def vertex_normals(vertices: Array, faces: Array) -> Array:
    """(V, 3) float32 unit normals, the mean of the triangles around each vertex weighted by their area."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    index = np.repeat(np.arange(len(faces)), 3)
    ones = np.ones(len(index), np.float32)
    gather = coo_array((ones, (faces.reshape(-1), index)), shape=(len(vertices), len(faces))).tocsr()
    total = gather @ normals
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(np.float32)
