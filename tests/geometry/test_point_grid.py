"""A grid's few nearest points against all distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from harness.errors import ContractError
from harness.geometry.nearest_few import LISTED, Nearest
from harness.geometry.point_grid import Cells, PointGrid, nearest_within
from harness.geometry.surface_kernels import Doubles, Vectors
from harness.geometry.warp_setup import wp

Found = wp.array(dtype=Nearest)


@wp.kernel(enable_backward=False)
def _ask(queries: Vectors, limits: Doubles, cells: Cells, found: Found) -> None:
    i = wp.tid()
    found[i] = nearest_within(queries[i], limits[i], cells)


def ask(grid, queries, limits):
    """(N, LISTED) numbers of points and their squared distances."""
    found = np.zeros(len(queries), dtype=Nearest.numpy_dtype())
    inputs = [wp.array(queries - grid.centre, dtype=wp.vec3d, device="cpu")]
    inputs += [wp.array(limits, dtype=wp.float64, device="cpu"), grid.cells]
    outputs = [wp.array(found, dtype=Nearest, device="cpu", copy=False)]
    wp.launch(_ask, dim=len(queries), inputs=inputs, outputs=outputs, device="cpu")
    return grid.numbers[found["places"]], found["squares"]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(LISTED, 500),
    off=st.sampled_from([0.0, 0.1, 2.0]),
    place=st.sampled_from([0.0, 1e3]),
    flat=st.booleans(),
)
def test_equals_sorting_all_distances(seed, count, off, place, flat):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)) * ([1, 1, 0] if flat else [1, 1, 1])
    queries = points[rng.integers(0, count, 50)] + off * rng.normal(size=(50, 3)) + place
    points = points + place
    grid = PointGrid(points)
    squares = np.sort(cdist(queries, points, "sqeuclidean"), axis=1)
    limits = squares[:, min(count - 1, LISTED + 2)] * rng.choice([0.2, 1.0, 3.0], 50) + 1e-12
    numbers, found = ask(grid, queries, limits)
    expected = np.minimum(squares[:, :LISTED], limits[:, None])
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-11 * (1 + place))
    near = np.take_along_axis(cdist(queries, points, "sqeuclidean"), numbers, axis=1)
    inside = found < limits[:, None]
    assert np.allclose(near[inside], found[inside], rtol=1e-9, atol=1e-11 * (1 + place))
    assert all(len(set(row[ok])) == ok.sum() for row, ok in zip(numbers, inside, strict=True))


def test_keeps_all_points_and_their_numbers():
    rng = np.random.default_rng(0)
    for count in (1, 2, 1000, 100_000):
        points = rng.normal(size=(count, 3)) + 5
        grid = PointGrid(points)
        assert np.array_equal(np.sort(grid.numbers), np.arange(count))
        assert np.allclose(grid.points + grid.centre, points[grid.numbers], rtol=0, atol=1e-15)
        assert grid.cells.starts.numpy()[[0, -1]].tolist() == [0, count]
        assert len(grid.cells.starts) <= 8 * count + 1001


def test_leaves_crowds_to_boxes():
    rng = np.random.default_rng(0)
    surface = rng.normal(size=(5000, 3))
    surface /= np.linalg.norm(surface, axis=1, keepdims=True)
    assert PointGrid(surface).farthest > 0
    assert PointGrid(np.vstack([surface, [[1e4, 0, 0]]])).farthest < 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_what_is_nowhere(bad):
    points = np.zeros((20, 3))
    points[7, 1] = bad
    with pytest.raises(ContractError, match="NaN or infinite"):
        PointGrid(points)
