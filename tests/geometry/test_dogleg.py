"""The dog-leg against what it is made of, and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.sparse.linalg import cg

from harness.errors import AlignmentError
from harness.geometry.dogleg import Quadratic, _conjugate_gradients
from tests.driving import dogleg


def of_residuals(residuals, jacobian):
    def evaluate(x):
        r, j = residuals(x), jacobian(x)
        return Quadratic(float(r @ r), -j.T @ r, j.T @ j)

    return evaluate


def rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def rosenbrock_jacobian(x):
    return np.array([[-20 * x[0], 10], [-1, 0]])


def test_finds_the_minimum_that_scipy_finds():
    found = dogleg(of_residuals(rosenbrock, rosenbrock_jacobian), np.array([-1.2, 1.0]), tolerance=1e-12)
    expected = least_squares(rosenbrock, [-1.2, 1.0], rosenbrock_jacobian)
    assert np.allclose(found.parameters, expected.x, atol=1e-5) and found.energy < 1e-10
    assert (np.diff(found.trace[:, 0]) < 0).all() and found.evaluations > found.steps


def test_stops_at_the_first_small_decrease_and_keeps_that_step():
    found = dogleg(of_residuals(rosenbrock, rosenbrock_jacobian), np.array([-1.2, 1.0]), tolerance=0.3)
    falls = -np.diff(found.trace[:, 0]) / found.trace[:-1, 0]
    assert falls[-1] < 0.3 and (falls[:-1] >= 0.3).all()
    assert np.array_equal(found.trace[-1, 1:], found.parameters)


def test_first_step_stays_within_the_radius_and_later_ones_grow():
    evaluate = of_residuals(lambda x: x - 100.0, lambda x: np.eye(len(x)))
    found = dogleg(evaluate, np.zeros(3), radius=0.1)
    lengths = np.linalg.norm(np.diff(found.trace[:, 1:], axis=0), axis=1)
    assert np.allclose(lengths[:4], 0.1 * 2.5 ** np.arange(4))
    assert np.allclose(found.parameters, 100)


def test_iteration_limit_and_a_place_where_nothing_changes():
    evaluate = of_residuals(lambda x: x - 100.0, lambda x: np.eye(len(x)))
    assert dogleg(evaluate, np.zeros(3), max_iterations=2).steps == 2
    flat = dogleg(of_residuals(lambda x: np.ones(4), lambda x: np.zeros((4, 2))), np.ones(2))
    assert flat.steps == 0 and flat.energy == 4 and flat.evaluations == 1


def test_energy_that_is_no_number():
    with pytest.raises(AlignmentError, match="nan"):
        dogleg(lambda x: Quadratic(float("nan"), np.ones(2), np.eye(2)), np.zeros(2))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_conjugate_gradients_are_scipys(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(30, 7)) * np.exp(rng.normal(size=7))
    matrix, right = rows.T @ rows, rng.normal(size=7)
    expected = cg(matrix, right, rtol=1e-5, maxiter=2000)[0]
    assert np.allclose(_conjugate_gradients(matrix, right), expected, rtol=1e-9, atol=1e-12)
