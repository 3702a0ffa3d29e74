"""What a least-squares step needs of points before surfaces in some pose, measured for several of them at once."""

# Kernels are not Python: Warp's own types for them describe calls from outside.
# mypy: disable-error-code="arg-type,call-overload,index,misc,operator"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.geometry.moving_kernels import (
    Groups,
    largest_distance,
    move_group,
    place_group,
    search_each,
    search_lists,
    search_together,
)
from harness.geometry.surface_kernels import Integers, Surface, Surfaces, Vectors
from harness.geometry.warp_setup import wp

if TYPE_CHECKING:
    from harness.geometry.moving_points import MovingPoints

    Moments = Any
    MomentsArray = Any
    Row = Any
    Matrices = Any
    GroupSets = Any
    Cube = Any
else:
    Moments, Row = wp.types.matrix(shape=(8, 8), dtype=wp.float64), wp.types.vector(length=8, dtype=wp.float64)
    MomentsArray, Matrices, GroupSets = (wp.array(dtype=each) for each in (Moments, wp.mat33d, Groups))
    Cube = wp.array3d(dtype=wp.float64)

Array = NDArray[Any]

_FAR = wp.constant(wp.float64(12.0))  # times the spacing: a box of this size holds hundreds of faces
_GROUPS_PER_THREAD = {"cpu": 32, "cuda": 1}
_FOLDED = 128  # moments that a thread adds up, one after the other


@dataclass(frozen=True, eq=False)
class Pose:
    """A surface's vertex v stands at scale * rotation @ v + translation.

    Attributes:
        scale: not zero.
        rotation: (3, 3).
        translation: (3,).
    """

    scale: float
    rotation: Array
    translation: Array

    def apply(self, vertices: Array) -> Array:
        """(V, 3) of the surface -> (V, 3) float64 where they stand."""
        return np.asarray(vertices, dtype=np.float64) @ (self.scale * self.rotation).T + self.translation


@dataclass(frozen=True, eq=False)
class Sums:
    """What a least-squares step needs of all distances d_i at one pose.

    Small motions are (relative scale, rotation vector, shift) in that order, applied in the surface's own frame before
    the pose: d_i changes by jacobian_i . motion, where all distances count in the surface's unit (scale 1).

    Attributes:
        energy: sum of d_i^2.
        gradient: (7,) sum of d_i * jacobian_i.
        normal_matrix: (7, 7) sum of jacobian_i^T jacobian_i.
    """

    energy: float
    gradient: Array
    normal_matrix: Array


@wp.kernel(enable_backward=False)
def evaluate(
    surfaces: Surfaces,
    sets: GroupSets,
    linears: Matrices,
    shifts: Vectors,
    knowns: Integers,
    owners: Integers,
    first_threads: Integers,
    groups_per_thread: int,
    moments: MomentsArray,
) -> None:
    """Moves all points of several sets, finds their closest faces, and adds up what a least-squares step needs.

    Args:
        surfaces: (S,) what to search for each set.
        sets: (S,) the points; all but `points` and `first` is written.
        linears: (S,) take a point to its surface's frame, without
        shifts: (S,) to the place about its centre.
        knowns: (S,) 0 for the first call, when no point has a face yet; 2 where there are lists.
        owners: (threads,) the set that a thread works on, and
        first_threads: (S,) the first thread of each.
        groups_per_thread: how many groups a thread looks at, one after the other.
        moments: (threads,) sums over the points of row^T row with row = (n . q, q x n, n, d), where q is the closest
            point in the mesh's own frame, d the distance and n the unit vector from q to the point, or 0 where d is 0.
    """
    thread = wp.tid()
    owner = owners[thread]
    surface = surfaces[owner]
    groups = sets[owner]
    linear = linears[owner]
    shift = shifts[owner]
    known = knowns[owner]
    total = Moments()
    before = int(0)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    first_group = (thread - first_threads[owner]) * groups_per_thread
    last_group = wp.min(first_group + groups_per_thread, groups.first.shape[0] - 1)
    for group in range(first_group, last_group):
        found = int(0)  # noqa: UP018, RUF046
        if known == 0:
            place_group(group, surface, groups, linear, shift, before)
            before = groups.faces[groups.first[group]]
        if known == 1:
            move_group(group, surface, groups, linear, shift, -1)
        if known == 2:
            found = search_lists(group, surface, groups, linear, shift)
        if found == 0:
            far = _FAR * groups.spacing
            if largest_distance(group, groups) > far:
                search_each(group, surface, groups)
            largest = largest_distance(group, groups)
            if largest <= far:
                search_together(group, surface, groups, largest)
        for i in range(groups.first[group], groups.first[group + 1]):
            distance = groups.distances[i]
            normal = wp.vec3d()
            if distance > wp.float64(0.0):
                normal = (groups.moved[i] - groups.feet[i]) / distance
            arm = groups.feet[i] + surface.centre
            turn = wp.cross(arm, normal)
            row = Row(wp.dot(normal, arm), turn[0], turn[1], turn[2], normal[0], normal[1], normal[2], distance)
            total += wp.outer(row, row)
    moments[thread] = total


