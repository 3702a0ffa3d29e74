"""The procedural head: a sound mesh, meaningful and smooth bases, landmarks where they belong."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from harness.heads.head import PARTS, Head
from harness.heads.procedural import procedural_head, procedural_template, sample_expression, sample_shape
from harness.heads.procedural_template import template

# fmt: off
MIRRORED_POINTS = [
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
]
# fmt: on
FLIP = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head()


def vertices(head: Head, shape: np.ndarray | None = None, expression: np.ndarray | None = None) -> np.ndarray:
    coefficients = np.zeros(1) if shape is None else shape
    moved = None if expression is None else torch.from_numpy(expression)[None].float()
    return head.vertices(torch.from_numpy(coefficients)[None].float(), moved)[0].double().numpy()


def normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = points[faces].transpose(1, 0, 2)
    return np.cross(b - a, c - a)


def edge_counts(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = np.sort(np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0, return_counts=True)


def test_building_again_gives_the_same_head() -> None:
    first, again = procedural_template(), template()
    assert np.array_equal(first.points, again.points) and np.array_equal(first.faces, again.faces)


def test_head_is_the_one_that_trained_weights_belong_to(head: Head) -> None:
    """Shipped weights predict in this topology and these coefficients: a change here makes them meaningless."""
    assert (len(head.template), len(head.faces)) == (6575, 12904)
    assert (len(head.shape_names), len(head.expression_names)) == (82, 46)
    digest = hashlib.sha256(head.faces.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest.startswith("acedd800a014c020")
    norms = [float(t.double().norm()) for t in (head.template, head.shape_basis, head.expression_basis)]
    np.testing.assert_allclose(norms, [8177.80, 433.912, 988.073], rtol=1e-5)


def test_surface_is_manifold_and_oriented(head: Head) -> None:
    faces = head.faces.numpy()
    counts = edge_counts(faces)[1]
    assert counts.max() == 2
    directed = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed)
    assert len(np.unique(faces)) == len(head.template)


def test_skin_is_open_only_at_the_neck_and_behind_the_lids(head: Head) -> None:
    average, faces = procedural_template(), head.faces.numpy()
    edges, counts = edge_counts(faces[(average.kind[faces] <= 2).all(1)])
    border = edges[counts == 1]
    behind_lids = (average.lid_ring[border] == -2).all(1)
    at_neck = average.points[border][..., 1].max(1) < -170
    assert (behind_lids | at_neck).all()


def test_closed_parts_have_outward_normals(head: Head) -> None:
    average, faces = procedural_template(), head.faces.numpy()
    points = average.points
    for kind, side in ((3, 1), (3, -1), (4, 1), (4, -1)):
        part = faces[(average.kind[faces] == kind).all(1) & (points[faces][..., 0].mean(1) * side > 0)]
        corners = points[part] - points[part].mean((0, 1))
        volume = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
        assert volume > 1000


def test_face_looks_forward_and_no_triangle_is_degenerate(head: Head) -> None:
    average, faces = procedural_template(), head.faces.numpy()
    normal = normals(average.points, faces)
    area = np.linalg.norm(normal, axis=1) / 2
    assert area.min() > 0.01
    cheek = (average.kind[faces] == 0).all(1) & (np.abs(average.points[faces].mean(1) - (35, -20, 82)) < 12).all(1)
    assert cheek.sum() > 5 and (normal[cheek, 2] > 0).all()


def test_template_is_mirror_symmetric(head: Head) -> None:
    points, faces = head.template.numpy(), head.faces.numpy()
    mirror = procedural_template().mirror
    assert np.array_equal(points[mirror], (points * FLIP).astype(np.float32))
    reflected = {tuple(sorted(face)) for face in mirror[faces].tolist()}
    assert reflected == {tuple(sorted(face)) for face in faces.tolist()}


def test_proportions_are_those_of_an_adult(head: Head) -> None:
    marks = head.landmarks(head.template[None])[0].numpy()

    def distance(a: int, b: int) -> float:
        return float(np.linalg.norm(marks[a] - marks[b]))

    assert 215 < head.template[:, 1].max() - marks[8, 1] < 235
    assert 84 < distance(36, 45) < 93 and 29 < distance(39, 42) < 35
    assert 46 < distance(48, 54) < 54 and 45 < distance(27, 33) < 53 and 63 < distance(33, 8) < 74
    assert 16 < marks[30, 2] - marks[33, 2] < 24


def test_names_are_unique_and_many(head: Head) -> None:
    assert len(set(head.shape_names)) == len(head.shape_names) >= 60
    assert len(set(head.expression_names)) == len(head.expression_names) >= 30


def test_model_is_linear(head: Head) -> None:
    rng = np.random.default_rng(0)
    a, b = sample_shape(rng), sample_shape(rng)
    zero = vertices(head)
    np.testing.assert_allclose(
        vertices(head, 0.3 * a - 1.2 * b) - zero,
        0.3 * (vertices(head, a) - zero) - 1.2 * (vertices(head, b) - zero),
        atol=1e-3,
    )


def test_components_move_what_they_name(head: Head) -> None:
    marks = head.landmarks(head.template + torch.cat([head.shape_basis, head.expression_basis])).numpy()
    rest = head.landmarks(head.template[None])[0].numpy()
    row = {name: marks[i] - rest for i, name in enumerate(head.shape_names + head.expression_names)}
    assert row["nose_protrusion"][30, 2] > 2 and row["chin_projection"][8, 2] > 1.5
    assert row["face_width"][16, 0] > 1.5 and row["face_width"][0, 0] < -1.5
    assert row["mouth_width"][54, 0] > 1 and row["face_length"][8, 1] < -3
    assert row["smile_left"][54, 1] > 3 and abs(row["smile_left"][48]).max() < 0.3
    assert row["smile_right"][48, 0] < -3
    assert row["jaw_open"][66, 1] < -12 and abs(row["jaw_open"][62]).max() < 1
    gap = rest[[43, 44], 1] - rest[[47, 46], 1]
    assert (-row["blink_left"][[43, 44], 1] > 0.8 * gap).all() and abs(row["blink_left"][36:42]).max() == 0
    assert row["brow_inner_up"][[21, 22], 1].min() > 3


def test_symmetric_components_are_symmetric_and_asymmetries_are_not(head: Head) -> None:
    mirror = procedural_template().mirror
    for name, component in zip(head.shape_names, head.shape_basis.numpy(), strict=True):
        difference = np.abs(component[mirror] * FLIP - component).max()
        assert difference > 0.3 if name.startswith("asymmetry") else difference < 1e-4, name


def test_components_have_plausible_amplitudes(head: Head) -> None:
    largest = head.shape_basis.norm(dim=2).amax(1)
    assert largest.min() > 0.3 and largest.max() < 10
    assert head.expression_basis.norm(dim=2).amax(1).max() < 40


def test_identities_differ_by_several_millimetres(head: Head) -> None:
    rng = np.random.default_rng(2)
    skin = procedural_template().kind == 0
    people = np.stack([vertices(head, sample_shape(rng))[skin] for _ in range(30)])
    spread = np.linalg.norm(people - head.template.numpy()[skin], axis=2).mean()
    assert 3 < spread < 8


def test_shape_components_are_smooth(head: Head) -> None:
    """Along an edge a component changes by a fraction of the edge's length, except within the lips."""
    average, faces = procedural_template(), head.faces.numpy()
    edges = edge_counts(faces[(average.kind[faces] == 0).all(1)])[0]
    edges = edges[(average.lip_step[edges] > 1).all(1)]
    start, end = edges.T
    length = np.linalg.norm(average.points[end] - average.points[start], axis=1)
    change = np.linalg.norm(head.shape_basis.numpy()[:, end] - head.shape_basis.numpy()[:, start], axis=2)
    assert (change / np.maximum(length, 0.5)).max() < 0.5


