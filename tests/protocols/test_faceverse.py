"""The FaceVerse Chamfer distance: closed forms, what must not matter, and how scans and images are averaged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from harness.errors import ContractError
from harness.geometry.mesh import Mesh
from harness.protocols import face_region
from harness.protocols.faceverse import DIRECTIONS, FaceVerseChamfer, FaceVerseTruth
from harness.protocols.now import Now
from harness.protocols.now_truth import NOW_LANDMARKS, crop_ball
from harness.protocols.scores import SampleScore
from harness.samples import Prediction
from tests.geometry_shapes import bumpy
from tests.protocols import heads

IDS = list(NOW_LANDMARKS.values())


def truth_of(mesh: Mesh, landmarks: np.ndarray) -> FaceVerseTruth:
    return FaceVerseTruth(mesh, landmarks[IDS], float(np.ptp(mesh.vertices, axis=0).max()) / 2)


SCAN = bumpy(5)
TRUTH = truth_of(SCAN, heads.landmarks68(SCAN))
BASE = heads.prediction(subdivisions=4)
SCORES = {direction: FaceVerseChamfer(direction=direction).score(BASE, TRUTH) for direction in DIRECTIONS}


def sphere(radius: float, subdivisions: int) -> tuple[Mesh, np.ndarray]:
    """A sphere with landmarks at fixed directions, the same for any radius."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    directions = np.array([heads.DIRECTIONS[i] for i in IDS], dtype=float)
    points = np.full((68, 3), np.nan)
    points[IDS] = 80.0 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return Mesh(ball.vertices, ball.faces), points


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_offset_sphere_scores_its_offset(direction):
    """Landmarks agree, so the similarity is the identity, and every point of either sphere is 2 mm off the other."""
    scan, landmarks = sphere(80.0, 4)
    larger, _ = sphere(82.0, 5)
    score = FaceVerseChamfer(direction=direction).score(
        Prediction(larger.vertices, larger.faces, landmarks), truth_of(scan, landmarks)
    )
    expected = 4.0 if direction == "sum" else 2.0
    assert score.values["distance"] == pytest.approx(expected, abs=0.06)
    assert score.values["normalised"] == pytest.approx(100 * score.values["distance"] / 80.0, rel=1e-3)


def test_a_shift_of_a_plane_is_its_distance():
    """A flat face and the same 3 mm in front of it: 3 mm one way and the other, exactly."""
    x, y = np.meshgrid(np.linspace(-200, 200, 41), np.linspace(-200, 200, 41))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    corner = (np.arange(40)[:, None] * 41 + np.arange(40)).ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + 42], 1), np.stack([corner, corner + 42, corner + 41], 1)]
    )
    landmarks = np.full((68, 3), np.nan)
    points = [[-45, 30, 0], [-15, 30, 0], [15, 30, 0], [45, 30, 0], [0, -15, 0], [-25, -45, 0], [25, -45, 0]]
    landmarks[IDS] = points + np.array([0, 0, 2])
    truth = truth_of(Mesh(vertices, faces), landmarks)
    prediction = Prediction(vertices + np.array([0, 0, 3]), faces, landmarks)
    for direction in ("scan_to_prediction", "prediction_to_scan", "mean"):
        assert FaceVerseChamfer(direction=direction).score(prediction, truth).values["distance"] == pytest.approx(
            3, abs=1e-9
        )
    assert FaceVerseChamfer(direction="sum").score(prediction, truth).values["distance"] == pytest.approx(6, abs=1e-9)


def test_the_scan_itself_scores_zero_in_every_direction():
    exact = Prediction(SCAN.vertices, SCAN.faces, heads.landmarks68(SCAN))
    moved = heads.changed(exact, 0.01, Rotation.from_rotvec([0.3, -0.8, 1.1]).as_matrix(), 300.0)
    for direction in DIRECTIONS:
        assert FaceVerseChamfer(direction=direction).score(moved, TRUTH).values["distance"] < 1e-6


