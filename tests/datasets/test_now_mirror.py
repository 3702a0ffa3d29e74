"""The NoW mirror: official layout and counts, and a neutral scan of the people that the photographs show."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from harness.benchmark import DataKind
from harness.data import MANIFEST
from harness.datasets import now_mirror as mirror
from harness.datasets.now import Now
from harness.datasets.now_files import CATEGORIES
from harness.geometry.alignment import fit_similarity
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.synthesis.subject import random_subject

SMALL = {"counts": ((1, 1, 1, 1), (1, 0, 4, 0)), "test_counts": ((1, 0, 0, 1),), "size": (90, 120), "workers": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    shares: list[float] = []
    mirror.write_now_mirror(root / "now", shares.append, least_vertices=20_000, **SMALL)
    assert shares == [pytest.approx(share) for share in (1 / 3, 2 / 3, 1)]
    return root


@pytest.fixture(scope="module")
def data(root):
    return Now("real", root)


def test_counts_are_the_official_ones():
    counts = np.array(mirror.COUNTS)
    assert counts.shape == (20, 4) and counts.sum(0).tolist() == [108, 114, 86, 44]
    assert (counts.sum(1).min(), counts.sum(1).max()) == (12, 29)
    assert (counts == 0).any(1).sum() == 7 == (counts == 0).sum()


def test_is_read_as_the_real_data_set(root, data):
    samples = data.samples()
    assert [s.condition["challenge"] for s in samples] == [*CATEGORIES.values(), "neutral", *["occlusions"] * 4]
    assert len({s.subject for s in samples}) == 2 and len({s.id for s in samples}) == 9
    for sample in samples:
        with Image.open(sample.views[0].image) as picture:
            assert picture.size == (90, 120)
    test = Now("real", root, split="test")
    assert test.hidden_truth and len(test.samples()) == 2
    assert not {s.subject for s in test.samples()} & {s.subject for s in samples}
    assert not (root / "now/scans" / test.samples()[0].subject).exists()


def test_says_that_it_is_a_mirror(root, monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    home = tmp_path / "mirrors" / f"now-{Now.mirror_version}"
    home.parent.mkdir()
    home.symlink_to(root / "now")
    monkeypatch.setattr("harness.data.mirror_is_intact", lambda *which: True)
    data = Now("mirror", tmp_path / "nothing")
    assert data.kind is DataKind.MIRROR and data.version == "mirror-1"


def test_official_program_finds_the_points_by_line_numbers(root, data):
    """It takes lines 9 to 15 and splits at blanks."""
    for subject in data.subjects:
        (file,) = (root / "now/scans_lmks_onlypp" / subject).glob("*.pp")
        words = [line.split(" ") for line in file.read_text().splitlines()[8:15]]
        found = [[float(next(w for w in line if w.startswith(f"{axis}="))[3:-1]) for axis in "xyz"] for line in words]
        truth = data.truth(next(s for s in data.samples() if s.subject == subject))
        assert np.array_equal(np.array(found, np.float32), truth.landmarks)


def test_scan_is_the_neutral_face_whatever_the_photograph_shows(data):
    ids = list(NOW_LANDMARKS.values())
    for index, subject in enumerate(data.subjects):
        person = random_subject(mirror.FIRST_SEED + index, expression=False)
        sample = next(s for s in data.samples() if s.subject == subject)
        truth = data.truth(sample)
        model = person.landmarks[ids].astype(np.float64)
        place = fit_similarity(truth.landmarks.astype(np.float64), model, scale="none")
        assert np.linalg.norm(place.apply(truth.landmarks.astype(np.float64)) - model, axis=1).max() < 2.5
        near = place.apply(truth.scan.vertices)
        face = np.linalg.norm(near - model[4], axis=1) < 60
        assert face.sum() > 1000 and np.quantile(cKDTree(person.vertices).query(near[face])[0], 0.9) < 4
        assert len(truth.scan.vertices) >= 20_000
        smiling = random_subject(mirror.FIRST_SEED + index, expression=True, moment=101)
        assert np.abs(smiling.vertices - person.vertices).max() > 1


def test_boxes_hold_the_face(root, data, monkeypatch):
    """Pictures are taken again without an occluder; the box is around what they say of the landmarks."""
    seen = []
    original = mirror.render
    monkeypatch.setattr(mirror, "render", lambda *a, **k: seen.append(original(*a, **k)) or seen[-1])
    mirror._write_subject(root / "again", "procedural", mirror.FIRST_SEED, SMALL["counts"][0], SMALL["size"], None)
    for sample, picture in zip(data.samples(), seen, strict=False):
        left, top, right, bottom = sample.views[0].box
        inside = (picture.landmarks > [left, top]) & (picture.landmarks < [right, bottom])
        assert inside.all(1).mean() > 0.8
        wide, tall = np.ptp(picture.landmarks, axis=0)
        assert right - left < 1.4 * wide and bottom - top < 1.6 * tall


def test_selfies_are_near_and_wide():
    person = random_subject(mirror.FIRST_SEED, expression=False)
    rng = np.random.default_rng(0)
    near, far = (mirror._camera(rng, person, (360, 480), front) for front in (True, False))
    assert near.intrinsics[0, 0] < 0.7 * far.intrinsics[0, 0]
    distances = [np.linalg.norm(camera.centre - person.middle) for camera in (near, far)]
    assert distances[0] < 560 < distances[1]


def test_writing_again_gives_the_same_bytes(root, tmp_path):
    mirror.write_now_mirror(tmp_path, least_vertices=20_000, **{**SMALL, "counts": SMALL["counts"][:1]})
    names = [
        p.relative_to(tmp_path)
        for p in tmp_path.rglob("*")
        if p.is_file() and mirror.subject_name(1_001_000) in p.parts
    ]
    assert len(names) == 4 + 4 + 2
    assert all((tmp_path / name).read_bytes() == (root / "now" / name).read_bytes() for name in names)
    assert MANIFEST not in {p.name for p in tmp_path.iterdir()}


def test_python_2_boxes_are_what_numpy_reads_as_latin1():
    box = {"left": -3.25, "top": 1e-9, "right": 1e6, "bottom": 7.0}
    assert np.load(io.BytesIO(mirror.python2_box(box)), allow_pickle=True, encoding="latin1").item() == box
    assert b"numpy.core.multiarray" in mirror.python2_box(box)
