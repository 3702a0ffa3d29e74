"""The doctor's measures, against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from harness import Prediction
from harness.doctor.answers import difference
from harness.doctor.checks.coverage import merged, on_border
from harness.doctor.reading import OTHER_SIDE, PERMUTED, _order
from harness.fallback import mean_face
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh

POINTS = np.array(mean_face().landmarks)


def sheet(count: int = 5) -> Mesh:
    """The square [0, 1] x [0, 1] in the plane z = 0, in 2 (count - 1)^2 triangles."""
    x, y = np.meshgrid(np.linspace(0, 1, count), np.linspace(0, 1, count), indexing="ij")
    corner = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).reshape(-1)
    lower = np.stack([corner, corner + count, corner + count + 1], 1)
    upper = np.stack([corner, corner + count + 1, corner + 1], 1)
    return Mesh(np.stack([x, y, 0 * x], -1).reshape(-1, 3), np.concatenate([lower, upper]))


@given(st.floats(-1, 2), st.floats(-1, 2), st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_point_beside_a_sheet_is_nearest_to_its_border_and_one_above_is_not(x, y, soup):
    if min(abs(x), abs(x - 1), abs(y), abs(y - 1)) < 1e-3:
        return
    mesh = sheet()
    if soup:  # every triangle with corners of its own: no border may appear inside
        mesh = merged(Mesh(mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(mesh.faces.size).reshape(-1, 3)))
    closest = ClosestPoints(mesh).query(np.array([[x, y, 0.3]]))
    outside = not (0 < x < 1 and 0 < y < 1)
    assert on_border(mesh, closest.faces, closest.barycentric)[0] == outside


def test_the_other_side_is_where_a_symmetric_face_is_mirrored():
    assert np.array_equal(OTHER_SIDE[OTHER_SIDE], np.arange(68))
    assert np.abs(POINTS * [-1, 1, 1] - POINTS[OTHER_SIDE]).max() < 0.5  # the mean face is symmetric


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_any_order_of_the_points_is_found(seed):
    rng = np.random.default_rng(seed)
    order, turn = rng.permutation(68), Rotation.random(random_state=rng)
    shuffled = (turn.apply(POINTS) * rng.uniform(0.001, 3))[order] + rng.normal(0, 100, 3)
    noisy = POINTS + rng.normal(0, 1.0, POINTS.shape)
    found = _order([(shuffled, noisy)])
    assert found.kind == PERMUTED
    assert (found.index == np.argsort(order)).mean() > 0.85  # with noise, close neighbours may change places


def test_a_cloud_of_points_is_no_face_in_any_order():
    rng = np.random.default_rng(0)
    for _ in range(3):
        assert _order([(rng.normal(0, 45, (68, 3)), POINTS)]).kind == "unknown"


def answer(vertices: np.ndarray, **more: np.ndarray) -> Prediction:
    return Prediction(vertices, np.array([[0, 1, 2]]), **more)


def test_difference_is_the_largest_distance_of_any_point():
    base = np.random.default_rng(0).normal(0, 50, (30, 3))
    moved = base.copy()
    moved[7] += [0.3, 0.4, 0]
    assert difference(answer(base), answer(moved)).mm == pytest.approx(0.5)
    deeper = POINTS + np.array([0, 0, 2.0])
    assert difference(answer(base, landmarks=POINTS), answer(base, landmarks=deeper)).mm == pytest.approx(2)
    assert difference(answer(base), answer(base, landmarks=POINTS)).mm == np.inf
    assert difference(answer(base), answer(base[:-1])).mm == np.inf
    assert difference(answer(base), Prediction.failed("no_face")).mm == np.inf
    assert difference(Prediction.failed("no_face"), Prediction.failed("no_face")).same


def test_difference_knows_the_same_points_in_another_order():
    base = np.random.default_rng(0).normal(0, 50, (30, 3))
    found = difference(answer(base), answer(base[::-1]))
    assert found.reordered and found.same
    both = difference(answer(base, landmarks=POINTS), answer(base[::-1], landmarks=POINTS + 1))
    assert not both.same
