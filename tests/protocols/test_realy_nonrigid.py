"""REALY's non-rigid registration against the whole problem as one dense matrix."""

from __future__ import annotations

import time

import numpy as np
import pytest
import trimesh

from harness.errors import AlignmentError
from harness.protocols import realy_nonrigid
from harness.protocols.realy_nonrigid import deform
from tests.protocols import realy_twin as twin


def patch(subdivisions=3, seed=0):
    """A piece of a bumpy sphere the size of a face in scan units, and a cloud near it."""
    rng = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=8.0)
    keep = ball.vertices[:, 2] > 3.5
    piece = trimesh.Trimesh(ball.vertices, ball.faces[keep[ball.faces].all(axis=1)], process=False)
    piece.remove_unreferenced_vertices()
    vertices = piece.vertices + rng.normal(0, 0.02, piece.vertices.shape)
    targets = vertices + 1.5 * np.sin(vertices[:, [1, 2, 0]] + rng.uniform(0, 6, 3))
    return vertices, np.array(piece.faces), targets


@pytest.mark.parametrize("seed", range(3))
def test_without_keypoints_equals_the_dense_twin(seed):
    vertices, faces, targets = patch(seed=seed)
    expected, solves = twin.deform(vertices, faces, targets)
    found = deform(vertices, faces, targets)
    assert found.solves == solves > 3
    assert np.abs(found.vertices - expected).max() < 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_with_keypoints_equals_the_dense_twin(seed):
    vertices, faces, targets = patch(seed=seed)
    rng = np.random.default_rng(seed)
    ids = rng.choice(len(vertices), 8, replace=False)
    ids[7] = ids[2]  # two keypoints on one vertex: the later counts
    points = targets[ids] + rng.normal(0, 0.3, (8, 3))
    expected, solves = twin.deform(vertices, faces, targets, ids, points)
    found = deform(vertices, faces, targets, ids, points)
    assert found.solves == solves > 3
    assert np.abs(found.vertices - expected).max() < 1e-6


def test_far_vertices_are_not_drawn():
    """Beyond one scan unit and twice the mean distance a target has no pull; the surface carries the vertex along."""
    vertices, faces, _ = patch(3)
    targets = vertices.copy()
    outlier = int(vertices[:, 2].argmax())
    targets[outlier] += [0, 0, 40]
    near = np.delete(targets, outlier, axis=0)
    assert np.allclose(deform(vertices, faces, targets).vertices, deform(vertices, faces, near).vertices, atol=1e-9)


def test_a_rigid_motion_is_followed_exactly():
    """Equal affine maps cost nothing, so a moved copy is reached whatever the stiffness."""
    vertices, faces, _ = patch(3)
    shift = np.array([0.05, -0.04, 0.03])
    found = deform(vertices, faces, vertices + shift)
    assert np.abs(found.vertices - vertices - shift).max() < 0.02


def test_a_piece_that_nothing_draws_is_said():
    vertices, faces, targets = patch()
    apart = np.vstack([vertices, vertices + 100]), np.vstack([faces, faces + len(vertices)])
    with pytest.raises(AlignmentError, match="undetermined"):
        deform(*apart, np.vstack([targets, targets + 100]), np.arange(6), targets[:6])


def test_factorising_seldom_changes_nothing_and_is_faster(benchmark, monkeypatch):
    """Against factorising at each solve, as the official program does, in the same run."""
    vertices, faces, targets = patch(4)
    result = benchmark.pedantic(deform, args=(vertices, faces, targets), rounds=2, warmup_rounds=0)
    monkeypatch.setattr(realy_nonrigid, "_PATIENCE", 2)
    monkeypatch.setattr(realy_nonrigid, "_ACCURACY", 1e-9)
    start = time.perf_counter()
    always = deform(vertices, faces, targets)
    ratio = (time.perf_counter() - start) / benchmark.stats.stats.min if benchmark.enabled else np.nan
    benchmark.extra_info["times_faster_than_factorising_always"] = ratio
    assert result.solves == always.solves
    assert np.abs(result.vertices - always.vertices).max() < 1e-6
    assert not ratio < 1
