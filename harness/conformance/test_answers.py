"""What `predict` returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.adapter import MethodAdapter
from harness.conformance.asking import Asking
from harness.doctor.answers import difference
from harness.doctor.exam import Question
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.run_folder import RunFolder

ARRAYS = ("vertices", "faces", "landmarks", "landmarks_2d", "neutral_vertices", "neutral_landmarks", "projection")
SMALLEST_MM, LARGEST_MM = 80.0, 1500.0
EYES_MM = (60.0, 140.0)  # between the outer corners; 80 to 105 of adults


def test_answers_a_plain_portrait(asking: Asking, questions: list[Question]) -> None:
    """At least one of four pictures that show one large face each."""
    answers = [asking.one(question.sample) for question in questions]
    failures = [f"{a.failure}: {a.detail}" for a in answers if a.failure is not None]
    assert len(failures) < len(answers), f"none of {len(answers)} portraits is answered: {failures[0]}"


def test_one_prediction_per_sample_in_order(asking: Asking, questions: list[Question]) -> None:
    """Asked in another order, the answers come in that order."""
    samples = [questions[0].sample, questions[1].sample]
    there, back = asking(samples), asking(samples[::-1])[::-1]
    for sample, one, other in zip(samples, there, back, strict=True):
        assert difference(one, other).mm < 1.0, f"{sample.id} gets another answer when the samples change places"


def test_answers_are_finite_numbers(asking: Asking, questions: list[Question]) -> None:
    """Arrays of numbers, no objects; NaN only where a landmark is unknown."""
    answer = asking.mesh(questions[0].sample)
    for name in ARRAYS:
        value = getattr(answer, name)
        if value is not None:
            assert value.dtype.kind in "fi", f"{name} is of {value.dtype}, expected numbers"
            assert "landmarks" in name or np.isfinite(value).all(), f"{name} holds NaN or infinite values"
    if answer.landmarks is not None:
        count = int(np.isfinite(answer.landmarks).all(1).sum())
        assert count, "all 68 landmarks are NaN: leave landmarks out"


def test_topology_is_constant(asking: Asking, questions: list[Question]) -> None:
    """Vertex i is the same place of every head, unless each answer has a number of vertices of its own."""
    first, second = asking.mesh(questions[0].sample), asking.mesh(questions[1].sample)
    assert first.vertices is not None and second.vertices is not None
    assert first.faces is not None and second.faces is not None
    if first.vertices.shape == second.vertices.shape:
        assert np.array_equal(first.faces, second.faces), "the vertex order changes: two answers have other faces"


def test_declared_unit_is_plausible(asking: Asking, questions: list[Question], adapter: MethodAdapter) -> None:
    """A head in the declared unit is as large as a head."""
    answer = asking.mesh(questions[0].sample)
    assert answer.vertices is not None
    extent = float(np.ptp(answer.vertices, axis=0).max())
    said = f"with unit = {adapter.unit!r}"
    assert SMALLEST_MM < extent < LARGEST_MM, f"{said} the mesh is {extent:.3g} mm large: wrong unit"
    if answer.landmarks is not None:
        eyes = float(np.linalg.norm(answer.landmarks[36] - answer.landmarks[45]))
        low, high = EYES_MM
        assert np.isnan(eyes) or low < eyes < high, f"{said} the outer eye corners are {eyes:.3g} mm apart: wrong unit"


def test_landmarks_lie_on_the_mesh(asking: Asking, questions: list[Question]) -> None:
    """Landmarks are in the frame and unit of the vertices."""
    answer = asking.mesh(questions[0].sample)
    if answer.landmarks is None:
        return
    assert answer.vertices is not None and answer.faces is not None
    points = answer.landmarks[np.isfinite(answer.landmarks).all(1)]
    off = float(np.median(ClosestPoints(Mesh(answer.vertices, answer.faces)).query(points).distances))
    assert off < 30.0, f"the landmarks are {off:.3g} mm off the mesh: another frame or unit than the vertices"


def test_answers_can_be_stored(asking: Asking, questions: list[Question], tmp_path: Path) -> None:
    """Numbers and text survive a file that holds no pickles."""
    answer, folder = asking.one(questions[0].sample), RunFolder(tmp_path)
    (tmp_path / "predictions").mkdir()
    folder.keep_prediction("one", answer)
    assert difference(answer, folder.prediction("one")).mm == 0, "the answer changes when it is stored"
