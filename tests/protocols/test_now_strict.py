"""NoW without its surprises."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings

from harness.geometry.mesh import Mesh
from harness.protocols.now import Now, NowTruth
from harness.protocols.now_strict import NowStrict
from harness.samples import Prediction
from tests.protocols import now_heads, now_reference
from tests.protocols.test_now import SHIFTS, VECTORS, spoilt, st


@now_reference.needs_reference
@pytest.mark.parametrize("case", [case for case in now_reference.CASES if case != "c03_swapped_landmarks"])
def test_equals_an_independent_fit_that_converged(case):
    """Of the same energy, by another program; the median moves a hundred times more than the energy's minimum does."""
    score = NowStrict().score(now_reference.prediction(case), now_reference.truth(case))
    median, mean, _ = now_reference.load(case)["now_nm_converged_stats"]
    assert score.values["mean"] == pytest.approx(mean, abs=1e-5)
    assert score.values["median"] == pytest.approx(median, abs=1e-5)


@now_reference.needs_reference
def test_swapped_landmarks_are_not_repaired():
    case = "c03_swapped_landmarks"
    score = NowStrict().score(now_reference.prediction(case), now_reference.truth(case))
    assert score.values["mean"] > 5 * now_reference.score(case, "nm").values["mean"]
    assert any("in a mirror" in warning for warning in score.warnings)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.3, 3), VECTORS, SHIFTS)
def test_size_and_frame_do_not_change_the_score(scale, vector, shift):
    base = now_heads.prediction()
    moved = now_heads.changed(base, scale, vector, shift)
    before, after = (NowStrict().score(p, now_heads.truth()) for p in (base, moved))
    assert dict(after.values) == pytest.approx(dict(before.values), abs=1e-5)


def test_where_the_scan_lies_does_not_change_the_score():
    truth, base, shift = now_heads.truth(), now_heads.prediction(), np.array([0, 0, 1360.0])
    landmarks = truth.landmarks.astype(np.float64)
    here = NowTruth(truth.scan, landmarks)
    away = NowTruth(Mesh(truth.scan.vertices + shift, truth.scan.faces), landmarks + shift)
    before, after = (NowStrict().score(base, t) for t in (here, away))
    assert dict(after.values) == pytest.approx(dict(before.values), abs=1e-5)


def test_order_and_splitting_do_not_change_the_score():
    base, rng = now_heads.prediction(), np.random.default_rng(0)
    order = rng.permutation(len(base.vertices))
    vertices, faces = trimesh.remesh.subdivide(base.vertices, base.faces)
    expected = dict(NowStrict().score(base, now_heads.truth()).values)
    for other in (
        Prediction(base.vertices[order], np.argsort(order)[base.faces], base.landmarks),
        Prediction(vertices, faces, base.landmarks),
    ):
        assert dict(NowStrict().score(other, now_heads.truth()).values) == pytest.approx(expected, abs=1e-5)


def test_a_mirror_image_is_caught():
    truth, base = now_heads.truth(), now_heads.prediction()
    expected, score = (NowStrict().score(p, truth) for p in (base, now_heads.mirrored(base)))
    assert not expected.warnings
    assert any("mirror" in warning for warning in score.warnings)
    assert score.values["mean"] > 3 * expected.values["mean"]


def test_never_worse_than_the_official_fit_by_its_own_measure():
    truth, base = now_heads.truth(), now_heads.prediction()
    official, ours = Now().score(base, truth), NowStrict().score(base, truth)
    assert ours.diagnostics["sum_of_squares"] <= official.diagnostics["sum_of_squares"]


def test_hard_meshes_and_failures():
    truth, base = now_heads.truth(), now_heads.prediction()
    assert dict(NowStrict().score(spoilt(base), truth).values) == pytest.approx(
        dict(NowStrict().score(base, truth).values), abs=1e-5
    )
    single = Prediction(base.landmarks[[36, 45, 33]], [[0, 1, 2]], base.landmarks)
    score = NowStrict().score(single, truth)
    assert score.failure == "no_alignment" or score.values["mean"] > 3
    line = base.landmarks[36] + np.arange(7)[:, None] * [[1.0, 2, 3]]
    assert NowStrict().score(now_heads.with_landmarks(base, line), truth).failure == "no_alignment"
    assert NowStrict().score(Prediction.failed("timeout"), truth).failure == "timeout"
    assert NowStrict().score(Prediction(base.vertices, base.faces), truth).failure == "no_landmarks"
    metres = NowStrict().score(now_heads.changed(base, 0.001), truth)
    assert any("metres" in warning for warning in metres.warnings)
    assert NowStrict(max_iterations=1).score(base, truth).failure == "no_alignment"


def test_self_match_is_zero():
    truth = now_heads.truth()
    itself = Prediction(truth.scan.vertices, truth.scan.faces, now_heads.heads.landmarks68(truth.scan))
    assert max(NowStrict().score(itself, truth).values.values()) < 1e-5
