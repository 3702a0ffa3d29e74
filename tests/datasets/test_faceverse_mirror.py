"""The expressions of FaceVerse's mirror."""

from __future__ import annotations

import numpy as np
import pytest

from harness.datasets import faceverse_mirror as mirror
from harness.heads.procedural import procedural_head


def test_expressions_change_the_mouth_and_not_the_skull():
    neutral, smiling, gaping = (mirror.placed_subject(mirror.FIRST_SEED, i) for i in range(3))
    flat = mirror.random_subject(mirror.FIRST_SEED, expression=False)
    same = mirror.with_expression(flat, {})
    assert np.allclose(same.vertices, flat.vertices, atol=1e-4) and np.allclose(
        same.landmarks, flat.landmarks, atol=1e-4
    )
    assert np.array_equal(neutral.shape, gaping.shape) and neutral.seed >= mirror.MIRROR_SEEDS

    def gap(subject, a, b):
        return np.linalg.norm(subject.landmarks[a] - subject.landmarks[b])

    assert gap(gaping, 62, 66) > gap(neutral, 62, 66) + 10  # lips apart
    assert gap(smiling, 48, 54) > gap(neutral, 48, 54) + 1  # corners of the mouth
    for one in (smiling, gaping):
        assert gap(one, 39, 42) == pytest.approx(gap(neutral, 39, 42), abs=1.5)  # inner corners of the eyes
    assert len(neutral.vertices) == len(procedural_head().template)
