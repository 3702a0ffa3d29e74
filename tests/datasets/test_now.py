"""The NoW reader: official layout and formats, both splits, and what it says of files that are wrong."""

import logging
import pickle
import shutil

import numpy as np
import pytest

from harness import DataError, HarnessError
from harness.benchmark import DataKind
from harness.datasets.now import Now, check_points
from harness.datasets.now_files import read_image_list, read_picked_points
from tests.datasets.now_layout import FACE, HEADER, PHOTOS, picked, scan, write_now

BOXES = "NoW_Dataset/final_release_version/detected_face"
PICTURES = "NoW_Dataset/final_release_version/iphone_pictures"


@pytest.fixture
def home(tmp_path):
    return write_now(tmp_path)


def test_reads_samples_boxes_and_truth(home):
    data = Now("real", home.parent)
    samples = data.samples()
    assert [s.id for s in samples] == [photo.replace("/", "__") for photo in PHOTOS]
    assert [s.subject for s in samples] == ["a", "a", "b"]
    assert [dict(s.condition) for s in samples] == [{"challenge": c} for c in ("neutral", "selfie", "expressions")]
    assert [data.submission_path(s) for s in samples] == list(PHOTOS)
    view = samples[1].views[0]
    assert view.read_image().shape == (48, 36, 3) and view.box.tolist() == [5.5, 7, 30, 40]
    truth = data.truth(samples[2])
    assert truth.landmarks.dtype == np.float32 and np.array_equal(truth.landmarks, FACE)
    assert np.array_equal(truth.scan.vertices[:7], FACE)
    assert data.kind is DataKind.REAL and not data.hidden_truth
    assert len(data.files()) == 1 + 2 * 3 + 2 * 2 and all(path.is_file() for path in data.files())
    assert pickle.loads(pickle.dumps(data)).samples()[0].id == samples[0].id


@pytest.mark.parametrize("challenge", ["selfie", "multiview_expressions", "expressions"])
def test_one_challenge(home, challenge):
    (sample,) = Now("real", home.parent, challenge=challenge).samples()
    assert sample.condition["challenge"] == challenge.removeprefix("multiview_")


def test_wrong_choices_are_named(home):
    with pytest.raises(HarnessError, match="bench.split=train: expected validation or test"):
        Now("real", home.parent, split="train")
    with pytest.raises(HarnessError, match="bench.challenge=smile: expected all, multiview_neutral"):
        Now("real", home.parent, challenge="smile")
    with pytest.raises(HarnessError, match="occlusions: .*imagepathsvalidation.txt has no image of it"):
        Now("real", home.parent, challenge="occlusions")


def test_the_test_split_has_no_truth(tmp_path):
    home = write_now(tmp_path, split="test", truth=False)
    data = Now("real", home.parent, split="test")
    assert data.hidden_truth and len(data.samples()) == 3
    with pytest.raises(DataError, match=r"a__selfie__IMG_0002: only NoW's organisers .* bench\.split=validation"):
        data.truth(data.samples()[1])
    with pytest.raises(DataError, match=r"imagepathsvalidation\.txt: the list of images cannot be read .*data=mirror"):
        Now("real", home.parent)


