"""3DFAW's reader on a small mirror and on broken copies of it, and what the mirror holds."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

from harness.benchmark import DataKind
from harness.datasets import threedfaw_mirror as mirror
from harness.datasets.threedfaw import Threedfaw
from harness.errors import DataError, HarnessError
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh, read_mesh
from harness.protocols.threedfaw import JAW, ThreedfawArmse, ThreedfawChamfer
from harness.samples import Prediction

SIZE, VIEWS = 64, 2


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    shares: list[float] = []
    mirror.write_threedfaw_mirror(root / "3dfaw", shares.append, subjects=2, views=VIEWS, size=SIZE, workers=1)
    assert shares == [0.5, 1.0]
    return root


@pytest.fixture
def copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "data")


def reader(root, views=(1, 2)):
    return Threedfaw("auto", root, views)


def test_one_sample_per_subject_and_number_of_views(written):
    data = reader(written)
    assert data.kind is DataKind.REAL
    samples = data.samples()
    assert [s.id for s in samples] == ["001_1", "001_2", "002_1", "002_2"]
    assert [len(s.views) for s in samples] == [s.condition["views"] for s in samples] == [1, 2, 1, 2]
    assert samples[1].views[0].image == samples[0].views[0].image
    assert samples[0].views[0].read_image().shape == (SIZE, SIZE, 3)
    assert pickle.loads(pickle.dumps(data)).subjects == data.subjects
    assert len(data.files()) == len(set(data.files())) == 1 + 2 * (2 + VIEWS)


def test_the_list_of_subjects_is_optional_and_heeded(copy):
    (copy / "3dfaw/test.txt").write_text("002\n")
    assert [s.id for s in reader(copy, 1).samples()] == ["002_1"]
    (copy / "3dfaw/test.txt").unlink()
    assert [s.id for s in reader(copy, 1).samples()] == ["001_1", "002_1"]


def test_truth_is_what_the_files_say(written):
    data = reader(written, 1)
    for sample in data.samples():
        truth = data.truth(sample)
        text = (written / f"3dfaw/VertexLandmarks{sample.subject}.txt").read_text()
        assert truth.landmarks.tolist() == [int(word) for word in text.split()]
        expected = read_mesh(written / f"3dfaw/mesh{sample.subject}.obj")
        assert np.array_equal(truth.scan.vertices, expected.vertices)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda root: (root / "mesh002.obj").unlink(), "mesh002.obj"),
        (lambda root: (root / "VertexLandmarks001.txt").unlink(), "VertexLandmarks001.txt"),
        (lambda root: shutil.rmtree(root / "images/002"), "0 frames"),
        (lambda root: (root / "test.txt").write_text(""), "no mesh"),
        (lambda root: (root / "test.txt").write_text("007\n"), "mesh007.obj"),
    ],
)
def test_missing_files_are_named_at_once(copy, change, what):
    change(copy / "3dfaw")
    with pytest.raises(DataError, match=what):
        reader(copy)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("1\n" * 68, "68 numbers"),
        ("a\n" * 51, "51 vertex indices"),
        ("99999999\n" * 51, "outside"),
        ("-1\n" * 51, "nose"),
    ],
)
def test_damaged_landmarks_are_named(copy, content, what):
    (copy / "3dfaw/VertexLandmarks002.txt").write_text(content)
    data = reader(copy, 1)
    with pytest.raises(DataError, match=what) as caught:
        data.truth(data.samples()[1])
    assert "VertexLandmarks002.txt" in str(caught.value)


def test_wrong_views_are_refused(written):
    for views in (0, [], [1, -1]):
        with pytest.raises(HarnessError, match="bench.views"):
            reader(written, views)
    with pytest.raises(DataError, match="asks for 3"):
        reader(written, 3)


# -- the mirror --------------------------------------------------------------------------------------------------------


def test_scan_and_landmarks_lie_on_the_person(written):
    data = reader(written, 1)
    for number, sample in enumerate(data.samples()):
        subject, truth = mirror.placed(number), data.truth(sample)
        surface = ClosestPoints(Mesh(subject.scene.vertices, subject.scene.faces))
        off = surface.query(truth.scan.vertices[::7]).distances
        assert np.median(off) < 0.15
        known = truth.landmarks >= 0
        assert known[10:].all() and known.sum() >= 48
        apart = truth.scan.vertices[truth.landmarks[known]] - subject.landmarks[JAW:][known]
        assert np.linalg.norm(apart, axis=1).max() < 5
        tip = truth.scan.vertices[truth.landmarks[13]]
        assert 90 < np.linalg.norm(truth.scan.vertices - tip, axis=1).max() < 120


def test_some_people_lack_landmarks_and_most_do_not():
    counts = []
    for number in range(10):
        rng = mirror.stream(mirror.FIRST_SEED + number, mirror._UNKNOWN)
        counts.append(rng.random() < mirror._SHARE_WITH_UNKNOWN)
    assert 1 <= sum(counts) <= 5


def test_people_score_better_against_themselves(written):
    data = reader(written, 1)
    subject = mirror.placed(0)
    answer = Prediction(subject.vertices, subject.head.faces.numpy(), subject.landmarks)
    own, other = (data.truth(sample) for sample in data.samples())
    for protocol in (ThreedfawArmse(), ThreedfawChamfer()):
        mine, theirs = (protocol.score(answer, truth).values[protocol.columns[0]] for truth in (own, other))
        assert mine < theirs


def test_writing_again_gives_the_same_bytes(written, tmp_path):
    mirror.write_threedfaw_mirror(tmp_path, subjects=1, views=1, size=SIZE, workers=1)
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and p.name != "test.txt"):
        assert path.read_bytes() == (written / "3dfaw" / path.relative_to(tmp_path)).read_bytes(), path
