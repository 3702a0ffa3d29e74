"""Neighbours of moving points against all distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from harness.errors import ContractError
from harness.geometry import neighbours as module
from harness.geometry.alignment import Similarity
from harness.geometry.neighbours import MovingNeighbours
from harness.geometry.point_grid import PointGrid

HERE = Similarity.identity()


def moved(rng: np.random.Generator, step: float) -> Similarity:
    """A similarity that moves points about the origin by about `step` of their distance from it."""
    turn = Rotation.from_rotvec(step * rng.normal(size=3)).as_matrix()
    return Similarity(np.exp(step * rng.normal() / 3), turn, step * rng.normal(size=3))


def surface(rng: np.random.Generator, count: int, radius: float = 1.0) -> np.ndarray:
    points = rng.normal(size=(count, 3))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def check(points: np.ndarray, targets: np.ndarray, found: np.ndarray, exact: float = 1e-13) -> None:
    """The targets found are as near as any, to rounding."""
    least = cKDTree(targets).query(points)[0]
    assert np.abs(np.linalg.norm(points - targets[found], axis=1) - least).max() <= exact * (1 + least.max())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 400),
    step=st.sampled_from([1e-9, 1e-3, 0.03, 0.5]),
    off=st.sampled_from([0.0, 0.01, 1.0]),
    place=st.sampled_from([0.0, 1e4]),
)
def test_equals_all_distances_step_after_step(seed, count, step, off, place):
    """Near and far from the targets, for steps below and above the distance between them."""
    rng = np.random.default_rng(seed)
    targets = surface(rng, count) + place
    points = surface(rng, 200) + off * rng.normal(size=(200, 3))
    grid, total = PointGrid(targets), Similarity(1.0, np.eye(3), np.full(3, place))
    neighbours = MovingNeighbours(points, grid)
    for _ in range(8):
        here = total.apply(points)
        distances = cdist(here, targets)
        found = grid.numbers[neighbours.query(total)]
        assert np.allclose(
            distances[np.arange(200), found], distances.min(axis=1), rtol=0, atol=1e-15 * (1 + 2 * place)
        )
        assert np.allclose(neighbours.distances(), distances.min(axis=1), rtol=0, atol=1e-14 * (1 + 2 * place))
        total = total.compose(moved(rng, step))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spacing=st.sampled_from([0.25, 1.0]), off=st.sampled_from([0, 1, 3]))
def test_ties_of_a_lattice(seed, spacing, off):
    """Whole and half places on a lattice: as many as eight targets are equally near, some of them twice."""
    rng = np.random.default_rng(seed)
    targets = spacing * rng.integers(-3, 4, (150, 3))
    points = spacing * (rng.integers(-8, 9, (100, 3)) / 2 + off)
    grid = PointGrid(targets.astype(float))
    neighbours = MovingNeighbours(points, grid)
    for _ in range(4):
        shift = Similarity(1.0, np.eye(3), spacing * rng.integers(-2, 3, 3) / 2)
        check(shift.apply(points), targets, grid.numbers[neighbours.query(shift)], exact=0)


def test_points_that_move_each_on_its_own():
    rng = np.random.default_rng(0)
    targets, points = surface(rng, 500), surface(rng, 300)
    grid = PointGrid(targets)
    neighbours = MovingNeighbours(points, grid)
    for _ in range(10):
        check(neighbours.points, targets, grid.numbers[neighbours.query(HERE)])
        neighbours.points += 0.02 * rng.normal(size=points.shape)
    assert not np.shares_memory(points, neighbours.points)


def test_nothing_follows_the_last_query():
    neighbours = MovingNeighbours(np.eye(3), PointGrid(np.eye(3)))
    assert neighbours.query(HERE, last=True).tolist() == neighbours.nearest.tolist()
    with pytest.raises(ContractError, match="last"):
        neighbours.query(HERE)


def test_small_motions_search_no_more(monkeypatch):
    """Nine of ten searches are spared."""
    asked = {"search": 0, "look": 0}
    launch = module.wp.launch

    def counting(kernel, *args, inputs, **options):
        if kernel.key in asked:
            asked[kernel.key] += len(inputs[0])
        return launch(kernel, *args, inputs=inputs, **options)

    monkeypatch.setattr(module.wp, "launch", counting)
    rng = np.random.default_rng(0)
    targets, points = surface(rng, 500), surface(rng, 2000)
    grid = PointGrid(targets)
    neighbours = MovingNeighbours(points, grid)
    for i in range(10):
        shift = Similarity(1.0, np.eye(3), np.full(3, 1e-3 * i))
        check(shift.apply(points), targets, grid.numbers[neighbours.query(shift)])
    assert 2000 <= asked["search"] < 2300
    assert asked["look"] < 6000  # of 18000


@pytest.mark.parametrize("place", [0.0, 1e6])
def test_targets_that_are_one(place):
    grid = PointGrid(np.full((9, 3), place))
    neighbours = MovingNeighbours(np.zeros((4, 3)), grid)
    for shift in (0.0, 1.0, 50.0):
        assert (grid.numbers[neighbours.query(Similarity(1.0, np.eye(3), np.full(3, shift)))] >= 0).all()
        assert np.allclose(neighbours.distances(), np.sqrt(3) * abs(place - shift), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "shape",
    ["surface", "line", "plane", "volume", "one far away", "two clouds", "in a few places"],
)
@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_targets_of_any_shape(shape, size):
    """Also where the grid suits them badly, and boxes are asked instead."""
    rng = np.random.default_rng(1)
    targets = {
        "surface": surface(rng, 3000),
        "line": rng.normal(size=(3000, 1)) * [1.0, 0, 0],
        "plane": rng.normal(size=(3000, 3)) * [1.0, 0, 1],
        "volume": rng.normal(size=(3000, 3)),
        "one far away": np.concatenate([surface(rng, 2999), [[1e5, 0, 0]]]),
        "two clouds": surface(rng, 3000, 1e-3) + rng.integers(0, 2, (3000, 1)),
        "in a few places": surface(rng, 5)[rng.integers(0, 5, 3000)],
    }[shape] * size
    points, grid = 2 * size * rng.normal(size=(500, 3)), PointGrid(targets)
    neighbours, total = MovingNeighbours(points, grid), HERE
    for _ in range(5):
        check(total.apply(points), targets, grid.numbers[neighbours.query(total)])
        total = total.compose(moved(rng, 0.02))
    check(total.apply(points), targets, grid.numbers[neighbours.query(total, last=True)])
    check(points, targets, grid.numbers[MovingNeighbours(points, grid).query(HERE, last=True)])
