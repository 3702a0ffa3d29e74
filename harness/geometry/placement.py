"""The rigid pose of known 3D points from where they are seen in one or more calibrated views."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pose:
    """Rigid poses of a batch: world = rotation @ model + translation; (B, 3, 3) and (B, 3)."""

    rotation: Tensor
    translation: Tensor

    def matrix(self) -> Tensor:
        """(B, 4, 4)."""
        result = torch.eye(4, dtype=self.rotation.dtype, device=self.rotation.device).repeat(len(self.rotation), 1, 1)
        result[:, :3, :3], result[:, :3, 3] = self.rotation, self.translation
        return result


@dataclass(frozen=True, eq=False)
class Sightings:
    """Where points are seen, for a batch of subjects with n views each.

    Attributes:
        projection: (B, n, 3, 4) world -> homogeneous pixels.
        points: (B, n, K, 2) pixels.
        spread: (B, n, K) expected error in pixels; infinite for a point that is not seen.
    """

    projection: Tensor
    points: Tensor
    spread: Tensor


def rotation_exponential(vector: Tensor) -> Tensor:
    """(B, 3) axis-angle -> (B, 3, 3) rotations."""
    return torch.linalg.matrix_exp(cross_matrix(vector))


def cross_matrix(v: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3) matrices whose products with vectors are the cross products of `v` with these."""
    zero = torch.zeros_like(v[..., 0])
    rows = (zero, -v[..., 2], v[..., 1], v[..., 2], zero, -v[..., 0], -v[..., 1], v[..., 0], zero)
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def _project(model: Tensor, seen: Sightings, pose: Pose) -> tuple[Tensor, Tensor]:
    """Rotated model points (B, K, 3) and homogeneous pixels (B, n, K, 3)."""
    turned = model @ pose.rotation.mT
    world = turned + pose.translation[:, None]
    image = torch.einsum("bnij,bkj->bnki", seen.projection[..., :3], world) + seen.projection[:, :, None, :, 3]
    return turned, image


def residuals(model: Tensor, seen: Sightings, pose: Pose) -> Tensor:
    """(B, n, K, 2) projection of `model` (B, K, 3) minus sighting, over the spread; large behind a camera."""
    _, image = _project(model, seen, pose)
    depth = image[..., 2:]
    error = (image[..., :2] / depth.clamp_min(1e-6) - seen.points) / seen.spread[..., None]
    return torch.where(depth > 1e-6, error, 1e3 / seen.spread[..., None].clamp_min(1.0))


def robust_cost(error: Tensor, width: float = 3.0) -> Tensor:
    """(B, n, K, 2) residuals -> (B,) sums of Cauchy costs, nearly quadratic below `width`."""
    squared = error.square().sum(dim=-1)
    return (width**2 * torch.log1p(squared / width**2)).sum(dim=(1, 2))


def refine_pose(model: Tensor, seen: Sightings, start: Pose, iterations: int = 20, width: float = 3.0) -> Pose:
    """Levenberg-Marquardt on the reprojection errors with a Cauchy loss, every subject with its own damping.

    Args:
        model: (B, K, 3) points in the model's frame.
        seen: their sightings.
        start: where to begin.
        iterations: how many steps are tried.
        width: of the loss, in units of the spread.

    Returns:
        The best pose met; never worse than `start`.
    """
    pose, damping = start, torch.full_like(start.translation[:, 0], 1e-3)
    cost = robust_cost(residuals(model, seen, pose), width)
    for _ in range(iterations):
        hessian, gradient = _normal_equations(model, seen, pose, width)
        diagonal = torch.diag_embed(hessian.diagonal(dim1=1, dim2=2) * damping[:, None] + 1e-9)
        step = torch.linalg.solve_ex(hessian + diagonal, -gradient)[0].nan_to_num()
        trial = Pose(rotation_exponential(step[:, :3]) @ pose.rotation, pose.translation + step[:, 3:])
        trial_cost = robust_cost(residuals(model, seen, trial), width)
        better = trial_cost < cost
        pose = Pose(
            torch.where(better[:, None, None], trial.rotation, pose.rotation),
            torch.where(better[:, None], trial.translation, pose.translation),
        )
        cost = torch.where(better, trial_cost, cost)
        damping = (damping * torch.where(better, 0.2, 8.0)).clamp(1e-7, 1e6)
    return pose


