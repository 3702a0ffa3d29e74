"""What every head model owes, whoever builds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from harness.heads.build import build_head
from harness.heads.head import PARTS, Head
from tests.heads.flame_files import write_all
from tests.heads.test_head import twin
from tests.heads.test_procedural import MIRRORED_POINTS

ICT = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ict_facekit.npz"
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
REAL = ("procedural", "ict")
"""Heads that look like one; the made-up FLAME does not."""


@pytest.fixture(scope="module", params=["procedural", "flame", "ict"])
def head(request, tmp_path_factory) -> Head:
    if request.param == "flame":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
            return build_head("flame", write_all(tmp_path_factory.mktemp("flame")))
    if request.param == "ict" and not ICT.exists():
        pytest.skip(f"no ICT-FaceKit at {ICT}")
    return build_head(request.param, ICT if request.param == "ict" else None)


@pytest.fixture(scope="module")
def looks_real(head) -> bool:
    return head.name in REAL


def codes(head: Head, batch: int = 2, seed: int = 0) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    shape = torch.randn(batch, len(head.shape_names), generator=made)
    expression = 0.3 * torch.rand(batch, len(head.expression_names), generator=made)
    return [shape, expression, 0.2 * torch.randn(batch, len(head.parents), 3, generator=made)]


def test_five_joints_and_single_precision(head):
    assert head.joint_names == JOINTS and head.parents == (-1, 0, 1, 1, 1)
    for name in ("template", "shape_basis", "expression_basis", "joint_regressor", "skinning", "landmark_barycentric"):
        assert getattr(head, name).dtype == torch.float32 and getattr(head, name).is_contiguous(), name
    assert (head.skinning >= 0).all()
    assert len(set(head.shape_names)) == len(head.shape_names)
    assert len(set(head.expression_names)) == len(head.expression_names)


def test_neutral_is_the_template(head):
    zeros = [torch.zeros_like(code) for code in codes(head)]
    assert torch.equal(head.vertices(torch.zeros(2, 1))[0], head.template)
    torch.testing.assert_close(head.vertices(*zeros)[1], head.template, atol=2e-4, rtol=0)


def test_vertices_equal_the_twin(head):
    shape, expression, pose = codes(head, batch=1)
    got = head.vertices(shape, expression, pose)[0].numpy()
    want = twin(head, shape[0].numpy(), expression[0].numpy(), pose[0].numpy())
    np.testing.assert_allclose(got, want, atol=2e-3)


def test_fewer_coefficients_are_the_first_ones(head):
    shape, expression, pose = codes(head)
    shape[:, 20:], expression[:, 10:] = 0, 0
    short = head.vertices(shape[:, :20], expression[:, :10], pose)
    torch.testing.assert_close(short, head.vertices(shape, expression, pose), atol=1e-3, rtol=0)


def test_the_first_joint_turns_the_head_rigidly(head):
    shape, expression, pose = codes(head, batch=1)
    pose[:, 1:] = 0
    still = head.vertices(shape, expression)[0].double().numpy()
    root = head.joint_regressor[0].double().numpy() @ still
    want = (still - root) @ Rotation.from_rotvec(pose[0, 0].numpy()).as_matrix().T + root
    np.testing.assert_allclose(head.vertices(shape, expression, pose)[0].numpy(), want, atol=2e-3)


def test_gradients_reach_every_code(head):
    given = [code.requires_grad_() for code in codes(head)]
    head.landmarks(head.vertices(*given)).square().mean().backward()
    assert all(torch.isfinite(code.grad).all() and code.grad.abs().sum() > 0 for code in given)


def test_a_batch_is_its_rows(head):
    given = codes(head, batch=3)
    together = head.vertices(*given)
    alone = torch.cat([head.vertices(*(code[row : row + 1] for code in given)) for row in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)


def test_landmarks_lie_on_the_surface(head):
    weights = head.landmark_barycentric
    assert (weights >= -1e-6).all() and torch.allclose(weights.sum(1), torch.ones(68), atol=1e-5)
    vertices = head.vertices(*codes(head))
    corners = vertices[:, head.faces[head.landmark_faces]]
    found = head.landmarks(vertices)[:, :, None]
    assert ((found >= corners.amin(2, keepdim=True) - 1e-3) & (found <= corners.amax(2, keepdim=True) + 1e-3)).all()


def test_triangles_have_three_corners_and_every_vertex_belongs_to_one(head, looks_real):
    faces = head.faces
    assert not looks_real or len(torch.unique(faces)) == len(head.template)
    assert (faces[:, 0] != faces[:, 1]).all() and (faces[:, 1] != faces[:, 2]).all()


def test_size_and_axes_of_an_adult_head(head, looks_real):
    extent = (head.template.amax(0) - head.template.amin(0)).numpy()
    assert (extent > 100).all() and (extent < 400).all()
    if not looks_real:
        return
    points = head.landmarks(head.template[None])[0].numpy()
    assert 80 < np.linalg.norm(points[36] - points[45]) < 105  # outer corners of the eyes
    assert points[45, 0] > 0 > points[36, 0]  # x to the subject's left
    assert points[27, 1] > points[33, 1] > points[8, 1]  # y up
    assert points[30, 2] > points[[0, 16], 2].max()  # z out of the face
    a, b, c = head.template[head.faces].double().unbind(1)
    assert 2e6 < float((a * torch.linalg.cross(b, c)).sum()) / 6 < 7e6  # outward triangles: 2 to 7 litres


def test_left_mirrors_right(head, looks_real):
    if not looks_real:
        pytest.skip("the made-up FLAME is not symmetric")
    points = head.landmarks(head.template[None])[0].numpy()
    np.testing.assert_allclose(points[MIRRORED_POINTS] * [-1, 1, 1], points, atol=2.5)
    centres = head.template[head.faces].mean(1)[:, 0].numpy()
    for left, right in (("left_eye", "right_eye"), ("left_ear", "right_ear"), ("left_brow", "right_brow")):
        one, other = (centres[head.part_labels.numpy() == PARTS.index(part)] for part in (left, right))
        assert len(one) > 50 and abs(len(one) - len(other)) < 0.05 * len(one)
        assert (one < 0).all() and (other > 0).all()


def test_parts_are_where_the_landmarks_are(head, looks_real):
    if not looks_real:
        pytest.skip("the made-up FLAME has no face")
    points = head.landmarks(head.template[None])[0].numpy()
    centres, labels = head.template[head.faces].mean(1).numpy(), head.part_labels.numpy()
    for part, ids in (("left_eye", range(36, 42)), ("right_eye", range(42, 48)), ("nose", [30, 31, 35])):
        of_part = centres[labels == PARTS.index(part)]
        for point in points[list(ids)]:
            assert np.linalg.norm(of_part - point, axis=1).min() < 8, part
    upper, lower = (centres[labels == PARTS.index(part)] for part in ("upper_lip", "lower_lip"))
    assert upper[:, 1].mean() > lower[:, 1].mean()


def test_one_unit_of_a_component_is_a_plausible_move(head, looks_real):
    if not looks_real:
        pytest.skip("the made-up FLAME moves at random")
    for basis, limit in ((head.shape_basis, 25.0), (head.expression_basis, 50.0)):
        reach = basis.norm(dim=2).amax(1)
        assert (reach > 0.01).all() and (reach < limit).all()
