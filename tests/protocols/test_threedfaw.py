"""3DFAW's official score against a plain twin, and what its properties are."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from harness.errors import AlignmentError, ContractError
from harness.geometry.mesh import Mesh
from harness.protocols.h3ds import H3ds
from harness.protocols.scores import SampleScore
from harness.protocols.threedfaw import JAW, ThreedfawArmse, ThreedfawChamfer, ThreedfawTruth, fit
from harness.protocols.threedfaw_distance import adjacent_surface_distances
from harness.samples import Prediction
from tests.geometry_shapes import bumpy

SCAN = bumpy(4)


def marks(mesh, count=68, seed=0):
    """Vertices of the front (+z), the nose tip the foremost."""
    rng = np.random.default_rng(seed)
    front = np.flatnonzero(mesh.vertices[:, 2] > 30)
    ids = rng.choice(front, count, replace=False)
    ids[30] = mesh.vertices[:, 2].argmax()
    return ids


IDS = marks(SCAN)
TRUTH = ThreedfawTruth(SCAN, IDS[JAW:])


def prediction(subdivisions=4, noise=1.0):
    mesh = bumpy(subdivisions)
    wrong = mesh.vertices + noise * np.sin(mesh.vertices[:, [1, 2, 0]] / 17)
    return Prediction(wrong, mesh.faces, SCAN.vertices[IDS] + 0.3 * noise)


BASE = prediction()
SCORE = ThreedfawArmse().score(BASE, TRUTH)


def changed(base, scale=1.0, rotation=None, shift=0.0):
    matrix = scale * (np.eye(3) if rotation is None else rotation)
    return Prediction(base.vertices @ matrix.T + shift, base.faces, base.landmarks @ matrix.T + shift)


# -- the plain twin, in float64 -----------------------------------------------------------------------------------


def twin_fit(source, target):
    """Umeyama's closed form, points as columns."""
    x, y = (source - source.mean(0)).T, (target - target.mean(0)).T
    u, d, vt = np.linalg.svd(y @ x.T)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / (x**2).sum()
    return lambda p: scale * (p - source.mean(0)) @ rotation.T + target.mean(0), scale


def twin_distances(points, vertices, faces):
    """By trimesh, one point after the other: nearest vertex, then the triangles around it."""
    result = []
    for point in points:
        nearest = np.linalg.norm(vertices - point, axis=1).argmin()
        best = np.linalg.norm(vertices[nearest] - point)
        around = vertices[faces[(faces == nearest).any(axis=1)]]
        if len(around):
            feet = trimesh.triangles.closest_point(around, np.tile(point, (len(around), 1)))
            best = min(best, np.linalg.norm(feet - point, axis=1).min())
        result.append(best)
    return np.array(result)


def twin_armse(answer, truth):
    vertices, scan = answer.vertices, truth.scan.vertices
    mine = np.array([np.linalg.norm(vertices - p, axis=1).argmin() for p in answer.landmarks[JAW:]])
    rough = twin_fit(vertices[mine], scan[truth.landmarks])[1]  # index -1 is the last vertex
    inside = np.linalg.norm(vertices - vertices[mine[13]], axis=1) <= 95 / rough
    faces = np.array([f for f in answer.faces if inside[f].all()])
    number = np.cumsum(inside) - 1
    points, faces = vertices[inside], number[faces]
    known = truth.landmarks >= 0
    points = twin_fit(vertices[mine][known], scan[truth.landmarks][known])[0](points)
    for _ in range(19):
        nearest = np.array([np.linalg.norm(scan - p, axis=1).argmin() for p in points])
        points = twin_fit(points, scan[nearest])[0](points)
    there = twin_distances(points[::4], scan, truth.scan.faces)
    back = twin_distances(scan[::4], points, faces)
    return (np.sqrt((there**2).mean()) + np.sqrt((back**2).mean())) / 2


