"""FLAME against what the published layers computed from the same made-up model, and files that must be refused."""

from __future__ import annotations

import builtins
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import DataError
from harness.errors import ContractError
from harness.heads import flame_file
from harness.heads.flame import FlameHead, read_flame
from harness.heads.head import PARTS
from tests.heads.flame_files import NETWORKS, as_chumpy, python2, reference, write_all, write_embedding

METRES = 1e-3
TOLERANCE_M = 1e-6


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cache) -> Path:
    return write_all(tmp_path_factory.mktemp("flame"))


@pytest.fixture(scope="module")
def head(folder) -> FlameHead:
    return read_flame(folder)


@pytest.fixture(scope="module")
def inputs() -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in reference().inputs("flame_deca").items()}


def full_pose(given, neck: bool = False, eyes: bool = False) -> torch.Tensor:
    pose = torch.zeros(len(given["pose"]), 5, 3)
    pose[:, 0], pose[:, 2] = given["pose"][:, :3], given["pose"][:, 3:]
    if neck:
        pose[:, 1] = given["neck"]
    if eyes:
        pose[:, 3:] = given["eye"].reshape(-1, 2, 3)
    return pose


def expect(network: str, key: str, found: torch.Tensor) -> None:
    with np.load(NETWORKS / network / "outputs.npz") as stored:
        want = stored[key]
    assert np.abs(METRES * found.numpy() - want).max() < TOLERANCE_M


def contour(head: FlameHead, pose: torch.Tensor, sign: int) -> np.ndarray:
    return head.contour_faces[head.contour_rows(pose, sign)].numpy()


@pytest.mark.parametrize("case", ["plain", "eyes"])
def test_deca(head, inputs, case):
    pose = full_pose(inputs, eyes=case == "eyes")
    vertices = head.vertices(inputs["shape"][:, :100], inputs["exp"][:, :50], pose)
    expect("flame_deca", f"{case}/vertices", vertices)
    expect("flame_deca", f"{case}/landmarks2d", head.sliding_landmarks(vertices, pose))
    expect("flame_deca", f"{case}/landmarks3d", head.landmarks(vertices))
    with np.load(NETWORKS / "flame_deca" / "outputs.npz") as stored:
        assert np.array_equal(contour(head, pose, 1), stored[f"{case}/contour_faces"])


def smirk_case(given, case: str):
    shape, expression = given["shape"], given["exp"][:, :50]
    pose = full_pose(given, neck=case in ("full", "zeroed"), eyes=case in ("full", "zeroed"))
    if case == "zeroed":
        shape, expression = torch.zeros_like(shape), torch.zeros_like(expression)
        pose[:, 0], pose[:, 2] = torch.tensor([0.2, -0.7, 0.0]), 0.0
    if case == "short":
        shape, expression = shape[:, :100], expression[:, :20]
    return shape, expression, pose, case != "plain"


@pytest.mark.parametrize("case", ["plain", "full", "zeroed", "short"])
def test_smirk(head, inputs, case):
    shape, expression, pose, lids = smirk_case(inputs, case)
    vertices = head.vertices(shape, expression, pose)
    vertices = head.close_lids(vertices, inputs["eyelid"]) if lids else vertices
    expect("flame_smirk", f"{case}/vertices", vertices)
    expect("flame_smirk", f"{case}/landmarks_fan", head.sliding_landmarks(vertices, pose))
    expect("flame_smirk", f"{case}/landmarks_fan_3d", head.landmarks(vertices))
    expect("flame_smirk", f"{case}/landmarks_mp", head.mediapipe_landmarks(vertices))
    if case != "short":
        with np.load(NETWORKS / "flame_smirk" / "outputs.npz") as stored:
            assert np.array_equal(contour(head, pose, 1), stored[f"{case}/contour_faces"])


@pytest.mark.parametrize("case", ["plain", "full"])
def test_flame_pytorch_turns_the_contour_the_other_way(head, inputs, case):
    full = case == "full"
    pose = full_pose(inputs, neck=full, eyes=full)
    moved = (inputs["transl"] if full else 0 * inputs["transl"])[:, None] / METRES
    vertices = head.vertices(inputs["shape"][:, :100], inputs["exp"][:, :50], pose) + moved
    expect("flame_pytorch", f"{case}/vertices", vertices)
    expect("flame_pytorch", f"{case}/landmarks", head.sliding_landmarks(vertices, pose, yaw_sign=-1))
    with np.load(NETWORKS / "flame_pytorch" / "outputs.npz") as stored:
        assert np.array_equal(contour(head, pose, -1), stored[f"{case}/contour_faces"])
    assert not np.array_equal(contour(head, pose, 1), contour(head, pose, -1))


