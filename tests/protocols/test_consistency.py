"""Cross-view consistency: constructed answers with known variances, and what the measure must not see."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from harness.errors import ContractError
from harness.geometry.mesh import Mesh
from harness.protocols.agreement import Running
from harness.protocols.consistency import Consistency
from harness.protocols.faceverse import FaceVerseTruth
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.protocols.scores import SampleScore, Score
from harness.samples import Prediction
from tests.geometry_shapes import bumpy
from tests.protocols import heads

IDS = list(NOW_LANDMARKS.values())
SCAN = bumpy(4)
TRUTH = FaceVerseTruth(SCAN, heads.landmarks68(SCAN)[IDS], 90.0)
BASE = heads.prediction(noise=2.0, subdivisions=4)
SCORE = Consistency().score(BASE, TRUTH)


def line(score: Score, group: str, view: int = 0, subject: str = "", fallback: Score | None = None) -> SampleScore:
    """A score in the form in which a run hands it to `summarise`."""

    def stored(name: str) -> np.ndarray | None:
        source, _, rest = (
            (fallback, "", name.removeprefix("fallback/")) if name.startswith("fallback/") else (score, "", name)
        )
        return None if source is None else source.vectors.get(rest.removeprefix("vectors/"))

    values = dict(score.values) if score.failure is None else None
    stands_in = None if fallback is None else dict(fallback.values)
    return SampleScore(f"{group}_{view}", subject or group[:3], {}, values, stands_in, score.failure, stored, group)


def made(points: np.ndarray, distance: float = 1.0, **coefficients: np.ndarray) -> Score:
    return Score({"distance": distance}, vectors={"points": points, **coefficients})


def table(rows: list[SampleScore], **fields: object) -> dict[str, dict]:
    return {row["column"]: row for row in Consistency(**fields).summarise(rows)}


# -- the summary -------------------------------------------------------------------------------------------------


def test_variances_of_constructed_answers():
    rng = np.random.default_rng(1)
    shapes, expressions = rng.normal(size=(2, 4, 12)), rng.normal(size=(2, 4, 5))
    points = rng.normal(size=(2, 4, 30, 3)).astype(np.float32)
    rows = [
        line(made(points[s, v], float(v), shape=shapes[s, v], expression=expressions[s, v]), f"11{s}_01", v)
        for v in range(4)
        for s in range(2)  # views of a scan need not follow each other
    ]
    result = table(rows)
    spread = np.sqrt(points.astype(float).var(axis=1).sum(axis=-1).mean(axis=-1))
    assert result["spread"]["value"] == pytest.approx(spread.mean())
    assert result["spread"]["std_subjects"] == pytest.approx(spread.std(ddof=1))
    assert result["distance"]["value"] == pytest.approx(1.5)
    full = shapes.var(axis=1).sum(axis=-1)
    assert result["shape var"]["value"] == pytest.approx(full.mean())
    assert result["shape var 10"]["value"] == pytest.approx(shapes[..., :10].var(axis=1).sum(axis=-1).mean())
    assert result["expression var"]["value"] == pytest.approx(expressions.var(axis=1).sum(axis=-1).mean())
    assert result["expression var 10"]["value"] == result["expression var"]["value"]
    between = shapes.mean(axis=1).var(axis=0).sum()
    assert result["shape within/between"]["value"] == pytest.approx(full.mean() / between)
    assert "shape var 100" not in result
    assert all(r["evaluated"] == r["expected"] == 8 for r in result.values())


def test_between_people_takes_each_person_once():
    rng = np.random.default_rng(2)
    shapes = rng.normal(size=(3, 2, 4))  # scans 0 and 1 are of one person
    scans = ("111_01", "111_02", "112_01")
    points = np.zeros((5, 3), np.float32)
    rows = [line(made(points, shape=shapes[s, v]), scan, v) for s, scan in enumerate(scans) for v in range(2)]
    people = np.stack([shapes[:2].mean(axis=(0, 1)), shapes[2].mean(axis=0)])
    within = shapes.var(axis=1).sum(axis=-1).mean()
    result = table(rows)
    assert result["shape within/between"]["value"] == pytest.approx(within / people.var(axis=0).sum())
    assert result["spread"]["value"] == 0.0
    assert result["expression var"]["value"] is None


def test_first_hundred_of_three_hundred():
    rng = np.random.default_rng(3)
    shapes = rng.normal(size=(2, 300))
    points = np.zeros((5, 3), np.float32)
    result = table([line(made(points, shape=shape), "111_01", v) for v, shape in enumerate(shapes)])
    for column, count in (("shape var 10", 10), ("shape var 100", 100), ("shape var", 300)):
        assert result[column]["value"] == pytest.approx(shapes[:, :count].var(axis=0).sum())
    assert result["shape within/between"]["value"] is None  # one person has no variance between people


def test_a_constant_answer_has_no_variance_and_no_ratio():
    parameters = {"shape": np.arange(20.0), "expression": np.ones(7)}
    same = Prediction(BASE.vertices, BASE.faces, BASE.landmarks, parameters=parameters)
    score = Consistency().score(same, TRUTH)
    result = table([line(score, scan, view) for scan in ("111_01", "112_01") for view in range(3)])
    for column in ("spread", "shape var 10", "shape var", "expression var 10", "expression var"):
        assert result[column]["value"] == 0.0
    assert result["shape within/between"]["value"] is None
    assert result["distance"]["value"] == pytest.approx(score.values["distance"])
    assert result["distance"]["value"] > 0.1


def test_coefficients_that_some_answers_lack_have_no_value():
    points = np.zeros((5, 3), np.float32)
    mixed = [made(points, shape=np.ones(4)), made(points)]
    sizes = [made(points, shape=np.ones(4)), made(points, shape=np.ones(5))]
    for scores in (mixed, sizes, [made(points), made(points)]):
        result = table([line(score, "111_01", view) for view, score in enumerate(scores)])
        assert result["shape var"]["value"] is None and result["shape var"]["value_dropping_failures"] is None
        assert result["spread"]["value"] == 0.0


def test_a_single_view_says_nothing():
    points = np.zeros((5, 3), np.float32)
    result = table([line(made(points, shape=np.ones(4)), "111_01")])
    assert result["spread"]["value"] is None and result["shape var"]["value"] is None
    assert result["distance"]["value"] == 1.0


def test_a_failed_view_counts_as_the_mean_face_with_coefficients_of_zero():
    rng = np.random.default_rng(4)
    points, shapes = rng.normal(size=(3, 9, 3)).astype(np.float32), rng.normal(size=(3, 6))
    mean_points = rng.normal(size=(9, 3)).astype(np.float32)
    mean_face = made(mean_points, 7.0)
    rows = [line(made(points[v], 1.0, shape=shapes[v]), "111_01", v) for v in range(3)]
    rows.insert(1, line(Score.failed("no_face"), "111_01", 3, fallback=mean_face))
    result = table(rows)
    answered = [
        line(made(p, d, shape=s), "111_01", v)
        for v, (p, d, s) in enumerate(
            [*zip(points, (1.0, 1.0, 1.0), shapes, strict=True), (mean_points, 7.0, np.zeros(6))]
        )
    ]
    for column, expected in table(answered).items():
        assert result[column]["value"] == (expected["value"] and pytest.approx(expected["value"])), column
        assert result[column]["evaluated"] in (0, 3) and result[column]["expected"] == 4
    assert result["spread"]["value_dropping_failures"] == pytest.approx(
        np.sqrt(points.astype(float).var(axis=0).sum(axis=-1).mean())
    )
    strict = table(rows, fallback="none")
    assert strict["spread"]["value"] is None and strict["shape var"]["value"] is None
    assert strict["spread"]["value_dropping_failures"] == result["spread"]["value_dropping_failures"]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1e6))
def test_running_variance_is_numpys(count, seed, offset):
    values = np.random.default_rng(seed).normal(offset, 3, (count, 5))
    running = Running()
    for value in values:
        running.add(value)
    assert np.allclose(running.mean, values.mean(axis=0))
    assert np.allclose(running.variance, values.var(axis=0), rtol=1e-6, atol=1e-6)


# -- one answer --------------------------------------------------------------------------------------------------


def points_of(prediction: Prediction, **fields: object) -> np.ndarray:
    score = Consistency(**fields).score(prediction, TRUTH)
    assert score.failure is None, score.detail
    return score.vectors["points"]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_frame_of_an_answer_is_no_inconsistency(seed):
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=rng.integers(2**31)).as_matrix()
    moved = points_of(heads.changed(BASE, 1.0, rotation, rng.normal() * 500))
    rms = np.sqrt(((moved - SCORE.vectors["points"]) ** 2).sum(axis=1).mean())
    assert rms < 0.01  # where the fit stops


def test_the_topology_of_an_answer_is_no_inconsistency():
    dense = Prediction(*trimesh.remesh.subdivide(BASE.vertices, BASE.faces), BASE.landmarks)
    assert np.abs(points_of(dense) - SCORE.vectors["points"]).max() < 0.01


def test_size_counts_unless_the_scale_is_free():
    larger = heads.changed(BASE, 1.05)
    fixed = np.linalg.norm(points_of(larger) - SCORE.vectors["points"], axis=1).mean()
    free = np.linalg.norm(points_of(larger, scale="least_squares") - points_of(BASE, scale="least_squares"), axis=1)
    assert fixed > 0.5 and free.max() < 0.01


def test_spread_of_two_spheres_is_half_their_distance():
    """Answers are concentric spheres of 82 and 78 mm: every point is 2 mm off its mean over the views."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    # So far apart that the ball which cuts the face holds the whole sphere, and nothing can shift.
    directions = [[-9, 0, 0], [-1, 4, 7], [1, 4, 7], [9, 0, 0], [0, -6, 5], [-3, -7, 2], [3, -7, 2]]
    landmarks = np.full((68, 3), np.nan)
    landmarks[IDS] = 80.0 * np.array(directions) / np.linalg.norm(directions, axis=1, keepdims=True)
    truth = FaceVerseTruth(Mesh(80.0 * ball.vertices, ball.faces), landmarks[IDS], 80.0)
    scores = [Consistency().score(Prediction(r * ball.vertices, ball.faces, landmarks), truth) for r in (82.0, 78.0)]
    spread = table([line(score, "111_01", view) for view, score in enumerate(scores)])["spread"]["value"]
    assert len(truth.crop()) == len(ball.vertices)
    assert spread == pytest.approx(2.0, abs=0.05)


