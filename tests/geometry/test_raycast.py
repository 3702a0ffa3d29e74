"""Ray casting against a readable float64 twin (Moeller and Trumbore 1997)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ContractError
from harness.geometry.raycast import RayCaster


def first_hit(vertices, faces, origin, direction):
    """Face, barycentric weights and distance of the first triangle on one ray, or (-1, zeros, inf)."""
    corner, second, third = vertices[faces].transpose(1, 0, 2)
    edge_a, edge_b = second - corner, third - corner
    across = np.cross(direction, edge_b)
    determinant = (edge_a * across).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = origin - corner
        u = (offset * across).sum(1) / determinant
        turned = np.cross(offset, edge_a)
        v = turned @ direction / determinant
        distance = (edge_b * turned).sum(1) / determinant
        inside = (np.abs(determinant) > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
    if not inside.any():
        return -1, np.zeros(3), np.inf
    best = int(np.argmin(np.where(inside, distance, np.inf)))
    return best, np.array([1 - u[best] - v[best], u[best], v[best]]), distance[best]


@pytest.fixture(scope="module")
def blob():
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=80.0)
    bumps = 1 + 0.15 * np.sin(mesh.vertices / 13.0).sum(axis=1, keepdims=True)
    return np.asarray(mesh.vertices) * bumps, np.asarray(mesh.faces)


def test_equals_the_float64_twin(blob):
    vertices, faces = blob
    rng = np.random.default_rng(0)
    origins = rng.normal(size=(400, 3)) * 150
    directions = rng.normal(size=(400, 3)) * 40 - origins
    directions[:50] = rng.normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    hits = RayCaster(vertices, faces).cast(origins, directions)
    twin = [first_hit(vertices, faces, o, d) for o, d in zip(origins, directions, strict=True)]
    face, weights, distance = (np.array(column) for column in zip(*twin, strict=True))
    # Rays that graze an edge may fall on either side of it in float32.
    clear = (face < 0) | (weights.min(1) > 1e-4)
    assert clear.sum() > 380 and (face[clear] >= 0).any() and (face[clear] < 0).any()
    assert np.array_equal(hits.face[clear], face[clear])
    met = clear & (face >= 0)
    assert np.abs(hits.barycentric[met] - weights[met]).max() < 1e-3
    assert np.abs(hits.distance[met] - distance[met]).max() < 1e-3
    assert np.isinf(hits.distance[clear & (face < 0)]).all()


def test_hit_point_from_weights_is_the_point_on_the_ray(blob):
    vertices, faces = blob
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(500, 3))
    hits = RayCaster(vertices, faces).cast(np.zeros(3), 3 * directions)
    assert (hits.face >= 0).all()
    on_face = (vertices[faces[hits.face]] * hits.barycentric[:, :, None]).sum(1)
    on_ray = directions / np.linalg.norm(directions, axis=1, keepdims=True) * hits.distance[:, None]
    assert np.abs(on_face - on_ray).max() < 1e-3


def test_blocked_agrees_with_cast(blob):
    rng = np.random.default_rng(2)
    origins, directions = rng.normal(size=(300, 3)) * 150, rng.normal(size=(300, 3))
    caster = RayCaster(*blob)
    assert np.array_equal(caster.blocked(origins, directions), caster.cast(origins, directions).face >= 0)
    near = caster.cast(origins, directions).distance < 100
    assert np.array_equal(caster.blocked(origins, directions, limit=100), near)


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(1, 500), st.floats(0.01, 50))
@settings(max_examples=25, deadline=None)
def test_plane_has_the_distance_of_the_closed_form(slope_x, slope_y, height, length):
    vertices = np.array([[-1e3, -1e3, 0], [1e3, -1e3, 0], [1e3, 1e3, 0], [-1e3, 1e3, 0]])
    direction = np.array([slope_x, slope_y, -1.0])
    hits = RayCaster(vertices, [[0, 1, 2], [0, 2, 3]]).cast([[0.0, 0.0, height]], direction[None] * length)
    assert hits.distance[0] == pytest.approx(height * np.linalg.norm(direction), rel=1e-4)


def test_torch_in_torch_out_and_the_vertices_may_change_afterwards(blob):
    vertices = torch.tensor(blob[0], dtype=torch.float32)
    caster = RayCaster(vertices, torch.tensor(blob[1]))
    direction = torch.tensor([[0.0, 0.0, 1.0]])
    before = caster.cast(torch.zeros(1, 3), direction).distance.clone()
    vertices.mul_(2)
    after = caster.cast(torch.zeros(1, 3), direction).distance
    assert isinstance(after, torch.Tensor) and torch.equal(before, after)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu(blob):
    rng = np.random.default_rng(3)
    origins, directions = rng.normal(size=(1000, 3)) * 150, rng.normal(size=(1000, 3))
    there, here = (RayCaster(*blob, device=name).cast(origins, directions) for name in ("cuda", "cpu"))
    assert (there.face == here.face).mean() > 0.999
    assert np.allclose(there.distance, here.distance, atol=1e-2)


@pytest.mark.parametrize("faces", [[[0, 1, 3]], [[0, 1, -1]], [0, 1, 2], np.zeros((0, 3), int)])
def test_bad_faces_are_named(faces):
    with pytest.raises(ContractError, match="faces"):
        RayCaster(np.eye(3), faces)


def test_bad_rays_are_named(blob):
    caster = RayCaster(*blob)
    with pytest.raises(ContractError, match="origins"):
        caster.cast(np.zeros((2, 3)), np.ones((3, 3)))
    with pytest.raises(ContractError, match="directions"):
        caster.cast(np.zeros((2, 3)), np.ones((2, 2)))
