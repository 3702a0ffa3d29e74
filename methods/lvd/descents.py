"""What training simulates: an inexact placement of the head, and points somewhere on their way to the surface."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.geometry.placement import Pose, Sightings, refine_pose, rotation_exponential
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
    """The landmarks in images (B, n, C, S, S); heat maps (B, n, 68, h, w), points (B, n, 68, 2), spread (B, n, 68)."""
    found = net(images.flatten(0, 1))
    return Landmarks(*(x.unflatten(0, images.shape[:2]) for x in (found.heat_maps, found.points, found.spread)))


def placed(
    batch: Batch, seen: Landmarks, head: StartingHead, disturbance: Disturbance, generator: torch.Generator
) -> tuple[Batch, Tensor]:
    """The batch in the frame that the landmarks suggest instead of the head's true one, and the head's coefficients."""
    count, views, _, size = batch.images.shape[:4]
    half = (size - 1) / 2
    spread = (seen.spread * half).clamp_min(LEAST_SPREAD)
    sightings = Sightings(batch.projection, (seen.points + 1) * half, spread)
    start = Pose(torch.eye(3).repeat(count, 1, 1).to(spread), torch.zeros(count, 3).to(spread))
    template = refine_pose(head.points.mean.expand(count, -1, -1), sightings, start, iterations=8)
    pose, coefficients = head(sightings, template, simulated_place(count, disturbance.scene, spread.device, generator))
    more = (torch.rand(count, 1, generator=generator) < disturbance.share).float()
    turn = torch.deg2rad(more * disturbance.turn * torch.randn((count, 3), generator=generator)).to(spread)
    shift = (more * disturbance.shift * torch.randn((count, 3), generator=generator)).to(spread)
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
    """A batch of single views, each head moved along its line of sight to the depth of `landmarks` (B, 68, 3).

    One view does not tell a large head from a near one, so the depth of a placement says little about the head: the
    network is asked for its shape there. The picture and its projection stay as they are.
    """
    sight = torch.nn.functional.normalize(batch.rotation[:, 0, 2], dim=-1)
    difference = (batch.landmarks - landmarks).mean(dim=1)
    shift = ((difference * sight).sum(dim=-1, keepdim=True) * sight)[:, None]
    return replace(batch, vertices=batch.vertices - shift, landmarks=batch.landmarks - shift)


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
    middle, goal = estimate.mean(dim=1, keepdim=True), truth.mean(dim=1, keepdim=True)
    with torch.no_grad():
        u, _, vt = torch.linalg.svd((estimate - middle).mT @ (truth - goal))
        sign = torch.ones_like(vt[:, :1])
        sign[:, 0, 2] = torch.det(u @ vt).sign()
        rotation = (u * sign) @ vt
    shape = ((estimate - middle) @ rotation + goal - truth).abs().mean()
    return {"place": 0.3 * place, "shape": shape}


def normalised_projection(projection: Tensor, size: int) -> Tensor:
    """(..., 3, 4) -> homogeneous pixels of a `size` crop -> the same to [-1, 1] from the first to the last pixel."""
    scale = 2 / (size - 1)
    matrix = torch.tensor([[scale, 0, -1], [0, scale, -1], [0, 0, 1]], dtype=projection.dtype, device=projection.device)
    return matrix @ projection
