"""Nearest neighbours of points that move a little at a time, without asking the tree twice for the same answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[Any]


class MovingNeighbours:
    """The nearest of a tree's points for points that move between queries, as in ICP.

    The answer is the tree's, always: a point is left out of a search only where it cannot have changed its
    neighbour. If its nearest and second nearest target were d1 and d2 away when last searched, and it has moved
    by m since, the nearest is still the same while d1 + m < d2 - m.

    Args:
        tree: of the (N, 3) targets.
    """

    def __init__(self, tree: cKDTree) -> None:
        self._tree = tree
        self._searched_at: Array | None = None

    def query(self, points: Array) -> Array:
        """(M,) int64 index of the nearest target; `points` (M, 3) are the same points, moved, at each call."""
        if self._searched_at is None:
            self._searched_at = np.array(points, dtype=np.float64)
            self._nearest, self._slack = self._search(points)
        else:
            moved = np.linalg.norm(points - self._searched_at, axis=1)
            stale = np.flatnonzero(moved >= self._slack)
            if len(stale):
                self._searched_at[stale] = points[stale]
                self._nearest[stale], self._slack[stale] = self._search(points[stale])
        return self._nearest.copy()

    def _search(self, points: Array) -> tuple[Array, Array]:
        """Nearest index, and how far each point may move before that can change (a little less, for rounding)."""
        if self._tree.n == 1:
            return np.zeros(len(points), dtype=np.int64), np.full(len(points), np.inf)
        distances, indices = (np.asarray(part) for part in self._tree.query(points, k=2))
        slack = 0.5 * (distances[:, 1] - distances[:, 0]) - 1e-9 * distances[:, 1]
        return indices[:, 0].astype(np.int64), slack
