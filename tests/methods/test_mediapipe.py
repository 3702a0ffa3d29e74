"""MediaPipe's points: triangles from edges, sizes from irises, iBUG's 68; and the method itself on real photographs."""

from pathlib import Path

import numpy as np
import pytest

from harness import HarnessError, Sample, View
from harness.isolation.launchers import launcher_for
from harness.isolation.options import IsolationOptions
from harness.isolation.remote import RemoteWorker
from harness.method import MethodSpec
from harness.methods.mediapipe import points
from harness.methods.mediapipe.adapter import MediaPipe
from harness.methods.regression.crops import FaceError
from harness.methods.regression.faces import FaceFinder

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
METHOD = MethodSpec("mediapipe", "harness.methods.mediapipe.adapter:MediaPipe", {}, isolation=IsolationOptions("venv"))


def grid(rows, columns):
    """Triangles of a sheet of squares, all turned alike."""
    found = []
    for r in range(rows):
        for c in range(columns):
            a, b, d, e = (k + r * (columns + 1) + c for k in (0, 1, columns + 1, columns + 2))
            found += [(a, b, d), (b, e, d)] if (r + c) % 2 else [(a, b, e), (a, e, d)]
    return np.array(found)


def edges(faces):
    return {(int(t[k]), int(t[(k + 1) % 3])) for t in faces for k in range(3)}


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_triangles_come_back_from_their_edges(size):
    faces = grid(*size)
    found = points.triangles(edges(faces))
    turned = {tuple(np.roll(t, -int(np.argmin(t)))) for t in faces.tolist()}
    assert {tuple(t) for t in found.tolist()} == {tuple(int(v) for v in t) for t in turned}


def test_edges_of_no_triangles_are_refused():
    with pytest.raises(ValueError, match="edges are those of no triangle"):
        points.triangles(edges(grid(2, 2)) | {(0, 99), (99, 0)})


def test_partners_are_mutual_and_the_named_points_mirror_each_other():
    partner = points.partners()
    assert (partner[partner] == np.arange(points.COUNT)).all()
    assert [int(partner[v]) for v in points.JAW[0]] == list(points.JAW[1])
    ids = np.arange(float(points.COUNT))
    vertices = np.column_stack([ids, np.zeros_like(ids), np.zeros_like(ids)])
    mirror = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46]
    mirror += [39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    ours, theirs = points.landmarks(vertices)[17:, 0], points.landmarks(vertices[partner])[17:, 0]
    assert np.allclose(ours, theirs[np.array(mirror[17:]) - 17])


def test_points_of_the_jaw_are_evenly_spaced_along_the_rim():
    vertices = np.random.default_rng(0).random((points.COUNT, 2))
    for rim, seventeen in ((points.JAW[0], range(9)), (points.JAW[1], range(16, 7, -1))):
        angle = np.linspace(0, np.pi / 2, len(rim)) ** 1.3
        vertices[list(rim)] = np.column_stack([np.cos(angle), np.sin(angle)])
        jaw = points.landmarks(vertices)[list(seventeen)]
        gaps = np.linalg.norm(np.diff(jaw, axis=0), axis=1)
        assert gaps.std() / gaps.mean() < 0.02
        assert np.allclose(jaw[[0, -1]], vertices[[rim[0], rim[-1]]])


def test_a_face_of_known_size_comes_back_in_millimetres():
    """Points in space, photographed from afar as MediaPipe sees them: pixels, and depth in pixels."""
    chance = np.random.default_rng(0)
    solid = chance.uniform(-60, 60, (points.COUNT, 3)) + np.array([20.0, -10.0, 3000.0])
    for one, other in points.IRISES:
        solid[other] = solid[one] + [points.IRIS_MM, 0, 0]
        solid[[one, other], 2] = 3000
    camera = np.array([[9000.0, 0, 320], [0, 9000, 240], [0, 0, 1]])
    image = solid @ camera.T
    seen = np.column_stack([image[:, :2] / image[:, 2:], (solid[:, 2] - 3000) * 9000 / 3000])
    assert np.allclose(points.in_millimetres(seen, camera), solid, atol=1e-6)
    with pytest.raises(ValueError, match="irises"):
        points.in_millimetres(np.zeros((points.COUNT, 3)), camera)


def test_the_assumed_camera_has_its_field_of_view():
    camera = points.intrinsics(640, 480)
    top, bottom = (np.linalg.inv(camera) @ [319.5, y, 1] for y in (-0.5, 479.5))
    assert np.arctan2(bottom[1], 1) - np.arctan2(top[1], 1) == pytest.approx(np.deg2rad(63))


def test_an_unknown_track_is_refused():
    with pytest.raises(HarnessError, match="track=landmark: expected auto, own, shared"):
        MediaPipe(track="landmark")


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """The method in its environment, which is kept in the user's cache: a gigabyte and a minute or two."""
    launcher = launcher_for(METHOD, METHOD.isolation, "cpu")
    try:
        launcher.record()
    except HarnessError as error:
        pytest.skip(f"the environment cannot be built here: {error}")
    worker = RemoteWorker(METHOD, "cpu", 0, 300.0, launcher, tmp_path_factory.mktemp("mediapipe") / "log")
    yield worker
    worker.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["einstein.jpg", "takeo.png"])
