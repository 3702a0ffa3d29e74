"""Closest points on a mesh, through NVIDIA Warp's bounding volume hierarchy, on the CPU or a CUDA device."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.geometry.mesh import Mesh
from harness.geometry.warp_setup import wp

Array = NDArray[Any]
logger = logging.getLogger(__name__)

# A triangle lower than this share of the mesh's extent has no area, as far as the float32 search can tell.
_FLAT = 1e-6

if TYPE_CHECKING:  # Warp reads array types from annotations that are calls; type checkers do not take those.
    Vectors = Any
    Doubles = Any
    Integers = Any
    Vector = Any
else:
    Vectors, Doubles, Integers = wp.array(dtype=wp.vec3d), wp.array(dtype=wp.float64), wp.array(dtype=wp.int32)
    Vector = wp.vec3d


@wp.func
def _on_segment(p: Vector, a: Vector, b: Vector) -> wp.float64:
    """Share of `b` in the point of the line through a and b that is closest to p."""
    return wp.dot(p - a, b - a) / wp.dot(b - a, b - a)


@wp.func
def _on_triangle(p: Vector, a: Vector, b: Vector, c: Vector) -> Vector:
    """Barycentric coordinates of the triangle's point closest to p (Ericson, Real-Time Collision Detection, 5.1.5).

    A coordinate is exactly 0 where the point lies on the opposite side.
    """
    zero = wp.float64(0.0)
    one = wp.float64(1.0)
    ab = b - a
    ac = c - a
    d1 = wp.dot(ab, p - a)
    d2 = wp.dot(ac, p - a)
    if d1 <= zero and d2 <= zero:
        return wp.vec3d(one, zero, zero)
    d3 = wp.dot(ab, p - b)
    d4 = wp.dot(ac, p - b)
    if d3 >= zero and d4 <= d3:
        return wp.vec3d(zero, one, zero)
    d5 = wp.dot(ab, p - c)
    d6 = wp.dot(ac, p - c)
    if d6 >= zero and d5 <= d6:
        return wp.vec3d(zero, zero, one)
    vc = d1 * d4 - d3 * d2
    if vc <= zero and d1 >= zero and d3 <= zero:
        share = _on_segment(p, a, b)
        return wp.vec3d(one - share, share, zero)
    vb = d5 * d2 - d1 * d6
    if vb <= zero and d2 >= zero and d6 <= zero:
        share = _on_segment(p, a, c)
        return wp.vec3d(one - share, zero, share)
    va = d3 * d6 - d5 * d4
    if va <= zero and d4 >= d3 and d5 >= d6:
        share = _on_segment(p, b, c)
        return wp.vec3d(zero, one - share, share)
    total = va + vb + vc
    return wp.vec3d(va / total, vb / total, vc / total)


@wp.func
def _on_face(p: Vector, vertices: Vectors, corners: Integers, face: int) -> Vector:
    a = vertices[corners[3 * face]]
    b = vertices[corners[3 * face + 1]]
    c = vertices[corners[3 * face + 2]]
    return _on_triangle(p, a, b, c)


@wp.func
def _distance(p: Vector, vertices: Vectors, corners: Integers, face: int, w: Vector) -> wp.float64:
    a = vertices[corners[3 * face]]
    b = vertices[corners[3 * face + 1]]
    c = vertices[corners[3 * face + 2]]
    return wp.length(p - (a * w[0] + b * w[1] + c * w[2]))


@wp.func
def _better_neighbour(
    p: Vector, vertices: Vectors, corners: Integers, starts: Integers, incident: Integers, face: int, best: wp.float64
) -> int:
    """The face that shares a corner with `face` and is nearest to p, if nearer than `best`; else `face`."""
    nearest = face
    for k in range(3):
        corner = corners[3 * face + k]
        for j in range(starts[corner], starts[corner + 1]):
            other = incident[j]
            d = _distance(p, vertices, corners, other, _on_face(p, vertices, corners, other))
            if d < best:
                best = d
                nearest = other
    return nearest


@wp.kernel(enable_backward=False)
def _closest(
    tree: wp.uint64,
    vertices: Vectors,
    corners: Integers,
    starts: Integers,
    incident: Integers,
    queries: Vectors,
    limits: Doubles,
    slack: wp.float64,
    face: Integers,
    weights: Vectors,
    distance: Doubles,
) -> None:
    i = wp.tid()
    p = queries[i]
    zero = wp.float64(0.0)
    found = -1
    w = wp.vec3d(zero, zero, zero)
    d = wp.float64(wp.inf)
    hit = wp.mesh_query_point_no_sign(tree, wp.vec3(p), wp.float32(limits[i] + slack))
    if hit.result:  # type: ignore[attr-defined]
        found = hit.face  # type: ignore[attr-defined]
        w = _on_face(p, vertices, corners, found)
        d = _distance(p, vertices, corners, found, w)
        # On a side or a corner float32 cannot tell neighbours apart; float64 can.
        searching = w[0] == zero or w[1] == zero or w[2] == zero
        while searching:
            other = _better_neighbour(p, vertices, corners, starts, incident, found, d)
            searching = other != found
            if searching:
                found = other
                w = _on_face(p, vertices, corners, found)
                d = _distance(p, vertices, corners, found, w)
    if d > limits[i]:
        found = -1
        w = wp.vec3d(zero, zero, zero)
        d = wp.float64(wp.inf)
    face[i] = found
    weights[i] = w
    distance[i] = d


class Closest(NamedTuple):
    """For each of N points, the point of the mesh that is closest to it.

    Attributes:
        distances: (N,) float64, in the unit of the mesh; infinite where nothing lies within the limit.
        faces: (N,) int64 index into the mesh's faces; -1 where nothing lies within the limit.
        barycentric: (N, 3) float64 weights of that face's corners, exactly 0 for the corners opposite to the side
            on which the point lies; all 0 where nothing lies within the limit.
        points: (N, 3) float64 on the mesh; NaN where nothing lies within the limit.
    """

    distances: Array
    faces: Array
    barycentric: Array
    points: Array


class ClosestPoints:
    """Finds the closest point of a mesh's surface (triangles with their sides and corners).

    The tree finds the face in float32, about the mesh's own centre; the point on that face, its weights and its
    distance are computed in float64, also for the faces around it where it lies on a side or a corner. The result
    is exact to float64, except for a point that has two equally near places on the mesh, apart from each other and
    equal to within float32 (about 1e-7 of the mesh's extent, 2e-5 mm on a head): there the distance of the other
    place may be returned.

    Faces without area (lower than a millionth of the mesh's extent) are left out, and their number is logged.

    Args:
        mesh: what to search; kept as `mesh`.
        device: "cpu", "cuda" or "cuda:1".

    Raises:
        ContractError: no face has an area.
    """

    def __init__(self, mesh: Mesh, device: str = "cpu") -> None:
        self.mesh = mesh
        used = mesh.vertices[np.unique(mesh.faces)]
        self._extent = float(np.ptp(used, axis=0).max())
        self._centre = 0.5 * (used.min(axis=0) + used.max(axis=0))
        self._kept = np.flatnonzero(_has_area(mesh, self._extent))
        self.dropped_faces = len(mesh.faces) - len(self._kept)
        if not len(self._kept):
            raise ContractError(f"mesh.faces: none of the {len(mesh.faces)} faces has an area")
        if self.dropped_faces:
            logger.info("left out %d of %d faces, which have no area", self.dropped_faces, len(mesh.faces))
        self._device = device
        corners = mesh.faces[self._kept]
        centred = mesh.vertices - self._centre
        starts, incident = _incident_faces(corners, len(mesh.vertices))
        self._vertices = self._on_device(centred, wp.vec3d)
        self._corners, self._starts, self._incident = (
            self._on_device(values, wp.int32) for values in (corners.ravel(), starts, incident)
        )
        self._tree = wp.Mesh(points=self._on_device(centred, wp.vec3), indices=self._corners)

    def query(self, points: Array, max_distance: float | None = None) -> Closest:
        """Looks up the closest point of the surface for each of `points`.

        Args:
            points: (N, 3), finite, in the unit and frame of the mesh.
            max_distance: how far to look; None for any distance.

        Raises:
            ContractError: wrong shapes, or points that are NaN or infinite.
        """
        queries = np.asarray(points, dtype=np.float64)
        if queries.ndim != 2 or queries.shape[1] != 3:
            raise ContractError(f"points: shape {queries.shape}, expected (N, 3)")
        if not np.isfinite(queries).all():
            raise ContractError(f"points: {int((~np.isfinite(queries)).sum())} values are NaN or infinite")
        queries = queries - self._centre
        faces, weights, distances = self._search(queries, max_distance)
        found = faces >= 0
        numbers = np.where(found, self._kept[faces], -1)
        on_mesh = np.full(queries.shape, np.nan)
        corners = self.mesh.vertices[self.mesh.faces[numbers[found]]]
        on_mesh[found] = np.einsum("nk,nkd->nd", weights[found], corners)
        return Closest(distances, numbers, weights, on_mesh)

    def _search(self, queries: Array, max_distance: float | None) -> tuple[Array, Array, Array]:
        count = len(queries)
        # Nothing can be farther than this; the search takes no infinite limit.
        limits = np.linalg.norm(queries, axis=1) + 2 * self._extent
        if max_distance is not None:
            limits = np.minimum(limits, max_distance)
        faces: Any = wp.empty(count, dtype=wp.int32, device=self._device)
        weights: Any = wp.empty(count, dtype=wp.vec3d, device=self._device)
        distances: Any = wp.empty(count, dtype=wp.float64, device=self._device)
        mesh = [self._tree.id, self._vertices, self._corners, self._starts, self._incident]
        asked = [self._on_device(queries, wp.vec3d), self._on_device(limits, wp.float64), 1e-6 * self._extent]
        outputs = [faces, weights, distances]
        wp.launch(_closest, dim=count, inputs=mesh + asked, outputs=outputs, device=self._device)
        return faces.numpy().astype(np.int64), weights.numpy(), distances.numpy()

    def _on_device(self, values: Array, dtype: Any) -> Any:
        return wp.array(values, dtype=dtype, device=self._device)


def _incident_faces(corners: Array, count: int) -> tuple[Array, Array]:
    """Faces around each vertex: those of vertex v are `incident[starts[v]:starts[v + 1]]`."""
    order = np.argsort(corners.ravel(), kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(corners.ravel(), minlength=count))])
    return starts, order // 3


def _has_area(mesh: Mesh, extent: float) -> Array:
    """(F,) bool: whether a face is still a triangle, rather than a line or a point, after rounding to float32."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    longest = np.sqrt(np.max([((b - a) ** 2).sum(1), ((c - b) ** 2).sum(1), ((a - c) ** 2).sum(1)], axis=0))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) > _FLAT * extent * longest