@pytest.mark.parametrize("unknown", [[], [2, 5, 40]])
def test_equals_the_twin(unknown):
    small = prediction(3)
    landmarks = TRUTH.landmarks.copy()
    landmarks[unknown] = -1
    truth = ThreedfawTruth(SCAN, landmarks)
    score = ThreedfawArmse().score(small, truth)
    assert score.values["armse"] == pytest.approx(twin_armse(small, truth), abs=2e-4)
    assert score.diagnostics["landmarks"] == 51 - len(unknown)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_distances_equal_trimesh_on_the_triangles_around(seed):
    rng = np.random.default_rng(seed)
    mesh = bumpy(1)
    faces = mesh.faces[rng.random(len(mesh.faces)) < 0.7]  # holes, and perhaps vertices without a face
    points = mesh.vertices[rng.integers(len(mesh.vertices), size=60)] + rng.normal(0, 15, (60, 3))
    found = adjacent_surface_distances(points, Mesh(mesh.vertices, faces))
    assert np.abs(found - twin_distances(points, mesh.vertices, faces)).max() < 1e-9


def test_only_triangles_at_the_nearest_vertex_count():
    """Above the middle of a long triangle whose corners are far, a small one beside it is all that is seen."""
    vertices = np.array([[-100.0, -100, 0], [100, -100, 0], [0, 150, 0], [5, 5, 40], [6, 5, 40], [5, 6, 40]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    point = np.array([[0.0, 0, 5]])
    assert adjacent_surface_distances(point, mesh)[0] == pytest.approx(np.linalg.norm([5, 5, 35]))
    assert adjacent_surface_distances(point, Mesh(vertices[:3], mesh.faces[:1]))[0] == pytest.approx(5)


def test_flat_triangles_are_skipped():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 0, 0]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [0, 3, 0]]))
    assert adjacent_surface_distances(np.array([[0.4, 0, 3.0], [-4, 0, 3]]), mesh) == pytest.approx([3, 5])


def test_fit_is_umeyama_without_reflection():
    rng = np.random.default_rng(0)
    source = rng.normal(size=(20, 3))
    for target in (source * [-1, 1, 1], source * 2 + rng.normal(size=(20, 3))):
        rotation, scale, shift = fit(source, target)
        move, expected = twin_fit(source, target)
        assert np.linalg.det(rotation) > 0 and scale == pytest.approx(expected)
        assert np.allclose(scale * source @ rotation + shift, move(source))
    for bad, what in ((source[:2], "at least 3"), (np.outer(np.arange(20.0), [1, 2, 3]), "line")):
        with pytest.raises(AlignmentError, match=what):
            fit(bad, bad)


# -- properties ----------------------------------------------------------------------------------------------------


def test_the_scan_itself_scores_zero():
    """Where it is no larger than the crop; else its back has nothing near it."""
    away = np.linalg.norm(SCAN.vertices - SCAN.vertices[IDS[30]], axis=1)
    face = Mesh(SCAN.vertices, SCAN.faces[(away <= 80)[SCAN.faces].all(axis=1)])
    ids = np.roll(away.argsort()[:68], 30)  # the nearest, itself, is number 30
    exact = changed(Prediction(face.vertices, face.faces, face.vertices[ids]), 2.0, shift=30.0)
    assert max(ThreedfawArmse().score(exact, ThreedfawTruth(face, ids[JAW:])).values.values()) < 1e-3


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.3, 3))
def test_a_similarity_of_the_prediction_does_not_matter(seed, scale):
    rotation = Rotation.random(random_state=seed).as_matrix()
    score = ThreedfawArmse().score(changed(BASE, scale, rotation, 50.0), TRUTH)
    assert dict(score.values) == pytest.approx(dict(SCORE.values), abs=2e-3)  # single precision


def test_the_unit_does_not_matter():
    metres = Prediction(BASE.vertices / 1000, BASE.faces, BASE.landmarks / 1000).in_millimetres("m")
    score = ThreedfawArmse().score(metres, TRUTH)
    assert dict(score.values) == pytest.approx(dict(SCORE.values), abs=2e-3)
    assert score.diagnostics["scale"] == pytest.approx(SCORE.diagnostics["scale"], rel=1e-4)


