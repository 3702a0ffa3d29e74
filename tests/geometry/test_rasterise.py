"""The rasteriser against a slow twin in float64, and its derivatives against differences."""

import numpy as np
import pytest
import torch
import trimesh

from harness.errors import ContractError
from harness.geometry.rasterise import rasterise, vertex_normals


def twin(points: np.ndarray, faces: np.ndarray, size: int) -> np.ndarray:
    """(S, S) the depth in front, or infinity; loops over everything."""
    front = np.full((size, size), np.inf)
    for a, b, c in points[faces]:
        matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
        if np.linalg.det(matrix) >= -1e-9:
            continue
        for y in range(size):
            for x in range(size):
                weights = np.linalg.solve(matrix, [x, y, 1])
                if (weights >= 0).all():
                    front[y, x] = min(front[y, x], weights @ [a[2], b[2], c[2]])
    return front


def turned_faces(seed: int, count: int = 14) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-3, 15, (count, 3)), rng.integers(0, count, (40, 3))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_in_front_is_the_twins(seed: int) -> None:
    points, faces = turned_faces(seed)
    points = np.float32(points).astype(np.float64)
    placed = torch.from_numpy(points)[None]
    fragments = rasterise(placed, torch.from_numpy(faces), 12)
    ours = np.full((12, 12), np.inf)
    depth = fragments.interpolate(placed[..., 2:], torch.from_numpy(faces))[:, 0]
    ours[fragments.row.numpy(), fragments.column.numpy()] = depth.numpy()
    theirs = twin(points, faces, 12)
    assert np.isfinite(theirs).sum() > 20
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_ball_shows_its_near_half_with_its_own_normals() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=10.0)
    vertices = torch.from_numpy(np.array(mesh.vertices)).float()[None].repeat(2, 1, 1)
    faces = torch.from_numpy(np.array(mesh.faces)).long()
    pixels = torch.stack([15.5 + vertices[..., 0], 15.5 - vertices[..., 1], -vertices[..., 2]], dim=-1)
    fragments = rasterise(pixels, faces, 32)
    area = torch.bincount(fragments.picture).float()
    assert torch.allclose(area, torch.full((2,), np.pi * 100.0), rtol=0.02)
    normals = fragments.interpolate(vertex_normals(vertices, faces), faces)
    expected = torch.stack([(fragments.column - 15.5) / 10, (15.5 - fragments.row) / 10], dim=1)
    assert (normals[:, 2] > 0).all()
    assert (normals[:, :2] - expected).abs().max() < 0.03
    drawn = fragments.picture_of(normals)
    assert drawn.shape == (2, 3, 32, 32)
    assert torch.equal(drawn[fragments.picture, :, fragments.row, fragments.column], normals)
    assert drawn[0, :, 0, 0].abs().sum() == 0


def test_interpolated_values_change_with_the_points_as_differences_say() -> None:
    points = torch.tensor(
        [[[1.3, 1.1, 0.0], [8.4, 2.2, 0.5], [3.1, 9.2, 1.0]]], dtype=torch.float64, requires_grad=True
    )
    faces = torch.tensor([[0, 2, 1]])
    values = torch.tensor([[[1.0], [4.0], [-2.0]]], dtype=torch.float64)

    def total(where: torch.Tensor) -> torch.Tensor:
        return rasterise(where, faces, 11).interpolate(values, faces).square().sum()

    total(points).backward()
    assert points.grad is not None
    for vertex in range(3):
        for axis in range(2):
            step = torch.zeros_like(points)
            step[0, vertex, axis] = 1e-5
            with torch.no_grad():
                slope = (total(points + step) - total(points - step)) / 2e-5
            assert float(points.grad[0, vertex, axis]) == pytest.approx(float(slope), rel=1e-4)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ContractError, match=r"\(B, V, 3\)"):
        rasterise(torch.zeros(5, 3), torch.zeros(1, 3, dtype=torch.int64), 8)
