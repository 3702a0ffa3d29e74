"""What training simulates: an inexact placement of the head, and points somewhere on their way to the surface."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.geometry.placement import Pose, Sightings, refine_pose, rotation_exponential
from harness.methods.lvd.expectation import camera_centre
from harness.methods.lvd.fitting import Place, StartingHead
from harness.methods.lvd.landmarks import LandmarkNetwork, Landmarks
from harness.training_data import Batch

NOISE = (0.5, 2.0, 6.0, 15.0)  # millimetres
LEAST_SPREAD = 0.25  # pixels: no landmark is trusted more than this
BALL_CENTRE = (0.0, -10.0, 30.0)  # in the head's frame: where the scene's ball is expected to be centred
BALL_DEVIATION = 20.0  # millimetres per coordinate: it goes by the whole scan, with hair and neck, or by hand
LARGEST_OFFSET = 30.0  # millimetres: offsets are learnt up to this size per coordinate, as published


@dataclass(frozen=True)
class Disturbance:
    """How inexact a simulated placement is, beyond the errors of the landmarks.

    Attributes:
        share: of the samples whose pose is disturbed.
        turn: standard deviation of that in degrees.
        shift: and in millimetres.
        scene: share of the samples for which the centre of the scene's ball is known.
    """

    share: float = 0.15
    turn: float = 5.0
    shift: float = 8.0
    scene: float = 0.5


@torch.no_grad()
def look(net: LandmarkNetwork, images: Tensor) -> Landmarks:
    """The landmarks in images (B, n, C, S, S); heat maps (B, n, K, h, w), points (B, n, K, 2), spread (B, n, K)."""
    found = net(images.flatten(0, 1))
    return Landmarks(*(x.unflatten(0, images.shape[:2]) for x in (found.heat_maps, found.points, found.spread)))


def placed(
    batch: Batch, seen: Sightings, head: StartingHead, disturbance: Disturbance, generator: torch.Generator
) -> tuple[Batch, Tensor]:
    """The batch in the frame that the landmarks suggest instead of the head's true one, and the head's coefficients.

    Args:
        batch: of which the landmarks were seen, in these or other crops.
        seen: where, with projections from the batch's frame.
        head: that is placed.
        disturbance: of the placement.
        generator: of what is random.
    """
    count, views = seen.points.shape[:2]
    start = Pose(torch.eye(3).repeat(count, 1, 1).to(seen.spread), torch.zeros(count, 3).to(seen.spread))
    template = refine_pose(head.points.mean.expand(count, -1, -1), seen, start, iterations=8)
    place = simulated_place(count, disturbance.scene, seen.spread.device, generator)
    pose, coefficients = head(seen, template, place)
    more = (torch.rand(count, 1, generator=generator) < disturbance.share).float()
    turn = torch.deg2rad(more * disturbance.turn * torch.randn((count, 3), generator=generator)).to(seen.spread)
    shift = (more * disturbance.shift * torch.randn((count, 3), generator=generator)).to(seen.spread)
    moved = in_frame(batch, Pose(rotation_exponential(turn) @ pose.rotation, pose.translation + shift))
    return (moved if views > 1 else without_depth(moved, head.landmarks(coefficients))), coefficients


def simulated_place(count: int, share: float, device: torch.device, generator: torch.Generator) -> Place:
    """Where the scene's ball says that heads in their own frames are, for that share of `count` subjects."""
    centre = torch.tensor(BALL_CENTRE)
    world = centre + BALL_DEVIATION * torch.randn((count, 3), generator=generator)
    known = torch.rand(count, generator=generator) < share
    deviation = torch.where(known, BALL_DEVIATION, torch.inf)
    return Place(centre.to(device), world.to(device), deviation.to(device))


