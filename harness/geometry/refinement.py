"""Alignment of points and a surface, run until it has converged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.geometry.alignment import Similarity
from harness.geometry.closest import Closest, ClosestPoints
from harness.geometry.moving_points import MovingPoints, Pose, Sums
from harness.geometry.together import Fit

Array = NDArray[Any]

_MAX_DAMPING = 1e8
_SMALL = 0.012  # of the faces' spacing: steps after which most points keep their faces


@dataclass(frozen=True, eq=False)
class Refinement:
    """What a fit found.

    Attributes:
        transform: maps the points onto the surface; rotation and translation only, on top of the initial one.
        iterations: steps tried.
        cost: mean Huber cost of the distances to the surface after it.
        last_step: the farthest that the last step moved any point.
        converged: whether that is below the tolerance.
    """

    transform: Similarity
    iterations: int
    cost: float
    last_step: float
    converged: bool


@dataclass(frozen=True, eq=False)
class ScaledFit:
    """What a fit with free scale found.

    Attributes:
        pose: of the surface.
        iterations: steps tried.
        energy: sum of the squared distances, in the points' unit.
        last_step: the farthest that the last step moved the surface near the points.
        converged: whether that is below the tolerance.
    """

    pose: Pose
    iterations: int
    energy: float
    last_step: float
    converged: bool


def fit_rigid_to_surface(
    points: Array,
    surface: ClosestPoints,
    initial: Similarity,
    max_iterations: int,
    tolerance: float,
    huber: float = np.inf,
) -> Refinement:
    """Moves points rigidly until the Huber cost of their distances to a surface stops falling.

    Damped Newton steps about the points' centroid. The squared distance to a triangle mesh is a quadratic function of
    the point wherever its closest point stays on the same triangle, side or corner, and the steps use that quadratic
    exactly: residual P (p - q), where q is the closest point and P removes the directions in which q can follow p (two
    on a triangle, one on a side, none in a corner).

    Args:
        points: (N, 3), all of them used, equally weighted.
        surface: what to move them to.
        initial: where to start.
        max_iterations: steps to try at most.
        tolerance: converged when a step moves no point farther than this, in the unit of the surface.
        huber: distances d below it cost d^2 / 2, larger ones huber * (d - huber / 2), so that points without a
            counterpart on the surface do not drag the fit; infinite for least squares.
    """
    transform, damping = initial, 0.0
    moved = transform.apply(points)
    closest = surface.query(moved)
    cost, step = _huber(closest.distances, huber), np.inf
    iterations = 0
    while iterations < max_iterations and step > tolerance and damping < _MAX_DAMPING:
        iterations += 1
        centre = moved.mean(axis=0)
        motion = _step(moved - centre, closest, surface, huber, damping, centre)
        candidate = motion.compose(transform)
        new_points = candidate.apply(points)
        new_closest = surface.query(new_points)
        new_cost = _huber(new_closest.distances, huber)
        step = float(np.linalg.norm(new_points - moved, axis=1).max())
        if new_cost <= cost:
            transform, moved, closest, cost, damping = candidate, new_points, new_closest, new_cost, damping / 10
            damping = 0.0 if damping < 1e-3 else damping
        else:
            damping = max(1e-2, damping * 10)
    return Refinement(transform, iterations, cost, step, step <= tolerance)


def _huber(distances: Array, huber: float) -> float:
    """Mean cost; see fit_rigid_to_surface."""
    inner = np.minimum(distances, huber)
    return float(np.mean(inner * (distances - 0.5 * inner)))


def _step(
    arms: Array, closest: Closest, surface: ClosestPoints, huber: float, damping: float, centre: Array
) -> Similarity:
    """One damped Newton step: a small rotation about `centre`, from which `arms` (N, 3) reach, and a shift."""
    offsets = arms + centre - closest.points
    radius = float(np.sqrt((arms**2).sum(axis=1).mean())) or 1.0
    x, y, z = (arms / radius).T
    jacobian = np.zeros((len(arms), 3, 6))  # by rotation about x, y, z, times the radius to be a length; by shift
    jacobian[:, 0, 1], jacobian[:, 0, 2] = z, -y
    jacobian[:, 1, 0], jacobian[:, 1, 2] = -z, x
    jacobian[:, 2, 0], jacobian[:, 2, 1] = y, -x
    jacobian[:, [0, 1, 2], [3, 4, 5]] = 1.0
    rows = jacobian.reshape(-1, 6)
    weights = np.minimum(1.0, huber / np.maximum(closest.distances, np.finfo(float).tiny))
    curvature = _projectors(closest, surface)
    far = closest.distances > huber
    curvature[far] -= _dyads(offsets[far])  # a cost proportional to the distance does not curve along it
    weighted = weights[:, None, None] * jacobian
    normal_matrix = rows.T @ (curvature @ weighted).reshape(-1, 6)
    scale = np.einsum("ni,ni->", rows, weighted.reshape(-1, 6)) / 6  # unlike the curvature it is never zero
    damped = normal_matrix + (damping + 1e-9) * scale * np.eye(6)
    delta = -np.linalg.solve(damped, weighted.reshape(-1, 6).T @ offsets.ravel())
    rotation = Rotation.from_rotvec(delta[:3] / radius).as_matrix()
    return Similarity(1.0, rotation, centre + delta[3:] - rotation @ centre)


def _projectors(closest: Closest, surface: ClosestPoints) -> Array:
    """(N, 3, 3): half the second derivative of the squared distance, by where the closest point lies."""
    corners = surface.mesh.vertices[surface.mesh.faces[closest.faces]]
    opposite = closest.barycentric == 0
    count = opposite.sum(axis=1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    projectors = _dyads(normals)
    side = np.flatnonzero(count == 1)
    k = opposite[side].argmax(axis=1)
    projectors[side] = np.eye(3) - _dyads(corners[side, (k + 2) % 3] - corners[side, (k + 1) % 3])
    projectors[count == 2] = np.eye(3)
    return projectors


def _dyads(vectors: Array) -> Array:
    """(N, 3) -> (N, 3, 3) products of the unit vectors with themselves."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units[:, :, None] * units[:, None, :]


