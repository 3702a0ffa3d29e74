"""The rigid fit to a surface: finds known poses, stops at a minimum, and says when it has not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from harness.geometry.alignment import Similarity
from harness.geometry.closest import ClosestPoints
from harness.geometry.refinement import fit_rigid_to_surface
from tests.geometry_shapes import bumpy


def moved_by(rng, degrees, millimetres, centre):
    rotation = Rotation.from_rotvec(np.deg2rad(degrees) * rng.normal(size=3)).as_matrix()
    return Similarity(1.0, rotation, centre - rotation @ centre + rng.normal(size=3) * millimetres)


def on_surface(mesh, rng, count):
    """Points of the surface, not only its vertices."""
    weights = rng.dirichlet([1, 1, 1], count)
    return np.einsum("nk,nkd->nd", weights, mesh.vertices[mesh.faces[rng.integers(0, len(mesh.faces), count)]])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 5000.0]))
def test_finds_a_known_pose(seed, offset):
    rng = np.random.default_rng(seed)
    mesh = bumpy(3, offset=offset)
    truth = on_surface(mesh, rng, 400)
    moved = moved_by(rng, 3, 2, truth.mean(axis=0))
    fit = fit_rigid_to_surface(moved.apply(truth), ClosestPoints(mesh), Similarity.identity(), 100, 1e-6)
    assert fit.converged and fit.cost < 1e-14
    assert np.abs(fit.transform.apply(moved.apply(truth)) - truth).max() < 1e-5


def test_stops_where_a_general_optimiser_finds_nothing_better():
    rng = np.random.default_rng(0)
    surface = ClosestPoints(bumpy(3))
    points = on_surface(bumpy(3), rng, 300) + rng.normal(size=(300, 3)) * 4
    fit = fit_rigid_to_surface(points, surface, Similarity.identity(), 100, 1e-7)
    assert fit.converged

    def cost(parameters):
        rotation = Rotation.from_rotvec(parameters[:3] / 80).as_matrix()
        return (surface.query(fit.transform.apply(points) @ rotation.T + parameters[3:]).distances ** 2).sum()

    other = minimize(cost, np.zeros(6), method="Nelder-Mead", options={"maxfev": 800, "initial_simplex": simplex()})
    assert other.fun >= cost(np.zeros(6)) * (1 - 1e-7)


def simplex():
    return np.vstack([np.zeros(6), 0.3 * np.eye(6)])


def test_says_when_it_has_not_converged():
    rng = np.random.default_rng(1)
    truth = on_surface(bumpy(3), rng, 300)
    start = moved_by(rng, 5, 5, np.zeros(3))
    fit = fit_rigid_to_surface(truth, ClosestPoints(bumpy(3)), start, 1, 1e-6)
    assert not fit.converged and fit.iterations == 1 and fit.last_step > 1e-6


def test_cost_never_rises():
    rng = np.random.default_rng(2)
    surface = ClosestPoints(bumpy(2))
    points = on_surface(bumpy(2), rng, 200) * 1.3
    start = moved_by(rng, 30, 30, np.zeros(3))
    costs = [fit_rigid_to_surface(points, surface, start, n, 1e-6).cost for n in range(0, 30, 3)]
    assert all(later <= earlier for earlier, later in pairwise(costs))
    assert costs[0] == pytest.approx((surface.query(start.apply(points)).distances ** 2).mean() / 2)


def test_points_without_a_counterpart_drag_least_squares_but_not_huber():
    """A third of the points stand 40 mm off on one side, as hair before a face does."""
    rng = np.random.default_rng(3)
    mesh = bumpy(3)
    truth = on_surface(mesh, rng, 900)
    truth[truth[:, 0] > np.quantile(truth[:, 0], 0.67)] *= 1.4
    attached = np.linalg.norm(truth, axis=1) < np.linalg.norm(mesh.vertices, axis=1).max()
    distances = [
        ClosestPoints(mesh).query(
            fit_rigid_to_surface(truth, ClosestPoints(mesh), Similarity.identity(), 200, 1e-6, huber)
            .transform.apply(truth)
        ).distances[attached]
        for huber in (np.inf, 0.5)
    ]  # fmt: skip
    assert np.median(distances[1]) < 0.1 * np.median(distances[0])
