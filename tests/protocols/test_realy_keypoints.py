"""Keypoints on meshes of fixed topology: official files, and the procedural head's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.errors import ContractError, DataError
from harness.fallback import mean_face
from harness.geometry.mesh import Mesh, write_mesh
from harness.protocols.realy_keypoints import (
    Topology,
    find_topology,
    procedural_topology,
    read_topologies,
    topology_files,
)
from tests.geometry_shapes import bumpy

BALL = bumpy(3)


def write_template(folder, name="ball", rows=None, mask=None):
    rng = np.random.default_rng(0)
    write_mesh(BALL, folder / f"{name}.obj")
    if rows is None:
        rows = [[int(rng.integers(len(BALL.faces))), *rng.dirichlet([1, 1, 1])[:2].tolist()] for _ in range(85)]
    (folder / f"{name}.txt").write_text(json.dumps(rows))
    if mask is not None:
        (folder / f"{name}_mask.txt").write_text(",".join(str(int(value)) for value in mask))
    return rows


def test_official_files_are_read(tmp_path):
    rows = write_template(tmp_path)
    (tmp_path / "lonely.obj").write_text("v 0 0 0\n")  # no keypoints beside it: no template
    (ball,) = read_topologies(topology_files(tmp_path))
    assert ball.name == "ball" and ball.mask is None
    for (face, first, second), point in zip(rows, ball.keypoints(BALL.vertices), strict=True):
        a, b, c = BALL.vertices[BALL.faces[face]]
        assert np.allclose(point, first * a + second * b + (1 - first - second) * c)
    assert find_topology(BALL.faces, [ball]) is ball
    assert find_topology(BALL.faces, []) is None
    assert find_topology(np.array(mean_face().faces), [ball]) is procedural_topology()


def test_a_mask_keeps_faces_with_all_corners_inside(tmp_path):
    mask = BALL.vertices[:, 2] > 0
    write_template(tmp_path, mask=mask)
    (ball,) = read_topologies(topology_files(tmp_path))
    expected = [face for face in BALL.faces.tolist() if all(mask[corner] for corner in face)]
    assert ball.scored_faces.tolist() == expected and 0 < len(expected) < len(BALL.faces)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([[0, 0.1, 0.2]] * 68, "85"),
        ([[0, 0.1]] * 85, "85"),
        ({"a": 1}, "JSON list"),
        ([[10**6, 0.1, 0.2]] * 85, "triangles"),
        ([[-1, 0.1, 0.2]] * 85, "triangles"),
        ([[0, float("nan"), 0.2]] * 85, "NaN"),
    ],
)
def test_other_contents_are_refused_by_name(tmp_path, rows, what):
    write_template(tmp_path, rows=rows)
    with pytest.raises(DataError, match=what) as caught:
        read_topologies(topology_files(tmp_path))
    assert "ball.txt" in str(caught.value)


@pytest.mark.parametrize("mask", [[1, 0, 1], np.zeros(len(BALL.vertices))])
def test_masks_that_do_not_fit_are_refused(tmp_path, mask):
    write_template(tmp_path, mask=mask)
    with pytest.raises(DataError, match="mask"):
        read_topologies(topology_files(tmp_path))


def test_the_procedural_heads_keypoints():
    """The first 68 are its landmarks; the others lie on the face, in mirrored pairs, near what they are named after."""
    face, topology = mean_face(), procedural_topology()
    points = topology.keypoints(np.array(face.vertices))
    assert np.abs(points[:68] - face.landmarks).max() < 1e-3
    for right, left in [(68, 69), (70, 71), (72, 73), (74, 75), (76, 77), (78, 79), (81, 82)]:
        assert np.abs(points[right] * [-1, 1, 1] - points[left]).max() < 0.6
        assert points[right, 0] < 0 < points[left, 0]
    assert np.linalg.norm(points[70] - points[31]) < 8 and np.linalg.norm(points[71] - points[35]) < 8
    assert np.abs(points[[80, 83, 84], 0]).max() < 1 and points[80, 1] > points[27, 1]
    assert np.allclose(topology.keypoint_weights.sum(axis=1), 1, atol=1e-5)


def test_a_topology_with_wrong_shapes_is_refused():
    with pytest.raises(ContractError, match="85"):
        Topology("short", BALL.faces, np.zeros(68, int), np.zeros((68, 3)))


def test_keypoints_scale_with_the_mesh():
    topology = procedural_topology()
    vertices = np.array(mean_face().vertices)
    mesh = Mesh(vertices * 0.01, topology.faces)
    assert np.allclose(topology.keypoints(mesh.vertices), 0.01 * topology.keypoints(vertices))
