"""The head model against a slow float64 twin, and its checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from harness.errors import ContractError
from harness.heads.head import PARTS, Head, rotation_matrices


def toy_head(seed: int = 0, pose_correctives: bool = True) -> Head:
    rng = np.random.default_rng(seed)
    vertices, joints = 23, 4

    def rows(shape: tuple[int, int]) -> torch.Tensor:
        values = rng.random(shape)
        return torch.from_numpy(values / values.sum(1, keepdims=True))

    return Head(
        name="toy",
        template=torch.from_numpy(rng.normal(0, 80, (vertices, 3))),
        faces=torch.from_numpy(rng.integers(0, vertices, (40, 3))),
        shape_basis=torch.from_numpy(rng.normal(0, 2, (5, vertices, 3))),
        shape_names=tuple("abcde"),
        expression_basis=torch.from_numpy(rng.normal(0, 2, (3, vertices, 3))),
        expression_names=tuple("xyz"),
        joint_regressor=rows((joints, vertices)),
        parents=(-1, 0, 1, 1),
        joint_names=("root", "neck", "jaw", "eye"),
        skinning=rows((vertices, joints)),
        pose_basis=torch.from_numpy(rng.normal(0, 1, (9 * (joints - 1), vertices, 3))) if pose_correctives else None,
        landmark_faces=torch.from_numpy(rng.integers(0, 40, 68)),
        landmark_barycentric=rows((68, 3)),
        part_labels=torch.from_numpy(rng.integers(0, len(PARTS), 40)),
    )


def twin(head: Head, shape: np.ndarray, expression: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Linear blend skinning for one head with homogeneous matrices, written from the equations of FLAME."""
    shaped = head.template.numpy().astype(np.float64).copy()
    for value, direction in zip(shape, head.shape_basis.numpy(), strict=False):
        shaped += value * direction
    for value, direction in zip(expression, head.expression_basis.numpy(), strict=False):
        shaped += value * direction
    joints = head.joint_regressor.numpy() @ shaped
    rotations = [Rotation.from_rotvec(vector).as_matrix() for vector in pose]
    posed = shaped.copy()
    if head.pose_basis is not None:
        feature = np.concatenate([(rotation - np.eye(3)).ravel() for rotation in rotations[1:]])
        posed += np.tensordot(feature, head.pose_basis.numpy(), axes=1)
    worlds: list[np.ndarray] = []
    for number, parent in enumerate(head.parents):
        local = np.eye(4)
        local[:3, :3] = rotations[number]
        local[:3, 3] = joints[number] - (joints[parent] if parent >= 0 else 0)
        worlds.append(local if parent < 0 else worlds[parent] @ local)
    result = np.zeros_like(posed)
    for number, world in enumerate(worlds):
        rest = np.eye(4)
        rest[:3, 3] = -joints[number]
        moved = (world @ rest @ np.column_stack([posed, np.ones(len(posed))]).T).T[:, :3]
        result += head.skinning.numpy()[:, number : number + 1] * moved
    return result


@pytest.mark.parametrize("correctives", [True, False])
def test_vertices_equal_the_twin(correctives: bool) -> None:
    head = toy_head(3, correctives)
    rng = np.random.default_rng(4)
    shape, expression, pose = rng.normal(size=(6, 5)), rng.normal(size=(6, 2)), rng.normal(0, 0.8, (6, 4, 3))
    got = head.vertices(*(torch.from_numpy(a) for a in (shape, expression, pose))).numpy()
    want = np.stack([twin(head, *row) for row in zip(shape, expression, pose, strict=True)])
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_rest_pose_is_the_blend_alone() -> None:
    head = toy_head()
    shape = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rest = head.vertices(shape, None, torch.zeros(2, 4, 3, dtype=torch.float64))
    torch.testing.assert_close(rest, head.vertices(shape), atol=1e-9, rtol=0)


def test_first_joint_turns_the_whole_head() -> None:
    head = toy_head(5, pose_correctives=False)
    shape = torch.full((1, 5), 0.3, dtype=torch.float64)
    pose = torch.zeros(1, 4, 3, dtype=torch.float64)
    pose[0, 0] = torch.tensor([0.2, -0.7, 0.4], dtype=torch.float64)
    still = head.vertices(shape)[0].numpy()
    root = head.joint_regressor[0].numpy() @ still
    want = (still - root) @ Rotation.from_rotvec([0.2, -0.7, 0.4]).as_matrix().T + root
    np.testing.assert_allclose(head.vertices(shape, None, pose)[0].numpy(), want, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-6, 6), min_size=3, max_size=3))
def test_rotation_matrices(vector: list[float]) -> None:
    got = rotation_matrices(torch.tensor(vector, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(got, Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


def test_gradients_are_right_also_at_rest() -> None:
    head = toy_head(6)
    inputs = [torch.randn(1, 5), torch.randn(1, 3), torch.zeros(1, 4, 3)]
    inputs = [value.double().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(lambda *a: head.vertices(*a)[:, :4], inputs, atol=1e-5)


def test_landmarks_are_barycentric_means() -> None:
    head = toy_head(7)
    vertices = head.vertices(torch.zeros(1, 1, dtype=torch.float64))
    index = 31
    corners = vertices[0, head.faces[head.landmark_faces[index]]].numpy()
    want = head.landmark_barycentric[index].numpy() @ corners
    np.testing.assert_allclose(head.landmarks(vertices)[0, index].numpy(), want, atol=1e-12)


def test_to_changes_real_tensors_only() -> None:
    head = toy_head().to(dtype=torch.float32)
    assert head.template.dtype == head.pose_basis.dtype == torch.float32
    assert head.faces.dtype == head.part_labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": torch.full((40, 3), 23)}, "faces spans 23..23"),
        ({"skinning": torch.full((23, 4), 0.5)}, "skinning sum"),
        ({"parents": (-1, 2, 1, 1)}, "parents"),
        ({"shape_names": ("a",)}, "shape_basis"),
        ({"template": torch.full((23, 3), torch.nan)}, "NaN"),
        ({"part_labels": torch.full((40,), len(PARTS))}, "part_labels"),
        ({"landmark_faces": torch.zeros(67, dtype=torch.int64)}, "landmark_faces"),
        ({"faces": torch.zeros((40, 3), dtype=torch.int32)}, "int64"),
    ],
)
def test_broken_heads_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        replace(toy_head(), **change)


def test_too_many_coefficients_are_refused() -> None:
    with pytest.raises(ContractError, match="shape"):
        toy_head().vertices(torch.zeros(1, 6, dtype=torch.float64))
    with pytest.raises(ContractError, match="pose"):
        toy_head().vertices(torch.zeros(1, 1, dtype=torch.float64), None, torch.zeros(1, 3, 3))
