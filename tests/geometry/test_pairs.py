"""Pairs of points and their nearest targets, and fits from running sums, against doing all again at each step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from harness.errors import AlignmentError
from harness.geometry.alignment import Similarity, fit_similarity
from harness.geometry.pairs import NearestPairs
from harness.geometry.point_grid import PointGrid


def heads(seed: int, place: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of an ellipsoid, and others of one that is moved by a little and mirrored now and then."""
    rng = np.random.default_rng(seed)
    points, targets = (rng.normal(size=(n, 3)) for n in (count, 700))
    points, targets = (90 * p / np.linalg.norm(p, axis=1, keepdims=True) * [0.8, 1.3, 1.0] for p in (points, targets))
    turn = Rotation.from_rotvec(0.05 * rng.normal(size=3)).as_matrix()
    return points + place, targets @ turn.T * rng.uniform(0.9, 1.1) + 4 * rng.normal(size=3) + place


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), place=st.sampled_from([0.0, 1400.0]), count=st.sampled_from([3, 40, 900]))
def test_equals_fitting_step_after_step(seed, place, count):
    """The official way: each step starts where the one before ended, and uses all points."""
    points, targets = heads(seed, place, count)
    tree, pairs = cKDTree(targets), NearestPairs(points, PointGrid(targets))
    here, total, fitted = points, Similarity.identity(), Similarity.identity()
    for _ in range(6):
        closest = targets[tree.query(here)[1]]
        pairs.move(fitted)
        try:
            step = fit_similarity(here, closest, scale="rms", reflection=True)
        except AlignmentError:
            with pytest.raises(AlignmentError):
                pairs.fit()
            return
        here, total, fitted = step.apply(here), step.compose(total), pairs.fit()
        if count > 3:  # three points may leave the sign of a direction open
            assert np.allclose(fitted.matrix, total.matrix, rtol=0, atol=1e-10 * (1 + place))
        else:
            fitted = total
        assert pairs.cost(fitted) == pytest.approx(((closest - here) ** 2).mean(), rel=1e-9, abs=1e-9)
    pairs.move(fitted)
    assert np.allclose(pairs.distances(), tree.query(fitted.apply(points))[0], rtol=0, atol=1e-11 * (1 + place))


def test_cost_of_any_transform():
    points, targets = heads(0, 0.0, 300)
    pairs, start = NearestPairs(points, PointGrid(targets)), Similarity(1.02, np.eye(3), np.array([3.0, 1, -2]))
    pairs.move(start)
    closest = targets[cKDTree(targets).query(start.apply(points))[1]]
    for transform in (start, Similarity.identity(), Similarity(0.5, np.eye(3), np.ones(3))):
        expected = ((transform.apply(points) - closest) ** 2).mean()
        assert pairs.cost(transform) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("points", "targets"),
    [
        (np.eye(3), np.ones((50, 3))),  # all to one place
        (np.eye(3)[[0, 0, 0]], np.eye(3)),  # all from one place
        (np.eye(3), np.arange(50.0)[:, None] * [1.0, 0, 0]),  # to a line
        (np.arange(50.0)[:, None] * [1.0, 2, 0], np.random.default_rng(0).normal(size=(50, 3))),  # from a line
        # All nearest to one target, far from the middle of all, where sums of squares cancel.
        (np.eye(3) + 1e3, np.random.default_rng(0).uniform(0, 1e3 - 5, (500, 3))),
        (np.zeros((1, 3)), np.eye(3)),
        (np.eye(3)[:2], np.eye(3)),
    ],
)
def test_what_leaves_the_rotation_open_is_refused(points, targets):
    pairs = NearestPairs(points, PointGrid(targets))
    pairs.move(Similarity.identity())
    with pytest.raises(AlignmentError):
        pairs.fit()
