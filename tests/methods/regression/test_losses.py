"""Losses in closed form, and what they must not see."""

import torch

from harness.heads.procedural import procedural_head
from harness.methods.regression.identity import IdentityTeacher, vertex_weights
from harness.methods.regression.losses import (
    DECA_WEIGHTS,
    eye_closure,
    light_variance,
    lip_closure,
    mouth_corners,
    squared_landmarks,
    weighted_landmarks,
)


def points(seed: int) -> torch.Tensor:
    return torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(seed))


def test_weighted_landmarks_are_decas_mean_over_both_coordinates() -> None:
    found, seen = points(0), points(1)
    total = sum(float(DECA_WEIGHTS[i] * (found[b, i] - seen[b, i]).abs().sum()) for b in range(2) for i in range(68))
    expected = total / (2 * 2 * float(DECA_WEIGHTS.sum()))
    assert abs(float(weighted_landmarks(found, seen)) - expected) < 1e-6
    assert [float(DECA_WEIGHTS[i]) for i in (0, 5, 28, 30, 48, 52)] == [1.0, 2.0, 1.5, 3.0, 3.0, 1.5]


def test_contour_and_inner_points_have_means_of_their_own() -> None:
    found = torch.zeros(1, 68, 2)
    seen = found.clone()
    seen[:, :17] = 0.5
    assert float(squared_landmarks(found, seen)) == 0.25
    seen[:, 17:] = 1.0
    assert float(squared_landmarks(found, seen)) == 1.25


def test_openings_do_not_see_where_the_face_is() -> None:
    found, shift = points(2), torch.tensor([0.3, -0.2])
    for loss in (eye_closure, lip_closure, mouth_corners):
        assert float(loss(found + shift, found)) < 1e-6
        assert float(loss(1.5 * found, found)) > 1e-3
    closed = found.clone()
    closed[:, 41] = closed[:, 37]
    assert float(eye_closure(closed, found)) > 0 == float(lip_closure(closed, found))


def test_grey_light_costs_nothing() -> None:
    light = torch.rand(2, 9, 1).expand(-1, -1, 3)
    assert float(light_variance(light)) < 1e-12
    assert float(light_variance(light * torch.tensor([1.0, 2.0, 0.5]))) > 0


def test_the_identity_teacher_measures_vertices_and_the_face_most() -> None:
    head = procedural_head()
    teacher, weights = IdentityTeacher(head), vertex_weights(head)
    generator = torch.Generator().manual_seed(0)
    one, two = torch.randn(2, 3, 82, generator=generator)
    distance = (head.vertices(one) - head.vertices(two)).abs().mean(dim=2)
    expected = (distance * weights / weights.mean()).mean()
    assert torch.allclose(teacher(one, two), expected, rtol=1e-4)
    nearest = torch.cdist(head.template, head.landmarks(head.template[None])[0]).amin(dim=1)
    assert set(weights[(nearest > 60)].tolist()) <= {1.0, torch.tensor(0.01).item()}
    assert float(weights.max()) == 150.0