def test_a_mirrored_answer_is_seen():
    skew = np.array([[1, 0, 0], [0, 1, 0], [0.35, 0, 1]])
    mirror = np.array([-1.0, 1, 1])
    truth = FaceVerseTruth(Mesh(SCAN.vertices @ skew, SCAN.faces), TRUTH.landmarks @ skew, 90.0)
    one = Prediction(truth.scan.vertices, SCAN.faces, heads.landmarks68(SCAN) @ skew)
    other = Prediction(one.vertices * mirror, SCAN.faces[:, ::-1], one.landmarks * mirror)
    scores = [Consistency().score(answer, truth) for answer in (one, other)]
    assert scores[0].values["distance"] < 1e-3 < 0.5 < scores[1].values["distance"]
    assert table([line(s, "111_01", v) for v, s in enumerate(scores)])["spread"]["value"] > 0.5


def test_points_are_the_closest_of_the_aligned_surface():
    ids, distances = SCORE.per_point["face"]
    aligned = trimesh.Trimesh(SCORE.aligned_vertices, BASE.faces, process=False)
    slow, far, _ = trimesh.proximity.closest_point(aligned, SCAN.vertices[ids[:100]])
    assert np.abs(slow - SCORE.vectors["points"][:100]).max() < 1e-3 and np.allclose(far, distances[:100], atol=1e-3)
    assert SCORE.values["distance"] == pytest.approx(distances.mean(), rel=1e-6)
    assert SCORE.vectors["points"].dtype == np.float32
    few = Consistency(points=50).score(BASE, TRUTH)
    assert len(few.vectors["points"]) == 50 == len(np.unique(few.per_point["face"][0]))
    assert not np.array_equal(
        few.per_point["face"][0], Consistency(points=50, seed=1).score(BASE, TRUTH).per_point["face"][0]
    )


