"""Heads that fit landmarks and meshes: where a descent starts, and what becomes of its result."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from harness.geometry.placement import (
    Pose,
    Sightings,
    cross_matrix,
    pose_derivatives,
    residuals,
    rotation_exponential,
)
from harness.heads.head import Head
from harness.methods.lvd.landmarks import POINTS, SoughtPoints
from harness.methods.lvd.modes import Modes, modes_of, principal_modes

# Landmarks of one face err together, so each counts as if its error were larger; chosen on held-out synthetic subjects.
INFLATION = 1.5
LOSS_WIDTH = 3.0  # of the Cauchy loss, in units of that error
MODES = 80  # principal ones of a starting head


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A fitted head: (V, 3) vertices in the frame of what it was fitted to, and (M,) coefficients of the modes."""

    vertices: Tensor
    coefficients: Tensor


@dataclass(frozen=True, eq=False)
class LinearPoints:
    """Points that depend linearly on coefficients, each of unit variance: mean (K, 3) and basis (M, K, 3)."""

    mean: Tensor
    basis: Tensor


@dataclass(frozen=True, eq=False)
class Place:
    """Where a point of the head roughly is, for a batch of subjects.

    Attributes:
        point: (3,) in the head's frame.
        world: (B, 3) millimetres.
        deviation: (B,) millimetres per coordinate; infinite where nothing is known.
    """

    point: Tensor
    world: Tensor
    deviation: Tensor

    def normal_equations(self, pose: Pose) -> tuple[Tensor, Tensor]:
        """What it adds to the matrix (B, 6, 6) and the gradient (B, 6, 1) over a turn and a shift of the head."""
        turned = torch.einsum("bij,j->bi", pose.rotation, self.point)
        shift = torch.eye(3).to(turned).expand(len(turned), 3, 3)
        jacobian = torch.cat([-cross_matrix(turned), shift], dim=-1) / self.deviation[:, None, None]
        error = (turned + pose.translation - self.world) / self.deviation[:, None]
        return jacobian.mT @ jacobian, jacobian.mT @ error[..., None]


def fit_points(
    points: LinearPoints,
    seen: Sightings,
    pose: Pose,
    place: Place | None = None,
    iterations: int = 6,
) -> tuple[Pose, Tensor]:
    """Pose and coefficients (B, M) of a batch that explain the sightings best (Gauss-Newton, Cauchy loss).

    Args:
        points: of a head model.
        seen: where they are.
        pose: to start from.
        place: what is known of the pose beside them.
        iterations: how many.
    """
    seen = Sightings(seen.projection, seen.points, seen.spread * INFLATION)
    count, modes = len(pose.translation), len(points.basis)
    prior = torch.ones(6 + modes).to(points.basis)
    prior[:6] = 1e-6
    coefficients = pose.translation.new_zeros(count, modes)
    for _ in range(iterations):
        model = points.mean + torch.einsum("bm,mkd->bkd", coefficients, points.basis)
        by_turn, by_world = pose_derivatives(model, seen, pose)
        by_mode = torch.einsum("bnkij,bjl,mkl->bnkim", by_world, pose.rotation, points.basis)
        error = residuals(model, seen, pose)
        weight = 1 / (1 + error.square().sum(dim=-1) / LOSS_WIDTH**2)
        jacobian = torch.cat([by_turn, by_world, by_mode], dim=-1) / seen.spread[..., None, None]
        weighted = (jacobian * weight[..., None, None]).flatten(1, 3).mT
        change = functional.pad(coefficients, (6, 0))
        gradient = weighted @ error.flatten(1)[..., None] + (prior * change)[..., None]
        hessian = weighted @ jacobian.flatten(1, 3) + torch.diag(prior)
        if place is not None:
            more, slope = place.normal_equations(pose)
            hessian[:, :6, :6] += more
            gradient[:, :6] += slope
        step = torch.linalg.solve_ex(hessian, -gradient)[0][..., 0].nan_to_num()
        pose = Pose(rotation_exponential(step[:, :3]) @ pose.rotation, pose.translation + step[:, 3:6])
        coefficients = coefficients + step[:, 6:]
    return pose, coefficients


