"""The few nearest points in boxes against all distances."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from harness.geometry.nearest_few import LISTED, Nearest
from harness.geometry.point_boxes import Boxes, boxes_around, nearest_from, nearest_in_boxes, some_square
from harness.geometry.surface_kernels import Doubles, Integers, Vectors
from harness.geometry.warp_setup import wp

Found = wp.array(dtype=Nearest)


@wp.kernel(enable_backward=False)
def _ask(
    queries: Vectors, limits: Doubles, starts: Integers, boxes: Boxes, found: Found, one: Integers, enough: Doubles
) -> None:
    i = wp.tid()
    found[i] = nearest_in_boxes(queries[i], limits[i], boxes)
    one[i] = boxes.places[nearest_from(queries[i], starts[i], boxes)]
    enough[i] = some_square(queries[i], boxes)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 400),
    off=st.sampled_from([0.0, 0.1, 30.0]),
    lattice=st.booleans(),
)
def test_equals_sorting_all_distances(seed, count, off, lattice):
    rng = np.random.default_rng(seed)
    points = rng.integers(-2, 3, (count, 3)).astype(float) if lattice else rng.normal(size=(count, 3))
    queries = points[rng.integers(0, count, 50)] + off * rng.normal(size=(50, 3))
    squares = np.sort(cdist(queries, points, "sqeuclidean"), axis=1)
    limits = squares[:, min(count - 1, LISTED + 2)] * rng.choice([0.2, 1.0, 3.0], 50) + 1e-12
    found, one, enough = np.zeros(50, dtype=Nearest.numpy_dtype()), np.zeros(50, dtype=np.int32), np.zeros(50)
    kinds = [(queries, wp.vec3d), (limits, wp.float64), (rng.integers(0, count, 50).astype(np.int32), wp.int32)]
    inputs = [wp.array(array, dtype=kind, device="cpu") for array, kind in kinds]
    outputs = [(found, Nearest), (one, wp.int32), (enough, wp.float64)]
    outputs = [wp.array(array, dtype=kind, device="cpu", copy=False) for array, kind in outputs]
    wp.launch(_ask, dim=50, inputs=[*inputs, boxes_around(points)], outputs=outputs, device="cpu")
    expected = np.full((50, LISTED), np.inf)
    expected[:, : min(count, LISTED)] = squares[:, :LISTED]
    assert np.allclose(found["squares"], np.minimum(expected, limits[:, None]), rtol=1e-12, atol=1e-15)
    distances = cdist(queries, points, "sqeuclidean")
    inside = found["squares"] < limits[:, None]
    near = np.take_along_axis(distances, found["places"], axis=1)
    assert np.allclose(near[inside], found["squares"][inside], rtol=1e-12, atol=1e-15)
    assert all(len(set(row[ok])) == ok.sum() for row, ok in zip(found["places"], inside, strict=True))
    assert np.allclose(distances[np.arange(50), one], squares[:, 0], rtol=1e-12, atol=1e-15)
    assert (enough * (1 + 1e-12) >= expected[:, -1]).all()
