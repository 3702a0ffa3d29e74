"""The 300W reader on a folder written by hand, on real photographs, and what it says of files that are wrong."""

import logging
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import DataError, HarnessError
from harness.benchmark import DataKind
from harness.datasets.point_files import read_pts
from harness.datasets.w300 import W300
from harness.protocols.landmarks import LandmarkError
from harness.samples import Prediction

PHOTOS = Path(__file__).resolve().parents[2] / "../shared/data/photos68"
needs_photos = pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photographs in {PHOTOS}")


def face() -> np.ndarray:
    """68 points in roughly a face's places, pixels from the middle of the first, in a picture of 100 x 120."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([50 + 35 * np.cos(angle), 50 + 50 * np.sin(angle)], -1)
    brows = [(x, 35) for x in (*np.linspace(22, 44, 5), *np.linspace(56, 78, 5))]
    nose = [*((50, y) for y in (45, 52, 59, 66)), *((x, 70) for x in (44, 47, 50, 53, 56))]
    eyes = [
        (x, y)
        for left in (26, 60)
        for x, y in ((0, 45), (5, 42), (9, 42), (14, 45), (9, 47), (5, 47))
        for x in [x + left]
    ]
    mouth = [(50 - 14 * np.cos(a), 82 - 5 * np.sin(a)) for a in np.arange(20) * 2 * np.pi / 12]
    return np.vstack([jaw, brows, nose, eyes, mouth])


def pts(points, count=68) -> str:
    return f"version: 1\nn_points:  {count}\n{{\n" + "".join(f"{x} {y}\n" for x, y in points) + "}\n"


def write_300w(root: Path) -> Path:
    home = root / "300w"
    for name in ("helen/testset/232194_1.jpg", "lfpw/testset/image_0001.png", "ibug/image_092 _01.jpg"):
        file = home / name
        file.parent.mkdir(parents=True)
        Image.fromarray(np.full((120, 100, 3), 90, np.uint8)).save(file)
        file.with_suffix(".pts").write_text(pts(face() + 1))
    return home


@pytest.fixture
def home(tmp_path):
    return write_300w(tmp_path)


def test_reads_pictures_points_and_boxes(home, caplog):
    data = W300("real", home.parent)
    samples = data.samples()
    assert [s.id for s in samples] == ["helen_testset__232194_1", "lfpw_testset__image_0001", "ibug__image_092__01"]
    assert [s.condition["subset"] for s in samples] == ["common", "common", "challenge"]
    assert "ibug: has 1 annotated pictures, the official 135" in caplog.text
    view = samples[2].views[0]
    assert view.read_image().shape == (120, 100, 3) and view.landmarks is None
    low, high = face().min(0), face().max(0)
    assert view.box.tolist() == pytest.approx([low[0], low[1] - 0.25 * (high[1] - low[1]), *high])
    truth = data.truth(samples[2])
    assert truth.layout == "ibug68" and np.allclose(truth.points, face())
    assert data.kind is DataKind.REAL and data.version == "300w" and len(data.files()) == 6
    assert pickle.loads(pickle.dumps(data)).samples()[2].id == samples[2].id


@pytest.mark.parametrize(("split", "ids"), [("common", 2), ("challenge", 1), ("full", 3)])
def test_splits(home, split, ids):
    assert len(W300("real", home.parent, split=split).samples()) == ids


def test_a_split_needs_its_own_files_only(home):
    shutil.rmtree(home / "helen")
    assert len(W300("real", home.parent, split="challenge").samples()) == 1
    with pytest.raises(HarnessError, match=r"bench.split=test: expected full, common, challenge"):
        W300("real", home.parent, split="test")


def changed(text):
    return lambda h: (h / "ibug/image_092 _01.pts").write_text(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda h: shutil.rmtree(h / "ibug"), r"ibug: has no \.pts file; unpack .* that it has 135"),
        (
            lambda h: (h / "ibug/image_092 _01.jpg").unlink(),
            r"incomplete: ibug/image_092 _01\.jpg missing.*data=mirror",
        ),
        (changed(""), "expected `version: 1`, `n_points: 68` and points in braces"),
        (changed(pts(face()).replace("}", "")), "points in braces"),
        (changed(pts(face()[:67], 67)), "_01.pts: says n_points 67 and has 67 points, expected 68"),
        (changed(pts(face()[:67])), "says n_points 68 and has 67 points, expected 68"),
        (changed(pts(face(), 67)), "says n_points 67 and has 68 points"),
        (changed(pts(face()).replace("26.0 45.0\n", "26.0\n")), "point 37: found '26.0', expected x and y"),
        (changed(pts(face()).replace("26.0 45.0\n", "1 2 3\n")), "point 37: found '1 2 3'"),
        (changed(pts(face()).replace("26.0 45.0\n", "<b>x</b> 1\n")), "a point is no number"),
        (changed(pts(face()).replace("26.0 45.0\n", "nan 1\n")), "point 37: is not finite"),
        (changed(pts(face()).replace("26.0 45.0\n", "1e999 1\n")), "point 37: is not finite"),
        (changed(pts(face()[:, ::-1])), "run round the face the wrong way: x and y look swapped"),
        (changed(pts(face() * [-1, 1] + [100, 0])), "wrong way: it is mirrored, or its points are in another order"),
        (changed(pts(face()[::-1])), "wrong way|another picture"),
        (changed(pts(face() + 500)), r"0% of its points are in the picture of 100x120 pixels"),
        (lambda h: (h / "ibug/image_092 _01.pts").write_bytes(b"\xff\xfe{" * 9), "is no text"),
        (changed("x" * 1_000_001), "1,000,001 bytes, which no list of points has"),
        (lambda h: (h / "ibug/image_092 _01.jpg").write_bytes(b"no picture"), "cannot be read as an image"),
    ],
)
def test_damage_is_named(home, damage, words):
    damage(home)
    with pytest.raises(DataError, match=words):
        for sample in (data := W300("real", home.parent)).samples():
            data.truth(sample)


def test_names_that_become_equal_are_refused(home):
    for suffix in (".jpg", ".pts"):
        shutil.copy(home / f"ibug/image_092 _01{suffix}", home / f"ibug/image_092__01{suffix}")
    with pytest.raises(DataError, match="differs from another's in blanks or signs only"):
        W300("real", home.parent)


def test_some_points_may_be_outside_the_picture(home):
    moved = face() + np.array([30, 0])
    changed(pts(moved + 1))(home)
    data = W300("real", home.parent)
    assert (moved[:, 0] > 100).any()
    assert np.allclose(data.truth(data.samples()[2]).points, moved)


def test_eyes_in_one_place_fail_when_scored(home):
    squeezed = face()
    squeezed[45] = squeezed[36]
    changed(pts(squeezed + 1))(home)
    data = W300("real", home.parent)
    score = LandmarkError().score(Prediction(landmarks_2d=face()), data.truth(data.samples()[2]))
    assert score.failure == "bad_input" and "is 0 in the annotation" in score.detail


def test_hidden_files_are_left_out(home):
    (home / "ibug/._image_092 _01.pts").write_text("")
    assert len(W300("real", home.parent).samples()) == 3


@pytest.fixture
def photos(tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    home = tmp_path / "300w" / "ibug"
    home.mkdir(parents=True)
    for file in sorted(PHOTOS.glob("*.*")):
        shutil.copyfile(file, home / file.name)
    return home


@needs_photos
def test_real_photographs(photos):
    data = W300("real", photos.parents[1], split="challenge")
    for sample in data.samples():
        truth = data.truth(sample)
        plain = np.loadtxt(photos / f"{sample.id.removeprefix('ibug__')}.pts", skiprows=3, comments="}")
        assert np.allclose(truth.points, plain - 1)
        rng = np.random.default_rng(0)
        off = rng.normal(0, 2, (68, 2))
        score = LandmarkError().score(Prediction(landmarks_2d=truth.points + off), truth)
        by_hand = np.sqrt((off**2).sum(1)).mean() / np.sqrt(((plain[36] - plain[45]) ** 2).sum())
        assert score.values["nme"] == pytest.approx(100 * by_hand, rel=1e-9)
    assert [s.id for s in data.samples()] == ["ibug__einstein", "ibug__takeo"]


@needs_photos
@pytest.mark.parametrize("name", ["einstein", "takeo"])
def test_real_points_that_were_spoilt(photos, name):
    file = photos / f"{name}.pts"
    good = read_pts(file, 68) + 1
    file.write_text(pts(good[:67], 67))
    with pytest.raises(DataError, match=rf"{name}\.pts: says n_points 67 and has 67 points, expected 68"):
        W300("real", photos.parents[1], split="challenge")
    file.write_text(pts(good[:, ::-1]))
    with pytest.raises(DataError, match=rf"{name}\.pts: .*x and y look swapped"):
        W300("real", photos.parents[1], split="challenge")
