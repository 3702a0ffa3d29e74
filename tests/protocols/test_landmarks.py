"""Landmark errors against plain re-computations; the official grid and where it overshoots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ContractError
from harness.protocols.landmarks import (
    LandmarkError,
    LandmarkTruth,
    exact_curve,
    grid_curve,
    points_of,
)
from harness.protocols.scores import SampleScore
from harness.protocols.subsets import joined
from harness.samples import Prediction

EXACT = LandmarkError(name="nme_exact", official=False, curve="exact")


def face(seed: int = 0, count: int = 68) -> np.ndarray:
    return np.random.default_rng(seed).uniform(20, 300, (count, 2))


def row(name, error, condition=None, fallback=None) -> SampleScore:
    return SampleScore(
        name,
        name,
        condition or {},
        None if error is None else {"nme": error},
        None if fallback is None else {"nme": fallback},
        "no_face" if error is None else None,
    )


def table(protocol, rows):
    lines = protocol.summarise(rows)
    return {(*(str(v) for k, v in line.items() if k == "subset"), line["column"]): line for line in lines}


def plain_curve(errors, threshold):
    """The readable twin in float64: the recipe of the specification, Simpson's rule written out."""
    places = np.arange(0, threshold + 1e-4, 1e-4)
    rounded = [float(np.float32(error)) for error in errors]
    share = np.array([sum(error <= place for error in rounded) / len(rounded) for place in places])
    pairs, odd = divmod(len(places) - 1, 2)
    width = places[1] - places[0]
    area = sum(width / 3 * (share[2 * i] + 4 * share[2 * i + 1] + share[2 * i + 2]) for i in range(pairs))
    if odd:  # Cartwright's parabola through the last three places
        area += width * (5 / 12 * share[-1] + 2 / 3 * share[-2] - 1 / 12 * share[-3])
    return area / threshold, 1 - share[-1]


@pytest.mark.parametrize("threshold", [0.07, 0.08, 0.10])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_the_official_curve_equals_its_recipe(threshold, count):
    errors = np.random.default_rng(count).gamma(3, 0.015, count)
    assert grid_curve(errors, threshold) == pytest.approx(plain_curve(errors, threshold), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=30), st.sampled_from([0.07, 0.08, 0.10]))
def test_the_exact_area_is_that_of_the_curve(errors, threshold):
    """The integral of a step function, added up step by step, against the closed form."""
    ordered = sorted(error for error in errors if error < threshold)
    ends = [*ordered, threshold]
    area = sum((ends[i + 1] - ends[i]) * (i + 1) / len(errors) for i in range(len(ordered)))
    found, rate = exact_curve(np.array(errors), threshold)
    assert found == pytest.approx(area / threshold, abs=1e-9)
    assert rate == sum(error > threshold for error in errors) / len(errors)


@pytest.mark.parametrize(("threshold", "places"), [(0.07, 702), (0.08, 801), (0.10, 1001)])
def test_the_grid_overshoots_at_seven_percent(threshold, places):
    assert len(np.arange(0, threshold + 1e-4, 1e-4)) == places
    errors = np.random.default_rng(0).gamma(3, 0.012, 4000)
    excess = grid_curve(errors, threshold)[0] - exact_curve(errors, threshold)[0]
    within = (errors <= threshold).mean()
    if threshold == 0.07:
        assert excess == pytest.approx(within * 1e-4 / threshold, abs=1e-4)
        assert (
            grid_curve(np.array([0.07005]), threshold)[1] == 0 and exact_curve(np.array([0.07005]), threshold)[1] == 1
        )
    else:
        assert abs(excess) < 1e-4
        assert grid_curve(np.array([threshold + 5e-5]), threshold)[1] == 1


def test_errors_by_hand():
    truth = LandmarkTruth(face())
    answer = truth.points + np.array([3.0, 4.0])
    expected = {
        "inter_ocular": np.linalg.norm(truth.points[36] - truth.points[45]),
        "inter_pupil": np.linalg.norm(truth.points[36:42].mean(0) - truth.points[42:48].mean(0)),
        "diagonal": np.hypot(*np.ptp(truth.points, axis=0)),
        "box": np.sqrt(np.prod(np.ptp(truth.points, axis=0))),
    }
    for normaliser, length in expected.items():
        score = LandmarkError(normaliser=normaliser).score(Prediction(landmarks_2d=answer), truth)
        assert score.values["nme"] == pytest.approx(100 * 5 / length, abs=1e-9)
    boxed = LandmarkTruth(face(), box=np.array([0.0, 0, 30, 40]))
    score = LandmarkError(normaliser="diagonal").score(Prediction(landmarks_2d=answer), boxed)
    assert score.values["nme"] == pytest.approx(10)