def test_no_triangle_turns_over_in_50_identities(head: Head) -> None:
    rng = np.random.default_rng(1)
    faces = head.faces.numpy()
    before = normals(vertices(head), faces)
    for _ in range(50):
        after = normals(vertices(head, sample_shape(rng)), faces)
        assert ((before * after).sum(1) > 0).all()


def test_lids_stay_on_the_eyeballs(head: Head) -> None:
    """For random identities and expressions the lids' rims stand clear of the eyeball, and not by much."""
    rng = np.random.default_rng(3)
    average = procedural_template()
    rim_middle = {side: average.mirror[average.lids[0]] if side < 0 else average.lids[0] for side in (1, -1)}
    for trial in range(30):
        points = vertices(head, sample_shape(rng), sample_expression(rng) if trial % 2 else None)
        for side, rim in rim_middle.items():
            ball = np.flatnonzero((average.kind == 3) & (average.points[:, 0] * side > 0))
            centre = (points[ball[0]] + points[ball[-1]]) / 2
            radius = np.linalg.norm(points[ball] - centre, axis=1).mean()
            clear = np.linalg.norm(points[rim] - centre, axis=1) - radius
            assert clear.min() > 0.3
            middle = np.abs(average.points[rim, 0] * side - 31) < 7
            assert clear[middle].max() < 4


