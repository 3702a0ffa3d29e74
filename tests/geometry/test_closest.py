"""Closest points against a readable float64 twin that looks at every triangle."""

from __future__ import annotations

import logging
import sys
import time
import types

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ContractError
from harness.geometry.backend import checked, using
from harness.geometry.closest import ClosestPoints, closest_points_batch
from harness.geometry.mesh import Mesh
from tests.geometry_shapes import bumpy

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def on_segments(p, a, b):
    """(F, 3) closest points of F segments."""
    length = np.maximum(((b - a) ** 2).sum(1), 1e-300)
    share = np.clip(((p - a) * (b - a)).sum(1) / length, 0, 1)
    return a + share[:, None] * (b - a)


def on_triangles(p, a, b, c):
    """(F, 3) closest points of F triangles: the foot of the perpendicular if inside, else the best of three sides."""
    normal = np.cross(b - a, c - a)
    square = np.maximum((normal**2).sum(1), 1e-300)
    foot = p - normal * (((p - a) * normal).sum(1) / square)[:, None]
    inside = (normal**2).sum(1) > 0
    for u, v in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(v - u, foot - u) * normal).sum(1) >= 0
    sides = np.array([on_segments(p, u, v) for u, v in ((a, b), (b, c), (c, a))])
    best = np.linalg.norm(p - sides, axis=2).argmin(axis=0)
    return np.where(inside[:, None], foot, sides[best, np.arange(len(a))])


def twin(mesh, points):
    """(N,) distances and (N, 3) closest points, the slow way."""
    corners = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    candidates = np.array([on_triangles(p, *corners) for p in points])
    distances = np.linalg.norm(candidates - points[:, None], axis=2)
    best = distances.argmin(axis=1)
    rows = np.arange(len(points))
    return distances[rows, best], candidates[rows, best]