def test_directions_are_parts_of_each_other():
    to_prediction, to_scan, mean, total = (SCORES[direction].values["distance"] for direction in DIRECTIONS)
    assert total == pytest.approx(to_prediction + to_scan) and mean == pytest.approx(total / 2)
    assert to_prediction != pytest.approx(to_scan, rel=1e-3)
    for score in SCORES.values():
        assert {"scan_to_prediction", "prediction_to_scan", "mean", "sum"} <= set(score.diagnostics)
    assert len({FaceVerseChamfer(direction=direction).id for direction in DIRECTIONS}) == len(DIRECTIONS)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 50), st.sampled_from(DIRECTIONS))
def test_a_similarity_of_the_prediction_does_not_matter(seed, scale, direction):
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=rng.integers(2**31)).as_matrix()
    moved = heads.changed(BASE, scale, rotation, rng.normal() * 500)
    score = FaceVerseChamfer(direction=direction).score(moved, TRUTH)
    # Rounding may change which triangles in the ball's border or a grazing ray count: one of thousands.
    assert score.values["distance"] == pytest.approx(SCORES[direction].values["distance"], rel=1e-3)
    assert score.diagnostics["scan_to_prediction"] == pytest.approx(SCORES["mean"].diagnostics["scan_to_prediction"])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_vertices_and_faces_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(BASE.vertices))
    faces = np.argsort(order)[BASE.faces][rng.permutation(len(BASE.faces))]
    shuffled = Prediction(BASE.vertices[order], np.roll(faces, 1, axis=1), BASE.landmarks)
    assert FaceVerseChamfer(direction="sum").score(shuffled, TRUTH).values["distance"] == pytest.approx(
        SCORES["sum"].values["distance"], rel=1e-4
    )


def test_splitting_triangles_hardly_matters():
    dense = Prediction(*trimesh.remesh.subdivide(BASE.vertices, BASE.faces), BASE.landmarks)
    score = FaceVerseChamfer(direction="prediction_to_scan").score(dense, TRUTH)
    assert score.diagnostics["scan_to_prediction"] == pytest.approx(SCORES["mean"].diagnostics["scan_to_prediction"])
    assert score.values["distance"] == pytest.approx(SCORES["prediction_to_scan"].values["distance"], rel=0.05)


def test_a_mirrored_prediction_is_not_repaired():
    mirror = np.array([-1.0, 1, 1])
    skew = np.array([[1, 0, 0], [0, 1, 0], [0.35, 0, 1]])  # a face whose left differs from its right
    scan = Mesh(SCAN.vertices @ skew, SCAN.faces)
    landmarks = heads.landmarks68(SCAN) @ skew
    truth = truth_of(scan, landmarks)
    mirrored = Prediction(scan.vertices * mirror, scan.faces[:, ::-1], landmarks * mirror)
    assert FaceVerseChamfer().score(mirrored, truth).values["distance"] > 1.0


def test_what_is_hidden_is_no_face():
    """A sphere inside the head, as a mouth bag would be, changes neither direction."""
    inner = trimesh.creation.icosphere(subdivisions=3, radius=25.0)
    middle = TRUTH.landmarks.mean(axis=0) * [1, 1, 0.4]
    vertices = np.vstack([BASE.vertices, inner.vertices + middle])
    both = Prediction(vertices, np.vstack([BASE.faces, inner.faces + len(BASE.vertices)]), BASE.landmarks)
    for direction in ("scan_to_prediction", "prediction_to_scan"):
        value = FaceVerseChamfer(direction=direction).score(both, TRUTH).values["distance"]
        assert value == pytest.approx(SCORES[direction].values["distance"], rel=1e-6)


