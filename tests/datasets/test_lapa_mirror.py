"""The LaPa mirror: the official layout, read by the same reader, with classes and points where the faces are."""

import numpy as np
import pytest

from harness.datasets import lapa_mirror as mirror
from harness.datasets.lapa import PICTURES, Lapa, ibug_points
from harness.methods.regression.arcface import five_points
from harness.protocols.labels import LAPA
from harness.protocols.parsing import ParsingF1
from harness.samples import Prediction
from harness.synthesis.render import render

SMALL = {"train": 1, "val": 1, "test": 3}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    shares: list[float] = []
    mirror.write_lapa_mirror(root / "lapa", shares.append, SMALL, workers=1)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    return root


def test_is_read_as_the_real_data_set(root):
    assert list(mirror.COUNTS) == list(PICTURES)
    for split, count in SMALL.items():
        data = Lapa("real", root, split)
        assert len(data.samples()) == count
        for sample in data.samples():
            truth = data.truth(sample)
            classes = truth.maps["lapa"]
            assert {1, 6, 10} <= set(np.unique(classes)), "skin, nose and hair are seen in all of them"
            score = ParsingF1().score(Prediction(label_map=LAPA.labels()[classes]), truth)
            assert score.values["mean"] == 100


def test_classes_and_points_are_those_of_the_faces(root):
    data = Lapa("real", root)
    for index, sample in enumerate(data.samples()):
        subject, camera, seed = mirror.person_of("test", index)
        picture = render(subject, camera, seed=seed, antialias=False)
        classes = data.truth(sample).maps["lapa"]
        assert np.array_equal(classes == LAPA.classes.index("nose"), picture.label_map == 6)
        assert not np.isin(classes[np.isin(picture.label_map, [13, 14])], range(1, 11)).any(), "neck and clothes"
        (view,) = sample.views
        known = np.isfinite(view.landmarks).all(axis=1)
        known[36:48] = False  # an eye's points all stand at its centre
        assert known.sum() == 51
        assert np.abs(view.landmarks[known] - picture.landmarks[known]).max() < 1e-3
        assert np.abs(five_points(view.landmarks) - five_points(picture.landmarks)).max() < 1e-3
        assert view.box[0] == pytest.approx(picture.landmarks[:, 0].min(), abs=1e-3)


def test_points_between_those_of_ibug():
    points = np.stack([np.arange(68.0), np.arange(68.0) ** 2], axis=1)
    found = mirror.points_106(points)
    assert found.shape == (106, 2)
    assert np.allclose(found[1], (points[0] + points[1]) / 2) and np.array_equal(found[32], points[16])
    assert np.array_equal(found[54], points[30]) and np.array_equal(found[90], points[54])
    assert np.allclose(found[104], points[36:42].mean(axis=0))
    back = ibug_points(found)
    assert np.isnan(back[31:36]).all() and np.array_equal(back[48:68], points[48:68])


def test_writing_again_gives_the_same_bytes(root, tmp_path):
    mirror.write_lapa_mirror(tmp_path, counts={"val": 1}, workers=1)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert [path.parts[1] for path in files] == ["images", "labels", "landmarks"]
    for path in files:
        assert (tmp_path / path).read_bytes() == (root / "lapa" / path).read_bytes()