def fit_surface_to_points(points: MovingPoints, initial: Pose, max_iterations: int, tolerance: float) -> Fit[ScaledFit]:
    """Moves and scales a surface until the sum of squared distances of the points to it stops falling.

    Levenberg-Marquardt steps about the middle of the points. Distances count in the points' unit, so that nothing is
    gained by a surface that shrinks.

    Args:
        points: all of them used, equally weighted; afterwards measured at the pose found.
        initial: where the surface starts.
        max_iterations: steps to try at most.
        tolerance: converged when a step moves the surface near the points no farther than this, in the points' unit.
    """
    pose, damping, step = initial, 0.0, np.inf
    sums = yield points, initial
    energy, iterations, listed, measured = pose.scale**2 * sums.energy, 0, False, pose
    while iterations < max_iterations and step > tolerance and damping < _MAX_DAMPING:
        iterations += 1
        candidate, step = _similarity_step(pose, sums, points, damping)
        if step < _SMALL * points.spacing * pose.scale and not listed:
            points.list_faces()
            listed = True
        measured = candidate
        new_sums = yield points, candidate
        new_energy = candidate.scale**2 * new_sums.energy
        if new_energy <= energy:
            pose, sums, energy = candidate, new_sums, new_energy
            damping = damping / 10 if damping > 1e-3 else 0.0
        else:
            damping = max(1e-2, damping * 10)
    if measured is not pose:  # the last step tried was not kept
        yield points, pose
    return ScaledFit(pose, iterations, energy, step, step <= tolerance)


def _similarity_step(pose: Pose, sums: Sums, points: MovingPoints, damping: float) -> tuple[Pose, float]:
    """A pose that should be better, and how far it moves the surface near the points at most."""
    centre = pose.rotation.T @ (points.centre - pose.translation) / pose.scale
    radius = points.radius / pose.scale
    about = np.eye(7)  # turns motions about the centre, with lengths for angles, into motions about the origin
    about[4:, 0] = -centre
    about[4:, 1:4] = np.cross(np.eye(3), centre)
    about[:, :4] /= radius
    normal_matrix = about.T @ sums.normal_matrix @ about
    damped = normal_matrix + (damping + 1e-12) * np.trace(normal_matrix) / 7 * np.eye(7)
    motion = -np.linalg.solve(damped, about.T @ sums.gradient)
    growth = float(np.exp(np.clip(motion[0] / radius, -0.5, 0.5)))
    turn = Rotation.from_rotvec(motion[1:4] / radius).as_matrix()
    shift = centre + motion[4:] - growth * turn @ centre
    translation = pose.scale * pose.rotation @ shift + pose.translation
    moved = pose.scale * (abs(motion[0]) + np.linalg.norm(motion[1:4]) + np.linalg.norm(motion[4:]))
    return Pose(pose.scale * growth, pose.rotation @ turn, translation), float(moved)