def check(result, mesh, points, distances, tolerance):
    assert np.abs(result.distances - distances).max() < tolerance
    assert np.allclose(np.linalg.norm(points - result.points, axis=1), result.distances, rtol=0, atol=tolerance)
    corners = mesh.vertices[mesh.faces[result.faces]]
    assert np.allclose(np.einsum("nk,nkd->nd", result.barycentric, corners), result.points, rtol=0, atol=1e-9)
    assert np.abs(result.barycentric.sum(axis=1) - 1).max() < 1e-12 and result.barycentric.min() >= 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_equals_the_twin(device, offset):
    mesh = bumpy(offset=offset)
    rng = np.random.default_rng(0)
    near = mesh.vertices[:60] + rng.normal(size=(60, 3))
    points = np.vstack([near, offset + rng.normal(size=(60, 3)) * 200, mesh.vertices[:5]])
    expected, where = twin(mesh, points)
    result = ClosestPoints(mesh, device).query(points)
    check(result, mesh, points, expected, 1e-9)
    assert np.median(np.linalg.norm(result.points - where, axis=1)) < 1e-9


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equals_the_twin_on_soups_of_triangles(seed):
    """Unconnected, intersecting, thin, tiny and degenerate triangles."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(size=(20, 1, 1)) + 1)
    corners = rng.normal(size=(20, 3, 3)) * size + rng.normal(size=(20, 1, 3)) * 50
    corners[3, 2] = corners[3, 1]  # a line
    corners[4] = corners[4, :1]  # a point
    corners[5, 2] = corners[5, 0] + 1e-3 * (corners[5, 2] - corners[5, 0])  # a needle
    mesh = Mesh(corners.reshape(-1, 3), np.arange(60).reshape(-1, 3))
    points = rng.normal(size=(15, 3)) * 60
    closest = ClosestPoints(mesh)
    extent = np.ptp(mesh.vertices, axis=0).max()
    a, b, c = corners.transpose(1, 0, 2)
    longest = np.max([np.linalg.norm(v - u, axis=1) for u, v in ((a, b), (b, c), (c, a))], axis=0)
    height = np.linalg.norm(np.cross(b - a, c - a), axis=1) / np.maximum(longest, 1e-300)
    with_area = Mesh(mesh.vertices, mesh.faces[height > 1e-6 * extent])
    assert closest.dropped_faces == 20 - len(with_area.faces)
    # Unconnected triangles may tie to within float32; elsewhere the distance is exact.
    result, expected = closest.query(points), twin(with_area, points)[0]
    check(result, mesh, points, expected, 1e-6 * extent)
    assert (result.distances > expected - 1e-9).all()


def test_reports_faces_and_weights_of_the_given_mesh():
    """Numbers of faces refer to the mesh as given, also where faces without area were left out."""
    vertices = np.array([[0.0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 9], [4, 0, 9], [0, 4, 9]])
    mesh = Mesh(vertices, [[0, 0, 1], [0, 1, 2], [2, 2, 2], [3, 4, 5]])
    result = ClosestPoints(mesh).query(np.array([[1, 1, 1.0], [1, 1, 8.5], [2, -3, 0], [-1, -1, 9]]))
    assert result.faces.tolist() == [1, 3, 1, 3]
    assert np.allclose(result.distances, [1, 0.5, 3, np.sqrt(2)])
    assert np.allclose(result.barycentric, [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.5, 0.5, 0], [1, 0, 0]])
    assert (result.barycentric == 0).sum(axis=1).tolist() == [0, 0, 1, 2]


def test_neighbouring_faces_are_told_apart_in_float64():
    """A point over a side, to one part in 1e9: float32 sees both faces equally near."""
    mesh = bumpy(subdivisions=3)
    rng = np.random.default_rng(1)
    outward = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    points = mesh.vertices + outward * rng.uniform(20, 60, (len(mesh.vertices), 1)) + rng.normal(size=(1, 3)) * 1e-7
    points = points[:40]
    result = ClosestPoints(mesh).query(points)
    assert np.abs(result.distances - twin(mesh, points)[0]).max() < 1e-9


def test_distance_limit():
    mesh = bumpy()
    points = mesh.vertices[:50] * np.linspace(1.001, 1.2, 50)[:, None]
    full, limited = ClosestPoints(mesh).query(points), ClosestPoints(mesh).query(points, max_distance=5.0)
    within = full.distances <= 5.0
    assert 0 < within.sum() < 50
    assert np.array_equal(limited.distances[within], full.distances[within])
    assert np.isinf(limited.distances[~within]).all() and (limited.faces[~within] == -1).all()
    assert np.isnan(limited.points[~within]).all() and not limited.barycentric[~within].any()


def test_degenerate_faces_are_dropped_and_counted(caplog):
    mesh = bumpy(subdivisions=1)
    spoilt = Mesh(mesh.vertices, np.vstack([[[0, 0, 1], [5, 5, 5]], mesh.faces]))
    points = mesh.vertices[:10] * 1.1
    with caplog.at_level(logging.INFO):
        result = ClosestPoints(spoilt).query(points)
    assert "2 of 82 faces" in caplog.text
    assert np.array_equal(result.distances, ClosestPoints(mesh).query(points).distances)
    with pytest.raises(ContractError, match="none of the 1 faces"):
        ClosestPoints(Mesh(np.eye(3), [[0, 0, 1]]))


def test_unused_vertices_do_not_spoil_precision():
    mesh = bumpy()
    stray = Mesh(np.vstack([mesh.vertices, [[1e7, 0, 0]]]), mesh.faces)
    points = mesh.vertices[:30] * 1.05
    assert np.allclose(ClosestPoints(stray).query(points).distances, twin(mesh, points)[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("points", "what"), [(np.zeros(3), "shape"), (np.zeros((2, 2)), "shape"), (np.array([[0, 0, np.nan]]), "NaN")]
)
def test_bad_queries_are_refused(points, what):
    with pytest.raises(ContractError, match=what):
        ClosestPoints(bumpy(1)).query(points)


def test_no_queries_no_answers():
    assert ClosestPoints(bumpy(1)).query(np.zeros((0, 3))).points.shape == (0, 3)


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_equals_one_after_the_other(device):
    meshes = [bumpy(), bumpy(3, offset=500.0), Mesh(np.eye(3) * 9, [[0, 1, 2]])]
    rng = np.random.default_rng(3)
    points = [
        mesh.vertices[rng.integers(0, len(mesh.vertices), n)] * 1.1 for mesh, n in zip(meshes, (40, 0, 7), strict=True)
    ]
    for found, mesh, asked in zip(closest_points_batch(meshes, points, device), meshes, points, strict=True):
        alone = ClosestPoints(mesh, device).query(asked)
        assert all(np.array_equal(a, b) for a, b in zip(found, alone, strict=True))
    assert closest_points_batch([], []) == []
    with pytest.raises(ContractError, match="1 point sets for 3 meshes"):
        closest_points_batch(meshes, points[:1])


def test_pytorch3d_where_it_is_missing():
    pytest.importorskip("torch")
    try:
        import pytorch3d  # noqa: F401
    except ImportError:
        with pytest.raises(ContractError, match="geometry=warp"):
            closest_points_batch([bumpy(1)], [np.zeros((1, 3))], backend="pytorch3d")


@pytest.fixture
def played(monkeypatch):
    """PyTorch3D's one function that is used, played by the twin; lists how many points each call had.

    It takes packed points and triangles, and gives indices into the packed triangles.
    """
    asked = []

    def point_face_dist_forward(points, points_first, triangles, triangles_first, most, smallest_area):
        asked.append(len(points))
        ends = [*points_first[1:].tolist(), len(points)], [*triangles_first[1:].tolist(), len(triangles)]
        squares, indices = [], []
        for a, b, c, d in zip(points_first.tolist(), ends[0], triangles_first.tolist(), ends[1], strict=True):
            corners = triangles[c:d].double().numpy().transpose(1, 0, 2)
            for p in points[a:b].double().numpy():
                distances = np.linalg.norm(on_triangles(p, *corners) - p, axis=1)
                squares.append(distances.min() ** 2)
                indices.append(c + int(distances.argmin()))
        assert most == max(np.diff([*points_first.tolist(), len(points)])) and smallest_area < 1e-9
        return torch.tensor(squares), torch.tensor(indices)

    stub = types.ModuleType("pytorch3d._C")
    stub.point_face_dist_forward = point_face_dist_forward
    monkeypatch.setitem(sys.modules, "pytorch3d", types.ModuleType("pytorch3d"))
    monkeypatch.setitem(sys.modules, "pytorch3d._C", stub)
    return asked


def test_pytorch3d_where_it_is_installed(played):
    spoilt = Mesh(bumpy().vertices, np.vstack([[[0, 0, 1]], bumpy().faces]))
    meshes, rng = [spoilt, bumpy(1, offset=300.0)], np.random.default_rng(4)
    points = [mesh.vertices[:20] * 1.1 + rng.normal(size=(20, 3)) for mesh in meshes]
    for found, mesh, asked in zip(
        closest_points_batch(meshes, points, backend="pytorch3d"), meshes, points, strict=True
    ):
        check(found, mesh, asked, twin(mesh, asked)[0], 1e-9)


def test_pytorch3d_where_it_is_chosen(played):
    mesh = bumpy(1)
    closest, points = ClosestPoints(mesh), mesh.vertices[:20] * 1.1 + [0.3, 0.2, 0.1]
    by_warp = closest.query(points)
    assert played == []
    with using(checked("pytorch3d")):
        found = closest.query(points)
        check(closest_points_batch([mesh], [points])[0], mesh, points, by_warp.distances, 1e-9)
        closest_points_batch([mesh], [points], backend="warp")
    assert played == [20, 20]
    check(found, mesh, points, by_warp.distances, 1e-9)
    limit = float(np.median(by_warp.distances))
    with using("pytorch3d"):
        limited = closest.query(points, limit)
    assert np.array_equal(limited.faces >= 0, found.distances <= limit)
    closest.query(points)
    assert played == [20, 20, 20]


def test_faster_than_trimesh(benchmark):
    """Seconds depend on the machine; the ratio to another library in the same run hardly does (about 25)."""
    mesh = bumpy(subdivisions=5)
    points = mesh.vertices[::4] + np.random.default_rng(2).normal(size=mesh.vertices[::4].shape)
    closest = ClosestPoints(mesh)
    result = benchmark.pedantic(closest.query, args=(points,), rounds=3, warmup_rounds=1)
    reference = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    trimesh.proximity.closest_point(reference, points[:10])
    start = time.perf_counter()
    _, distances, _ = trimesh.proximity.closest_point(reference, points)
    ratio = (time.perf_counter() - start) / benchmark.stats.stats.min if benchmark.enabled else np.nan
    benchmark.extra_info["times_faster_than_trimesh"] = ratio
    assert np.abs(result.distances - distances).max() < 1e-7
    assert not ratio < 2