def test_missing_parts_of_the_scan_cost_and_the_predictions_back_does_not():
    tip = BASE.vertices[IDS[30]]
    near = np.linalg.norm(BASE.vertices - tip, axis=1) < 60
    face_only = Prediction(BASE.vertices, BASE.faces[near[BASE.faces].all(axis=1)], BASE.landmarks)
    cut = ThreedfawArmse().score(face_only, TRUTH)
    assert cut.values["to_prediction"] > 1.2 * SCORE.values["to_prediction"]
    beyond_landmarks = np.linalg.norm(BASE.landmarks[JAW:] - tip, axis=1).max() + 10
    far = np.linalg.norm(BASE.vertices - tip, axis=1) > beyond_landmarks
    assert far.any()
    no_back = Prediction(BASE.vertices, BASE.faces[~far[BASE.faces].any(axis=1)], BASE.landmarks)
    assert ThreedfawArmse().score(no_back, TRUTH).values["armse"] == pytest.approx(SCORE.values["armse"], abs=1e-3)


def test_unknown_landmarks_change_the_crop_and_that_is_said():
    """The official program takes the last vertex for them; with a last vertex far away the crop is another one."""
    far = 12 * BASE.landmarks[JAW : JAW + 3].mean(axis=0) + np.eye(3)
    scan = Mesh(np.vstack([SCAN.vertices, far]), add_face(SCAN))
    landmarks = TRUTH.landmarks.copy()
    landmarks[[0, 1, 2]] = -1
    score = ThreedfawArmse().score(BASE, ThreedfawTruth(scan, landmarks))
    mine = [np.linalg.norm(BASE.vertices - point, axis=1).argmin() for point in BASE.landmarks[JAW:]]
    rough = twin_fit(BASE.vertices[mine], scan.vertices[landmarks])[1]
    assert score.diagnostics["rough_scale"] == pytest.approx(rough, rel=1e-5)
    assert abs(rough / SCORE.diagnostics["rough_scale"] - 1) > 0.05
    assert any("3 landmarks are unknown" in warning for warning in score.warnings) and SCORE.warnings == ()


def add_face(mesh):
    count = len(mesh.vertices)
    return np.vstack([mesh.faces, [[count, count + 1, count + 2]]])


def test_vertices_without_faces_are_left_out():
    stray = Prediction(np.vstack([BASE.vertices, [[0, 0, 90.0]]]), BASE.faces, BASE.landmarks)
    assert dict(ThreedfawArmse().score(stray, TRUTH).values) == dict(SCORE.values)
    scan = Mesh(np.vstack([[[0, 0, 90.0]], SCAN.vertices]), SCAN.faces + 1)
    score = ThreedfawArmse().score(BASE, ThreedfawTruth(scan, TRUTH.landmarks + 1))
    assert dict(score.values) == dict(SCORE.values)
    assert score.per_point["to_prediction"][0].min() == 1


def test_values_come_from_the_stored_distances():
    armse = ThreedfawArmse()
    assert tuple(SCORE.values) == armse.columns == ("armse", "to_scan", "to_prediction")
    ids, back = SCORE.per_point["to_prediction"]
    there = SCORE.vectors["to_scan"]
    assert np.array_equal(ids, np.arange(0, len(SCAN.vertices), 4)) and ids.dtype == np.int32
    assert SCORE.values["to_prediction"] == pytest.approx(np.sqrt((back.astype(float) ** 2).mean()), rel=1e-6)
    assert SCORE.values["to_scan"] == pytest.approx(np.sqrt((there.astype(float) ** 2).mean()), rel=1e-6)
    assert SCORE.values["armse"] == pytest.approx(sum(list(SCORE.values.values())[1:]) / 2)


