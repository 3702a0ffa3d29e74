"""Nearest neighbours of points that move a little at a time, without asking the tree twice for the same answer."""

# Kernels are not Python: Warp's own types for them describe calls from outside.
# mypy: disable-error-code="arg-type,call-overload,index,operator"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from harness.geometry.surface_kernels import Doubles, Vectors
from harness.geometry.warp_setup import wp

Array = NDArray[Any]

_CANDIDATES = 4

if TYPE_CHECKING:
    Longs = Any
    LongTable = Any
    Flags = Any
else:
    Longs, LongTable = wp.array(dtype=wp.int64), wp.array2d(dtype=wp.int64)
    Flags = wp.array(dtype=wp.bool)


@wp.kernel(enable_backward=False)
def _look_at_candidates(
    targets: Vectors,
    points: Vectors,
    searched_at: Vectors,
    reaches: Doubles,
    candidates: LongTable,
    each: int,
    nearest: Longs,
    unsure: Flags,
) -> None:
    """The nearest of the `each` targets noted for a point, and whether another may be nearer."""
    i = wp.tid()
    p = points[i]
    square = wp.float64(wp.inf)
    for k in range(each):
        offset = targets[candidates[i, k]] - p
        found = wp.dot(offset, offset)
        if found < square:
            square = found
            nearest[i] = candidates[i, k]
    unsure[i] = wp.sqrt(square) + wp.length(p - searched_at[i]) >= reaches[i]


class MovingNeighbours:
    """The nearest of a tree's points for points that move between queries, as in ICP.

    The answer is the tree's, always: some nearest targets are noted for each point when it is searched for. If it has
    moved by m since, and the last of these was d away, the nearest is still one of them while one is less than d - m
    away; else the tree is asked again.

    Args:
        tree: of the (N, 3) targets.
    """

    def __init__(self, tree: cKDTree) -> None:
        self._tree, self._each = tree, min(_CANDIDATES, tree.n)
        self._targets: Any = wp.array(np.asarray(tree.data), dtype=wp.vec3d, device="cpu")
        self._searched_at: Array | None = None

    def query(self, points: Array) -> Array:
        """(M,) int64 index of the nearest target; `points` (M, 3) are the same points, moved, at each call."""
        points, count = np.ascontiguousarray(points, dtype=np.float64), len(points)
        if self._searched_at is None:
            self._searched_at, self._reaches = np.empty((count, 3)), np.empty(count)
            self._candidates = np.empty((count, self._each), dtype=np.int64)
            self._search(points, np.arange(count))
            return self._candidates[:, 0].copy()
        nearest, unsure = np.zeros(count, dtype=np.int64), np.empty(count, dtype=bool)
        noted = [_view(points, wp.vec3d), _view(self._searched_at, wp.vec3d), _view(self._reaches, wp.float64)]
        inputs = [self._targets, *noted, _view(self._candidates, wp.int64), self._each]
        outputs = [_view(nearest, wp.int64), _view(unsure, wp.bool)]
        wp.launch(_look_at_candidates, dim=count, inputs=inputs, outputs=outputs, device="cpu")
        which = np.flatnonzero(unsure)
        if len(which):
            self._search(points, which)
            nearest[which] = self._candidates[which, 0]
        return nearest

    def _search(self, points: Array, which: Array) -> None:
        """Asks the tree, and notes how far away any target is that is not noted (a little less, for rounding)."""
        assert self._searched_at is not None
        distances, indices = self._tree.query(points[which], k=range(1, self._each + 1))
        self._searched_at[which], self._candidates[which] = points[which], indices
        self._reaches[which] = distances[:, -1] * (1 - 1e-9) if self._each < self._tree.n else np.inf


def _view(array: Array, dtype: Any) -> Any:
    """The same memory, as kernels take it."""
    return wp.array(array, dtype=dtype, device="cpu", copy=False)
