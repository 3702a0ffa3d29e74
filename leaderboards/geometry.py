"""Meshes as the page draws them: a coarser one where there are too many triangles, and how far colours reach."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.inspection import Surface

Array = NDArray[Any]

MOST_FACES = 60_000
LIMITS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)


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