@pytest.mark.parametrize(("layout", "count", "ends"), [("wflw98", 98, (60, 72)), ("aflw19", 19, None)])
def test_other_layouts(layout, count, ends):
    truth = LandmarkTruth(face(1, count), layout, box=np.array([10.0, 20, 110, 120]))
    protocol = LandmarkError(layout=layout, fallback="middle", normaliser="box")
    score = protocol.score(Prediction(landmarks_2d=truth.points + np.array([0, 2.0])), truth)
    assert score.values["nme"] == pytest.approx(2)
    square = replace(protocol, normaliser="diagonal").score(
        Prediction(landmarks_2d=truth.points + np.array([0, 2.0])), truth
    )
    assert score.values["nme"] == pytest.approx(np.sqrt(2) * square.values["nme"])
    stand_in = protocol.stand_in(truth).landmarks_2d
    assert stand_in is not None and (stand_in == [60, 70]).all() and stand_in.shape == (count, 2)
    if ends:
        assert truth.normaliser("inter_ocular") == np.linalg.norm(truth.points[ends[0]] - truth.points[ends[1]])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50), st.floats(-180, 180))
def test_size_and_place_of_the_picture_do_not_matter(seed, scale, angle):
    rng = np.random.default_rng(seed)
    truth, answer = face(seed), face(seed) + rng.normal(0, 3, (68, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = rng.uniform(-500, 500, 2)
    moved = [scale * points @ turn.T + shift for points in (truth, answer)]
    before, after = (EXACT.score(Prediction(landmarks_2d=b), LandmarkTruth(a)) for a, b in ((truth, answer), moved))
    assert before.values["nme"] == pytest.approx(after.values["nme"], rel=1e-9)


def test_full_is_the_weighted_mean_of_common_and_challenge():
    rng = np.random.default_rng(0)
    rows = [row(f"c{i}", v, {"subset": "common"}) for i, v in enumerate(rng.gamma(3, 1, 554))]
    rows += [row(f"i{i}", v, {"subset": "challenge"}) for i, v in enumerate(rng.gamma(3, 2, 135))]
    for protocol in (LandmarkError(), EXACT):
        found = table(protocol, rows)
        assert {key[0] for key in found} == {"all", "common", "challenge"}
        common, challenge = (found[name, "nme"]["value"] for name in ("common", "challenge"))
        assert found["all", "nme"]["value"] == pytest.approx((554 * common + 135 * challenge) / 689, abs=1e-9)
        assert found["all", "nme"]["expected"] == 689


def test_subsets_may_overlap():
    rows = [
        row("a", 1.0, {"subset": joined(["blur", "pose"])}),
        row("b", 3.0, {"subset": joined(["pose"])}),
        row("c", 8.0, {"subset": joined([])}),
    ]
    found = table(LandmarkError(), rows)
    assert [found[name, "nme"]["value"] for name in ("all", "blur", "pose")] == pytest.approx([4.0, 1.0, 2.0])
    assert not any(key[0] == "rest" for key in found)


def test_failures_count_with_the_stand_in():
    rows = [row("a", 4.0), row("b", None, fallback=20.0)]
    found = table(EXACT, rows)
    assert found["nme",]["value"] == 12 and found["nme",]["value_dropping_failures"] == 4
    assert found["fr",]["value"] == 50 and found["fr",]["value_dropping_failures"] == 0
    assert found["auc",]["value"] == pytest.approx(25) and found["auc",]["value_dropping_failures"] == pytest.approx(50)
    assert (found["nme",]["evaluated"], found["nme",]["expected"]) == (1, 2)
    assert table(EXACT, [row("a", 4.0), row("b", None)])["nme",]["value"] is None
    assert table(EXACT, [row("b", None)])["auc",]["value_dropping_failures"] is None


def test_the_stand_in_is_a_face_in_the_right_place():
    truth = LandmarkTruth(face())
    found = LandmarkError().stand_in(truth).landmarks_2d
    middle = (truth.points.min(0) + truth.points.max(0)) / 2
    assert np.allclose((found.min(0) + found.max(0)) / 2, middle)
    assert np.ptp(found, axis=0).mean() == pytest.approx(np.ptp(truth.points, axis=0).mean())
    assert found[36, 0] < found[45, 0] and found[8, 1] > found[27, 1]  # upright, not mirrored


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (Prediction.failed("timeout", "slow"), "timeout", "slow"),
        (Prediction(label_map=np.zeros((2, 2), int)), "no_landmarks", "no points in the picture"),
        (Prediction(landmarks=np.zeros((68, 3))), "no_landmarks", "nor says where it lies"),
        (Prediction(landmarks_2d=face(0, 98)), "no_landmarks", "98 points, the annotation those of ibug68"),
        (Prediction(landmarks_2d=np.vstack([face()[:67], [[np.nan, 1]]])), "non_finite", "1 of the 68 points"),
        (Prediction(landmarks_2d=np.vstack([face()[:66], np.full((2, 2), np.inf)])), "non_finite", "2 of the 68"),
        (Prediction(landmarks_2d=np.full((68, 2), 1e308)), "non_finite", "pixels off"),
    ],
)
def test_failures_are_reasons_not_numbers(answer, reason, words):
    score = LandmarkError().score(answer, LandmarkTruth(face()))
    assert score.failure == reason and words in score.detail and not score.values


