"""Neighbours of moving points against all distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from harness.geometry.neighbours import MovingNeighbours


class Counting(cKDTree):
    """Counts the points that it is asked for."""

    asked = 0

    def query(self, x, *args, **options):
        self.asked += len(x)
        return super().query(x, *args, **options)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([1e-3, 0.1, 3.0]))
def test_equals_all_distances_step_after_step(seed, targets, step):
    rng = np.random.default_rng(seed)
    goal, points = rng.normal(size=(targets, 3)), rng.normal(size=(50, 3))
    neighbours = MovingNeighbours(cKDTree(goal))
    for _ in range(6):
        distances = cdist(points, goal)
        found = neighbours.query(points)
        assert np.allclose(distances[np.arange(50), found], distances.min(axis=1), rtol=0, atol=1e-15)
        points = points * (1 + step * rng.normal() / 10) + step * rng.normal(size=3)


def test_small_motions_ask_the_tree_no_more():
    rng = np.random.default_rng(0)
    tree, points = Counting(rng.normal(size=(500, 3))), rng.normal(size=(2000, 3))
    neighbours = MovingNeighbours(tree)
    for i in range(10):
        assert np.array_equal(neighbours.query(points + 1e-3 * i), cKDTree(tree.data).query(points + 1e-3 * i)[1])
    assert 2000 <= tree.asked < 2500


@pytest.mark.parametrize("place", [0.0, 1e6])
def test_targets_that_are_one(place):
    neighbours = MovingNeighbours(cKDTree(np.full((9, 3), place)))
    for shift in (0.0, 1.0, 50.0):
        assert (neighbours.query(np.full((4, 3), shift)) >= 0).all()
