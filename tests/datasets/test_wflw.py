"""WFLW's lists: faces, boxes, overlapping subsets, and lines that are wrong."""

import numpy as np
import pytest
from PIL import Image

from harness import DataError, HarnessError
from harness.datasets.wflw import Wflw
from harness.protocols.landmarks import LandmarkError
from harness.samples import Prediction


def face():
    """98 points: contour, brows, then all others in the eyes and the mouth."""
    angle = np.linspace(np.pi, 0, 33)
    points = np.full((98, 2), [50.0, 60.0])
    points[:33] = np.stack([50 + 35 * np.cos(angle), 50 + 45 * np.sin(angle)], -1)
    points[33:42] = np.stack([np.linspace(22, 44, 9), np.full(9, 35)], -1)
    points[42:51] = np.stack([np.linspace(56, 78, 9), np.full(9, 35)], -1)
    points[60:68], points[68:76], points[76:96] = [33, 45], [67, 45], [50, 82]
    points[60], points[72], points[96], points[97] = [28, 45], [72, 45], [33, 45], [67, 45]
    return points


def line(points=None, box="15 30 85 96", flags="1 0 0 0 0 1", path="1--Handshaking/a_1.jpg"):
    numbers = " ".join(str(v) for v in (face() if points is None else points).ravel())
    return f"{numbers} {box} {flags} {path}\n"


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "wflw"
    (home / "WFLW_images/1--Handshaking").mkdir(parents=True)
    Image.fromarray(np.zeros((120, 100, 3), np.uint8)).save(home / "WFLW_images/1--Handshaking/a_1.jpg")
    lists = home / "WFLW_annotations/list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True)
    (lists / "list_98pt_rect_attr_test.txt").write_text(line() + line(flags="1 0 0 0 0 0") + line(flags="0 0 0 0 0 0"))
    return home


def test_faces_subsets_and_scores(home, caplog):
    data = Wflw("real", home.parent)
    samples = data.samples()
    assert [s.id for s in samples] == ["0001__a_1", "0002__a_1", "0003__a_1"] and "the official 2500" in caplog.text
    assert [s.condition["subset"] for s in samples] == ["pose+blur", "pose", "rest"]
    assert samples[0].views[0].box.tolist() == [15, 30, 85, 96] and len(data.files()) == 2
    truth = data.truth(samples[0])
    protocol = LandmarkError(layout="wflw98", threshold=10.0, fallback="middle")
    score = protocol.score(Prediction(landmarks_2d=truth.points + np.array([0, 4.4])), truth)
    assert score.values["nme"] == pytest.approx(10)
    with pytest.raises(HarnessError, match=r"bench\.split=val: expected train or test"):
        Wflw("real", home.parent, split="val")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no face"),
        (line()[5:], "line 1: the points run|line 1: "),
        (line(points=face()[:97]), "line 1: has 205 words, expected 207"),
        (line(points=face()[:, ::-1]), "line 1: the points run round the face the wrong way: x and y look swapped"),
        (line(points=face() * np.nan), "is not finite"),
        (line(points=face() + 900), r"0% of its points are in the picture of 100x120"),
        (line(box="15 30 15 96"), r"which is no box"),
        (line(flags="1 0 0 0 0 2"), "expected 0 or 1 each"),
        (line(path="../../etc/passwd"), "leaves the data set's folder"),
        (line(path="/etc/passwd"), "leaves the data set's folder"),
        (line(path="1--Handshaking/b.jpg"), r"incomplete: WFLW_images/1--Handshaking/b\.jpg missing"),
    ],
)
def test_damage_is_named(home, text, words):
    (home / "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt").write_text(text)
    with pytest.raises(DataError, match=words):
        for sample in (data := Wflw("real", home.parent)).samples():
            data.truth(sample)