def test_coefficients_are_kept_and_missed_ones_said():
    with_shape = Prediction(BASE.vertices, BASE.faces, BASE.landmarks, parameters={"shape": np.arange(3.0)})
    score = Consistency().score(with_shape, TRUTH)
    assert np.array_equal(score.vectors["shape"], [0, 1, 2]) and "expression" not in score.vectors
    assert len(score.warnings) == 1 and "'expression'" in score.warnings[0]


def test_failures_are_reasons_not_numbers():
    flat = np.repeat(BASE.faces[:, :1], 3, axis=1)
    cases = {
        "timeout": Prediction.failed("timeout"),
        "bad_mesh": Prediction(BASE.vertices, flat, BASE.landmarks),
        "no_landmarks": Prediction(BASE.vertices, BASE.faces),
        "no_alignment": Prediction(BASE.vertices, BASE.faces, np.outer(np.arange(68.0) * 5, [1, 1, 1])),
    }
    for reason, prediction in cases.items():
        score = Consistency().score(prediction, TRUTH)
        assert score.failure == reason and not score.values and not score.vectors, score.detail
    assert "metres" in Consistency().score(heads.changed(BASE, 0.001), TRUTH).detail
    assert Consistency(scale="least_squares").score(heads.changed(BASE, 0.001), TRUTH).failure is None
    assert Consistency(max_iterations=1).score(BASE, TRUTH).failure == "no_alignment"


def test_what_is_not_implemented_is_refused():
    for wrong in ({"scale": "rms"}, {"points": 0}, {"reflection": True}, {"regions": ("head",)}):
        with pytest.raises(ContractError, match="consistency"):
            Consistency(**wrong)


def test_description_warns_of_shrinkage():
    text = Consistency().describe()
    assert "rewards shrinkage" in text and "always the same scores 0" in text
    units = {column: Consistency().unit_of(column) for column in ("spread", "shape var 10", "shape within/between")}
    assert units == {"spread": "mm", "shape var 10": "squared coefficients", "shape within/between": "1"}
