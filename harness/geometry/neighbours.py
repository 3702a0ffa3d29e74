"""Nearest neighbours of points that move a little at a time, without searching twice for the same answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.geometry.alignment import Similarity
from harness.geometry.neighbour_kernels import CHUNK, Note, doubt, find_far, look, measure, search, search_far
from harness.geometry.point_grid import PointGrid
from harness.geometry.warp_setup import wp

Array = NDArray[Any]


class MovingNeighbours:
    """The nearest targets of points that move from one query to the next as one, by similarities, as in ICP.

    The answer is always that of all distances. A few targets are noted for a point when it is searched for, and how far
    away all others are: while the nearest of the few is nearer than these can be after the way moved since, it is the
    nearest of all. And nothing needs to be computed for a point that moved by less than half of what its second
    nearest target was farther away than the nearest.

    Args:
        points: (N, 3), finite, N > 0; fastest if those that stand in a row are close in space.
        grid: of the targets.

    Attributes:
        points: (N, 3) float64; may be changed in place, where the points do not move as one.
        nearest: (N,) each point's nearest target at the last query, by its place in `grid.points`.
    """

    def __init__(self, points: Array, grid: PointGrid) -> None:
        self._grid, count = grid, len(points)
        self.points = np.array(points, dtype=np.float64)
        self.nearest = np.empty(count, dtype=np.int32)
        kind: Any = Note
        self._notes: Any = np.zeros(count, dtype=kind.numpy_dtype())
        self._notes["listed"] = -1
        # No point is sure of its nearest target at first.
        self._sure, self._unsure = np.full((count, 4), -1, dtype=np.float32), np.empty(count, dtype=bool)
        views: list[tuple[Array, Any]] = [(self._notes, Note), (self._sure, wp.vec4), (self.nearest, wp.int32)]
        self._state = [_view(array, kind) for array, kind in views]
        self._moving, self._flags = _view(self.points, wp.vec3d), _view(self._unsure, wp.bool)
        self._pose: tuple[Array, Array] | None = None
        self._ended = False

    def query(self, transform: Similarity, last: bool = False) -> Array:
        """(N,) `nearest` for the points moved by a transform; do not change it.

        Args:
            transform: of the points as given.
            last: whether this is the last query, for which nothing needs to be noted.

        Raises:
            ContractError: the last query was before.
        """
        if self._ended:
            raise ContractError("points: no query can follow the one that was said to be the last")
        self._ended = last
        first, self._pose = self._pose is None, self._about_centre(transform)
        pose = _arguments(*self._pose)
        wp.launch(doubt, dim=len(self.points), inputs=[self._moving, *pose, self._state[1], self._flags], device="cpu")
        which = np.flatnonzero(self._unsure).astype(np.int32)
        if not first:
            which = self._unknown(look, len(which), which, pose)
        if len(which) and self._grid.farthest > 0:
            which = self._unknown(search, -(-len(which) // int(CHUNK)), which, [*pose, self._grid.farthest])
        if len(which):
            inputs = [_view(which, wp.int32), self._moving, *pose, self._grid.boxes]
            threads = -(-len(which) // int(CHUNK))
            if last:
                wp.launch(find_far, dim=threads, inputs=inputs, outputs=self._state[2:], device="cpu")
            else:
                inputs.append(self._grid.cells)
                wp.launch(search_far, dim=threads, inputs=inputs, outputs=self._state, device="cpu")
        return self.nearest

    def distances(self) -> Array:
        """(N,) float64 from the points, where they were last, to their nearest targets."""
        assert self._pose is not None
        distances = np.empty(len(self.points))
        inputs = [self._moving, *_arguments(*self._pose), self._grid.cells, self._state[2]]
        outputs = [_view(distances, wp.float64)]
        wp.launch(measure, dim=len(distances), inputs=inputs, outputs=outputs, device="cpu")
        return distances

    def _about_centre(self, transform: Similarity) -> tuple[Array, Array]:
        """The transform as a matrix and a shift to coordinates about the grid's centre."""
        return transform.scale * transform.rotation, transform.translation - self._grid.centre

    def _unknown(self, kernel: Any, threads: int, which: Array, inputs: list[Any]) -> Array:
        """Lets a kernel decide on some points; returns those on which it could not."""
        known = np.empty(len(which), dtype=bool)
        inputs = [_view(which, wp.int32), self._moving, *inputs, self._grid.cells]
        outputs = [*self._state, _view(known, wp.bool)]
        wp.launch(kernel, dim=threads, inputs=inputs, outputs=outputs, device="cpu")
        return np.asarray(which[~known])


def _arguments(linear: Array, shift: Array) -> list[Any]:
    return [wp.mat33d(*linear.ravel().tolist()), wp.vec3d(*shift.tolist())]


def _view(array: Array, kind: Any) -> Any:
    """The same memory, as kernels take it."""
    return wp.array(array, dtype=kind, device="cpu", copy=False)
