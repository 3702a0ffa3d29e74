"""Who finds the face: the three tracks, several faces, none, and pictures of every size."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import HarnessError, View
from harness.methods.regression.arcface import five_points
from harness.methods.regression.crops import FaceError
from harness.methods.regression.detector import OUTLINES, Detection, FaceDetector
from harness.methods.regression.faces import FaceFinder, points_in_box
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.render import render
from harness.synthesis.subject import random_subject

PHOTOS = Path(__file__).resolve().parents[2] / "../shared/data/photos68"
EMPTY = np.full((300, 400, 3), 90, dtype=np.uint8)


@pytest.fixture(scope="module")
def rendered():
    """A synthetic face as a picture of 240 x 320 pixels, and its 68 landmarks."""
    subject = random_subject(999_998, expression=False)
    picture = render(subject, orbit_camera(0, 0, 800, 500, (240, 320), subject.middle), seed=1)
    return picture.image, picture.landmarks


@pytest.fixture(scope="module")
def own():
    pytest.importorskip("dlib")
    return FaceFinder("own")


def bounds(landmarks):
    return np.concatenate([np.nanmin(landmarks, axis=0), np.nanmax(landmarks, axis=0)])


def check_near(face, landmarks):
    """The box's corners are within 25 % of the face, its size within 20 %, the five points within 20 %."""
    truth = bounds(landmarks)
    size = (truth[2:] - truth[:2]).mean()
    assert np.abs(face.box - truth).max() < 0.25 * size
    assert abs((face.box[2:] - face.box[:2]).mean() / size - 1) < 0.2
    assert np.linalg.norm(face.points - five_points(landmarks), axis=1).max() < 0.2 * size


def test_detector_finds_a_face_and_where_its_points_are(own, rendered):
    image, landmarks = rendered
    face = own.find(View(image))
    check_near(face, landmarks)
    assert face.kind == "landmarks" and face.landmarks is None and face.note == ""


@pytest.mark.parametrize("name", ["einstein.jpg", "takeo.png"])
def test_detector_finds_the_faces_of_photographs(own, name):
    if not (PHOTOS / name).exists():
        pytest.skip("needs the photographs of ../shared/data/photos68")
    rows = (PHOTOS / name).with_suffix(".pts").read_text().split("{")[1].split("}")[0].split()
    check_near(own.find(View(PHOTOS / name)), np.array(rows, dtype=float).reshape(68, 2) - 1)
    assert len(FaceDetector()(View(PHOTOS / name).read_image())) == 1


def test_mirrored_picture_has_the_mirrored_face(own, rendered):
    image, _ = rendered
    face, mirrored = own.find(View(image)), own.find(View(image[:, ::-1]))
    assert np.abs(image.shape[1] - 1 - mirrored.box[[2, 0]] - face.box[[0, 2]]).max() < 15
    one, two = (Detection(np.array([10.0, 0, 110, 100]), template, 1.0) for template in (1, 2))
    assert np.allclose(120 - two.box[[2, 0]], one.box[[0, 2]]) and np.allclose(two.box[[1, 3]], one.box[[1, 3]])
    assert np.allclose(one.points[[1, 0, 2, 4, 3]] * [-1, 1] + [120, 0], two.points)
    assert np.allclose(Detection(one.square, 3, 1.0).box[:2], np.array([60, 50]) + 100 * np.array(OUTLINES[0][:2]))


def test_of_two_faces_the_largest_or_the_middle_one(own, rendered):
    image, landmarks = rendered
    small = np.asarray(Image.fromarray(image).resize((192, 256)))
    both = np.full((320, 480, 3), 127, dtype=np.uint8)
    both[:, :240], both[40:296, 250:442] = image, small
    face = own.find(View(both))
    check_near(face, landmarks)
    assert face.note == "2 faces found; took the largest"
    middle = FaceFinder("own", choose="centre").find(View(both))
    check_near(middle, (landmarks + 0.5) * 0.8 - 0.5 + [250, 40])
    assert "nearest to the centre" in middle.note
    with pytest.raises(FaceError, match="2 faces, expected exactly one") as caught:
        FaceFinder("own", choose="only").find(View(both))
    assert caught.value.reason == "no_face"


@pytest.mark.parametrize("size", [(400, 300), (20, 20), (1, 1), (3000, 5)])
def test_no_face_is_a_failure(own, size):
    image = np.random.default_rng(1).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    with pytest.raises(FaceError, match=f"no face in {size[0]}x{size[1]} pixels") as caught:
        own.find(View(image))
    assert caught.value.reason == "no_face"