def _normal_equations(model: Tensor, seen: Sightings, pose: Pose, width: float) -> tuple[Tensor, Tensor]:
    """Gauss-Newton matrix (B, 6, 6) and gradient (B, 6) over a turn about the model's origin and a shift."""
    by_turn, by_world = pose_derivatives(model, seen, pose)
    error = residuals(model, seen, pose)
    jacobian = torch.cat([by_turn, by_world], dim=-1) / seen.spread[..., None, None]
    weight = 1 / (1 + error.square().sum(dim=-1) / width**2)
    weighted = (jacobian * weight[..., None, None]).flatten(1, 3)
    jacobian, error = jacobian.flatten(1, 3), error.flatten(1, 3)
    return weighted.mT @ jacobian, (weighted.mT @ error[..., None])[..., 0]


def pose_derivatives(model: Tensor, seen: Sightings, pose: Pose) -> tuple[Tensor, Tensor]:
    """(B, n, K, 2, 3) twice: the pixels' derivatives by a turn of the model about its origin and by the world point."""
    turned, image = _project(model, seen, pose)
    depth = image[..., 2].clamp_min(1e-6)
    pixel = image[..., :2] / depth[..., None]
    camera = seen.projection[:, :, None, :, :3]
    by_world = (camera[..., :2, :] - pixel[..., None] * camera[..., 2:, :]) / depth[..., None, None]
    return by_world @ -cross_matrix(turned)[:, None], by_world


def facing_pose(model: Tensor, seen: Sightings, view: int) -> Pose:
    """A start: the model looks into camera `view`, where its size fits that of the sightings there.

    Model axes: x to the subject's left, y up, z out of the face. Sightings without a finite spread are not used.
    """
    projection, points = seen.projection[:, view], seen.points[:, view]
    weight = seen.spread[:, view].isfinite().to(points.dtype)[..., None]
    weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1)
    middle = (points * weight).sum(dim=1)
    size = ((points - middle[:, None]).square().sum(dim=-1, keepdim=True) * weight).sum(dim=(1, 2)).sqrt()
    centre = (model * weight).sum(dim=1)
    extent = ((model - centre[:, None])[..., :2].square().sum(dim=-1, keepdim=True) * weight).sum(dim=(1, 2)).sqrt()
    intrinsics, to_camera = _decompose(projection)
    focal = (intrinsics[:, 0, 0] + intrinsics[:, 1, 1]) / 2
    depth = focal * extent / size.clamp_min(1e-3)
    ray = torch.linalg.solve(intrinsics, torch.cat([middle, torch.ones_like(middle[:, :1])], dim=1)[..., None])[..., 0]
    flip = torch.tensor([1.0, -1.0, -1.0], dtype=model.dtype, device=model.device)
    rotation = to_camera.mT * flip
    offset = torch.linalg.solve(intrinsics, projection[:, :, 3:])[..., 0]
    target = torch.einsum("bij,bj->bi", to_camera.mT, ray * depth[:, None] - offset)
    return Pose(rotation, target - torch.einsum("bij,bj->bi", rotation, centre))


def _decompose(projection: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, 4) projection K [R | t] with |last row of R| = 1 -> K (B, 3, 3) upper triangular, R (B, 3, 3)."""
    reverse = torch.eye(3, dtype=projection.dtype, device=projection.device).flip(0)
    q, r = torch.linalg.qr((reverse @ projection[:, :, :3]).mT)
    upper, rotation = reverse @ r.mT @ reverse, reverse @ q.mT
    sign = torch.diag_embed(upper.diagonal(dim1=1, dim2=2).sign())
    return upper @ sign, sign @ rotation


def find_pose(model: Tensor, seen: Sightings, width: float = 3.0) -> tuple[Pose, Tensor]:
    """The pose with the least robust cost over starts that face each of the views in turn, and that cost (B,)."""
    best: Pose | None = None
    cost = torch.full_like(model[:, 0, 0], torch.inf)
    for view in range(seen.points.shape[1]):
        pose = refine_pose(model, seen, facing_pose(model, seen, view), iterations=40, width=width)
        now = robust_cost(residuals(model, seen, pose), width)
        better = now < cost
        previous = pose if best is None else best
        best = Pose(
            torch.where(better[:, None, None], pose.rotation, previous.rotation),
            torch.where(better[:, None], pose.translation, previous.translation),
        )
        cost = torch.where(better, now, cost)
    assert best is not None  # a sample has at least one view
    return best, cost
