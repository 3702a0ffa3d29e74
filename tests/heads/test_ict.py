"""ICT-FaceKit: the packed file, a clone that is packed, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import DataError, cli
from harness.heads import ict_file
from harness.heads.build import build_head
from harness.heads.head import Head
from harness.heads.ict import read_ict

PACKED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ict_facekit.npz"
EXPRESSIONS = ("browDown_L", "browDown_R", "jawOpen")


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    if not PACKED.exists():
        pytest.skip(f"no ICT-FaceKit at {PACKED}")
    with np.load(PACKED) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def head(arrays) -> Head:
    return build_head("ict", PACKED)


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in vertices.tolist()]
    lines += ["f " + " ".join(f"{corner + 1}/1" for corner in row if corner >= 0) for row in faces.tolist()]
    path.write_text("mtllib a.mtl\nvt 0 0\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def clone(arrays, tmp_path_factory) -> Path:
    """The layout of a clone, with two identity modes and three expressions."""
    root = tmp_path_factory.mktemp("clone")
    folder = root / "FaceXModel"
    folder.mkdir()
    template = arrays["template"].astype(float)
    names = arrays["expression_names"].tolist()
    meshes = {"generic_neutral_mesh": template}
    meshes |= {f"identity{i:03d}": template + arrays["identity"][i] * 1e-4 for i in range(2)}
    meshes |= {name: template + arrays["expression"][names.index(name)] * 1e-3 for name in EXPRESSIONS}
    for name, vertices in meshes.items():
        write_obj(folder / f"{name}.obj", vertices, arrays["faces"])
    indices = {"expressions": list(EXPRESSIONS), "idx_to_landmark_verts": arrays["landmarks68"].tolist()}
    (folder / "vertex_indices.json").write_text(json.dumps(indices))
    return root


def test_a_clone_gives_what_the_packed_file_gives(clone, head, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    cli.main(["data", "get", "ict", "--from", str(clone)])
    again = read_ict(None)
    assert len(again.shape_names) == 2 and again.expression_names == ("browDown_left", "browDown_right", "jawOpen")
    torch.testing.assert_close(again.template, head.template)
    assert torch.equal(again.landmark_faces, head.landmark_faces)
    assert torch.equal(again.faces, head.faces) and torch.equal(again.part_labels, head.part_labels)
    torch.testing.assert_close(again.shape_basis, head.shape_basis[:2], atol=2e-3, rtol=0)
    places = [head.expression_names.index(name) for name in again.expression_names]
    torch.testing.assert_close(again.expression_basis, head.expression_basis[places], atol=2e-2, rtol=0)


def test_a_packed_file_is_taken_as_it_is(arrays, head, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    cli.main(["data", "get", "ict", "--from", str(PACKED)])
    assert torch.equal(read_ict(None).template, head.template)


def test_millimetres_and_landmarks_are_upstreams_vertices(arrays, head):
    points = head.landmarks(head.template[None])[0].numpy()
    np.testing.assert_allclose(points, 10 * arrays["template"][arrays["landmarks68"]], atol=1e-4)
    moved = head.vertices(torch.eye(100)[7:8] * 2)
    want = arrays["template"] + 2e-4 * arrays["identity"][7]
    np.testing.assert_allclose(head.landmarks(moved)[0].numpy(), 10 * want[arrays["landmarks68"]], atol=1e-3)


def test_the_mouth_opens_through_its_component(head):
    weights = torch.zeros(1, len(head.expression_names))
    weights[0, head.expression_names.index("jawOpen")] = 1
    points = head.landmarks(head.vertices(torch.zeros(1, 1), weights))[0]
    rest = head.landmarks(head.template[None])[0]
    assert points[62, 1] - points[66, 1] > rest[62, 1] - rest[66, 1] + 15
    assert (head.skinning[:, [1, 2]] == 0).all()  # neck and jaw move nothing


def test_eyeballs_turn_with_their_joints(head):
    pose = torch.zeros(1, 5, 3)
    pose[0, 3, 1] = 0.4
    change = (head.vertices(torch.zeros(1, 1), None, pose)[0] - head.template).norm(dim=1)
    assert 2 < change.max() < 12 and (head.template[change > 0.1, 0] > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"template": np.zeros((5023, 3), np.float32)}, r"template has shape \(5023, 3\), expected \(26719, 3\)"),
        ({"identity": None}, "identity missing"),
        ({"faces": np.full((5, 4), 26719)}, r"faces span 26719\.\.26719"),
        ({"landmarks68": np.arange(68)}, "from being mirrored"),
    ],
)
def test_other_files_are_refused(arrays, tmp_path, change, message):
    content = {name: values for name, values in (arrays | change).items() if values is not None}
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(DataError, match=rf"a\.npz: .*{message}"):
        read_ict(tmp_path / "a.npz")


def test_no_clone(tmp_path, clone):
    with pytest.raises(DataError, match=r"generic_neutral_mesh\.obj is missing.*github\.com/ICT-VGL/ICT-FaceKit"):
        ict_file.get(tmp_path)
    (tmp_path / "generic_neutral_mesh.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (tmp_path / "vertex_indices.json").write_text("{}")
    with pytest.raises(DataError, match="3 vertices, expected 26719"):
        ict_file.get(tmp_path)
    (tmp_path / "torn.npz").write_bytes(PACKED.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"torn\.npz: cannot be read as named arrays"):
        ict_file.get(tmp_path / "torn.npz")
