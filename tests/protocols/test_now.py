"""The official NoW scores' surprising properties, hard input, and a plain copy of the recipe."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from harness.errors import ContractError
from harness.geometry.dogleg import Quadratic
from harness.geometry.mesh import Mesh
from harness.geometry.moving_points import MovingPoints
from harness.geometry.surface_tree import SurfaceTree
from harness.geometry.together import alone
from harness.protocols.now import NOW_LANDMARKS, Now, NowMetrical, NowTruth
from harness.protocols.now_fit import fit_landmarks, quadratic
from harness.protocols.now_truth import crop_ball, predicted_landmarks
from harness.samples import MILLIMETRES_PER, Prediction
from tests.driving import dogleg
from tests.protocols import now_heads


def test_derivatives_are_those_of_the_energy():
    moving = MovingPoints(now_heads.truth().scan.vertices[::7], SurfaceTree(mesh_of(now_heads.prediction())))
    here = np.array([1.1, 0.2, -0.4, 0.3, 2.0, -1.0, 3.0])
    descent = alone(quadratic(moving, here)).descent
    for k in range(7):
        step = np.zeros(7)
        step[k] = 1e-5
        slope = (alone(quadratic(moving, here + step)).energy - alone(quadratic(moving, here - step)).energy) / 2e-5
        assert descent[k] == pytest.approx(-slope / 2, rel=1e-4)


def mesh_of(prediction):
    return Mesh(prediction.vertices, prediction.faces)


def test_crop_of_a_known_face():
    """Outer eye corners 90 apart, bridge 50 above the base: radius 98, centre 15 above the base."""
    points = np.array([[-45, 50, 0], [-15, 50, 0], [15, 50, 0], [45, 50, 0], [0, 0, 0], [-25, -25, 0], [25, -25, 0]])
    centre, radius = crop_ball(points.astype(np.float32))
    assert np.allclose(centre, [0, 15, 0]) and radius == pytest.approx(98.0, rel=1e-6)


def test_a_vertex_without_triangle_counts():
    truth = now_heads.truth()
    lonely = truth.landmarks[4].astype(np.float64) + np.array([0, 0, 5])
    more = NowTruth(Mesh(np.vstack([truth.scan.vertices, lonely]), truth.scan.faces), truth.landmarks)
    assert more.crop()[-1] == len(truth.scan.vertices)


VECTORS = st.tuples(*[st.floats(-2, 2)] * 3)
SHIFTS = st.tuples(*[st.floats(-50, 50)] * 3)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.3, 3), VECTORS, SHIFTS)
def test_size_and_frame_do_not_change_the_non_metrical_score(scale, vector, shift):
    base = now_heads.prediction()
    before, after = (Now().score(p, now_heads.truth()) for p in (base, now_heads.changed(base, scale, vector, shift)))
    assert dict(after.values) == pytest.approx(dict(before.values), abs=2e-5)


@settings(max_examples=12, deadline=None)
@given(VECTORS)
def test_the_turn_does_not_change_the_metrical_score(vector):
    base = now_heads.prediction()
    before, after = (NowMetrical().score(p, now_heads.truth()) for p in (base, now_heads.changed(base, vector=vector)))
    assert dict(after.values) == pytest.approx(dict(before.values), abs=2e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([Now(), NowMetrical()]))
def test_order_and_splitting_do_not_change_the_score(seed, protocol):
    base, rng = now_heads.prediction(), np.random.default_rng(seed)
    order = rng.permutation(len(base.vertices))
    places = np.argsort(order)
    shuffled = Prediction(base.vertices[order], rng.permutation(places[base.faces]), base.landmarks)
    chosen = rng.choice(len(base.faces), 50, replace=False)
    vertices, faces = trimesh.remesh.subdivide(base.vertices, base.faces, chosen)
    split = Prediction(vertices, faces, base.landmarks)
    expected = dict(protocol.score(base, now_heads.truth()).values)
    for other in (shuffled, split):
        assert dict(protocol.score(other, now_heads.truth()).values) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("protocol", [Now(), NowMetrical()])
def test_unit_of_the_answer_does_not_change_the_score(protocol):
    base = now_heads.prediction()
    expected = dict(protocol.score(base, now_heads.truth()).values)
    for unit, factor in MILLIMETRES_PER.items():
        given = Prediction(base.vertices / factor, base.faces, base.landmarks / factor).in_millimetres(unit)
        assert dict(protocol.score(given, now_heads.truth()).values) == pytest.approx(expected, abs=2e-5)


def test_only_the_metrical_score_sees_size():
    truth, base = now_heads.truth(), now_heads.prediction()
    larger = now_heads.changed(base, 1.1)
    assert Now().score(larger, truth).values["mean"] == pytest.approx(Now().score(base, truth).values["mean"], abs=2e-5)
    assert NowMetrical().score(larger, truth).values["mean"] > 1.5 * NowMetrical().score(base, truth).values["mean"]
    metres = now_heads.changed(base, 0.001)
    for protocol in (Now(), NowMetrical()):
        assert any("metres" in warning for warning in protocol.score(metres, truth).warnings)


def test_a_mirror_image_is_repaired_and_said():
    truth, base = now_heads.truth(), now_heads.prediction()
    expected, score = (Now().score(p, truth) for p in (base, now_heads.mirrored(base)))
    assert dict(score.values) == pytest.approx(dict(expected.values), abs=2e-5)
    assert score.diagnostics["determinant"] == -1 and any("mirrors the prediction" in w for w in score.warnings)
    assert expected.diagnostics["determinant"] == 1 and not expected.warnings


def test_landmarks_in_another_order_are_said():
    truth, base = now_heads.truth(), now_heads.prediction()
    points = base.landmarks[now_heads.INDICES]
    turned = Now().score(now_heads.with_landmarks(base, points[[4, 5, 6, 0, 1, 2, 3]]), truth)
    assert any("NoW's order" in warning for warning in turned.warnings)


def test_swapped_axes_of_the_scan_are_said():
    truth = now_heads.truth()
    moved = Mesh(truth.scan.vertices + np.array([0, 60, 0]), truth.scan.faces)
    good = NowTruth(moved, truth.landmarks + np.float32([0, 60, 0]))
    swapped = NowTruth(moved, good.landmarks[:, [0, 2, 1]].copy())
    assert not Now().score(now_heads.prediction(), good).warnings
    score = Now().score(now_heads.prediction(), swapped)
    assert "y and z axes" in " ".join((score.detail, *score.warnings))
    far = NowTruth(Mesh(truth.scan.vertices + 1000, truth.scan.faces), truth.landmarks)
    assert Now().score(now_heads.prediction(), far).failure == "no_alignment"


def test_exact_self_match():
    truth = now_heads.truth()
    itself = Prediction(truth.scan.vertices, truth.scan.faces, now_heads.heads.landmarks68(truth.scan))
    for protocol in (Now(), NowMetrical()):
        assert max(protocol.score(itself, truth).values.values()) < 1e-4


def test_neutral_mesh_is_scored():
    truth, good = now_heads.truth(), now_heads.prediction()
    smiling = now_heads.prediction(noise=6.0)
    both = replace(smiling, neutral_vertices=good.vertices, neutral_landmarks=good.landmarks)
    assert dict(Now().score(both, truth).values) == dict(Now().score(good, truth).values)
    alone = Prediction(smiling.vertices, smiling.faces, smiling.landmarks)
    assert any("no neutral mesh" in warning for warning in Now().score(alone, truth).warnings)


def test_failures_are_reasons_not_numbers():
    truth, good = now_heads.truth(), now_heads.prediction()
    points = good.landmarks[now_heads.INDICES]
    line = points[:1] + np.arange(7)[:, None] * [[1.0, 2, 3]]
    cases = {
        "no_face": Prediction.failed("no_face"),
        "bad_mesh": Prediction(landmarks=good.landmarks),
        "no_landmarks": now_heads.with_landmarks(good, np.vstack([points[:6], [[np.nan] * 3]])),
        "no_alignment": now_heads.with_landmarks(good, line),
    }
    flat = Prediction(np.ones_like(good.vertices), good.faces, good.landmarks)
    for protocol in (Now(), NowMetrical()):
        for reason, prediction in [*cases.items(), ("bad_mesh", flat)]:
            score = protocol.score(prediction, truth)
            assert score.failure == reason and not score.values and not score.per_point and score.detail is not None
    assert "left_lips (54)" in Now().score(cases["no_landmarks"], truth).detail
    assert Now().score(Prediction(good.vertices, good.faces), truth).failure == "no_landmarks"


def spoilt(base):
    """Degenerate and duplicate faces, an unused vertex far away."""
    faces = np.vstack([base.faces, base.faces[:40], [[0, 0, 1], [2, 2, 2]]])
    return Prediction(np.vstack([base.vertices, [[9e3, 0, 0]]]), faces, base.landmarks)


def test_hard_meshes():
    truth, base = now_heads.truth(), now_heads.prediction()
    expected = Now().score(base, truth)
    score = Now().score(spoilt(base), truth)
    assert score.diagnostics["faces_without_area"] == 2
    assert dict(score.values) == pytest.approx(dict(expected.values), abs=1e-6)
    holes = Prediction(base.vertices, base.faces[::2], base.landmarks)
    assert Now().score(holes, truth).values["mean"] > expected.values["mean"]
    single = Prediction(base.landmarks[[36, 45, 33]], [[0, 1, 2]], base.landmarks)
    assert Now().score(single, truth).values["mean"] > 3


def test_official_constants_are_fixed():
    with pytest.raises(ContractError, match="official=False"):
        Now(tolerance=1e-6)
    longer = Now(official=False, tolerance=1e-9).score(now_heads.prediction(), now_heads.truth())
    assert longer.diagnostics["steps"] > Now().score(now_heads.prediction(), now_heads.truth()).diagnostics["steps"]
    assert Now().id != NowMetrical().id and NowMetrical().differences(Now())


@pytest.mark.parametrize(
    ("points", "what"),
    [
        (np.zeros((6, 3)), "shape"),
        (np.zeros((7, 3), dtype=int), "dtype"),
        (np.array([[0.0] * 3] * 4 + [[np.nan] * 3] + [[0.0] * 3] * 2), "nose_base"),
    ],
)
def test_truth_is_validated(points, what):
    with pytest.raises(ContractError, match=what):
        NowTruth(now_heads.truth().scan, points)


def test_refinement_turns_about_the_scans_origin():
    """A scan elsewhere takes other steps to another number: the official program's, kept."""
    truth, base = now_heads.truth(), now_heads.prediction()
    shift = np.array([0.0, 0.0, 1360.0])
    away = NowTruth(Mesh(truth.scan.vertices + shift, truth.scan.faces), truth.landmarks + shift.astype(np.float32))
    here, there = Now().score(base, truth), Now().score(base, away)
    assert here.values["mean"] != pytest.approx(there.values["mean"], abs=1e-7)
    assert here.values["mean"] == pytest.approx(there.values["mean"], abs=0.05)