def without_depth(batch: Batch, landmarks: Tensor) -> Batch:
    """A batch of single views, each head scaled about its camera to the mean depth of `landmarks` (B, 68, 3).

    One view does not tell a large head from a near one: these heads all give the same picture, and the network is
    asked for the one that is where the placement says.
    """
    centre = camera_centre(batch.projection[:, 0])[:, None]
    sight = torch.nn.functional.normalize(batch.rotation[:, 0, 2], dim=-1)[..., None]
    depth, wanted = ((x - centre) @ sight for x in (batch.landmarks, landmarks))
    scale = wanted.mean(dim=1, keepdim=True) / depth.mean(dim=1, keepdim=True)
    vertices, points = (centre + scale * (x - centre) for x in (batch.vertices, batch.landmarks))
    return replace(batch, vertices=vertices, landmarks=points)


def in_frame(batch: Batch, pose: Pose) -> Batch:
    """The batch with all coordinates in another frame; `pose` takes that frame to the present one."""
    return Batch(
        batch.images,
        batch.projection @ pose.matrix()[:, None],
        batch.rotation @ pose.rotation[:, None],
        (batch.vertices - pose.translation[:, None]) @ pose.rotation,
        (batch.landmarks - pose.translation[:, None]) @ pose.rotation,
    )


def on_the_way(truth: Tensor, start: Tensor, generator: torch.Generator) -> Tensor:
    """Points between the start and the truth (B, P, 3), with noise; some subjects are still at the start.

    Each point: truth + a (start - truth) + noise, a uniform in 0..1, the noise's standard deviation one of NOISE.
    Four subjects in ten are at the first step: a = 1 and the least noise.
    """
    count, points = truth.shape[:2]
    share = torch.rand((count, points, 1), generator=generator)
    level = torch.tensor(NOISE)[torch.randint(len(NOISE), (count, points, 1), generator=generator)]
    first = torch.rand((count, 1, 1), generator=generator) < 0.4
    share = torch.where(first, torch.ones_like(share), share)
    level = torch.where(first, torch.full_like(level, NOISE[0]), level)
    noise = level * torch.randn(truth.shape, generator=generator)
    return truth + share.to(truth) * (start - truth) + noise.to(truth)


def descent_losses(found: Tensor, wanted: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """How far offsets (B, P, 3) `found` at some points are from those `wanted`, in millimetres.

    `place`: the mean absolute difference, with both limited to LARGEST_OFFSET; three tenths of it. `shape`: the mean
    absolute distance to the `truth` (B, P, 3) that is left after the rigid motion which fits best. Much of the first is
    the placement's error, which hides the second where the network has seen few pictures.
    """
    limit = LARGEST_OFFSET
    place = (found.clamp(-limit, limit) - wanted.clamp(-limit, limit)).abs().mean()
    estimate = truth + found - wanted
    rotation, middle, goal = rigid_motion(estimate, truth)
    shape = ((estimate - middle) @ rotation + goal - truth).abs().mean()
    return {"place": 0.3 * place, "shape": shape}


def rigid_motion(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation R (B, 3, 3), means m and g (B, 1, 3): (source - m) @ R + g fits `target` best, both (B, P, 3).

    The rotation is taken as a constant by derivatives.
    """
    middle, goal = source.mean(dim=1, keepdim=True), target.mean(dim=1, keepdim=True)
    u, _, vt = torch.linalg.svd(((source - middle).mT @ (target - goal)).detach())
    sign = torch.ones_like(vt[:, :1])
    sign[:, 0, 2] = torch.det(u @ vt).sign()
    return (u * sign) @ vt, middle, goal


def normalised_projection(projection: Tensor, size: int) -> Tensor:
    """(..., 3, 4) -> homogeneous pixels of a `size` crop -> the same to [-1, 1] from the first to the last pixel."""
    scale = 2 / (size - 1)
    matrix = torch.tensor([[scale, 0, -1], [0, scale, -1], [0, 0, 1]], dtype=projection.dtype, device=projection.device)
    return matrix @ projection
