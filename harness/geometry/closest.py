"""Closest points on a mesh, through NVIDIA Warp's bounding volume hierarchy, on the CPU or a CUDA device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.geometry.backend import Backend, chosen
from harness.geometry.mesh import Mesh
from harness.geometry.pytorch3d_backend import pytorch3d_faces
from harness.geometry.surface_kernels import (
    Doubles,
    Integers,
    Surface,
    Surfaces,
    Vectors,
    foot_on_face,
    nearest_around,
    weights_on_face,
)
from harness.geometry.surface_tree import SurfaceTree
from harness.geometry.warp_setup import wp

Array = NDArray[Any]


@wp.kernel(enable_backward=False)
def _find_faces(surfaces: Surfaces, owners: Integers, queries: Vectors, limits: Doubles, faces: Integers) -> None:
    """The nearest face of each query in its surface as far as float32 can tell; -1 where none is within the limit."""
    i = wp.tid()
    surface = surfaces[owners[i]]
    p = queries[i] - surface.centre
    # Nothing can be farther than this; the search takes no infinite limit.
    limit = wp.min(limits[i], wp.length(p) + wp.float64(2.0) * surface.extent)
    slack = wp.float64(1e-6) * surface.extent
    hit = wp.mesh_query_point_no_sign(surface.tree, wp.vec3(p), wp.float32(limit + slack))
    faces[i] = -1
    if hit.result:  # type: ignore[attr-defined]
        faces[i] = hit.face  # type: ignore[attr-defined]


@wp.kernel(enable_backward=False)
def _measure(
    surfaces: Surfaces,
    owners: Integers,
    queries: Vectors,
    limits: Doubles,
    faces: Integers,
    weights: Vectors,
    distances: Doubles,
) -> None:
    """The point of each found face that is closest, in float64, and of the faces around it where they are nearer."""
    i = wp.tid()
    surface = surfaces[owners[i]]
    p = queries[i] - surface.centre
    zero = wp.float64(0.0)
    found = faces[i]
    w = wp.vec3d()
    d = wp.float64(wp.inf)
    if found >= 0:
        w = weights_on_face(p, surface, found)
        d = wp.length(p - foot_on_face(p, surface, found))
        # On a side or a corner float32 cannot tell neighbours apart; float64 can.
        searching = w[0] == zero or w[1] == zero or w[2] == zero
        while searching:
            other = nearest_around(p, surface, found, d)
            searching = other != found
            if searching:
                found = other
                w = weights_on_face(p, surface, found)
                d = wp.length(p - foot_on_face(p, surface, found))
    if d > limits[i]:
        found = -1
        w = wp.vec3d()
        d = wp.float64(wp.inf)
    faces[i] = found
    weights[i] = w
    distances[i] = d


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
        self.tree = SurfaceTree(mesh, device)
        self.mesh, self.dropped_faces = mesh, self.tree.dropped_faces

    def query(self, points: Array, max_distance: float | None = None) -> Closest:
        """Looks up the closest point of the surface for each of `points`.

        Args:
            points: (N, 3), finite, in the unit and frame of the mesh.
            max_distance: how far to look; None for any distance.

        Raises:
            ContractError: wrong shapes, or points that are NaN or infinite.
        """
        return _query([self.tree], [points], max_distance, chosen())[0]


def closest_points_batch(
    meshes: Sequence[Mesh], points: Sequence[Array], device: str = "cpu", backend: Backend | None = None
) -> list[Closest]:
    """Looks up the closest points of several meshes, each for points of its own, all at once.

    As many `ClosestPoints`, but one launch on the device for all point sets, whatever their sizes.

    Args:
        meshes: what to search.
        points: as many arrays (N_i, 3), finite, in the unit and frame of their mesh.
        device: "cpu", "cuda" or "cuda:1".
        backend: what finds the nearest faces, the one in use unless given: "warp", or "pytorch3d" where it is
            installed (it looks at every face, and leaves out what it calls small). Points and distances are computed
            in float64 either way.

    Raises:
        ContractError: wrong shapes, NaN or infinite points, a mesh none of whose faces has an area, as many meshes as
            point sets are not given, or a backend that is not installed.
    """
    if len(meshes) != len(points):
        raise ContractError(f"points: {len(points)} point sets for {len(meshes)} meshes, expected as many")
    return _query([SurfaceTree(mesh, device) for mesh in meshes], points, None, backend or chosen()) if meshes else []


def _query(
    trees: Sequence[SurfaceTree], points: Sequence[Array], max_distance: float | None, backend: Backend
) -> list[Closest]:
    sets, device = [_checked(each) for each in points], trees[0].device
    starts = np.cumsum([0, *map(len, sets)])
    queries, count = np.concatenate(sets), int(starts[-1])
    asked: Any = wp.array(queries, dtype=wp.vec3d, device=device)
    limits: Any = wp.full(count, np.inf if max_distance is None else max_distance, dtype=wp.float64, device=device)
    owner_of = np.repeat(np.arange(len(trees)), np.diff(starts))
    owners: Any = wp.array(owner_of, dtype=wp.int32, device=device)
    surfaces: Any = wp.array([tree.surface for tree in trees], dtype=Surface, device=device)
    if backend == "pytorch3d":
        faces: Any = wp.array(pytorch3d_faces(trees, sets), dtype=wp.int32, device=device)
    else:
        faces = wp.empty(count, dtype=wp.int32, device=device)
        wp.launch(_find_faces, dim=count, inputs=[surfaces, owners, asked, limits], outputs=[faces], device=device)
    weights: Any = wp.empty(count, dtype=wp.vec3d, device=device)
    distances: Any = wp.empty(count, dtype=wp.float64, device=device)
    inputs = [surfaces, owners, asked, limits, faces]
    wp.launch(_measure, dim=count, inputs=inputs, outputs=[weights, distances], device=device)
    on_host = [each.numpy() for each in (faces, weights, distances)]
    return [
        _closest(tree, *(each[begin:end] for each in on_host))
        for tree, begin, end in zip(trees, starts[:-1], starts[1:], strict=True)
    ]


def _checked(points: Array) -> Array:
    queries = np.asarray(points, dtype=np.float64)
    if queries.ndim != 2 or queries.shape[1] != 3:
        raise ContractError(f"points: shape {queries.shape}, expected (N, 3)")
    if not np.isfinite(queries).all():
        raise ContractError(f"points: {int((~np.isfinite(queries)).sum())} values are NaN or infinite")
    return queries


def _closest(tree: SurfaceTree, faces: Array, weights: Array, distances: Array) -> Closest:
    """One mesh's answers, with its own face numbers."""
    found = faces >= 0
    numbers = np.where(found, tree.kept[faces], -1)
    on_mesh = np.full((len(faces), 3), np.nan)
    corners = tree.mesh.vertices[tree.mesh.faces[numbers[found]]]
    on_mesh[found] = np.einsum("nk,nkd->nd", weights[found], corners)
    return Closest(distances, numbers, weights, on_mesh)