def test_another_number_of_images_than_the_official_is_said(home, caplog):
    Now("real", home.parent)
    assert "names 3 images, the official 352" in caplog.text


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda h: shutil.rmtree(h / "scans"),
            r"incomplete: scans/a/\*\.obj, scans/b/\*\.obj missing\. Register at http",
        ),
        (lambda h: shutil.rmtree(h / "scans_lmks_onlypp/b"), r"scans_lmks_onlypp/b/\*\.pp missing.*data=mirror"),
        (lambda h: shutil.rmtree(h / "NoW_Dataset"), r"iphone_pictures/a/.*IMG_0001\.jpg.* and 1 more missing"),
        (lambda h: (h / BOXES / "a/selfie/IMG_0002.npy").unlink(), r"detected_face/a/selfie/IMG_0002\.npy missing"),
        (lambda h: (h / "scans/a/t.obj").write_text(scan()), r"scans/a: holds 2 \.obj files \(s\.obj, t\.obj\)"),
        (lambda h: (h / "scans/a/s.obj").write_text("v 0 0\n"), r"scans/a/s\.obj"),
        (lambda h: (h / "imagepathsvalidation.txt").write_text(""), r"validation\.txt: names no image"),
        (
            lambda h: (h / "imagepathsvalidation.txt").write_text("x.jpg\n"),
            r"line 1: found 'x\.jpg', expected <subject>",
        ),
        (lambda h: (h / "imagepathsvalidation.txt").write_text("a/smile/I_1.jpg\n"), r"line 1: .*categories multiview"),
        (lambda h: (h / "imagepathsvalidation.txt").write_text("a/selfie/IMG_0002.jpg\n" * 2), r"more than once"),
        (lambda h: np.save(h / BOXES / "a/selfie/IMG_0002.npy", {"left": 1}), r"IMG_0002\.npy: .*found \['left'\]"),
        (
            lambda h: np.save(h / BOXES / "a/selfie/IMG_0002.npy", np.array(["x", None])),
            r"IMG_0002\.npy: .*found ndarray",
        ),
        (lambda h: np.save(h / BOXES / "a/selfie/IMG_0002.npy", box(right=2)), r"top, right, bottom are .* no box"),
        (lambda h: np.save(h / BOXES / "a/selfie/IMG_0002.npy", box(top=np.nan)), r"top, right, bottom are .* no box"),
        (lambda h: points(h).write_text("<a"), r"s_picked\.pp: is not the XML"),
        (lambda h: points(h).write_text(picked(FACE[:6])), r"s_picked\.pp: has 6 points, expected 7: right_eye_outer"),
        (lambda h: points(h).write_text(picked(FACE).replace('x="', 'u="')), r"s_picked\.pp: a point lacks a number"),
        (lambda h: points(h).write_text(picked(FACE).replace('"-45.0"', '"nan"')), r"points that are not finite"),
        (
            lambda h: points(h).write_text(picked(FACE / 1000)),
            r"eye corners are 0\.09 mm apart.*metres taken for milli",
        ),
        (lambda h: points(h).write_text(picked(FACE[:, [0, 2, 1]])), r"mirror image.*y and z axes look swapped"),
        (lambda h: points(h).write_text(picked(FACE[[3, 2, 1, 0, 4, 6, 5]])), r"mirror image, or .* another order"),
        (lambda h: points(h).write_text(picked(moved(0, 300, 0))), r"3\d\d mm from the scan s\.obj: they belong to"),
        (lambda h: (h / "scans/a/s.obj").write_text(scan(FACE / 1000)), r"from the scan s\.obj: the scan is in metres"),
    ],
)
def test_damage_is_named(home, damage, words):
    damage(home)
    with pytest.raises(DataError, match=words):
        for sample in (data := Now("real", home.parent)).samples():
            data.truth(sample)


def moved(*by):
    return FACE + np.array(by)


def box(**changed):
    return {"left": 5, "top": 7, "right": 30, "bottom": 40, **changed}


def points(home):
    return home / "scans_lmks_onlypp/a/s_picked.pp"


def test_swapped_axes_of_the_scan_alone(home):
    place = moved(0, 40, 200)
    (home / "scans/a/s.obj").write_text(scan(place[:, [0, 2, 1]]))
    points(home).write_text(picked(place))
    data = Now("real", home.parent)
    with pytest.raises(DataError, match="the y and z axes of one of the two are swapped"):
        data.truth(data.samples()[0])


def test_a_point_off_the_scan_is_said(home, caplog):
    points(home).write_text(picked(np.where(np.arange(7)[:, None] == 4, moved(0, 0, 15), FACE)))
    data = Now("real", home.parent)
    data.truth(data.samples()[0])
    assert "nose_base is 15.0 mm from the scan" in caplog.text


def test_a_scan_that_lies_on_its_back_is_said(home, caplog):
    turned = FACE @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # a rotation
    (home / "scans/a/s.obj").write_text(scan(turned))
    points(home).write_text(picked(turned))
    with caplog.at_level(logging.WARNING):
        data = Now("real", home.parent)
    assert "the face looks along +y and up is -z, expected +z and +y" in caplog.text
    assert len(data.truth(data.samples()[0]).landmarks) == 7


def test_hidden_files_are_no_second_scan(home):
    (home / "scans/a/._s.obj").write_text("")
    data = Now("real", home.parent)
    assert data.truth(data.samples()[0]).scan.vertices.shape == (14, 3)


@pytest.mark.parametrize(
    "header",
    ["<PickedPoints>\n", HEADER.replace('  <User name="x"/>\n', ""), HEADER.replace(" <Doc", " <!-- a\n b -->\n <Doc")],
)
def test_picked_points_with_another_header(tmp_path, header):
    (tmp_path / "a.pp").write_text(picked(FACE, header))
    assert np.array_equal(read_picked_points(tmp_path / "a.pp"), FACE.astype(np.float32))
    check_points(tmp_path / "a.pp")


def test_image_list_takes_the_last_three_parts(tmp_path):
    (tmp_path / "list.txt").write_text("/some/where/F_1_TA/selfie/IMG_0001.jpg\r\n\n F_2_TA/selfie/IMG_2.JPG \n")
    assert [(*photo, photo.stem) for photo in read_image_list(tmp_path / "list.txt")] == [
        ("F_1_TA", "selfie", "IMG_0001.jpg", "IMG_0001"),
        ("F_2_TA", "selfie", "IMG_2.JPG", "IMG_2"),
    ]
