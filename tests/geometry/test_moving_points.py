"""Points before a moving surface against the readable twin, and their sums against numpy."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from harness.errors import ContractError
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.geometry.moving_points import MovingPoints, Pose
from harness.geometry.surface_tree import FLAT_IN_DOUBLE, SurfaceTree
from tests.geometry.test_closest import DEVICES, twin
from tests.geometry_shapes import bumpy


def poses(rng, count, size, start=1.0):
    """A walk of small and large steps."""
    vector, shift, scale = start * rng.normal(size=3), start * rng.normal(size=3), 1.0
    for _ in range(count):
        step = size * np.exp(rng.normal() - 2)
        vector, shift = vector + step * rng.normal(size=3) / 50, shift + step * rng.normal(size=3)
        scale *= np.exp(step * rng.normal() / 100)
        yield Pose(scale, Rotation.from_rotvec(vector).as_matrix(), shift)


def back(points, pose):
    return (points - pose.translation) @ pose.rotation / pose.scale


@pytest.mark.parametrize("device", DEVICES)
def test_equals_the_twin_pose_after_pose(device):
    mesh, rng = bumpy(), np.random.default_rng(0)
    points = bumpy(3).vertices[::9] * 1.02
    moving = MovingPoints(points, SurfaceTree(mesh, device))
    for pose in poses(rng, 12, 5.0):
        moving.sums(pose)
        assert np.abs(moving.distances() - twin(mesh, back(points, pose))[0]).max() < 1e-9


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equals_the_twin_on_soups_of_triangles(seed):
    """Unconnected, intersecting, thin and duplicate triangles; near and far points."""
    rng = np.random.default_rng(seed)
    corners = rng.normal(size=(20, 3, 3)) * np.exp(rng.normal(size=(20, 1, 1)) + 1) + rng.normal(size=(20, 1, 3)) * 50
    corners[5, 2] = corners[5, 0] + 1e-3 * (corners[5, 2] - corners[5, 0])
    corners[7] = corners[6]
    mesh = Mesh(corners.reshape(-1, 3), np.arange(60).reshape(-1, 3))
    points = np.vstack([rng.normal(size=(15, 3)) * 60, corners.reshape(-1, 3)[:9] + 0.1 * rng.normal(size=(9, 3))])
    moving = MovingPoints(points, SurfaceTree(mesh, flat=FLAT_IN_DOUBLE))
    for pose in poses(rng, 3, 20.0):
        moving.sums(pose)
        error = moving.distances() - twin(mesh, back(points, pose))[0]
        assert error.min() > -1e-9 and error.max() < 1e-6 * np.ptp(mesh.vertices, axis=0).max()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [0.02, 0.5, 20.0])
def test_lists_of_faces_do_not_change_the_answer(device, size):
    """Near and far from where they were made."""
    mesh, rng = bumpy(4), np.random.default_rng(3)
    points = bumpy(4).vertices[::7] * 1.02
    moving = MovingPoints(points, SurfaceTree(mesh, device))
    moving.sums(Pose(1.0, np.eye(3), np.zeros(3)))
    moving.list_faces()
    for pose in poses(rng, 5, size, start=0.1 * size / 20):
        moving.sums(pose)
        assert np.abs(moving.distances() - twin(mesh, back(points, pose))[0]).max() < 1e-9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_lists_of_faces_on_soups_of_triangles(seed):
    """More faces near a point than its list can hold, also."""
    rng = np.random.default_rng(seed)
    corners = rng.normal(size=(60, 3, 3)) * np.exp(rng.normal(size=(60, 1, 1))) + rng.normal(size=(60, 1, 3)) * 5
    mesh = Mesh(corners.reshape(-1, 3), np.arange(180).reshape(-1, 3))
    points = rng.normal(size=(30, 3)) * 6
    moving = MovingPoints(points, SurfaceTree(mesh, flat=FLAT_IN_DOUBLE))
    moving.sums(Pose(1.0, np.eye(3), np.zeros(3)))
    moving.list_faces()
    for pose in poses(rng, 3, 0.5, start=0.01):
        moving.sums(pose)
        error = moving.distances() - twin(mesh, back(points, pose))[0]
        assert error.min() > -1e-9 and error.max() < 1e-9


def test_sums_are_those_of_all_points():
    mesh, points, offset = bumpy(3), bumpy(4).vertices * 1.05, np.array([10.0, 20, 30])
    moving = MovingPoints(points + offset, SurfaceTree(Mesh(mesh.vertices + offset, mesh.faces)))
    pose = Pose(1.1, Rotation.from_rotvec([0.1, 0.2, -0.1]).as_matrix(), np.array([1.0, 2, 3]))
    sums, there = moving.sums(pose), back(points + offset, pose)
    closest = ClosestPoints(Mesh(mesh.vertices + offset, mesh.faces)).query(there)
    normals = (there - closest.points) / closest.distances[:, None]
    turns = np.cross(closest.points, normals)
    jacobian = -np.hstack([(normals * closest.points).sum(1, keepdims=True), turns, normals])
    assert sums.energy == pytest.approx(float((closest.distances**2).sum()), rel=1e-12)
    assert np.allclose(sums.gradient, closest.distances @ jacobian, rtol=1e-8)
    assert np.allclose(sums.normal_matrix, jacobian.T @ jacobian, rtol=1e-8, atol=1e-6)


def test_points_on_the_surface_have_no_direction():
    mesh = bumpy()
    moving = MovingPoints(mesh.vertices, SurfaceTree(mesh))
    sums = moving.sums(Pose(1.0, np.eye(3), np.zeros(3)))
    assert sums.energy < 1e-20 and np.isfinite(sums.normal_matrix).all() and moving.distances().max() < 1e-10


def test_the_way_does_not_change_the_answer():
    """Bit for bit: what is remembered only speeds the search up."""
    mesh, points, rng = bumpy(3), bumpy(4).vertices[::5] * 1.01, np.random.default_rng(1)
    way = list(poses(rng, 6, 8.0))
    moving = MovingPoints(points, SurfaceTree(mesh))
    for pose in way:
        last = moving.sums(pose)
    direct = MovingPoints(points, SurfaceTree(mesh))
    assert np.allclose(direct.sums(way[-1]).normal_matrix, last.normal_matrix, rtol=1e-9, atol=1e-6)
    assert np.abs(direct.distances() - moving.distances()).max() < 1e-12


def test_a_million_vertices_in_little_memory():
    mesh = bumpy(8)  # 655,362 vertices, 1.3 million faces
    mesh = Mesh(np.vstack([mesh.vertices, np.zeros((400_000, 3))]), mesh.faces)
    points = bumpy(4).vertices * 1.01
    tracemalloc.start()
    moving = MovingPoints(points, SurfaceTree(mesh))
    moving.sums(Pose(1.0, np.eye(3), np.zeros(3)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert moving.distances().max() < 3 and peak < 600e6


@pytest.mark.parametrize(
    ("points", "what"), [(np.zeros((0, 3)), "at least one"), (np.zeros(3), "shape"), (np.full((2, 3), np.nan), "NaN")]
)
def test_bad_points_are_refused(points, what):
    with pytest.raises(ContractError, match=what):
        MovingPoints(points, SurfaceTree(bumpy(1)))


def test_faster_than_asking_the_tree_for_each_point(benchmark):
    """Seconds depend on the machine; the ratio to bare queries of the same points in the same run hardly does."""
    mesh, points = bumpy(5), bumpy(6).vertices * 1.005
    points = points + np.random.default_rng(0).normal(size=points.shape) * 0.3
    tree, closest = SurfaceTree(mesh), ClosestPoints(mesh)
    way = list(poses(np.random.default_rng(2), 6, 0.5, start=0.01))

    def move():
        moving = MovingPoints(points, tree)
        for pose in way:
            moving.sums(pose)
        return moving.distances()

    distances = benchmark.pedantic(move, rounds=3, warmup_rounds=1)
    start = time.perf_counter()
    for pose in way:
        expected = closest.query(back(points, pose)).distances
    ratio = (time.perf_counter() - start) / benchmark.stats.stats.min if benchmark.enabled else np.nan
    benchmark.extra_info["times_faster_than_queries"] = ratio
    assert np.abs(distances - expected).max() < 1e-5
    assert not ratio < 1.2
