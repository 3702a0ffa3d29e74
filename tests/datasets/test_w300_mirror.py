"""The 300W mirror: the official layout, read by the same reader, with points where the faces are."""

import numpy as np
import pytest

from harness.datasets import w300_mirror as mirror
from harness.datasets.w300 import FOLDERS, W300
from harness.protocols.landmarks import LandmarkError
from harness.samples import Prediction
from harness.synthesis.render import render

SMALL = {"helen/testset": 2, "lfpw/testset": 1, "ibug": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    shares: list[float] = []
    mirror.write_w300_mirror(root / "300w", shares.append, SMALL, workers=1)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    return root


def test_has_the_folders_of_the_original():
    assert list(mirror.COUNTS) == list(FOLDERS)
    assert mirror.picture_name("ibug", mirror.BLANK) == "image_010 _01" and mirror.COUNTS["ibug"] > mirror.BLANK


def test_is_read_as_the_real_data_set(root):
    data = W300("real", root)
    samples = data.samples()
    assert [s.condition["subset"] for s in samples] == ["common"] * 3 + ["challenge"] * 2
    assert samples[2].views[0].image.suffix == ".png"
    for sample in samples:
        left, top, right, bottom = sample.views[0].box
        assert right - left > 40 and bottom - top > 40
        truth = data.truth(sample)
        score = LandmarkError().score(Prediction(landmarks_2d=truth.points), truth)
        assert score.values["nme"] == 0
        stand_in = LandmarkError().score(LandmarkError().stand_in(truth), truth)
        assert 0.5 < stand_in.values["nme"] < 80


def test_points_are_those_of_the_faces(root):
    data = W300("real", root)
    subject, camera, seed = mirror.person_of("ibug", 1)
    picture = render(subject, camera, seed=seed, antialias=False)
    truth = data.truth(data.samples()[4])
    assert np.abs(truth.points - camera.project(subject.landmarks.astype(np.float64))).max() < 1e-5
    seen = picture.visible
    columns, rows = np.round(truth.points[seen]).astype(int).T
    assert seen.sum() > 20 and picture.mask[rows, columns].mean() > 0.9


def test_hard_faces_are_turned_further():
    turns = {}
    for place in ("helen/testset", "ibug"):
        yaws = []
        for index in range(6):
            subject, camera, _ = mirror.person_of(place, index)
            towards = camera.centre - subject.middle
            yaws.append(abs(np.degrees(np.arctan2(towards[0], towards[2]))))
        turns[place] = np.mean(yaws)
    assert turns["ibug"] > 1.3 * turns["helen/testset"]


def test_writing_again_gives_the_same_bytes(root, tmp_path):
    mirror.write_w300_mirror(tmp_path, counts={"lfpw/testset": 1}, workers=1)
    for name in ("image_001.png", "image_001.pts"):
        assert (tmp_path / "lfpw/testset" / name).read_bytes() == (root / "300w/lfpw/testset" / name).read_bytes()
