"""Mirrors of CelebAMask-HQ, WFLW and AFLW-19: the official layouts, read by the same readers; AFLW-19's damages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from harness.datasets import aflw19_mirror, celebamask_hq_mirror, wflw_mirror
from harness.datasets.aflw19 import FRONTAL, Aflw19
from harness.datasets.celebamask_hq import CelebAMaskHQ
from harness.datasets.wflw import Wflw
from harness.errors import DataError, HarnessError
from harness.heads.head import PARTS
from harness.protocols.labels import CELEBAMASK_FARL, LABELS
from harness.protocols.landmarks import LandmarkError
from harness.protocols.parsing import ParsingF1, ParsingF1PerImage
from harness.protocols.subsets import by_subset
from harness.samples import Prediction
from harness.synthesis.render import render


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    celebamask_hq_mirror.write_celebamask_hq_mirror(root / "celebamask_hq", None, {"train": 1, "test": 1}, workers=1)
    wflw_mirror.write_wflw_mirror(root / "wflw", None, {"test": 6}, workers=1)
    aflw19_mirror.write_aflw19_mirror(root / "aflw19", None, 12, workers=1)
    return root


def test_celebamask_hq(root: Path) -> None:
    data = CelebAMaskHQ("real", root)
    (sample,) = data.samples()
    assert sample.id == "00001" and sample.views[0].read_image().shape == (1024, 1024, 3)
    truth = data.truth(sample)
    subject, camera, seed = celebamask_hq_mirror.person_of(1)
    labels = render(subject, camera, seed=seed, antialias=False).label_map
    farl = CELEBAMASK_FARL.labels()[truth.maps["celebamask_farl"]]
    assert np.array_equal(farl, labels), "PARTS are the first of LABELS, and the masks do not overlap"
    assert LABELS[: len(PARTS)] == PARTS and len(np.unique(labels)) > 10
    per_image = ParsingF1PerImage(labels="celebamask_farl")
    assert per_image.score(Prediction(label_map=farl), truth).values["mean"] == 100
    assert "hat" not in ParsingF1(labels="celebamask_farl").score(Prediction(label_map=farl), truth).values


def test_wflw(root: Path) -> None:
    data = Wflw("real", root)
    samples = data.samples()
    assert len(samples) == 6
    protocol = LandmarkError(layout="wflw98", threshold=10.0, fallback="middle")
    for index, sample in enumerate(samples):
        subject, camera, _ = wflw_mirror.person_of("test", index)
        truth = data.truth(sample)
        points = camera.project(subject.landmarks.astype(np.float64))
        assert np.abs(truth.points[[60, 72, 54, 76, 82, 16]] - points[[36, 45, 30, 48, 54, 8]]).max() < 1e-4
        assert np.abs(truth.points[[96, 97]] - [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]).max() < 1e-4
        assert protocol.score(Prediction(landmarks_2d=truth.points), truth).values["nme"] == 0
    named = {tuple(wflw_mirror.line_of("test", i).split()[200:206]) for i in range(30)}
    assert len(named) > 3, "faces differ in their attributes"


def test_aflw19(root: Path) -> None:
    data = Aflw19("real", root)
    train = Aflw19("real", root, split="train")
    assert (len(train.samples()), len(data.samples())) == (10, 2)
    for split, first in ((train, 0), (data, 10)):
        for index, sample in enumerate(split.samples(), start=first):
            subject, camera, seed = aflw19_mirror.person_of(index)
            picture = render(subject, camera, seed=seed, antialias=False)
            truth = split.truth(sample)
            assert np.abs(truth.points[[6, 11, 13, 18]] - picture.landmarks[[36, 45, 30, 8]]).max() < 1e-9
            wide, tall = truth.box[2:] - truth.box[:2]
            off = Prediction(landmarks_2d=truth.points + np.array([3, 4]))
            for kind, length in (("diagonal", np.hypot(wide, tall)), ("box", np.sqrt(wide * tall))):
                protocol = LandmarkError(layout="aflw19", normaliser=kind, threshold=7.0, fallback="middle")
                assert protocol.score(off, truth).values["nme"] == pytest.approx(500 / length, rel=1e-12)
            seen = picture.visible[[17, 19, 21, 22, 24, 26, *range(36, 48), 31, 30, 35, 48, 62, 54, 8]].all()
            assert (sample.condition["subset"] == "frontal") == seen
    subsets = {sample.condition["subset"] for sample in train.samples()}
    assert subsets == {"frontal", "rest"} and by_subset([]) == []


def test_writing_again_gives_the_same_pictures(root: Path, tmp_path: Path) -> None:
    aflw19_mirror.write_aflw19_mirror(tmp_path, count=1, workers=1)
    name = "data/flickr/0/image00000.jpg"
    assert (tmp_path / name).read_bytes() == (root / "aflw19" / name).read_bytes()
    celebamask_hq_mirror.write_celebamask_hq_mirror(tmp_path, counts={"test": 1}, workers=1)
    kept = root / "celebamask_hq/CelebA-HQ-img/0.jpg"
    assert (tmp_path / "CelebA-HQ-img/0.jpg").read_bytes() == kept.read_bytes()


def tables(**changes: object) -> dict[str, object]:
    row = aflw19_mirror.row_of(0)
    names = np.empty((2, 1), dtype=object)
    names[:, 0] = "0/a.jpg", "3/b.png"
    values = {key: np.stack([row[key]] * 2) for key in row}
    return {**values, "nameList": names, "ra": np.array([[2, 1]]), **changes}


@pytest.fixture
def aflw(tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: object) -> Path:
        home = tmp_path / "aflw19"
        for name in ("0/a", "3/b"):
            (home / f"data/flickr/{name}.jpg").parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(home / f"data/flickr/{name}.jpg")
        kept = {key: value for key, value in tables(**changes).items() if value is not None}
        savemat(home / "AFLWinfo_release.mat", kept)
        return tmp_path

    return write


def test_aflw19_takes_the_permutation_and_warns_of_other_numbers(
    aflw: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = aflw(mask_new=np.zeros((2, 19)))
    (sample,) = (data := Aflw19("real", root, split="train")).samples()[:1]
    assert sample.id == "00002__b" and sample.condition["subset"] == "rest" and len(data.samples()) == 2
    with pytest.raises(HarnessError, match=r"bench\.split=all: expected train or test"):
        Aflw19("real", root, split="all")
    Aflw19("real", root)
    assert f"the test has 0 faces, 0 of them frontal; the official one 4386 and {FRONTAL}" in caplog.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ra": None}, "lacks ra"),
        ({"ra": np.array([[1, 1]])}, r"ra is no permutation of 1\.\.2"),
        ({"data": np.zeros((2, 37))}, r"data is float64 \(2, 37\), expected finite numbers \(N, 38\)"),
        ({"data": np.full((2, 38), np.nan)}, "expected finite numbers"),
        ({"bbox": np.zeros((3, 4))}, r"tables have \[2, 3, 2\] rows"),
        ({"bbox": np.array([[5.0, 1, 1, 5]] * 2)}, r"left, right, top, bottom are \[5\.0, 1\.0"),
        ({"nameList": np.array([["a"]], dtype=object)}, "nameList has 1 names, expected 2"),
        ({"nameList": np.array([["../../a"], ["b"]], dtype=object)}, "leaves the data set's folder"),
        ({"nameList": np.array([["0/c.jpg"], ["b"]], dtype=object)}, r"incomplete: .*flickr/.*\.jpg"),
        ({"data": np.roll(np.stack([aflw19_mirror.row_of(0)["data"]] * 2), 19, axis=1)}, "the wrong way: x and y look"),
    ],
)
def test_aflw19_damage_is_named(aflw: Callable[..., Path], changes: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Aflw19("real", aflw(**changes), split="train")


def test_aflw19_without_or_with_a_broken_table(aflw: Callable[..., Path]) -> None:
    root = aflw()
    table = root / "aflw19/AFLWinfo_release.mat"
    table.write_bytes(table.read_bytes()[:300])
    with pytest.raises(DataError, match=r"AFLWinfo_release\.mat: (is no MATLAB file|lacks|cannot be read)"):
        Aflw19("real", root)
    table.write_bytes(b"<html>")
    with pytest.raises(DataError, match="is no MATLAB file, or a damaged one"):
        Aflw19("real", root)
    shutil.move(table, root / "elsewhere.mat")
    with pytest.raises(DataError, match="cannot be read"):
        Aflw19("real", root)
