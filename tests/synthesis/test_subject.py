"""Subjects: one seed, one person."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from harness.datasets import h3ds_mirror
from harness.errors import ContractError
from harness.heads.procedural import procedural_head
from harness.synthesis.hair import STYLES
from harness.synthesis.subject import MIRROR_SEEDS, random_subject


def test_a_seed_gives_the_same_person_and_another_seed_another():
    first, again, other = random_subject(7), random_subject(7), random_subject(8)
    assert np.array_equal(first.scene.vertices, again.scene.vertices)
    assert np.array_equal(first.look.skin, again.look.skin) and first.hair.style == again.hair.style
    assert np.abs(first.shape - other.shape).max() > 0.5


def test_expression_leaves_the_person_as_it_was():
    neutral, moved = random_subject(3, expression=False), random_subject(3)
    assert np.array_equal(neutral.shape, moved.shape) and np.array_equal(neutral.look.skin, moved.look.skin)
    assert not neutral.expression.any() and moved.expression.any()
    assert all(np.array_equal(a.vertices, b.vertices) for a, b in zip(neutral.surfaces, moved.surfaces, strict=True))


def test_vertices_and_landmarks_are_those_of_the_head_model():
    import torch

    subject, head = random_subject(11), procedural_head()
    tensors = [torch.tensor(v, dtype=torch.float32)[None] for v in (subject.shape, subject.expression, subject.pose)]
    expected = head.vertices(*tensors)
    assert np.allclose(subject.vertices, expected[0], atol=1e-3)
    assert np.allclose(subject.landmarks, head.landmarks(expected)[0], atol=1e-3)


def test_placing_is_rigid():
    subject = random_subject(5)
    turn, offset = Rotation.from_rotvec([0.1, -0.3, 0.2]).as_matrix(), np.array([10.0, -20.0, 5.0])
    moved = subject.placed(turn, offset)
    assert np.allclose(moved.scene.vertices, subject.scene.vertices @ turn.T + offset, atol=1e-2)
    assert np.allclose(moved.landmarks, subject.landmarks @ turn.T + offset, atol=1e-2)
    assert np.allclose(moved.scene.attributes[:, :3], subject.scene.attributes[:, :3] @ turn.T, atol=1e-2)


def test_mirrors_and_training_share_no_seed():
    assert h3ds_mirror.FIRST_SEED >= MIRROR_SEEDS == 1_000_000


@pytest.mark.parametrize("style", STYLES)
def test_hair_covers_the_crown_and_leaves_the_face_free(style):
    subject = random_subject(21, expression=False, hair=style)
    above = subject.middle + np.array([0, 400, -80])
    face = subject.scene.caster.cast(above, np.array([0.0, -1.0, 0.0])).face[0]
    assert (subject.scene.material[face] == 1) == (style != "bald")
    camera = subject.middle + np.array([0, 0, 700])
    hits = subject.scene.caster.cast(camera, subject.landmarks[27:68] - camera)
    assert (subject.scene.material[hits.face] == 0).all()


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 1, "hair": "mohican"}])
def test_unknown_requests_are_refused(arguments):
    with pytest.raises(ContractError, match="subject"):
        random_subject(**arguments)


def test_another_moment_is_the_same_person_with_another_expression_and_occluder():
    first, again, other = (random_subject(5, occluder="hand", moment=moment) for moment in (0, 0, 3))
    assert np.array_equal(first.vertices, again.vertices) and np.array_equal(first.shape, other.shape)
    assert np.array_equal(first.look.skin, other.look.skin)
    assert not np.array_equal(first.expression, other.expression)
    hands = [subject.surfaces[-1].vertices for subject in (first, again, other)]
    assert np.array_equal(hands[0], hands[1]) and not np.array_equal(hands[0], hands[2])