@pytest.mark.parametrize("yaw", range(-88, 89, 8))
def test_contour_rows_at_each_yaw(head, yaw):
    pose = torch.zeros(1, 5, 3)
    pose[0, 0, 1] = np.deg2rad(yaw)
    want = -max(yaw, -39) + 39 if yaw < 0 else min(yaw, 39)
    want = 78 if yaw < -39 else want
    assert int(head.contour_rows(pose)) == want


def test_chumpy_nodes_and_python_2_give_the_same_head(head, tmp_path, monkeypatch):
    content = python2(as_chumpy(reference().flame_pickle(), monkeypatch))
    assert all(name in content for name in (b"chumpy.ch\nCh\n", b"chumpy.reordering\nSelect\n", b"scipy.sparse.csc\n"))
    monkeypatch.undo()  # chumpy itself is not there
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    again = read_flame(write_all(tmp_path / "flame", content))
    for name in ("template", "shape_basis", "expression_basis", "pose_basis", "joint_regressor", "skinning"):
        assert torch.equal(getattr(again, name), getattr(head, name)), name


def test_pickles_of_protocols_0_and_1(tmp_path, monkeypatch):
    """Objects without a protocol of their own are rebuilt by copy_reg."""
    model = as_chumpy({name: np.ones((2, 3)) for name in ("shapedirs", "v_template", "weights")}, monkeypatch)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(model, protocol=0))
    read = flame_file.read_pickle(tmp_path / "a.pkl")
    assert all(np.array_equal(flame_file.as_array(node), np.ones((2, 3))) for node in read.values())


def test_the_pickle_is_opened_once(folder, head, monkeypatch):
    monkeypatch.setattr(flame_file, "read_pickle", None)
    assert torch.equal(read_flame(folder / "generic_model.pkl").template, head.template)


def test_ringnets_files_serve_as_well(head, tmp_path, cache):
    write_all(tmp_path)
    (tmp_path / "landmark_embedding.npy").unlink()
    rule = reference().landmark_embedding()
    static = {"lmk_face_idx": rule["static_lmk_faces_idx"], "lmk_b_coords": rule["static_lmk_bary_coords"]}
    dynamic = {"lmk_face_idx": rule["dynamic_lmk_faces_idx"], "lmk_b_coords": rule["dynamic_lmk_bary_coords"]}
    (tmp_path / "flame_static_embedding.pkl").write_bytes(python2(static))
    np.save(tmp_path / "flame_dynamic_embedding.npy", dynamic, allow_pickle=True)
    again = read_flame(tmp_path)
    vertices, pose = head.vertices(torch.ones(2, 3)), torch.full((2, 5, 3), 0.2)
    torch.testing.assert_close(again.sliding_landmarks(vertices, pose), head.sliding_landmarks(vertices, pose))


def test_masks_become_parts_and_triangles(head):
    inside = np.isin(head.faces.numpy(), head.masks["face"].numpy()).all(1)
    assert np.array_equal(head.face_triangles.numpy(), np.flatnonzero(inside))
    eye = np.isin(head.faces.numpy(), head.masks["right_eyeball"].numpy()).all(1)
    lips = np.isin(head.faces.numpy(), head.masks["lips"].numpy()).all(1)
    assert (head.part_labels.numpy()[eye & ~lips] == PARTS.index("left_eye")).all()
    with pytest.raises(ContractError, match="no mask chin; .*face"):
        head.triangles_of("chin")


def test_a_model_without_a_jaw_does_not_turn_it(tmp_path, cache):
    head = read_flame(write_all(tmp_path, name="flame2023_no_jaw.pkl"))
    pose = torch.zeros(1, 5, 3)
    pose[0, 0, 1] = 0.3
    head.vertices(torch.zeros(1, 1), None, pose)
    pose[0, 2, 0] = 0.1
    with pytest.raises(ContractError, match="head flame: pose turns the jaw"):
        head.vertices(torch.zeros(1, 1), None, pose)