@wp.kernel(enable_backward=False)
def add_up(moments: Cube, firsts: Integers, sums: Cube) -> None:
    """Sums of consecutive moments, `firsts[i]` to `firsts[i + 1]`, always in the same order; a thread per number."""
    i, row, column = wp.tid()
    total = wp.float64(0.0)
    for k in range(firsts[i], firsts[i + 1]):
        total += moments[k, row, column]
    sums[i, row, column] = total


class Launch:
    """Several point sets, each before a surface of its own, that are measured together: one launch for all of them.

    Args:
        sets: on one device.
    """

    def __init__(self, sets: Sequence[MovingPoints]) -> None:
        self.sets, device = sets, sets[0].tree.device
        kind = "cuda" if wp.get_device(device).is_cuda else "cpu"
        self._per_thread = _GROUPS_PER_THREAD[kind]
        threads = np.array([-(-(len(each.groups.first) - 1) // self._per_thread) for each in sets])
        firsts = np.concatenate([[0], np.cumsum(threads)])
        self._moments = _cube(int(firsts[-1]), device)
        self._layout: list[Any] = [
            wp.array(np.repeat(np.arange(len(sets)), threads), dtype=wp.int32, device=device),
            wp.array(firsts[:-1], dtype=wp.int32, device=device),
        ]
        self._surfaces: Any = wp.array([each.tree.surface for each in sets], dtype=Surface, device=device)
        self._groups: Any = wp.array([each.groups for each in sets], dtype=Groups, device=device)
        self._folds = _folds(threads, device)

    def sums(self, poses: Sequence[Pose]) -> list[Sums]:
        """Puts each set's surface into its pose and measures all of them."""
        device = self.sets[0].tree.device
        linears = np.stack([pose.rotation.T / pose.scale for pose in poses])
        centres = np.stack([each.tree.centre for each in self.sets])
        shifts = -np.einsum("sij,sj->si", linears, [pose.translation for pose in poses]) - centres
        where: list[Any] = [
            wp.array(linears, dtype=wp.mat33d, device=device),
            wp.array(shifts, dtype=wp.vec3d, device=device),
            wp.array([each.known for each in self.sets], dtype=wp.int32, device=device),
        ]
        inputs = [self._surfaces, self._groups, *where, *self._layout, self._per_thread]
        count = len(self._moments)
        moments: Any = wp.array(ptr=self._moments.ptr, dtype=Moments, shape=count, device=device)  # the same memory
        wp.launch(evaluate, dim=count, inputs=inputs, outputs=[moments], device=device)
        for each in self.sets:
            each.known = max(each.known, 1)
        sums = self._moments
        for firsts, folded in self._folds:
            wp.launch(add_up, dim=(len(folded), 8, 8), inputs=[sums, firsts], outputs=[folded], device=device)
            sums = folded
        return [Sums(float(m[7, 7]), -m[7, :7], m[:7, :7]) for m in sums.numpy()]


def _folds(counts: Array, device: str) -> list[tuple[Any, Any]]:
    """How so many moments of each set become one: where each sum of the next, shorter row begins, and that row."""
    folds: list[tuple[Any, Any]] = []
    while counts.max() > 1 or not folds:
        starts = np.concatenate([[0], np.cumsum(counts)])
        firsts = [np.arange(first, last, _FOLDED) for first, last in pairwise(starts)]
        counts = np.array([len(each) for each in firsts])
        ends: Any = wp.array(np.concatenate([*firsts, starts[-1:]]), dtype=wp.int32, device=device)
        folds.append((ends, _cube(int(counts.sum()), device)))
    return folds


def _cube(count: int, device: str) -> Any:
    """Room for so many moments."""
    return wp.empty((count, 8, 8), dtype=wp.float64, device=device)