def test_face_of_the_prediction_is_the_visible_part_of_the_ball():
    mesh = Mesh(SCAN.vertices, SCAN.faces)
    ids, weights = face_region.predicted_face(mesh, TRUTH.landmarks, "cpu")
    centre, radius = crop_ball(TRUTH.landmarks)
    inside = np.linalg.norm(mesh.vertices - centre, axis=1) <= radius
    assert inside[ids].all() and len(ids) > 0.95 * inside.sum()  # all of it is visible but for the ball's border
    triangles = mesh.faces[inside[mesh.faces].all(axis=1)]
    areas = trimesh.Trimesh(mesh.vertices, triangles, process=False).area
    assert weights.sum() == pytest.approx(areas, rel=0.02)
    reference = np.flatnonzero(np.linalg.norm(SCAN.vertices - centre, axis=1) <= radius)
    assert np.array_equal(TRUTH.crop(), reference)


def test_values_are_means_of_the_stored_distances():
    score = SCORES["scan_to_prediction"]
    ids, distances = score.per_point["face"]
    assert score.values["distance"] == pytest.approx(distances.mean(), rel=1e-6)
    near = trimesh.Trimesh(score.aligned_vertices, BASE.faces, process=False)
    slow = trimesh.proximity.closest_point(near, SCAN.vertices[ids[:200]])[1]
    assert np.allclose(distances[:200], slow, atol=1e-4)


def test_the_refinement_is_nows():
    """Equal to NoW's own protocol, which starts from the same landmark fit, on the same cropped vertices."""
    score, now = FaceVerseChamfer(refinement="surface").score(BASE, TRUTH), Now().score(BASE, TRUTH)
    assert np.array_equal(score.per_point["face"][0], now.per_point["face"][0])
    assert np.abs(score.per_point["face"][1] - now.per_point["face"][1]).max() < 1e-4
    assert score.values["distance"] == pytest.approx(now.values["mean"], abs=1e-5)
    assert score.values["distance"] < SCORES["scan_to_prediction"].values["distance"]


# -- averaging ---------------------------------------------------------------------------------------------------


def row(scan: str, view: int, value: float | None, fallback: float | None = None, **condition: int) -> SampleScore:
    score = None if value is None else {"distance": value, "normalised": value / 1.5}
    stands_in = None if fallback is None else {"distance": fallback, "normalised": fallback / 1.5}
    failure = None if score else "no_face"
    return SampleScore(f"{scan}_r{view:02d}", scan[:3], condition, score, stands_in, failure, group=scan)


def test_scans_weigh_equally_and_images_are_given_too():
    values = {"111_01": [1.0, 3.0], "111_02": [2.0, 2.0, 2.0, 6.0], "112_01": [10.0]}
    rows = [row(scan, i, v) for scan, views in values.items() for i, v in enumerate(views)]
    table = {r["column"]: r for r in FaceVerseChamfer().summarise(rows)}
    scans, images = [2.0, 3.0, 10.0], [1, 3, 2, 2, 2, 6, 10.0]
    expected = {
        "distance": np.mean(scans),
        "distance median": np.median(scans),
        "distance std": np.std(scans, ddof=1),
        "normalised median, images": np.median(images) / 1.5,
        "normalised std, images": np.std(images, ddof=1) / 1.5,
        "normalised": np.mean(scans) / 1.5,
    }
    for column, value in expected.items():
        assert table[column]["value"] == pytest.approx(value) == table[column]["value_dropping_failures"]
        assert (table[column]["evaluated"], table[column]["expected"]) == (7, 7)
    assert table["distance"]["std_subjects"] == pytest.approx(np.std([2.5, 10.0], ddof=1))
    assert FaceVerseChamfer().unit_of("normalised std") == "1e-2" and FaceVerseChamfer().unit_of("distance std") == "mm"


