"""Fits side by side: the same numbers as one after the other, whichever ends first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import AlignmentError
from harness.geometry import moving_sums
from harness.geometry.mesh import Mesh
from harness.geometry.moving_points import MovingPoints, Pose
from harness.geometry.refinement import fit_surface_to_points
from harness.geometry.surface_tree import SurfaceTree
from harness.geometry.together import alone, together
from tests.geometry.test_closest import DEVICES
from tests.geometry.test_moving_points import poses
from tests.geometry_shapes import bumpy

AT_REST = Pose(1.0, np.eye(3), np.zeros(3))


def points_and_surface(rng, device="cpu"):
    """Of different sizes and places, from one point on."""
    mesh, place = bumpy(int(rng.integers(1, 5))), rng.normal(size=3) * 100
    points = rng.permutation(bumpy(4).vertices)[: int(np.exp(rng.uniform(0, 7.8)))] * rng.uniform(0.9, 1.2)
    return MovingPoints(points + place, SurfaceTree(Mesh(mesh.vertices + place, mesh.faces), device))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 5))
def test_one_launch_for_several_sets_measures_each_as_alone(device, seed, count):
    """To the last bit: sums are added up in an order that does not depend on what else is measured."""
    rng = np.random.default_rng(seed)
    sets = [points_and_surface(np.random.default_rng([seed, i]), device) for i in range(count)]
    single = [points_and_surface(np.random.default_rng([seed, i]), device) for i in range(count)]
    launch = moving_sums.Launch(sets)
    for _ in range(3):
        wanted = [next(poses(rng, 1, 5.0, start=0.01)) for _ in sets]
        for points, mine, pose, sums in zip(sets, single, wanted, launch.sums(wanted), strict=True):
            expected = mine.sums(pose)
            assert sums.energy == expected.energy
            assert np.array_equal(sums.gradient, expected.gradient)
            assert np.array_equal(sums.normal_matrix, expected.normal_matrix)
            assert np.array_equal(points.distances(), mine.distances())


def test_sums_of_many_moments_are_those_of_one_after_the_other(monkeypatch):
    """Also where they are added up in several rounds."""
    points, mesh = bumpy(5).vertices * 1.05, bumpy(3)
    at_once = MovingPoints(points, SurfaceTree(mesh)).sums(AT_REST)
    monkeypatch.setattr(moving_sums, "_FOLDED", 3)
    monkeypatch.setitem(moving_sums._GROUPS_PER_THREAD, "cpu", 1)
    in_rounds = MovingPoints(points, SurfaceTree(mesh)).sums(AT_REST)
    assert in_rounds.energy == pytest.approx(at_once.energy, rel=1e-12)
    assert np.allclose(in_rounds.normal_matrix, at_once.normal_matrix, rtol=1e-10, atol=1e-6)


def test_fits_that_end_at_different_times_keep_their_results():
    rng = np.random.default_rng(0)
    starts = [next(poses(rng, 1, size, start=0.02)) for size in (0.01, 5.0, 1.0)]

    def fits():
        surfaces = [MovingPoints(bumpy(4).vertices * 1.03, SurfaceTree(bumpy(3))) for _ in starts]
        return [
            fit_surface_to_points(surface, start, 100, 1e-5) for surface, start in zip(surfaces, starts, strict=True)
        ]

    side_by_side, one_by_one = together(fits()), [alone(fit) for fit in fits()]
    assert len({fit.iterations for fit in side_by_side}) > 1
    for mine, expected in zip(side_by_side, one_by_one, strict=True):
        assert (mine.iterations, mine.energy) == (expected.iterations, expected.energy)


def test_a_fit_that_asks_nothing_and_none_at_all():
    def ready():
        return 7
        yield

    assert together([ready(), ready()]) == [7, 7] and together([]) == []


def test_what_a_fit_raises_is_raised():
    def broken():
        yield MovingPoints(bumpy(1).vertices, SurfaceTree(bumpy(1))), AT_REST
        raise AlignmentError("no")

    with pytest.raises(AlignmentError, match="no"):
        alone(broken())
