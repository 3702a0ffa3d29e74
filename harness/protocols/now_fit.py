"""NoW's landmark fit and the energy of its refinement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.geometry.dogleg import Descent, Quadratic, dogleg
from harness.geometry.moving_points import MovingPoints, Pose
from harness.geometry.together import Fit
from harness.protocols.now_truth import check_spread
from harness.samples import MILLIMETRES_PER

Array = NDArray[Any]

_POOR = 10.0  # root mean square millimetres by which landmarks in the right order never miss
_OTHER_SIDE = [3, 2, 1, 0, 4, 6, 5]


@dataclass(frozen=True, eq=False)
class LandmarkFit:
    """The similarity v -> scale * v @ turn + shift (row vectors) from predicted to true landmarks.

    Attributes:
        turn: (3, 3) orthogonal, a reflection where that fits better; float32 or float64, as `scale` and
        shift: (3,) millimetres.
        scale: millimetres per unit of the predicted landmarks.
        residual: root mean square distance of the landmarks after it, mm.
        residual_swapped: the same with left and right exchanged on one side.
    """

    turn: Array
    scale: np.floating[Any]
    shift: Array
    residual: float
    residual_swapped: float

    @property
    def determinant(self) -> float:
        """1 for a rotation, -1 for a reflection."""
        return float(np.sign(np.linalg.det(self.turn)))

    def place(self, vertices: Array, unit: str, metrical: bool) -> Array:
        """(V, 3) millimetres -> float64, in the scan's frame: the start of the refinement.

        Args:
            vertices: of the prediction.
            unit: in which the prediction was given and the landmarks were fitted.
            metrical: keep the size; the shift is still that of the fit with free scale.
        """
        factor = MILLIMETRES_PER[unit] if metrical else self.scale
        return np.asarray(factor * np.dot(vertices / MILLIMETRES_PER[unit], self.turn) + self.shift, dtype=np.float64)

    def diagnostics(self, millimetres: float) -> dict[str, float]:
        """What was found; `millimetres` per unit of the landmarks."""
        scale = float(self.scale) / millimetres
        return {"landmark_scale": scale, "landmark_rms": self.residual, "determinant": self.determinant}

    def warnings(self) -> list[str]:
        """What a careful reader should know of the fit."""
        found = []
        if self.determinant < 0:
            found.append(
                "the landmark fit mirrors the prediction: it is a mirror image, or left and right are exchanged"
            )
        if self.residual > _POOR:
            better = self.residual_swapped < 0.5 * self.residual
            hint = "left and right are exchanged" if better else "are they in NoW's order?"
            found.append(f"the landmarks miss the scan's by {self.residual:.3g} mm (root mean square): {hint}")
        return found


def fit_landmarks(target: Array, source: Array) -> LandmarkFit:
    """The official landmark fit.

    Args:
        target: (7, 3) of the scan, float32 or float64.
        source: (7, 3) float64 of the prediction, in the unit in which it was given. Where it and `target` hold single
            precision, the fit is computed in it.

    Raises:
        AlignmentError: one of the two sets lies on a line or in one place.
    """
    for name, points in (("scan's", target), ("predicted", source)):
        check_spread(name, points)
    single = source.astype(np.float32)
    if target.dtype == np.float32 and np.array_equal(single, source):
        source = single
    turn, scale, shift = _fit(target, source)
    residuals = []
    for order in (list(range(7)), _OTHER_SIDE):
        t, s, c = _fit(target.astype(np.float64), source[order].astype(np.float64))
        residuals.append(float(np.sqrt(((s * source[order] @ t + c - target) ** 2).sum(axis=1).mean())))
    return LandmarkFit(turn, scale, shift, *residuals)


def _fit(target: Array, source: Array) -> tuple[Array, Any, Array]:
    """Turn, scale and shift, in the precision of the points; operation by operation as the official program."""
    target_centre, source_centre = target.mean(axis=0), source.mean(axis=0)
    x, y = target - target_centre, source - source_centre
    x_size, y_size = np.sqrt((x**2).sum()), np.sqrt((y**2).sum())
    u, singular, vt = np.linalg.svd((x / x_size).T @ (y / y_size), full_matrices=False)
    turn = vt.T @ u.T
    scale = singular.sum() * x_size / y_size
    return turn, scale, target_centre - scale * _row_times(source_centre, turn)


def _row_times(row: Array, matrix: Array) -> Array:
    """Row @ matrix as fused multiply-adds in turn: what the official program's BLAS does in single precision."""
    if row.dtype != np.float32:
        return row @ matrix
    exact, total = row.astype(np.float64)[:, None] * matrix.astype(np.float64), np.zeros(3, dtype=np.float32)
    for product in exact:
        total = (product + total).astype(np.float32)
    return total


def pose_of(parameters: Array) -> Pose:
    """The pose of (scale, rotation vector, translation), or of the latter two at scale 1."""
    scale = float(parameters[0]) if len(parameters) == 7 else 1.0
    return Pose(scale, Rotation.from_rotvec(parameters[-6:-3]).as_matrix(), parameters[-3:])


def refine(
    points: MovingPoints, start: Array, radius: float = 0.1, tolerance: float = 1e-4, max_iterations: int = 200
) -> Fit[Descent]:
    """The official refinement of (scale, rotation vector, translation), or of the latter two; see `dogleg`.

    The points are left as measured at the pose found.
    """
    descent = dogleg(start, radius, tolerance, max_iterations)
    measured = next(descent)
    while True:
        here = yield from quadratic(points, measured)
        try:
            measured = descent.send(here)
        except StopIteration as stop:
            found: Descent = stop.value
            break
    if not np.array_equal(measured, found.parameters):  # the last step tried was not kept
        yield points, pose_of(found.parameters)
    return found


def quadratic(points: MovingPoints, parameters: Array) -> Fit[Quadratic]:
    """The refinement's energy: squared distances of the points to the surface, in the scan's millimetres.

    The official program's second term, 100 (|s| - s), is zero for every positive scale. A negative one, where it would
    not be, is refused by an infinite energy instead.
    """
    pose = pose_of(parameters)
    if not pose.scale > 0:
        nothing = np.zeros(len(parameters))
        return Quadratic(float("inf"), nothing, np.diag(nothing))
    sums = yield points, pose
    # By scale, by rotation vector and by translation, from motions in the surface's own frame.
    change = np.zeros((7, 7))
    change[0, 0] = 1.0
    change[1:4, 1:4] = pose.scale * _right_jacobian(parameters[-6:-3])
    change[4:, 4:] = pose.rotation.T
    change = change[:, -len(parameters) :]
    descent = -pose.scale * change.T @ sums.gradient
    return Quadratic(pose.scale**2 * sums.energy, descent, change.T @ sums.normal_matrix @ change)


def _right_jacobian(vector: Array) -> Array:
    """(3, 3) turns a change of a rotation vector into the small rotation that it adds before the rotation."""
    angle = float(np.linalg.norm(vector))
    cross = np.cross(np.eye(3), vector)
    if angle < 1e-4:
        return np.eye(3) - cross / 2 + cross @ cross / 6
    return np.eye(3) - (1 - np.cos(angle)) / angle**2 * cross + (angle - np.sin(angle)) / angle**3 * cross @ cross
