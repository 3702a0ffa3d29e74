"""The H3DS reader: official lists and layout, cameras, and what it says of files that are wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_dilation
from scipy.spatial.transform import Rotation

from harness import DataError, HarnessError
from harness.benchmark import DataKind
from harness.datasets.h3ds import H3ds, decompose, read_cameras
from harness.protocols.h3ds import H3DS_LANDMARKS

SHARED = Path(__file__).resolve().parents[2] / "../shared"
CONFIG = """
version = "tiny-1"
[scenes.anna]
tags = ["small"]
views = 3
[scenes.anna.default_views_configs]
1 = [1]
3 = [0, 2, 0]
"""
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="reference data (../shared) is not here")


def write_scan(path, vertices, faces):
    lines = [f"v {x} {y} {z}" for x, y, z in vertices] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces]
    path.write_text("\n".join(lines) + "\n")


def cameras(folder, **changed):
    with np.load(folder / "cameras.npz") as stored:
        kept = dict(stored)
    np.savez(folder / "cameras.npz", **{**kept, **changed})


@pytest.fixture
def root(tmp_path):
    """A data root with one subject in the official layout."""
    folder = tmp_path / "h3ds" / "anna"
    for name in ("image", "mask", "regions"):
        (folder / name).mkdir(parents=True)
    (tmp_path / "h3ds" / "config.toml").write_text(CONFIG)
    (tmp_path / "h3ds" / "version.txt").write_text("tiny-1")
    write_scan(folder / "full_head.obj", np.random.default_rng(0).normal(0, 80, (20, 3)), [[0, 1, 2], [3, 4, 5]])
    cameras = {}
    for i in range(3):
        Image.fromarray(np.full((30, 40, 3), 50 * i, np.uint8)).save(folder / f"image/img_{i:04d}.jpg")
        Image.fromarray(np.full((30, 40), 255, np.uint8)).save(folder / f"mask/mask_{i:04d}.png")
        cameras[f"world_mat_{i}"] = np.eye(4) + np.diag([0, 0, 600.0], 1)
        cameras[f"scale_mat_{i}"] = np.diag([180.0, 180, 180, 1])
    np.savez(folder / "cameras.npz", **cameras)
    (folder / "landmarks.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(H3DS_LANDMARKS)))
    for region in ("face", "face_sphere", "nose"):
        (folder / f"regions/{region}.txt").write_text("0\n1\n2\n3\n")
    return tmp_path


def test_reads_samples_truth_and_repeated_views(root):
    data = H3ds("real", root, [1, 3])
    one, three = data.samples()
    assert (one.id, three.id, len(three.views), one.condition["views"]) == ("anna_1", "anna_3", 3, 1)
    assert [int(view.read_image().mean() / 50 + 0.5) for view in three.views] == [0, 2, 0]
    assert one.views[0].read_mask().all()
    truth = data.truth(one)
    assert len(truth.scan.vertices) == 20
    assert truth.landmarks["nose_tip"] == 2
    assert data.kind is DataKind.REAL


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "image/img_0002.jpg").unlink(), r"incomplete: anna/image/img_0002\.jpg missing"),
        (lambda f: (f / "full_head.obj").unlink(), r"anna/full_head\.obj missing"),
        (lambda f: shutil.rmtree(f / "mask"), r"mask_0000\.png, .* missing"),
        (lambda f: (f / "regions/nose.txt").write_text("99\n"), r"nose\.txt: vertex index 99, but .* 0..19"),
        (lambda f: (f / "regions/face.txt").write_text("-1\n"), r"face\.txt: vertex index -1"),
        (lambda f: (f / "regions/face.txt").write_text(""), r"face\.txt: is empty"),
        (lambda f: (f / "regions/face.txt").write_text("one\n"), r"face\.txt: expected one vertex index per line"),
        (lambda f: (f / "landmarks.txt").write_text("right_eye 1\n"), r"landmarks\.txt: lacks left_eye"),
        (lambda f: (f / "landmarks.txt").write_text("right_eye\n"), r"landmarks\.txt: expected lines"),
        (lambda f: np.savez(f / "cameras.npz", scale_mat_0=np.eye(4)), r"cameras\.npz: has no world_mat_1"),
        (lambda f: np.savez(f / "cameras.npz", world_mat_0=np.eye(4)), r"cameras\.npz: has no scale_mat_0"),
        (lambda f: (f / "cameras.npz").write_bytes(b"zip?"), r"cameras\.npz: cannot be read"),
        (lambda f: (f / "cameras.npz").write_bytes(b""), r"cameras\.npz: cannot be read"),
        (lambda f: (f / "cameras.npz").write_bytes((f / "cameras.npz").read_bytes()[:700]), r"cameras\.npz: cannot be"),
        (lambda f: cameras(f, world_mat_1=np.full((4, 4), np.nan)), r"cameras\.npz: world_mat_1: expected a finite"),
        (lambda f: cameras(f, world_mat_1=np.eye(3)), r"cameras\.npz: world_mat_1: expected a finite \(4, 4\)"),
        (lambda f: (f / "full_head.obj").write_text("v 0 0 nan\n"), r"full_head\.obj"),
        (lambda f: (f / "full_head.obj").write_text("# nothing\n"), r"full_head\.obj"),
        (lambda f: (f.parent / "config.toml").write_text("version = 1"), r"config\.toml: is not in H3DS's schema"),
    ],
)
def test_damage_is_named(root, damage, words):
    damage(root / "h3ds" / "anna")
    with pytest.raises(DataError, match=words):
        for sample in (data := H3ds("real", root, [1, 3])).samples():
            data.truth(sample)


def test_singular_camera_names_file_and_view(root):
    path = root / "h3ds/anna/cameras.npz"
    stored = dict(np.load(path))
    stored["world_mat_2"] = np.zeros((4, 4))
    np.savez(path, **stored)
    with pytest.raises(DataError, match=r"cameras\.npz: world_mat_2"):
        H3ds("real", root, 3).samples()


def test_corrupt_image_is_reported_when_it_is_read(root):
    (root / "h3ds/anna/image/img_0001.jpg").write_bytes(b"broken")
    sample = H3ds("real", root, 1).samples()[0]
    with pytest.raises(DataError, match=r"img_0001\.jpg: cannot be read as an image"):
        sample.views[0].read_image()


def test_absent_data_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match="signed-form .*data=mirror"):
        H3ds("real", tmp_path, 1)


def test_unknown_version_view_set_and_tag_are_refused(root):
    with pytest.raises(HarnessError, match=r"bench.views=5: H3DS tiny-1 has view sets of \[1, 3\]"):
        H3ds("real", root, 5)
    with pytest.raises(HarnessError, match=r"bench.tag=big: no subject"):
        H3ds("real", root, 1, tag="big")
    (root / "h3ds/config.toml").unlink()
    with pytest.raises(DataError, match=r"version\.txt: says 'tiny-1', expected 0\.2 and 0\.4"):
        H3ds("real", root, 1)


@needs_shared
@pytest.mark.parametrize(("version", "key"), [("0.2", "v1"), ("0.4", "v2")])
def test_official_view_lists(tmp_path, version, key):
    (tmp_path / "h3ds").mkdir()
    (tmp_path / "h3ds/version.txt").write_text(version)
    official = json.loads((SHARED / "specs/h3ds_views.json").read_text())[key]["scenes"]
    reader = H3ds.__new__(H3ds)
    reader.folder = tmp_path / "h3ds"
    scenes = reader._configuration["scenes"]
    assert list(scenes) == list(official)
    for name, scene in scenes.items():
        assert scene.images == official[name]["views"]
        assert list(scene.tags) == official[name]["tags"]
        lists = {int(k): tuple(v) for k, v in official[name]["default_views_configs"].items()}
        assert scene.view_sets == lists
    with pytest.raises(DataError, match="the data set is incomplete: 1b2a8613401e42a8/full_head.obj"):
        H3ds("real", tmp_path, 3)


@needs_shared
def test_real_scan_projects_onto_its_picture():
    data = H3ds("real", SHARED / "data", 1)
    view, truth = data.samples()[0].views[0], data.truth(data.samples()[0])
    pixels = view.camera.project(truth.scan.vertices).round().astype(int)
    near_mask = binary_dilation(view.read_mask(), iterations=2)
    assert near_mask[pixels[:, 1].clip(0, 511), pixels[:, 0].clip(0, 511)].mean() > 0.99
    world = read_cameras(data.folder / "james/cameras.npz")[0][0]
    ratio = view.camera.projection / world[:3]
    assert np.ptp(ratio) < 1e-9 * abs(ratio).max()


@given(
    st.floats(200, 3000), st.floats(200, 3000), st.floats(-20, 20), st.integers(0, 2**31), st.floats(0.01, 100),
    st.booleans(),
)  # fmt: skip
def test_decompose_recovers_any_camera(fx, fy, skew, seed, factor, negate):
    intrinsics = np.array([[fx, skew, 256.0], [0, fy, 250.0], [0, 0, 1]])
    rotation = Rotation.random(random_state=seed).as_matrix()
    translation = np.array([10.0, -20.0, 700.0])
    world = np.eye(4)
    world[:3] = (-factor if negate else factor) * intrinsics @ np.hstack([rotation, translation[:, None]])
    camera = decompose(world, 512, 512)
    assert np.allclose(camera.intrinsics, intrinsics, rtol=1e-6, atol=1e-6)
    assert np.allclose(camera.rotation, rotation, atol=1e-9)
    assert np.allclose(camera.translation, translation, rtol=1e-6)
