"""Distances of one point set to one surface in many poses, and their first derivatives by the pose."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.geometry.morton import morton_keys
from harness.geometry.moving_kernels import LONGEST_LIST, Groups, list_faces
from harness.geometry.moving_sums import Launch, Pose, Sums
from harness.geometry.surface_tree import SurfaceTree
from harness.geometry.warp_setup import wp

Array = NDArray[Any]

__all__ = ["MovingPoints", "Pose", "Sums"]


class MovingPoints:
    """Points before a surface that is tried in one pose after another.

    The points are moved into the surface's frame, so that its tree is built once. Points that lie in the same cell of
    a grid are searched for together, starting from the faces that were closest in the pose before; the tree then only
    says which other faces could be nearer. Distances up to a dozen sides of a face are exact to float64, larger ones as
    exact as those of `ClosestPoints`.

    Args:
        points: (N, 3), finite, N > 0.
        tree: of the surface.

    Attributes:
        centre: (3,) mean of the points.
        radius: their root mean square distance from it; 1 where they are all in one place.
        spacing: the side of a square as large as the surface's mean face, in its unit.
        tree, groups, known: of the surface; points and what is known of them, as kernels take it; and how much that is.

    Raises:
        ContractError: wrong shape, no points, or NaN.
    """

    def __init__(self, points: Array, tree: SurfaceTree) -> None:
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or not len(points):
            raise ContractError(f"points: shape {points.shape}, expected (N, 3), at least one")
        if not np.isfinite(points).all():
            raise ContractError(f"points: {int((~np.isfinite(points)).sum())} values are NaN or infinite")
        self.tree, self.known = tree, 0
        self.centre = points.mean(axis=0)
        self.spacing = tree.spacing
        self.radius = float(np.sqrt(((points - self.centre) ** 2).sum(axis=1).mean())) or 1.0
        # Cells that hold several points but few faces.
        self._order, first = _cells(points, max(1.3 * tree.spacing, 1e-6 * tree.extent))
        count, device = len(points), tree.device
        groups: Any = Groups()
        groups.points = wp.array(points[self._order], dtype=wp.vec3d, device=device)
        groups.first = wp.array(first, dtype=wp.int32, device=device)
        groups.moved, groups.feet = (wp.empty(count, dtype=wp.vec3d, device=device) for _ in range(2))
        groups.balls = wp.empty(count, dtype=wp.vec4, device=device)
        groups.faces = wp.zeros(count, dtype=wp.int32, device=device)
        groups.distances = wp.empty(count, dtype=wp.float64, device=device)
        groups.spacing = tree.spacing
        groups.lists = wp.empty(count * LONGEST_LIST, dtype=wp.int32, device=device)
        groups.lengths = wp.empty(count, dtype=wp.int32, device=device)
        groups.listed_at = wp.empty(count, dtype=wp.vec3d, device=device)
        groups.reaches = wp.empty(count, dtype=wp.float64, device=device)
        self.groups = groups

    def sums(self, pose: Pose) -> Sums:
        """Puts the surface into a pose and measures."""
        return Launch([self]).sums([pose])[0]

    def list_faces(self) -> None:
        """Notes the faces near each point at the pose last measured: later poses near it are then measured faster."""
        sets = len(self.groups.first) - 1
        wp.launch(list_faces, dim=sets, inputs=[self.tree.surface, self.groups], device=self.tree.device)
        self.known = 2

    def distances(self) -> Array:
        """(N,) float64 distances at the pose last measured, in the surface's unit (scale 1), in the points' order."""
        distances = np.empty(len(self._order))
        distances[self._order] = self.groups.distances.numpy()
        return distances


def _cells(points: Array, size: float) -> tuple[Array, Array]:
    """An order of the points, and where each new cell of a grid begins in it (with the end at the end)."""
    keys = morton_keys(points, size)
    order = np.argsort(keys, kind="stable")
    begins = np.flatnonzero(np.diff(keys[order])) + 1
    return order, np.concatenate([[0], begins, [len(points)]]).astype(np.int32)
