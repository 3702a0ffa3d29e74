"""FaceVerse: the mirror stands in the documented layout, its pictures show its scans, and what is broken is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from harness.data import MANIFEST
from harness.datasets import faceverse_mirror as mirror
from harness.datasets import faceverse_views as views
from harness.datasets.faceverse import FaceVerse
from harness.errors import DataError, HarnessError
from harness.geometry.mesh import read_mesh
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.samples import Sample

SIZE = 48
SCANS = ("111_01", "111_02")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faceverse")
    shares: list[float] = []
    mirror.write_faceverse_mirror(folder / "faceverse", shares.append, people=1, expressions=2, size=SIZE, workers=1)
    assert shares == [0.5, 1.0]
    return folder


@pytest.fixture(scope="module")
def dataset(root):
    return FaceVerse("real", root)


@pytest.fixture
def copy(root, tmp_path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "copy"))


# -- the mirror --------------------------------------------------------------------------------------------------


def test_files_of_the_documented_layout(root):
    folder = root / "faceverse"
    index = json.loads((folder / "rendered/index.json").read_text())
    assert index == {"version": "mirror-1", "scans": {"random": list(SCANS), "grid": ["111_01"]}}
    for scan in SCANS:
        assert (folder / scan / f"{scan}.obj").is_file()
        pictures = sorted((folder / "rendered" / scan / "random").iterdir())
        assert [path.name for path in pictures] == [f"{i:02d}.png" for i in range(32)]
        for path in pictures[:3]:
            with Image.open(path) as picture:
                assert picture.mode == "RGBA" and picture.size == (SIZE, SIZE)
                pixels = np.asarray(picture)
            assert (
                set(np.unique(pixels[..., 3])) == {0, 255} and (pixels[pixels[..., 3] == 0] == [255, 255, 255, 0]).all()
            )
    assert len(list((folder / "rendered/111_01/grid").iterdir())) == 39


def test_normalisation_is_by_the_box(root, dataset):
    placement = json.loads((root / "faceverse/rendered/111_01/scan.json").read_text())
    raw = read_mesh(root / "faceverse/111_01/111_01.obj").vertices
    assert placement["divisor_mm"] == pytest.approx(np.ptp(raw, axis=0).max() / 2)
    truth = dataset.truth(dataset.samples()[0])
    box = truth.scan.vertices / truth.divisor
    assert np.abs(box).max() == pytest.approx(1.0) and np.allclose(box.min(axis=0), -box.max(axis=0))
    assert truth.divisor == placement["divisor_mm"] and 120 < truth.divisor < 220


def test_raw_scans_have_y_down_and_the_world_has_it_up(root, dataset):
    raw = read_mesh(root / "faceverse/111_01/111_01.obj").vertices
    truth = dataset.truth(dataset.samples()[0])
    assert np.allclose(np.ptp(raw, axis=0), np.ptp(truth.scan.vertices, axis=0))
    marks = dict(zip(NOW_LANDMARKS, truth.landmarks, strict=True))
    assert marks["left_eye_outer"][0] > marks["right_eye_outer"][0]  # x to the subject's left
    assert marks["left_eye_outer"][1] > marks["nose_base"][1] > marks["left_lips"][1]
    assert marks["nose_base"][2] > marks["left_eye_outer"][2] and marks["nose_base"][2] > 0
    written = views.read_landmarks(root / "faceverse/rendered/111_01/landmarks.txt")
    assert written[3, 1] < written[4, 1]


def test_landmarks_lie_on_the_scan_and_in_front_of_it_in_a_frontal_view(dataset):
    truth = dataset.truth(dataset.samples()[0])
    away = np.linalg.norm(truth.scan.vertices[:, None] - truth.landmarks, axis=2).min(axis=0)
    assert away.max() < 1e-6
    subject = mirror.placed_subject(mirror.FIRST_SEED, 0)
    eyes = subject.landmarks[45] - subject.landmarks[36]
    assert np.linalg.norm(truth.landmarks[3] - truth.landmarks[0]) == pytest.approx(np.linalg.norm(eyes), abs=4)


@pytest.mark.parametrize("view_set", ["random", "grid"])
def test_pictures_show_the_scan(root, view_set):
    dataset = FaceVerse("real", root, views=view_set)
    for sample in dataset.samples()[::5]:
        view = sample.views[0]
        mask, image = view.read_mask(), view.read_image()
        pixels = np.rint(view.camera.project(dataset.truth(sample).scan.vertices)).astype(int)
        inside = ((pixels >= 0) & (pixels < SIZE)).all(axis=1)
        assert inside.mean() > 0.99
        assert binary_dilation(mask)[pixels[inside, 1], pixels[inside, 0]].mean() > 0.99
        covered = np.zeros_like(mask)
        covered[pixels[inside, 1], pixels[inside, 0]] = True
        assert binary_dilation(covered)[mask].mean() > 0.95
        assert image.shape == (SIZE, SIZE, 3) and (image[~mask] == 255).all() and image[mask].mean() < 230


def test_writing_again_gives_the_same_bytes(root, tmp_path):
    mirror._write_scan(tmp_path, "procedural", mirror.FIRST_SEED, 0, (), SIZE)
    for name in ("111_01/111_01.obj", "rendered/111_01/scan.json", "rendered/111_01/landmarks.txt"):
        assert (tmp_path / name).read_bytes() == (root / "faceverse" / name).read_bytes()


# -- the reader --------------------------------------------------------------------------------------------------


def test_samples(root, dataset):
    samples = dataset.samples()
    assert [s.id for s in samples] == [f"{scan}_r{i:02d}" for scan in SCANS for i in range(32)]
    assert {(s.subject, s.group) for s in samples} == {("111", "111_01"), ("111", "111_02")}
    assert all(dict(s.condition) == {} and len(s.views) == 1 for s in samples)
    again = pickle.loads(pickle.dumps(samples[0]))
    assert again.group == "111_01" and again.views[0].image == samples[0].views[0].image
    assert Sample("a", "111", samples[0].views).group == "111"  # where a data set says nothing else
    grid = FaceVerse("real", root, views="grid").samples()
    assert len(grid) == 39 and {s.condition["yaw"] for s in grid} == set(range(-90, 91, 15))
    yaws = {s.condition["yaw"]: s.views[0].camera.centre for s in grid}
    assert yaws[90][0] > 200 and abs(yaws[0][0]) < 1e-6


def test_files_and_version(dataset):
    files = dataset.files()
    assert all(path.is_file() for path in files) and len(files) == len(set(files)) == 1 + 2 * (4 + 32)
    assert dataset.version == "mirror-1"
    assert not any("grid" in path.name for path in files)


def test_truth_is_of_the_samples_scan(dataset):
    samples = dataset.samples()
    first, last = dataset.truth(samples[0]), dataset.truth(samples[-1])
    assert dataset.truth(samples[-2]) is last and len(first.scan.vertices) != len(last.scan.vertices)


def test_test_split_begins_with_person_111(copy):
    index = copy / "faceverse/rendered/index.json"
    for old, new in (("111_01", "001_01"),):
        for parent in (copy / "faceverse", copy / "faceverse/rendered"):
            (parent / old).rename(parent / new)
        (copy / "faceverse" / new / f"{old}.obj").rename(copy / "faceverse" / new / f"{new}.obj")
        index.write_text(index.read_text().replace(old, new))
    assert FaceVerse("real", copy).scans == ["111_02"]
    assert FaceVerse("real", copy, split="all").scans == ["001_01", "111_02"]
    with pytest.raises(DataError, match="none of them in the test split"):
        FaceVerse("real", copy, views="grid")


def test_wrong_words_are_refused(root):
    for wrong in ({"views": "all"}, {"split": "val"}):
        with pytest.raises(HarnessError, match=r"bench\.\w+="):
            FaceVerse("real", root, **wrong)


# -- broken input ------------------------------------------------------------------------------------------------


def replaced(name: str, old: str, new: str):
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


LANDMARKS, PLACEMENT, INDEX = "rendered/111_01/landmarks.txt", "rendered/111_01/scan.json", "rendered/index.json"
MISSING = {
    "a view": lambda f: (f / "rendered/111_01/random/07.png").unlink(),
    "a scan": lambda f: (f / "111_02/111_02.obj").unlink(),
    "all views": lambda f: shutil.rmtree(f / "rendered/111_02/random"),
    "the cameras": lambda f: (f / "rendered/111_01/random.npz").unlink(),
    "landmarks": lambda f: (f / LANDMARKS).unlink(),
}


@pytest.mark.parametrize("what", MISSING)
def test_missing_files_are_named(copy, what):
    MISSING[what](copy / "faceverse")
    with pytest.raises(DataError, match=r"incomplete: .*111_0[12].*faceverse_render"):
        FaceVerse("real", copy)


def test_two_scans_in_a_folder_are_refused(copy):
    shutil.copy(copy / "faceverse/111_01/111_01.obj", copy / "faceverse/111_01/111_01_clean.obj")
    with pytest.raises(DataError, match=r"111_01\.obj, 111_01_clean\.obj; expected 111_01\.obj and no other"):
        FaceVerse("real", copy)


def test_scans_without_a_rendering_say_how_to_make_it(copy):
    shutil.rmtree(copy / "faceverse/rendered")
    with pytest.raises(DataError, match="FaceVerse comes without pictures.*faceverse_render"):
        FaceVerse("real", copy)


BROKEN = {
    "an index that is no JSON": (replaced(INDEX, "{", "["), "cannot be read"),
    "a scan listed twice": (replaced(INDEX, "111_02", "111_01"), "111_01"),
    "another scan's name": (replaced(INDEX, "111_02", "../secret"), "names like 001_01"),
    "NaN in a landmark": (lambda f: replace_number(f / LANDMARKS, "nan"), "nose_base is NaN"),
    "a word in a landmark": (lambda f: replace_number(f / LANDMARKS, "high"), "expected seven lines"),
    "a landmark too few": (lambda f: drop_line(f / LANDMARKS, "left_lips"), "lacks left_lips"),
    "a landmark too many": (
        lambda f: (f / LANDMARKS).write_text((f / LANDMARKS).read_text() + "chin 0 0 0\n"),
        "8 lines",
    ),
    "landmarks in metres": (lambda f: scale_numbers(f / LANDMARKS, 0.001), "away from the scan"),
    "a mirroring placement": (lambda f: mirror_axes(f / PLACEMENT), "mirrored"),
    "swapped y and z": (lambda f: swap_axes(f / PLACEMENT), r"forehead is towards -z, expected \+y"),
    "a unit of zero": (replaced(PLACEMENT, '"unit_mm": 1.0', '"unit_mm": 0.0'), "out of range"),
    "another unit than when it was rendered": (replaced(PLACEMENT, '"unit_mm": 1.0', '"unit_mm": 10.0'), "rendered"),
    "another scan than was rendered": (
        lambda f: shutil.copy(f / "111_02/111_02.obj", f / "111_01/111_01.obj"),
        "rendered",
    ),
    "a picture too few in the camera list": (lambda f: cut_cameras(f / "rendered/111_01/random.npz"), r"\(32"),
}


def mirror_axes(path: Path) -> None:
    placement = json.loads(path.read_text())
    placement["axes"][0] = [-1, 0, 0]
    path.write_text(json.dumps(placement))


def swap_axes(path: Path) -> None:
    placement = json.loads(path.read_text())
    placement["axes"] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    path.write_text(json.dumps(placement))


def replace_number(path: Path, word: str) -> None:
    lines = [
        f"nose_base {word} 0 0" if line.startswith("nose_base") else line for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines))


def drop_line(path: Path, name: str) -> None:
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith(name)))


def scale_numbers(path: Path, factor: float) -> None:
    rows = [line.split() for line in path.read_text().splitlines()]
    path.write_text("\n".join(" ".join([name, *(str(float(v) * factor) for v in values)]) for name, *values in rows))


def cut_cameras(path: Path) -> None:
    with np.load(path) as stored:
        arrays = {name: value[:31] if value.shape[:1] == (32,) else value for name, value in stored.items()}
    np.savez(path, **arrays)


@pytest.mark.parametrize("what", BROKEN)
def test_broken_input_is_refused(copy, what):
    damage, message = BROKEN[what]
    damage(copy / "faceverse")
    with pytest.raises(DataError, match=message):
        dataset = FaceVerse("real", copy)
        dataset.truth(dataset.samples()[0])


def test_a_copied_mirror_is_not_real_data(copy):
    (copy / "faceverse" / MANIFEST).write_text("{}")
    with pytest.raises(DataError, match="no real faceverse data"):
        FaceVerse("real", copy)