def test_photographs_are_within_eight_percent(worker, name):
    from harness.datasets.point_files import face_box, read_pts

    if not (SHARED / "photos68" / name).is_file():
        pytest.skip(f"no {SHARED / 'photos68'}")
    truth = read_pts((SHARED / "photos68" / name).with_suffix(".pts"), 68)
    answer = worker.predict([Sample("a", "a", (View(SHARED / "photos68" / name, box=face_box(truth)),))])[0]
    assert answer.failure is None, answer.detail
    errors = np.linalg.norm(answer.landmarks_2d - truth, axis=1)
    assert 100 * errors.mean() / np.linalg.norm(truth[36] - truth[45]) < 8
    projected = answer.vertices @ answer.projection[:, :3].T
    assert np.allclose(points.landmarks(projected[:, :2] / projected[:, 2:]), answer.landmarks_2d, atol=1e-6)


@pytest.mark.slow
def test_answers_repeat_and_depend_on_nothing_before_them(worker):
    image = SHARED / "h3ds" / "james" / "image" / "img_0000.jpg"
    if not image.is_file():
        pytest.skip(f"no {image}")
    first, other, again = (
        worker.predict([Sample("a", "a", (View(path),))])[0] for path in (image, image.with_name("img_0003.jpg"), image)
    )
    assert first.failure is None and (first.vertices == again.vertices).all()
    assert (first.vertices != other.vertices).any()
    eyes = np.linalg.norm(first.landmarks[36] - first.landmarks[45])
    assert 75 < eyes < 105, "outer eye corners of an adult, mm"


@pytest.mark.slow
def test_a_picture_without_a_face_says_so(worker):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    assert worker.predict([Sample("a", "a", (View(noise),))])[0].failure == "no_face"


@pytest.mark.slow
def test_it_finds_faces_for_other_methods(worker):
    """The regressors' track=mediapipe: the box of a photograph's landmarks, and no face in noise."""
    from harness.datasets.point_files import read_pts

    image = SHARED / "photos68" / "takeo.png"
    if not image.is_file():
        pytest.skip(f"no {image}")
    finder = FaceFinder("mediapipe")
    found = finder.find(View(image))
    truth = read_pts(image.with_suffix(".pts"), 68)
    box = np.concatenate([truth.min(axis=0), truth.max(axis=0)])
    assert np.abs(found.box - box).max() < 0.1 * np.ptp(truth, axis=0).max()
    five = [truth[36:42].mean(axis=0), truth[42:48].mean(axis=0), truth[30], truth[48], truth[54]]
    assert np.abs(found.points - five).max() < 0.1 * np.ptp(truth, axis=0).max()
    with pytest.raises(FaceError, match="MediaPipe finds no face"):
        finder.find(View(np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)))
