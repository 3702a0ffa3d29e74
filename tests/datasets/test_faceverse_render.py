"""Rendering textured scans into the layout that the reader takes."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from PIL import Image

from harness.datasets import faceverse_render as rendering
from harness.datasets.faceverse import FaceVerse
from harness.geometry.mesh import Mesh, write_mesh
from harness.protocols.now_truth import NOW_LANDMARKS
from tests.geometry_shapes import bumpy
from tests.protocols import heads

SCAN = "111_01"
FLIP = np.array([1.0, -1.0, -1.0])


@pytest.fixture
def folder(tmp_path):
    """A bumpy sphere in metres, y down as released, whose texture is red on its left half and green on its right."""
    home = tmp_path / "faceverse" / SCAN
    home.mkdir(parents=True)
    mesh = bumpy(4)
    raw = mesh.vertices * FLIP / 1000
    share = (mesh.vertices[:, 0] > 0) * 0.8 + 0.1
    lines = [f"mtllib {SCAN}.mtl", f"usemtl {SCAN}", *(f"v {x!r} {y!r} {z!r}" for x, y, z in raw.tolist())]
    lines += [f"vt {u} 0.5" for u in share]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in (mesh.faces + 1).tolist()]
    (home / f"{SCAN}.obj").write_text("\n".join(lines))
    (home / f"{SCAN}.mtl").write_text(f"newmtl {SCAN}\nKd 1 1 1\nmap_Kd {SCAN}.png\n")
    texture = np.zeros((8, 8, 3), np.uint8)
    texture[:, :4, 0] = texture[:, 4:, 1] = 200
    Image.fromarray(texture).save(home / f"{SCAN}.png")
    write_mesh(Mesh(raw, mesh.faces), home / f"{SCAN}.ply")
    points = heads.landmarks68(mesh)
    marks = {name: int(np.linalg.norm(mesh.vertices - points[i], axis=1).argmin()) for name, i in NOW_LANDMARKS.items()}
    (tmp_path / "marks.txt").write_text("".join(f"{name} {index}\n" for name, index in marks.items()))
    return tmp_path


def command(folder, **changed):
    words = {"--unit": "m", "--landmarks": str(folder / "marks.txt"), "--views": "random", "--size": "24", **changed}
    return rendering.main([str(folder / "faceverse"), *(word for pair in words.items() for word in pair)])


def test_the_reader_takes_what_was_rendered(folder):
    assert command(folder) == 0
    dataset = FaceVerse("real", folder)
    samples = dataset.samples()
    truth = dataset.truth(samples[0])
    mesh = bumpy(4)
    middle = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
    assert len(samples) == 32 and dataset.version == "rendered-1"
    assert np.allclose(truth.scan.vertices, mesh.vertices - middle, atol=1e-6)
    assert np.allclose(truth.landmarks, heads.landmarks68(mesh)[list(NOW_LANDMARKS.values())] - middle, atol=1e-6)


def test_pictures_show_the_texture_where_the_camera_sees_it(folder):
    command(folder)
    dataset = FaceVerse("real", folder)
    for sample in dataset.samples()[::4]:
        view, scan = sample.views[0], dataset.truth(sample).scan
        image, mask = view.read_image().astype(int), view.read_mask()
        assert (image[~mask & (image.min(axis=2) == 255)] == 255).all() and mask.mean() > 0.1
        towards = view.camera.centre
        for side, channel in ((-1, 0), (1, 1)):
            normal = scan.vertices / np.linalg.norm(scan.vertices, axis=1, keepdims=True)
            facing = (normal @ (towards / np.linalg.norm(towards)) > 0.75) & (side * scan.vertices[:, 0] > 25)
            pixels = np.rint(view.camera.project(scan.vertices[facing])).astype(int)
            colours = image[pixels[:, 1], pixels[:, 0]]
            assert len(colours) < 20 or np.median(colours[:, channel] - colours[:, 1 - channel]) > 150


def test_shape_from_pictures_agrees_with_trimesh(folder):
    """Where a ray from the camera meets the mesh, by another program."""
    command(folder)
    dataset = FaceVerse("real", folder)
    sample = dataset.samples()[3]
    camera, scan = sample.views[0].camera, dataset.truth(sample).scan
    columns, rows = np.meshgrid(np.arange(24), np.arange(24))
    pixels = np.stack([columns.ravel(), rows.ravel(), np.ones(576)], axis=1)
    rays = pixels @ np.linalg.inv(camera.intrinsics).T @ camera.rotation
    solid = trimesh.Trimesh(scan.vertices, scan.faces, process=False)
    hit = solid.ray.intersects_any(np.tile(camera.centre, (576, 1)), rays).reshape(24, 24)
    assert (hit == sample.views[0].read_mask()).mean() > 0.97


def test_going_on_renders_only_what_is_missing(folder):
    command(folder)
    picture = folder / f"faceverse/rendered/{SCAN}/random/00.png"
    before = picture.stat().st_mtime_ns
    assert command(folder, **{"--views": "grid"}) == 0
    assert picture.stat().st_mtime_ns == before
    assert (
        len(FaceVerse("real", folder).samples()) == 32 and len(FaceVerse("real", folder, views="grid").samples()) == 39
    )


def drop(name):
    return lambda folder: (folder / f"faceverse/{SCAN}/{name}").unlink()


def write(text):
    return lambda folder: (folder / "marks.txt").write_text(text)


BROKEN = {
    "no texture": (drop(f"{SCAN}.mtl"), {}, "has no texture"),
    "no fitted model": (drop(f"{SCAN}.ply"), {}, "missing"),
    "no landmarks": (write("nose_base 3\n"), {}, "expected seven lines"),
    "landmarks of another topology": (
        write("".join(f"{name} {10**6}\n" for name in NOW_LANDMARKS)),
        {},
        "has vertices 0..2561, but a landmark is vertex 1000000",
    ),
    "wrong axes": (lambda folder: None, {"--axes": "y-up"}, "forehead is towards -y"),
    "no scan of the split": (
        lambda folder: (folder / f"faceverse/{SCAN}").rename(folder / "faceverse/001_01"),
        {},
        "111_01",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_rendered_is_said(folder, caplog, what):
    damage, words, message = BROKEN[what]
    damage(folder)
    assert command(folder, **words) == 1
    assert message in caplog.text and not (folder / "faceverse/rendered/index.json").exists()