def test_landmarks_lie_on_the_visible_skin(head: Head) -> None:
    average, faces = procedural_template(), head.faces.numpy()
    assert (average.kind[faces[head.landmark_faces.numpy()]] <= 1).all()
    assert head.landmark_barycentric.min() >= 0
    marks = head.landmarks(head.template[None])[0].numpy()
    assert cKDTree(average.points[average.kind == 0]).query(marks)[0].max() < 7


def test_landmarks_are_mirrored_and_ordered(head: Head) -> None:
    marks = head.landmarks(head.template[None])[0].numpy()
    np.testing.assert_allclose(marks[MIRRORED_POINTS], marks * FLIP, atol=1e-3)
    assert marks[:17, 0].tolist() == sorted(marks[:17, 0]) and marks[17:27, 0].tolist() == sorted(marks[17:27, 0])
    assert marks[27:31, 1].tolist() == sorted(marks[27:31, 1], reverse=True)
    assert marks[36, 0] < marks[39, 0] < 0 < marks[42, 0] < marks[45, 0]
    assert marks[51, 1] > marks[62, 1] > marks[57, 1]


def test_landmarks_agree_with_the_part_labels(head: Head) -> None:
    labels = head.part_labels.numpy()[head.landmark_faces.numpy()]
    names = np.array(PARTS)[labels]
    assert set(names[28:31]) == {"nose"}
    assert set(names[17:22]) <= {"left_brow", "skin"} and "left_brow" in names[17:22]
    assert set(names[60:68]) <= {"upper_lip", "lower_lip", "inner_mouth"}


def test_part_labels_are_complete_and_on_their_side(head: Head) -> None:
    faces, labels = head.faces.numpy(), head.part_labels.numpy()
    middle = head.template.numpy()[faces].mean(1)
    found = {PARTS[label] for label in labels}
    assert found == set(PARTS) - {"background", "hair", "cloth"}
    for part in ("brow", "eye", "ear"):
        assert (middle[labels == PARTS.index(f"left_{part}"), 0] < 0).all()
        assert (middle[labels == PARTS.index(f"right_{part}"), 0] > 0).all()
    upper, lower = (middle[labels == PARTS.index(name), 1].mean() for name in ("upper_lip", "lower_lip"))
    assert upper > lower


def test_joints_are_where_they_belong(head: Head) -> None:
    joints = (head.joint_regressor @ head.template).numpy()
    named = dict(zip(head.joint_names, joints, strict=True))
    average = procedural_template()
    ball = average.points[(average.kind == 3) & (average.points[:, 0] > 0)]
    np.testing.assert_allclose(named["left_eye"], (ball.max(0) + ball.min(0)) / 2, atol=0.8)
    np.testing.assert_allclose(named["right_eye"], named["left_eye"] * FLIP, atol=1e-2)
    assert abs(named["jaw"][0]) < 1e-2 and named["root"][1] < named["neck"][1] < named["jaw"][1]


def test_jaw_joint_opens_the_mouth_and_leaves_the_brow(head: Head) -> None:
    pose = torch.zeros(1, 5, 3)
    pose[0, 2, 0] = 0.3
    shape = torch.zeros(1, 1)
    moved = head.landmarks(head.vertices(shape, None, pose))[0] - head.landmarks(head.vertices(shape))[0]
    assert moved[8, 1] < -15 and moved[66, 1] < -15
    assert moved[17:48].abs().max() < 0.1 and moved[62].abs().max() < 0.1


def test_eye_joint_turns_only_its_eyeball(head: Head) -> None:
    pose = torch.zeros(1, 5, 3)
    pose[0, 3, 1] = 0.4
    moved = (head.vertices(torch.zeros(1, 1), None, pose)[0] - head.template).norm(dim=1).numpy()
    average = procedural_template()
    left = (average.kind == 3) & (average.points[:, 0] > 0)
    assert moved[left].max() > 4 and moved[~left].max() < 1e-3


def test_samples_are_deterministic_and_in_range(head: Head) -> None:
    shape, expression = (draw(np.random.default_rng(9)) for draw in (sample_shape, sample_expression))
    assert np.array_equal(shape, sample_shape(np.random.default_rng(9)))
    assert shape.shape == (len(head.shape_names),) and np.abs(shape).max() <= 2.5
    assert expression.shape == (len(head.expression_names),) and 0 <= expression.min() <= expression.max() <= 1
