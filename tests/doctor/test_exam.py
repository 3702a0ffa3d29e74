"""The doctor's questions: truth and pictures agree, and the two faces of a person are what they are said to be."""

import numpy as np
import pytest

from harness.doctor.exam import FIRST_SEED, Form, exam, form_of, place
from harness.heads.procedural import procedural_head
from harness.synthesis.subject import MIRROR_SEEDS, random_subject
from tests.doctor.wrong_adapters import Truthful


@pytest.fixture(scope="module")
def questions():
    return exam(people=2)


def test_landmarks_project_to_their_pixels(questions):
    for question in questions:
        camera = question.sample.views[0].camera
        seen = camera.intrinsics @ (camera.rotation @ question.truth.landmarks.T + camera.translation[:, None])
        assert np.allclose((seen[:2] / seen[2]).T, question.truth.pixels)
        assert np.array_equal(question.sample.views[0].landmarks, question.truth.pixels)


def test_neutral_faces_are_those_of_the_mirrors_people(questions):
    turn, shift = place()
    neutral = random_subject(FIRST_SEED, procedural_head(), expression=False)
    assert FIRST_SEED >= MIRROR_SEEDS
    assert np.allclose(questions[0].truth.vertices, neutral.vertices @ turn.T + shift, atol=1e-3)


def test_only_the_expression_changes_between_the_two_faces_of_a_person(questions):
    for plain, moved in zip(questions[:2], questions[2:], strict=True):
        assert (plain.truth.expressive, moved.truth.expressive) == (False, True)
        assert np.array_equal(plain.truth.camera.projection, moved.truth.camera.projection)
        apart = np.linalg.norm(plain.truth.landmarks - moved.truth.landmarks, axis=1)
        assert apart[[36, 39, 42, 45, 27, 30]].max() < 3.0  # eyes and nose stay
        assert apart[[57, 66, 8]].min() > 15.0  # the mouth opens


def test_views_have_what_the_form_says():
    (question, _) = exam(Form(views=3, camera=False, mask=True, scene=False, box=True, landmarks=False), people=1)
    assert len(question.sample.views) == 3
    assert form_of([question.sample]) == Form(3, False, True, False, True, False)
    left, top, right, bottom = question.sample.views[0].box
    assert (question.truth.pixels > [left - 1, top]).all() and (question.truth.pixels < [right + 1, bottom + 1]).all()


def test_scored_skin_is_seen_and_under_no_hair(questions):
    truth = questions[0].truth
    assert 1000 < truth.skin.sum() < len(truth.skin)
    top = truth.vertices[truth.vertices[:, 1].argmax()]
    assert not truth.skin[truth.vertices[:, 1].argmax()], top


def test_truthful_adapter_is_within_its_noise(questions):
    adapter = Truthful()
    adapter.load(None)
    for question, answer in zip(questions, adapter.predict([q.sample for q in questions]), strict=True):
        assert np.sqrt(np.square(answer.vertices - question.truth.vertices).mean()) == pytest.approx(0.3, rel=0.05)
        assert np.abs(answer.landmarks - question.truth.landmarks).max() < 0.01