def test_failures_are_filled_with_the_mean_face_or_leave_the_value_undefined():
    rows = [row("111_01", 0, 1.0), row("111_01", 1, None, 5.0), row("112_01", 0, 2.0)]
    table = {r["column"]: r for r in FaceVerseChamfer().summarise(rows)}
    assert table["distance"]["value"] == pytest.approx(2.5) and table["distance"][
        "value_dropping_failures"
    ] == pytest.approx(1.5)
    assert table["distance"]["evaluated"] == 2
    answered = [row("111_01", 0, 1.0), row("111_01", 1, 5.0), row("112_01", 0, 2.0)]
    assert (
        table["distance"]["value"]
        == {r["column"]: r for r in FaceVerseChamfer().summarise(answered)}["distance"]["value"]
    )
    for lacking in (
        FaceVerseChamfer(fallback="none").summarise(rows),
        FaceVerseChamfer().summarise([row("1", 0, None)]),
    ):
        assert all(r["value"] is None for r in lacking)


def test_grid_views_are_broken_down_by_yaw():
    rows = [
        row("111_01", i, value, yaw=yaw) for i, (yaw, value) in enumerate([(-90, 4.0), (0, 1.0), (90, 5.0), (0, 2.0)])
    ]
    table = FaceVerseChamfer().summarise(rows)
    by_yaw = {r["yaw"]: r["value"] for r in table if r["column"] == "distance"}
    assert by_yaw == {-90: 4.0, 0: 1.5, 90: 5.0, "all": 3.0} and list(by_yaw) == [-90, 0, 90, "all"]
    assert {r["yaw"] for r in table if r["column"] != "distance"} == {"all"}


# -- refused -----------------------------------------------------------------------------------------------------


def test_what_is_not_implemented_is_refused():
    for wrong in ({"direction": "sideways"}, {"refinement": "icp"}, {"scale": "none"}, {"reflection": True}):
        with pytest.raises(ContractError, match="faceverse"):
            FaceVerseChamfer(**wrong)


def test_truth_that_cannot_be_right_is_refused():
    nan = np.array(TRUTH.landmarks)
    nan[4] = np.nan
    for wrong in ({"landmarks": nan}, {"landmarks": TRUTH.landmarks * 1000}, {"divisor": 0.0}, {"divisor": np.nan}):
        with pytest.raises(ContractError, match="truth"):
            dataclasses.replace(TRUTH, **wrong)


def test_failures_are_reasons_not_numbers():
    flat = np.repeat(BASE.faces[:, :1], 3, axis=1)
    one_line = np.outer(np.arange(68.0) * 5, [1, 1, 1])
    some_nan = np.array(BASE.landmarks)
    some_nan[33] = np.nan
    cases = {
        "timeout": [Prediction.failed("timeout")],
        "bad_mesh": [Prediction(landmarks=BASE.landmarks), Prediction(BASE.vertices, flat, BASE.landmarks)],
        "no_landmarks": [Prediction(BASE.vertices, BASE.faces), Prediction(BASE.vertices, BASE.faces, some_nan)],
        "no_alignment": [Prediction(BASE.vertices, BASE.faces, one_line)],
    }
    for reason, predictions in cases.items():
        for prediction in predictions:
            score = FaceVerseChamfer().score(prediction, TRUTH)
            assert score.failure == reason and not score.values and not score.per_point, score.detail


def test_a_prediction_without_a_face_has_no_way_back():
    far = Prediction(BASE.vertices + np.array([0, 0, 4000.0]), BASE.faces, BASE.landmarks)
    assert FaceVerseChamfer().score(far, TRUTH).values["distance"] > 1000
    assert FaceVerseChamfer(direction="mean").score(far, TRUTH).failure == "no_alignment"


def test_metres_taken_for_millimetres_are_pointed_out():
    score = FaceVerseChamfer().score(heads.changed(BASE, 0.001), TRUTH)
    assert "metres" in score.warnings[0] and "forgives" in score.warnings[0]


def test_description_and_differences():
    one, other = FaceVerseChamfer(), FaceVerseChamfer(name="faceverse_refined", refinement="surface")
    assert "NoW's seven landmarks" in one.describe() and "not KaoLRM's program" in one.describe()
    assert one.id != other.id and one.differences(other)