def test_failures_are_reasons_not_numbers():
    no_tip = BASE.landmarks.copy()
    no_tip[30] = np.nan
    line = Prediction(np.outer(np.arange(len(BASE.vertices)), [0.1, 0.1, 0.1]), BASE.faces, np.outer(IDS, [0.1] * 3))
    few = np.full((68, 3), np.nan)
    few[[30, 40]] = BASE.landmarks[[30, 40]]
    for reason, bad in (
        ("timeout", Prediction.failed("timeout")),
        ("no_landmarks", Prediction(BASE.vertices, BASE.faces)),
        ("no_landmarks", Prediction(BASE.vertices, BASE.faces, no_tip)),
        ("no_alignment", line),
        ("no_alignment", Prediction(BASE.vertices, BASE.faces, few)),
    ):
        score = ThreedfawArmse().score(bad, TRUTH)
        assert score.failure == reason and not score.values, (reason, score.detail)


def test_truth_that_cannot_be_is_refused():
    for landmarks, what in (
        (np.zeros(68, int), "51"),
        (np.full(51, 10**6), "outside"),
        (np.where(np.arange(51) == 13, -1, TRUTH.landmarks), "nose tip"),
        (np.full(51, -2), "outside"),
    ):
        with pytest.raises(ContractError, match=what):
            ThreedfawTruth(SCAN, landmarks)
    with pytest.raises(ContractError, match="used by no face"):
        ThreedfawTruth(Mesh(np.vstack([SCAN.vertices, [[0, 0, 0]]]), SCAN.faces), np.full(51, len(SCAN.vertices)))
    again = pickle.loads(pickle.dumps(TRUTH))
    assert dict(ThreedfawArmse().score(BASE, again).values) == dict(SCORE.values)


def test_official_numbers_are_not_to_be_changed_silently():
    with pytest.raises(ContractError, match="official=False"):
        ThreedfawArmse(icp_iterations=50)
    assert ThreedfawArmse(official=False, icp_iterations=50).id != ThreedfawArmse().id
    with pytest.raises(ContractError, match="3dfaw_armse"):
        ThreedfawArmse(reflection=True)


def test_the_table_shows_the_population_deviation():
    rows = [
        SampleScore(f"{k}_{views}", f"{k}", {"views": views}, dict.fromkeys(ThreedfawArmse().columns, value * views))
        for views in (1, 3)
        for k, value in enumerate([1.0, 2.0, 6.0])
    ]
    lines = {(line["column"], line["views"]): line["value"] for line in ThreedfawArmse().summarise(rows)}
    assert [lines["armse std", views] for views in (1, 3)] == pytest.approx([np.std([1, 2, 6]), 3 * np.std([1, 2, 6])])
    assert [lines["armse", views] for views in (1, 3)] == pytest.approx([3, 9])


# -- the one-way Chamfer distance ------------------------------------------------------------------------------------


def test_chamfer_is_h3ds_official_score_on_the_face():
    score = ThreedfawChamfer().score(BASE, TRUTH)
    expected = H3ds(regions=("face",)).score(BASE, TRUTH.as_h3ds())
    assert dict(score.values) == dict(expected.values)
    ids = score.per_point["face"][0]
    distance = np.linalg.norm(SCAN.vertices - SCAN.vertices[IDS[30]], axis=1)
    assert np.array_equal(ids, np.flatnonzero(distance <= 95))
    assert not ThreedfawChamfer().official


def test_chamfer_needs_the_six_landmarks():
    landmarks = TRUTH.landmarks.copy()
    landmarks[39 - JAW] = -1
    score = ThreedfawChamfer().score(BASE, ThreedfawTruth(SCAN, landmarks))
    assert score.failure == "no_alignment" and "right_eye" in score.detail
    assert ThreedfawChamfer().score(Prediction(BASE.vertices, BASE.faces), TRUTH).failure == "no_landmarks"
    with pytest.raises(ContractError, match="region"):
        ThreedfawChamfer(regions=("head",))
