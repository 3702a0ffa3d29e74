"""REALY's non-rigid registration: a scan's region is deformed towards the prediction to find corresponding points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array, csr_array, diags_array, kron
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from harness.errors import AlignmentError

Array = NDArray[Any]

ANCHOR_KEYPOINTS = {
    "nose": tuple(range(27, 36)),
    "mouth": (*range(48, 61), 64),
    "forehead": (*range(36, 48), *range(17, 27)),
}
"""Region -> the keypoints that pull its deformation; the cheek has none."""

_PATIENCE = 10  # conjugate-gradient steps before a new factorisation pays
_ACCURACY = 1e-10  # of the unknowns, relative to the largest
_MOST_SOLVES = 1000
_TINY = np.finfo(np.float64).tiny


class Stage(NamedTuple):
    """One stage of the deformation.

    Attributes:
        stiffness: alpha of the energy.
        tolerance: the stage ends when the unknowns changed by no more, or if they did so before it began.
        most_solves: the stage ends after so many.
        anchors: weight of the keypoints; divided by 10 and by exp(0.9) per solve done before, unless `alone`.
        alone: keypoints only, without the nearest points, and with stiffness (2, 2, 3, 2) times as large by column.
    """

    stiffness: float
    tolerance: float
    most_solves: int
    anchors: float = 0.0
    alone: bool = False


WITH_KEYPOINTS = (
    Stage(150.0, 2.0, 1, anchors=50.0, alone=True),
    *(Stage(50.0 * float(np.exp(-0.5 * k)), 0.5**k, 11, anchors=50.0) for k in range(3)),
)
WITHOUT_KEYPOINTS = tuple(Stage(50.0 * float(np.exp(-0.5 * k)), 0.5**k, _MOST_SOLVES) for k in range(3))


class Deformation(NamedTuple):
    """A deformed region: vertices (N, 3) float64 in scan units, and how many linear systems were solved."""

    vertices: Array
    solves: int


def deform(
    vertices: Array, faces: Array, targets: Array, anchor_ids: Array | None = None, anchor_points: Array | None = None
) -> Deformation:
    """Deforms a mesh towards a cloud of points by one affine map per vertex that neighbours nearly share.

    The energy of Amberg et al. (CVPR 2007) with the official program's weights, stages and stopping rules. Each solve
    starts from where the one before led to, with positions rounded to float32 in the equations, as there.

    Args:
        vertices: (N, 3), each used by some face.
        faces: (F, 3).
        targets: (M, 3): a vertex is drawn to the nearest of them, unless that is farther than both 1 scan unit and
            twice the mean distance.
        anchor_ids: (K,) vertices that are drawn to
        anchor_points: (K, 3) as well; where two fall on one vertex the later counts.

    Raises:
        AlignmentError: the equations have no single solution (a piece of the mesh is drawn to nothing), or it does
            not converge.
    """
    system, tree = _System(faces, len(vertices)), cKDTree(targets)
    current, unknown, change, solves = np.asarray(vertices, np.float64), np.ones((4 * len(vertices), 3)), np.inf, 0
    for stage in WITHOUT_KEYPOINTS if anchor_ids is None else WITH_KEYPOINTS:
        done = 0
        while change > stage.tolerance and done < stage.most_solves:
            distances, nearest = tree.query(current)
            drawn = _drawn(np.asarray(distances), stage)
            goals, pull = targets[nearest] * drawn[:, None], drawn
            if anchor_ids is not None and anchor_points is not None:
                weight = stage.anchors * (1.0 if stage.alone else float(np.exp(-0.9 * solves)) / 10)
                anchored = np.zeros_like(goals)
                anchored[anchor_ids] = weight**2 * anchor_points
                at_anchor = np.zeros_like(pull)
                at_anchor[anchor_ids] = weight**2
                goals, pull = goals + anchored, pull + at_anchor
            before = unknown
            unknown = system.solve(stage, current.astype(np.float32), pull, goals, before)
            current = system.moved(unknown)
            change = float(np.linalg.norm(unknown - before))
            done, solves = done + 1, solves + 1
        if done == _MOST_SOLVES:
            raise AlignmentError(f"the non-rigid registration still changes by {change:.3g} after {done} solves")
    return Deformation(current, solves)


def _drawn(distances: Array, stage: Stage) -> Array:
    """(N,) 1 for vertices that are drawn to their nearest target, 0 for others."""
    if stage.alone:
        return np.zeros(len(distances))
    single = distances.astype(np.float32)
    return (single < max(float(single.mean() * np.float32(2)), 1.0)).astype(np.float64)


class _System:
    """The normal equations of the energy, one solve after the other.

    The exact factorisation of an earlier solve is a nearly perfect preconditioner of the next one, so that a few
    conjugate-gradient steps reach the same accuracy; where they do not, the matrix is factorised anew.
    """

    def __init__(self, faces: Array, count: int) -> None:
        edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        edges = np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0)
        one_way = coo_array((np.ones(len(edges)), edges.T), shape=(count, count))
        neighbours = csc_array(one_way + one_way.T)
        self._laplacian = csc_array(diags_array(neighbours.sum(axis=0)) - neighbours)
        self._count = count
        self._factor: Any = None
        self._rows: Any = None

    def solve(self, stage: Stage, positions: Array, pull: Array, goals: Array, start: Array) -> Array:
        """(4N, 3) the affine maps, each four rows.

        Args:
            stage: gives the stiffness.
            positions: (N, 3) float32 that the maps are applied to.
            pull: (N,) squared weight of each vertex's goal.
            goals: (N, 3) goals times that weight.
            start: (4N, 3) a guess.
        """
        homogeneous = np.hstack([positions.astype(np.float64), np.ones((self._count, 1))])
        places = np.arange(4 * self._count)
        self._rows = csr_array((homogeneous.ravel(), places, np.arange(0, 4 * self._count + 1, 4)))
        columns = np.array([2.0, 2.0, 3.0, 2.0]) if stage.alone else np.ones(4)
        stiffness = kron(self._laplacian, diags_array((stage.stiffness * columns) ** 2), format="csr")
        rows, transposed = self._rows, self._rows.T.tocsr()

        def apply(unknown: Array) -> Array:
            return np.asarray(stiffness @ unknown + transposed @ (pull[:, None] * (rows @ unknown)))

        right = transposed @ goals
        if self._factor is not None:
            solution = _conjugate_gradients(apply, right, start, self._factor)
            if solution is not None:
                return solution
        matrix = csc_array(stiffness + transposed @ diags_array(pull) @ rows)
        self._factor = _factorised(matrix)
        solution = _conjugate_gradients(apply, right, self._factor.solve(right), self._factor)
        if solution is None:
            raise AlignmentError("the non-rigid registration's equations leave a piece of the region undetermined")
        return solution

    def moved(self, unknown: Array) -> Array:
        """(N, 3) float64: the positions of the last solve after their affine maps."""
        return np.asarray(self._rows @ unknown)


def _factorised(matrix: csc_array) -> Any:
    try:
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:
        raise AlignmentError(
            "the non-rigid registration's equations leave a piece of the region undetermined"
        ) from None


def _conjugate_gradients(apply: Callable[[Array], Array], right: Array, start: Array, factor: Any) -> Array | None:
    """Solves for each column of `right` with `factor` as the preconditioner; None if that takes too many steps."""
    solution = start.copy()
    residual = right - apply(solution)
    direction, before = np.zeros_like(right), np.ones(right.shape[1])
    for _ in range(_PATIENCE):
        correction = factor.solve(residual)
        if np.abs(correction).max() <= _ACCURACY * np.abs(solution).max():
            return np.asarray(solution + correction)
        now = np.einsum("nk,nk->k", residual, correction)
        direction = correction + direction * (now / np.maximum(before, _TINY))
        image = apply(direction)
        step = now / np.maximum(np.einsum("nk,nk->k", direction, image), _TINY)
        solution, residual, before = solution + step * direction, residual - step * image, now
    return None