def test_no_face_in_a_picture_that_lies_on_its_side(own, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(EMPTY).save(tmp_path / "lying.jpg", exif=exif)
    with pytest.raises(FaceError, match=r"lying.jpg is stored lying .* save it upright"):
        own.find(View(tmp_path / "lying.jpg"))


def test_a_face_in_a_picture_8000_pixels_wide(own, rendered):
    image, landmarks = rendered
    zoomed = np.asarray(Image.fromarray(image).resize((2400, 3200)))
    wide = np.zeros((3200, 8000, 3), dtype=np.uint8)
    wide[:, 3000:5400] = zoomed
    start = time.process_time()
    face = own.find(View(wide))
    assert time.process_time() - start < 10
    check_near(face, (landmarks + 0.5) * 10 - 0.5 + [3000, 0])


@pytest.mark.parametrize("form", ["grey", "rgba", "deep"])
def test_a_face_in_other_kinds_of_file(own, rendered, tmp_path, form):
    image, landmarks = rendered
    grey = Image.fromarray(image).convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    {"grey": grey, "rgba": Image.fromarray(image).convert("RGBA"), "deep": deep}[form].save(tmp_path / "face.png")
    check_near(own.find(View(tmp_path / "face.png")), landmarks)


def test_shared_box_is_taken_as_it_is():
    box = np.array([100.0, 50, 200, 180])
    face = FaceFinder("shared").find(View(EMPTY, box=box, landmarks=np.ones((68, 2))))
    assert np.array_equal(face.box, box) and face.kind == "shared" and face.landmarks is None
    assert np.array_equal(face.points, points_in_box(box, "shared"))
    assert (face.points > box[:2]).all() and (face.points < box[2:]).all()
    with pytest.raises(FaceError, match="gives no face box for this view"):
        FaceFinder("shared").find(View(EMPTY))


def test_landmarks_give_box_and_points():
    landmarks = np.random.default_rng(0).uniform(50, 250, (68, 2))
    landmarks[:17] = np.nan
    face = FaceFinder("landmarks").find(View(EMPTY, landmarks=landmarks))
    assert np.array_equal(face.box, bounds(landmarks)) and face.kind == "landmarks"
    assert np.array_equal(face.points, five_points(landmarks)) and face.note == ""
    landmarks[30] = np.nan
    face = FaceFinder("landmarks").find(View(EMPTY, landmarks=landmarks))
    assert np.array_equal(face.points[2], points_in_box(face.box, "landmarks")[2])
    assert face.note == "1 of the five points guessed from the box of the landmarks"


@pytest.mark.parametrize(
    ("landmarks", "words"), [(None, "gives none for this view"), (np.full((68, 2), np.nan), "0 of 68")]
)
def test_landmarks_track_needs_landmarks(landmarks, words):
    with pytest.raises(FaceError, match=words) as caught:
        FaceFinder("landmarks").find(View(EMPTY, box=np.array([1.0, 1, 9, 9]), landmarks=landmarks))
    assert caught.value.reason == "bad_input"


def test_auto_takes_what_there_is(own, rendered):
    image, landmarks = rendered
    finder = FaceFinder()
    assert finder.find(View(image, box=bounds(landmarks), landmarks=landmarks)).kind == "shared"
    assert finder.find(View(image, landmarks=landmarks)).landmarks is not None
    assert np.array_equal(finder.find(View(image)).box, own.find(View(image)).box)


def test_box_outside_the_image_is_refused():
    with pytest.raises(FaceError, match="lies outside the image of 400x300 pixels") as caught:
        FaceFinder().find(View(EMPTY, box=np.array([500.0, 10, 600, 100])))
    assert caught.value.reason == "bad_input"
    partly = np.array([350.0, 10, 600, 100])
    assert np.array_equal(FaceFinder().find(View(EMPTY, box=partly)).box, partly)


@pytest.mark.parametrize("words", [{"track": "mine"}, {"choose": "first"}])
def test_unknown_words_are_named(words):
    with pytest.raises(HarnessError, match=r"method.options.(track=mine|choose=first): expected"):
        FaceFinder(**words)


def test_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(HarnessError, match=r'pip install "face-recon-harness\[detector\]"'):
        FaceFinder("own")
    with pytest.raises(HarnessError, match="detector"):
        FaceFinder().find(View(EMPTY))