class StartingHead:
    """The head from which a descent starts: pose and principal modes by the landmarks of the views.

    Args:
        head: the model.
        count: how many principal combinations of its modes.
    """

    def __init__(self, head: Head, count: int = MODES) -> None:
        modes = modes_of(head)
        self.template, self.basis = modes.template, principal_modes(modes, count)
        self.sought = SoughtPoints(head)
        mean, basis = self.sought(self.template[None])[0], self.sought(self.basis)
        self.points = LinearPoints(mean, basis)

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> StartingHead:
        """Moves it in place."""
        self.template, self.basis = (x.to(device, dtype) for x in (self.template, self.basis))
        points = self.points
        self.points = LinearPoints(points.mean.to(device, dtype), points.basis.to(device, dtype))
        return self

    def __call__(self, seen: Sightings, pose: Pose, place: Place | None = None) -> tuple[Pose, Tensor]:
        """Pose and coefficients (B, count), from a pose of the template."""
        return fit_points(self.points, seen, pose, place)

    def vertices(self, coefficients: Tensor, ids: Tensor | None = None) -> Tensor:
        """(B, V, 3) in the head's frame, or those of the vertices `ids`."""
        template, basis = (self.template, self.basis) if ids is None else (self.template[ids], self.basis[:, ids])
        return template + torch.einsum("bm,mvd->bvd", coefficients, basis)

    def landmarks(self, coefficients: Tensor) -> Tensor:
        """(B, 68, 3) in the head's frame."""
        points = self.points
        return points.mean[:POINTS] + torch.einsum("bm,mkd->bkd", coefficients, points.basis[:, :POINTS])


class HeadFitter:
    """Finds the coefficients of a head's modes, each with a standard normal prior, and a rigid motion.

    Args:
        head: the model.
        deviation: millimetres of error to expect per coordinate of a mesh.
        correlated: vertices that share one error: neighbours err together, so they count less than independent ones.
    """

    def __init__(self, head: Head, deviation: float = 1.0, correlated: float = 30.0) -> None:
        self.modes: Modes = modes_of(head)
        self.template = self.modes.template.double()
        self.basis = self.modes.basis.flatten(1).T.double()
        self.ridge = deviation**2 * correlated
        precision = self.basis.T @ self.basis / self.ridge + torch.eye(self.basis.shape[1]).to(self.basis)
        self.factor = torch.linalg.cholesky(precision)

    def fit_mesh(self, vertices: Tensor, iterations: int = 5) -> HeadFit:
        """Ridge least squares to (V, 3) vertices near the head's frame; rigid motion and coefficients in turn."""
        target, fitted = vertices.double(), self.template
        coefficients = self.basis.new_zeros(self.basis.shape[1])
        rotation, translation = _rigid(fitted, target)
        for _ in range(iterations):
            local = (target - translation) @ rotation - self.template
            right = self.basis.T @ local.reshape(-1, 1) / self.ridge
            coefficients = torch.cholesky_solve(right, self.factor)[:, 0]
            fitted = self.shaped(coefficients)
            rotation, translation = _rigid(fitted, target)
        return HeadFit(fitted @ rotation.T + translation, coefficients)

    def shaped(self, coefficients: Tensor) -> Tensor:
        """(V, 3) vertices of the head with these coefficients."""
        return self.template + (self.basis @ coefficients).view_as(self.template)


def _rigid(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation and translation that bring `source` (V, 3) closest to `target` (Kabsch)."""
    centre, goal = source.mean(dim=0), target.mean(dim=0)
    u, _, vt = torch.linalg.svd((source - centre).T @ (target - goal))
    sign = torch.ones(3).to(u)
    sign[2] = torch.linalg.det(u @ vt).sign()
    rotation = (u * sign @ vt).T
    return rotation, goal - rotation @ centre
