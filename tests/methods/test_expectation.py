"""What a starting head lets expect: its picture lies where it projects to, shading tells how normals differ."""

import pytest
import torch

from harness.geometry.placement import Sightings
from harness.heads.head import Head
from harness.heads.procedural import procedural_head
from harness.methods.lvd.descents import normalised_projection
from harness.methods.lvd.expectation import POSITION_SCALE, Expectation, face_vertices, facing, shading
from harness.methods.lvd.lessons import heat_maps_of, in_crop
from harness.methods.lvd.network import Features
from harness.training_data import normalise

SIDE, SIZE = 24, 96


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head()


def _front(focal: float = 300.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A camera 900 mm in front of the face, aimed at it: projection to [-1, 1] and rotation."""
    rotation = torch.diag(torch.tensor([1.0, -1, -1]))
    intrinsics = torch.tensor([[focal, 0, 47.5], [0, focal, 47.5], [0, 0, 1]])
    shift = torch.tensor([0.0, -60, 900])[:, None]
    projection = normalised_projection(intrinsics @ torch.cat([rotation, shift], dim=1), SIZE)
    return projection[None, None], rotation[None, None]


def test_expected_picture_lies_where_the_head_projects_to(head: Head) -> None:
    projection, rotation = _front()
    expectation, start = Expectation(head, SIDE), head.template[None]
    images = torch.rand(1, 1, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    normals = expectation.normals(start)
    expected = expectation((torch.zeros(1, 80), start, normals), projection, rotation, images)
    assert expected.picture.shape == (1, 1, 11, 2 * SIDE, 2 * SIDE)
    seen = facing(start, normals, projection)[0, 0]
    flat = (seen > 0.99) & face_vertices(head) & (normals[0, :, 2] > 0.9)
    found = Features(expected.picture, projection, torch.zeros(1, 0)).sample(start[:, flat])[0, 0]
    error = (POSITION_SCALE * found[:, 3:6] - start[0, flat]).norm(dim=1)
    assert error.median() < 2.0
    turned = normals[0, flat] * torch.tensor([1.0, -1, -1])
    assert ((found[:, :3] * turned).sum(dim=1)).median() > 0.97


def test_points_on_the_back_and_outside_are_not_seen(head: Head) -> None:
    projection, _ = _front()
    expectation, start = Expectation(head, SIDE), head.template[None]
    normals = expectation.normals(start)
    seen = facing(start, normals, projection)[0, 0]
    assert seen[normals[0, :, 2] < -0.2].max() == 0
    assert seen[face_vertices(head) & (normals[0, :, 2] > 0.8)].min() == 1
    assert facing(start, normals, projection + torch.tensor([[0.0, 0, 0, 9e3], [0] * 4, [0] * 4])).max() == 0


def test_probes_are_spread_and_most_are_in_the_face(head: Head) -> None:
    probes = Expectation(head, SIDE, 100).probes
    assert len(set(probes.tolist())) == 100
    assert face_vertices(head)[probes[:80]].all() and not face_vertices(head)[probes[80:]].any()
    distance = torch.cdist(head.template[probes[:80]], head.template[probes[:80]]) + 1e3 * torch.eye(80)
    assert distance.min() > 8.0


def test_shading_tells_how_normals_differ_from_the_expected_ones() -> None:
    axis = torch.linspace(-0.9, 0.9, 48)
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    covered = (x * x + y * y < 0.8).float()
    z = -(1 - x * x - y * y).clamp_min(0.05).sqrt()
    normals = torch.stack([x, y, z])[None] / torch.stack([x, y, z]).norm(dim=0)
    bent = normals.clone()
    bent[:, 0] += 0.15 * torch.exp(-((x - 0.2).square() + (y + 0.3).square()) / 0.02)
    bent = torch.nn.functional.normalize(bent, dim=1)
    light = torch.tensor([0.35, 0.1, -0.4])
    bright = 0.3 + torch.einsum("nchw,c->nhw", bent, light)[:, None]
    bright[:, :, 30:36, 8:16] = 0.02  # a brow
    images = normalise(
        torch.nn.functional.interpolate(bright, (SIZE, SIZE)).expand(-1, 3, -1, -1), torch.ones(1, 1, SIZE, SIZE)
    )
    found = shading(normals, covered[None, None], images)
    predicted = (found[:, 1:] * (bent - normals)).sum(dim=1)
    spot = predicted.abs() > 0.3 * predicted.abs().max()
    assert (found[:, 0][spot] / predicted[spot]).median() == pytest.approx(1.0, abs=0.4)
    assert found[:, 0, 40:44, 22:26].abs().max() < 0.05
    assert found[:, :, covered == 0].abs().max() == 0


def test_heat_maps_lie_at_the_landmarks_of_another_crop() -> None:
    projection, _ = _front()
    wide = torch.tensor([[0.5, 0.05, 0.1], [-0.05, 0.5, -0.1], [0, 0, 1]]) @ projection
    points = torch.tensor([[0.2, -0.4], [-0.5, 0.5]])[None, None]
    moved, scale = in_crop(points, projection, wide)
    assert torch.allclose(moved[0, 0, 0], torch.tensor([0.18, -0.31]), atol=1e-4)
    assert float(scale[0, 0]) == pytest.approx(0.5025, abs=1e-3)
    maps = heat_maps_of(Sightings(projection, points, torch.full((1, 1, 2), 0.05)), wide, SIDE)
    assert torch.allclose(maps.sum(dim=(3, 4)), torch.ones(1, 1, 2))
    axis = torch.linspace(-1, 1, SIDE)
    found = torch.stack([(maps.sum(dim=3) * axis).sum(dim=3), (maps.sum(dim=4) * axis).sum(dim=3)], dim=-1)
    assert torch.allclose(found, moved, atol=0.01)