def test_rotation_derivative_at_large_angles():
    vector = Rotation.from_rotvec([1.0, 2.0, -0.5]).as_rotvec()
    moving = MovingPoints(now_heads.truth().scan.vertices[::31], SurfaceTree(mesh_of(now_heads.prediction())))
    here = np.concatenate([vector, [1.0, 2.0, 3.0]])
    step = np.array([0, 1e-5, 0, 0, 0, 0])
    slope = (alone(quadratic(moving, here + step)).energy - alone(quadratic(moving, here - step)).energy) / 2e-5
    assert alone(quadratic(moving, here)).descent[1] == pytest.approx(-slope / 2, rel=1e-4)


def test_landmark_names_are_the_official_order():
    assert list(NOW_LANDMARKS.values()) == [36, 39, 42, 45, 33, 48, 54]


def plain_official(prediction, truth):
    """The recipe with SciPy and trimesh: residuals and their Jacobian row by row, nothing compiled of ours."""
    centre, radius = crop_ball(truth.landmarks)
    points = truth.scan.vertices[np.linalg.norm(truth.scan.vertices - centre, axis=1) <= radius]
    fit = fit_landmarks(truth.landmarks, predicted_landmarks(prediction))
    vertices = fit.place(prediction.vertices, "mm", metrical=False)

    def evaluate(x):
        rotation = Rotation.from_rotvec(x[1:4])
        posed = trimesh.Trimesh(x[0] * rotation.apply(vertices) + x[4:], prediction.faces, process=False)
        on_mesh, distances, _ = trimesh.proximity.closest_point(posed, points)
        normals, arms = (points - on_mesh) / distances[:, None], on_mesh - x[4:]
        turns = np.empty((len(points), 3))
        for k in range(3):  # by central differences of the rotation, which needs no formula
            step = np.eye(3)[k] * 1e-6
            there, back = (Rotation.from_rotvec(x[1:4] + s).apply(rotation.inv().apply(arms)) for s in (step, -step))
            turns[:, k] = (normals * (there - back)).sum(axis=1) / 2e-6
        jacobian = -np.hstack([(normals * arms).sum(axis=1, keepdims=True) / x[0], turns, normals])
        return Quadratic(float(distances @ distances), -jacobian.T @ distances, jacobian.T @ jacobian)

    found = dogleg(evaluate, np.array([1.0, 0, 0, 0, 0, 0, 0]))
    posed = found.parameters[0] * Rotation.from_rotvec(found.parameters[1:4]).apply(vertices) + found.parameters[4:]
    surface = trimesh.Trimesh(posed, prediction.faces, process=False)
    return found.steps, trimesh.proximity.closest_point(surface, points)[1]


def test_equals_and_outruns_a_plain_copy(benchmark):
    """Seconds depend on the machine; the ratio to the same recipe with trimesh, in the same run, hardly does."""
    truth, prediction = now_heads.truth(), now_heads.prediction()
    score = benchmark.pedantic(Now().score, args=(prediction, truth), rounds=5, warmup_rounds=1)
    start = time.perf_counter()
    steps, distances = plain_official(prediction, truth)
    ratio = (time.perf_counter() - start) / benchmark.stats.stats.min if benchmark.enabled else np.nan
    benchmark.extra_info["times_faster_than_trimesh"] = ratio
    assert score.diagnostics["steps"] == steps
    assert np.abs(score.per_point["face"][1] - distances).max() < 1e-4
    assert not ratio < 10
