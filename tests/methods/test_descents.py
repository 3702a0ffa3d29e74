"""What training simulates, and the fits to landmarks: frames agree, losses see what they should, truth comes back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.geometry.placement import Pose, Sightings, rotation_exponential
from harness.heads.head import Head
from harness.heads.procedural import procedural_head
from harness.methods.lvd.descents import (
    Disturbance,
    descent_losses,
    in_frame,
    normalised_projection,
    on_the_way,
    placed,
    without_depth,
)
from harness.methods.lvd.fitting import Place, StartingHead
from harness.methods.lvd.landmarks import POINTS, Landmarks, SoughtPoints, landmark_loss
from harness.training_data import Augmentation, Batch, cut, random_crops

SIZE = 96


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head()


@pytest.fixture(scope="module")
def starting(head: Head) -> StartingHead:
    return StartingHead(head)


def _batch(starting: StartingHead, views: int, seed: int = 0) -> tuple[Batch, torch.Tensor]:
    """Two random heads, seen from the front and both sides, and their coefficients."""
    generator = torch.Generator().manual_seed(seed)
    coefficients = 0.7 * torch.randn(2, len(starting.basis), generator=generator)
    turns = rotation_exponential(torch.tensor([[0.0, 0, 0], [0, 0.8, 0], [0, -0.9, 0.1]])[:views])
    rotation = (torch.diag(torch.tensor([1.0, -1, -1])) @ turns).expand(2, views, 3, 3)
    shift = torch.tensor([0.0, 0, 900]).expand(2, views, 3)[..., None]
    intrinsics = torch.tensor([[300.0, 0, 47.5], [0, 300, 47.5], [0, 0, 1]])
    projection = intrinsics @ torch.cat([rotation, shift], dim=-1)
    images = torch.zeros(2, views, 4, SIZE, SIZE)
    vertices, landmarks = starting.vertices(coefficients), starting.landmarks(coefficients)
    return Batch(images, projection, rotation, vertices, landmarks), coefficients


def _pixels(projection: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    image = torch.einsum("bnij,bkj->bnki", projection[..., :3], points) + projection[:, :, None, :, 3]
    return image[..., :2] / image[..., 2:]


def _exact(batch: Batch, sought: SoughtPoints) -> Sightings:
    points = _pixels(batch.projection, sought(batch.vertices))
    return Sightings(batch.projection, points, torch.full(points.shape[:3], 0.25))


def test_another_frame_shows_the_same_pixels(starting: StartingHead) -> None:
    batch, _ = _batch(starting, 3)
    pose = Pose(rotation_exponential(0.3 * torch.randn(2, 3)), 20 * torch.randn(2, 3))
    moved = in_frame(batch, pose)
    before, after = _pixels(batch.projection, batch.vertices), _pixels(moved.projection, moved.vertices)
    assert torch.allclose(before, after, atol=0.01)
    assert (batch.vertices - moved.vertices).norm(dim=-1).mean() > 10


def test_exact_landmarks_of_three_views_place_and_shape_the_head(starting: StartingHead) -> None:
    batch, _ = _batch(starting, 3)
    moved, coefficients = placed(
        batch, _exact(batch, starting.sought), starting, Disturbance(share=0.0), torch.Generator()
    )
    unexplained = (moved.landmarks - starting.points.mean[:POINTS]).norm(dim=-1).mean()
    left = (moved.landmarks - starting.landmarks(coefficients)).norm(dim=-1).mean()
    assert left < 0.2 * unexplained
    template = (moved.vertices - starting.template).norm(dim=-1).mean()
    assert (moved.vertices - starting.vertices(coefficients)).norm(dim=-1).mean() < 0.6 * template


def test_a_known_place_tells_the_size_in_one_view(starting: StartingHead) -> None:
    batch, _ = _batch(starting, 1)
    larger = replace(batch, vertices=1.06 * batch.vertices, landmarks=1.06 * batch.landmarks)
    seen = _exact(larger, starting.sought)
    sightings = Sightings(larger.projection, seen.points, torch.full_like(seen.spread, 0.005))
    pose = Pose(torch.eye(3).expand(2, 3, 3), torch.zeros(2, 3))
    point = torch.tensor([0.0, 0, 20])
    sizes, depths = [], []
    for deviation in (torch.inf, 5.0):
        place = Place(point, point.expand(2, 3), torch.full((2,), deviation))
        found, coefficients = starting(sightings, pose, place)
        depths.append(found.translation[:, 2].abs())
        sizes.append((starting.vertices(coefficients) - larger.vertices).std(dim=1).norm(dim=1))
    assert (depths[1] < 0.5 * depths[0]).all()
    assert sizes[1].mean() < sizes[0].mean()


def test_a_single_head_is_scaled_to_the_depth_of_the_start_and_its_picture_stays(starting: StartingHead) -> None:
    batch, coefficients = _batch(starting, 1)
    away = torch.tensor([[0.0, 0, 40], [0, 0, -25]])[:, None]  # along the line of sight of a frontal camera
    far = replace(batch, vertices=batch.vertices + away, landmarks=batch.landmarks + away)
    moved = without_depth(far, starting.landmarks(coefficients))
    assert torch.allclose(_pixels(far.projection, far.vertices), _pixels(far.projection, moved.vertices), atol=1e-2)
    depth = moved.landmarks[..., 2].mean(dim=1) - batch.landmarks[..., 2].mean(dim=1)
    assert depth.abs().max() < 0.1
    size = [x.vertices.std(dim=1).norm(dim=1) for x in (moved, far)]
    assert size[0][0] > 1.02 * size[1][0] and size[0][1] < 0.99 * size[1][1]


def test_points_on_the_way_lie_between_start_and_truth() -> None:
    truth, start = torch.zeros(200, 50, 3), torch.full((200, 50, 3), 100.0)
    points = on_the_way(truth, start, torch.Generator().manual_seed(0))
    assert points.min() > -70 and points.max() < 170
    at_start = ((points - start).abs() < 4).all(dim=2).all(dim=1).float().mean()
    assert 0.3 < at_start < 0.5


def test_losses_measure_place_and_shape_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = 40 * torch.randn(3, 60, 3, generator=generator)
    turn = rotation_exponential(torch.tensor([[0.05, 0, 0], [0, 0.1, 0], [0, 0, 0]]))
    estimate = truth @ turn.mT + torch.tensor([1.0, 2, 3])
    points = truth + torch.randn(truth.shape, generator=generator)
    rigid = descent_losses(estimate - points, truth - points, truth)
    assert rigid["shape"] < 1e-3 and rigid["place"] > 0.5
    bent = descent_losses(1.1 * truth - points, truth - points, truth)
    assert bent["shape"] == pytest.approx(0.1 * float((truth - truth.mean(1, keepdim=True)).abs().mean()), rel=0.05)


def test_landmark_loss_is_least_at_the_truth() -> None:
    truth = torch.rand(2, 68, 2) - 0.5
    maps = torch.full((2, 68, 24, 24), 1 / 576)
    losses = [
        float(landmark_loss(Landmarks(maps, truth + d, torch.full((2, 68), 0.05)), truth)) for d in (0, 0.05, 0.2)
    ]
    assert losses == sorted(losses) and losses[0] < losses[1] - 0.5


def test_crops_move_pixels_as_their_matrix_says() -> None:
    generator = torch.Generator().manual_seed(0)
    spheres = torch.tensor([[70.0, 66.0, 45.0], [60.0, 75.0, 50.0]])
    matrix, turn = random_crops(spheres, SIZE, Augmentation(), generator)
    rows, columns = np.mgrid[:144, :144]
    dot = torch.tensor(np.exp(-((columns - 80) ** 2 + (rows - 60) ** 2) / 20), dtype=torch.float32)
    crops = cut(dot.expand(2, 1, 144, 144), matrix, SIZE)[:, 0]
    axis = torch.arange(SIZE, dtype=torch.float32)
    total = crops.sum(dim=(1, 2))
    found = torch.stack([(crops.sum(1) * axis).sum(1) / total, (crops.sum(2) * axis).sum(1) / total], dim=1)
    wanted = (matrix @ torch.tensor([80.0, 60, 1]))[:, :2]
    assert (found - wanted).abs().max() < 0.1
    assert torch.allclose(turn @ turn.mT, torch.eye(3).expand(2, 3, 3), atol=1e-5)


def test_normalised_projection_puts_the_corners_at_one() -> None:
    identity = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    corners = torch.tensor([[0.0, 0, 0, 1], [SIZE - 1, SIZE - 1, 0, 1]])
    assert torch.allclose(
        (corners @ normalised_projection(identity, SIZE).T)[:, :2], torch.tensor([[-1.0, -1], [1, 1]])
    )


def test_sought_points_are_the_landmarks_and_vertices_far_apart(head: Head) -> None:
    points = SoughtPoints(head)(head.template[None])[0]
    assert torch.equal(points[:POINTS], head.landmarks(head.template[None])[0])
    dense = points[POINTS:]
    tip = points[30]
    assert (dense - tip).norm(dim=1).max() < 100 and (dense[:, 0] > 20).any() and (dense[:, 0] < -20).any()
    assert torch.cdist(dense, dense).fill_diagonal_(torch.inf).min() > 5
