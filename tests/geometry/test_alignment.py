"""Closed-form alignment against known transforms, SciPy and trimesh."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from harness.errors import AlignmentError, ContractError
from harness.geometry.alignment import Similarity, fit_similarity

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(4, 40)


def random_similarity(rng, scale=None, mirror=False):
    rotation = Rotation.random(random_state=rng.integers(2**31)).as_matrix()
    if mirror:
        rotation = rotation @ np.diag([1.0, 1.0, -1.0])
    return Similarity(scale or float(np.exp(rng.normal())), rotation, rng.normal(size=3) * 500)


def residual(transform, source, target):
    return float(((transform.apply(source) - target) ** 2).sum())


@settings(max_examples=60, deadline=None)
@given(seeds, counts, st.sampled_from(["least_squares", "rms"]), st.booleans())
def test_recovers_a_known_transform(seed, count, scale, mirror):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(count, 3)) * 60 + rng.normal(size=3) * 1000
    true = random_similarity(rng, mirror=mirror)
    found = fit_similarity(source, true.apply(source), scale=scale, reflection=mirror)
    assert found.scale == pytest.approx(true.scale, rel=1e-9)
    assert np.allclose(found.matrix, true.matrix, atol=1e-6)
    assert found.determinant == (-1 if mirror else 1)


@settings(max_examples=60, deadline=None)
@given(seeds, counts)
def test_scales_of_noisy_points(seed, count):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(count, 3)) * 60
    target = random_similarity(rng).apply(source) + rng.normal(size=(count, 3)) * 20
    least, rms = (fit_similarity(source, target, scale=scale) for scale in ("least_squares", "rms"))
    radius = [np.sqrt(((p - p.mean(0)) ** 2).sum(1).mean()) for p in (source, target)]
    assert rms.scale == pytest.approx(radius[1] / radius[0])
    assert rms.scale >= least.scale
    assert residual(least, source, target) <= residual(rms, source, target)
    assert np.allclose(least.rotation, rms.rotation)
    none = fit_similarity(source, target, scale="none")
    assert none.scale == 1
    # SciPy's rotation of centred vectors is the independent answer.
    expected, _ = Rotation.align_vectors(target - target.mean(0), source - source.mean(0))
    assert np.allclose(none.rotation, expected.as_matrix(), atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(seeds, counts)
def test_equals_trimesh(seed, count):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, count, 3)) * 60
    for reflection in (False, True):
        for scale in (False, True):
            matrix, _, _ = trimesh.registration.procrustes(source, target, reflection=reflection, scale=scale)
            found = fit_similarity(source, target, scale="rms" if scale else "none", reflection=reflection)
            assert np.allclose(found.matrix, matrix, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(seeds, counts)
def test_no_small_change_fits_better(seed, count):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, count, 3)) * 60
    found = fit_similarity(source, target)
    best = residual(found, source, target)
    for _ in range(10):
        small = Rotation.from_rotvec(rng.normal(size=3) * 1e-2).as_matrix()
        other = Similarity(
            found.scale * np.exp(rng.normal() * 1e-2), small @ found.rotation, found.translation + rng.normal(size=3)
        )
        assert residual(other, source, target) >= best * (1 - 1e-12)


def test_a_mirrored_set_is_mirrored_only_on_request():
    rng = np.random.default_rng(2)
    source = rng.normal(size=(20, 3))
    target = source * [-1, 1, 1]
    assert fit_similarity(source, target).determinant == 1
    mirrored = fit_similarity(source, target, reflection=True)
    assert mirrored.determinant == -1 and residual(mirrored, source, target) < 1e-20


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans(), st.booleans())
def test_inverse_and_composition(seed, first_mirrors, second_mirrors):
    rng = np.random.default_rng(seed)
    first, second = random_similarity(rng, mirror=first_mirrors), random_similarity(rng, mirror=second_mirrors)
    points = rng.normal(size=(5, 3)) * 100
    assert np.allclose(first.inverse().apply(first.apply(points)), points, atol=1e-6)
    both = second.compose(first)
    assert np.allclose(both.apply(points), second.apply(first.apply(points)), atol=1e-6)
    assert np.allclose(both.matrix, second.matrix @ first.matrix, atol=1e-6)
    homogeneous = np.hstack([points, np.ones((5, 1))]) @ first.matrix.T
    assert np.allclose(homogeneous[:, :3], first.apply(points), atol=1e-6)
    assert np.array_equal(Similarity.identity().compose(first).matrix, first.matrix)


LINE = np.arange(6.0)[:, None] * [1.0, 2.0, 3.0] + 100
GOOD = np.random.default_rng(3).normal(size=(6, 3))


@pytest.mark.parametrize(
    ("source", "target", "what"),
    [
        (GOOD[:2], GOOD[:2], "at least 3"),
        (GOOD[:0], GOOD[:0], "at least 3"),
        (GOOD, GOOD[:5], "shapes"),
        (GOOD[:, :2], GOOD[:, :2], "shapes"),
        (np.full((6, 3), 123.456), GOOD, "source points lie in one place"),
        (GOOD, np.full((6, 3), 1e6 / 3), "target points lie in one place"),
        (LINE, GOOD, "on one line"),
        (GOOD, LINE * 1e4, "on one line"),
        (np.vstack([GOOD[:5], [[np.nan, 0, 0]]]), GOOD, "NaN"),
        (GOOD, np.vstack([GOOD[:5], [[np.inf, 0, 0]]]), "NaN"),
    ],
)
@pytest.mark.parametrize("scale", ["least_squares", "rms", "none"])
def test_what_does_not_determine_a_transform_raises(source, target, what, scale):
    with pytest.raises(AlignmentError, match=what):
        fit_similarity(source, target, scale=scale)


def test_planar_points_are_enough():
    source = GOOD * [1, 1, 0]
    true = random_similarity(np.random.default_rng(4))
    found = fit_similarity(source, true.apply(source))
    assert found.determinant == 1 and np.allclose(found.matrix, true.matrix)


@pytest.mark.parametrize(
    ("scale", "rotation", "translation"),
    [
        (0, np.eye(3), np.zeros(3)),
        (1, 2 * np.eye(3), np.zeros(3)),
        (1, np.eye(2), np.zeros(3)),
        (np.nan, np.eye(3), np.zeros(3)),
    ],
)
def test_similarity_is_validated(scale, rotation, translation):
    with pytest.raises(ContractError, match="similarity"):
        Similarity(scale, rotation, translation)