def test_only_the_model_and_the_landmarks_are_needed(tmp_path, cache):
    (tmp_path / "generic_model.pkl").write_bytes(python2(reference().flame_pickle()))
    with pytest.raises(DataError, match=r"no landmark_embedding\.npy, .*DECA"):
        read_flame(tmp_path)
    write_embedding(tmp_path / "landmark_embedding.npy")
    head = read_flame(tmp_path)
    assert (head.part_labels == PARTS.index("skin")).all() and not head.masks
    vertices = head.vertices(torch.zeros(1, 1))
    with pytest.raises(ContractError, match="mediapipe_landmark_embedding"):
        head.mediapipe_landmarks(vertices)
    with pytest.raises(ContractError, match=r"l_eyelid\.npy"):
        head.close_lids(vertices, torch.zeros(1, 2))
    with pytest.raises(ContractError, match=r"FLAME_masks\.pkl"):
        head.triangles_of("face")


def test_to_moves_everything(head):
    moved = head.to(dtype=torch.float64)
    assert isinstance(moved, FlameHead)
    assert moved.eyelids.dtype == moved.contour_barycentric.dtype == torch.float64
    assert moved.contour_faces.dtype == moved.masks["face"].dtype == torch.int64


def test_gradients_reach_all_codes(head):
    codes = [torch.randn(2, 5), torch.randn(2, 3), torch.zeros(2, 5, 3)]
    codes = [code.requires_grad_() for code in codes]
    vertices = head.vertices(*codes)
    head.sliding_landmarks(vertices, codes[2]).square().mean().backward()
    assert all(torch.isfinite(code.grad).all() and code.grad.abs().sum() > 0 for code in codes)


class Evil:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("evil", "asks_for"),
    [
        (Evil(os.system, "touch OWNED"), r"posix\.system"),
        (Evil(builtins.eval, "open('OWNED', 'w')"), r"\w*builtin\w*\.eval"),
        (Evil(np.load, "OWNED.npy"), r"numpy.*load"),
    ],
)
def test_a_pickle_that_names_anything_else(tmp_path, cache, monkeypatch, evil, asks_for):
    monkeypatch.chdir(tmp_path)
    folder = write_all(tmp_path / "flame", pickle.dumps({"v_template": evil}, protocol=2))
    with pytest.raises(DataError, match=rf"generic_model\.pkl: .*it asks for {asks_for}"):
        read_flame(folder)
    assert not list(tmp_path.glob("OWNED*"))


def test_other_nodes_of_chumpy_are_refused(tmp_path, cache):
    content = b"cchumpy.ch\nMatVecMult\n)\x81."
    with pytest.raises(DataError, match=r"it asks for chumpy\.ch\.MatVecMult"):
        read_flame(write_all(tmp_path, content))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_pickle(tmp_path, cache, share):
    whole = python2({"v_template": np.zeros((5023, 3))})
    with pytest.raises(DataError, match=r"generic_model\.pkl: .*ends in the middle"):
        read_flame(write_all(tmp_path, whole[: int(share * len(whole))]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v_template": np.zeros((6890, 3))}, r"v_template has shape \(6890, 3\).*expected \(5023, 3\).*SMPL"),
        ({"shapedirs": None}, "shapedirs missing"),
        ({"weights": "nothing"}, "weights cannot be read as an array"),
        ({"f": np.full((9976, 3), 5023)}, r"f spans 5023\.\.5023"),
        ({"posedirs": np.full((5023, 3, 36), np.nan)}, "posedirs has NaN"),
        ({"weights": np.full((5023, 5), 0.3)}, "rows of skinning sum"),
    ],
)
def test_what_is_not_flame(tmp_path, cache, change, message):
    model = reference().flame_pickle() | change
    model = {name: values for name, values in model.items() if values is not None}
    with pytest.raises(DataError, match=rf"generic_model\.pkl: .*{message}"):
        read_flame(write_all(tmp_path, pickle.dumps(model, protocol=2)))


def test_folders_that_leave_it_open(tmp_path, cache):
    with pytest.raises(DataError, match=r"nowhere: no such file or folder.*flame\.is\.tue\.mpg\.de"):
        read_flame(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no model, expected one of generic_model"):
        read_flame(tmp_path)
    for name in ("generic_model.pkl", "flame2023.pkl"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"holds generic_model\.pkl, flame2023\.pkl, expected one"):
        read_flame(tmp_path)


def test_landmarks_of_another_mesh(tmp_path, cache):
    write_all(tmp_path)
    content = reference().landmark_embedding() | {"full_lmk_faces_idx": np.full((1, 68), 9976)}
    np.save(tmp_path / "landmark_embedding.npy", content, allow_pickle=True)
    with pytest.raises(DataError, match=r"landmark_embedding\.npy: full_lmk_faces_idx spans"):
        read_flame(tmp_path)
