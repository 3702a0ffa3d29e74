"""A scan is the surface that is seen from outside, and not the model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.synthesis.scan import scan_of
from harness.synthesis.subject import MIRROR_SEEDS, random_subject


@pytest.fixture(scope="module")
def subject():
    return random_subject(MIRROR_SEEDS, expression=False)


@pytest.fixture(scope="module")
def scan(subject):
    return scan_of(subject, least_vertices=40_000)


def test_scan_is_the_seen_surface_with_noise_and_not_the_model(scan, subject):
    assert len(scan.vertices) >= 40_000
    scene = subject.scene
    distance = ClosestPoints(Mesh(scene.vertices, scene.faces)).query(scan.vertices).distances
    assert 0.04 < np.median(distance) < 0.12 and np.quantile(distance, 0.99) < 0.5
    assert (scan.vertices[:, 1] > subject.landmarks[8, 1] - 150).all()
    to_model = cKDTree(subject.vertices).query(scan.vertices)[0]
    assert (to_model < 0.3).mean() < 0.05


def test_scan_is_a_manifold_of_reasonable_triangles(scan):
    edges, count = np.unique(
        np.sort(scan.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)), axis=0, return_counts=True
    )
    assert count.max() <= 2 and (count == 1).mean() < 0.06
    lengths = np.linalg.norm(np.subtract(*scan.vertices[edges.T]), axis=1)
    assert np.median(lengths) < 4 and np.quantile(lengths, 0.999) < 16
    assert np.array_equal(np.unique(scan.faces), np.arange(len(scan.vertices)))


def test_inside_of_the_mouth_is_not_scanned(scan, subject):
    lips = subject.landmarks[[60, 64]].mean(0)
    behind = np.linalg.norm(scan.vertices - (lips - [0, 0, 25]), axis=1)
    assert behind.min() > 8