def test_eyes_in_one_place_are_a_failure_and_not_infinity():
    points = face()
    points[45] = points[36]
    score = LandmarkError().score(Prediction(landmarks_2d=face()), LandmarkTruth(points))
    assert score.failure == "bad_input" and "outer eye corners is 0 in the annotation" in score.detail
    flat = LandmarkTruth(face(), box=np.array([3.0, 9, 1, 20]))
    assert LandmarkError(normaliser="box").score(Prediction(landmarks_2d=face()), flat).failure == "bad_input"


def test_points_outside_the_picture_count_like_any_others():
    truth = LandmarkTruth(face())
    score = LandmarkError(normaliser="box").score(Prediction(landmarks_2d=truth.points - 1e4), truth)
    assert score.failure is None and score.values["nme"] > 1000


def test_a_mesh_with_a_projection_has_points():
    solid = np.random.default_rng(0).normal(0, 50, (68, 3))
    projection = np.array([[2.0, 0, 0, 100], [0, -2, 0, 120], [0, 0, 0.001, 1]])
    points = points_of(Prediction(landmarks=solid, projection=projection))
    depth = 1 + 0.001 * solid[:, 2]
    assert np.allclose(points, np.stack([2 * solid[:, 0] + 100, 120 - 2 * solid[:, 1]], -1) / depth[:, None])
    score = LandmarkError().score(Prediction(landmarks=solid, projection=projection), LandmarkTruth(points))
    assert score.values["nme"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "dlib5"}, "layout"),
        ({"normaliser": "nose"}, "normaliser"),
        ({"curve": "fine"}, "curve"),
        ({"curve": "exact"}, "set official=False"),
        ({"threshold": 0}, "threshold"),
        ({"layout": "wflw98"}, "fallback: 'mean_face', expected one of middle, none"),
    ],
)
def test_protocols_that_cannot_be(options, words):
    with pytest.raises(ContractError, match=words):
        LandmarkError(**options)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"points": face(0, 67)}, "truth.points"),
        ({"points": np.full((68, 2), np.nan)}, "truth.points"),
        ({"points": face(), "layout": "x"}, "truth.layout"),
        ({"points": face(), "box": [1, 2, 3]}, "truth.box"),
    ],
)
def test_truth_is_validated(values, words):
    with pytest.raises(ContractError, match=words):
        LandmarkTruth(**values)


def test_says_what_it_is():
    assert "distance of the outer eye corners" in LandmarkError().describe() and "grid" in LandmarkError().describe()
    assert any("normaliser" in words for words in LandmarkError().differences(LandmarkError(normaliser="box")))
    assert len({LandmarkError().id, EXACT.id, LandmarkError(threshold=10.0).id}) == 3
