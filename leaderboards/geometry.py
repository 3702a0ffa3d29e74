"""Meshes as the page draws them: which triangles were scored, and a coarser mesh where there are too many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.samples import Array

MOST_FACES = 60_000
LIMITS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)


@dataclass(frozen=True, eq=False)
class Surface:
    """A mesh to draw.

    Attributes:
        vertices: (V, 3) mm.
        faces: (F, 3).
        errors: (V,) mm, NaN where a vertex was not scored; None for a mesh without errors.
    """

    vertices: Array
    faces: Array
    errors: Array | None = None

    @property
    def scored_faces(self) -> Array:
        """(F,) bool: triangles all of whose corners were scored."""
        if self.errors is None:
            return np.zeros(len(self.faces), dtype=bool)
        return np.asarray(np.isfinite(self.errors)[self.faces].all(axis=1))


def with_errors(vertices: Array, faces: Array, ids: Array, distances: Array) -> Surface:
    """Puts distances (N,) on the vertices `ids` (N,); all others are unscored.

    Raises:
        IndexError: an id is beyond the mesh: the scores belong to other data.
    """
    errors = np.full(len(vertices), np.nan)
    errors[ids] = distances
    return Surface(vertices, faces, errors)


def lighter(surface: Surface, most: int = MOST_FACES) -> Surface:
    """Merges vertices within cells of a growing grid until at most `most` triangles are left.

    A merged vertex is the mean of its members; its error the mean over the scored ones. For drawing only.
    """
    size = float(np.ptp(surface.vertices, axis=0).max()) / 400
    result = surface
    while len(result.faces) > most:
        result = _clustered(surface, size)
        size *= 1.3
    return result


def _clustered(surface: Surface, size: float) -> Surface:
    cells = np.floor((surface.vertices - surface.vertices.min(axis=0)) / size).astype(np.int64)
    _, member = np.unique(cells, axis=0, return_inverse=True)
    member = member.reshape(-1)
    count = np.bincount(member)
    vertices = np.stack([np.bincount(member, surface.vertices[:, k]) / count for k in range(3)], axis=1)
    faces = member[surface.faces]
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return Surface(vertices, faces[distinct], _mean_errors(surface.errors, member, len(count)))


def _mean_errors(errors: Array | None, member: Array, count: int) -> Array | None:
    if errors is None:
        return None
    scored = np.isfinite(errors)
    total = np.bincount(member[scored], errors[scored], minlength=count)
    number = np.bincount(member[scored], minlength=count)
    return np.divide(total, number, out=np.full(count, np.nan), where=number > 0)


def colour_limit(mean: float) -> float:
    """The upper end of the colour bar in mm: the first round number from 2.5 times the mean of the run on.

    It depends on the whole run, so its samples can be compared by colour; outliers do not stretch it.
    """
    return next((limit for limit in LIMITS if limit >= 2.5 * mean), LIMITS[-1])
