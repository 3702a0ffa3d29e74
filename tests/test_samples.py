"""The contracts refuse what breaks them, name the field, and survive a trip to another process."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness import Camera, ContractError, DataError, Prediction, Sample, View
from harness.errors import NonFiniteError

VERTICES = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
FACES = np.array([[0, 1, 2]])
IMAGE = np.zeros((4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"vertices": VERTICES[:, :2]}, "prediction.vertices: shape"),
        ({"vertices": VERTICES[:0]}, "prediction.vertices: the mesh is empty"),
        ({"vertices": VERTICES * np.nan}, "prediction.vertices: 9 values are NaN"),
        ({"vertices": "mesh"}, "prediction.vertices: not an array"),
        ({"faces": FACES[:0]}, "prediction.faces: the mesh has no faces"),
        ({"faces": FACES + 1}, r"prediction.faces: index 1..3 outside 0..2"),
        ({"faces": FACES - 1}, r"prediction.faces: index -1..1 outside 0..2"),
        ({"faces": FACES + 0.5}, "prediction.faces: dtype float64"),
        ({"faces": None}, "vertices and faces belong together"),
        ({"landmarks": np.zeros((5, 3))}, r"prediction.landmarks: shape \(5, 3\), expected \(68, 3\)"),
        ({"landmarks": np.full((68, 3), np.inf)}, "prediction.landmarks: infinite"),
        ({"parameters": {"shape": [np.nan]}}, r"prediction.parameters\[shape\]"),
        ({"failure": "bored"}, "prediction.failure: 'bored'"),
    ],
)
def test_prediction_refuses(fields, words):
    with pytest.raises(ContractError, match=words):
        Prediction(**{"vertices": VERTICES, "faces": FACES, **fields})


def test_missing_landmarks_are_nan():
    landmarks = np.full((68, 3), np.nan)
    assert np.isnan(Prediction(VERTICES, FACES, landmarks).landmarks).all()


def test_arrays_cannot_be_changed_and_are_copies():
    mine = VERTICES.copy()
    prediction = Prediction(mine, FACES)
    mine[:] = 7
    assert np.array_equal(prediction.vertices, VERTICES)
    with pytest.raises(ValueError, match="read-only"):
        prediction.vertices[0, 0] = 1


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "a b", "tab\t"])
def test_sample_id_is_a_file_name(name):
    with pytest.raises(ContractError, match=r"sample\.id"):
        Sample(name, "anna", (View(IMAGE),))


def test_sample_needs_a_view():
    with pytest.raises(ContractError, match="has no view"):
        Sample("one", "anna", ())


@pytest.mark.parametrize("rotation", [2 * np.eye(3), np.diag([1.0, 1, -1])])
def test_camera_refuses_what_is_no_rotation(rotation):
    with pytest.raises(ContractError, match="not a rotation"):
        Camera(np.eye(3), rotation, np.zeros(3), 10, 10)


def test_unreadable_image_names_the_file(tmp_path):
    path = tmp_path / "face.jpg"
    with pytest.raises(DataError, match="face.jpg: image file is missing"):
        View(path).read_image()
    path.write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"face.jpg: cannot be read as an image"):
        View(path).read_image()


@given(hnp.arrays(np.float64, (3, 3), elements=st.floats(-1e3, 1e3)), st.sampled_from(["mm", "cm", "m"]), st.booleans())
def test_prediction_survives_pickling_and_scales(vertices, unit, world):
    prediction = Prediction(vertices, FACES, np.ones((68, 3)), {"shape": np.ones(3)}, in_world_frame=world)
    back = pickle.loads(pickle.dumps(prediction.in_millimetres(unit)))
    factor = {"mm": 1.0, "cm": 10.0, "m": 1000.0}[unit]
    assert np.array_equal(back.vertices, vertices * factor)
    assert np.array_equal(back.landmarks, np.full((68, 3), factor))
    assert back.in_world_frame is world and back.source_unit == unit
    assert dict(back.parameters).keys() == {"shape"}


def test_neutral_mesh_takes_the_place_of_the_expressive_one():
    points, flat = np.ones((68, 3)), np.zeros((3, 3))
    prediction = Prediction(np.eye(3), FACES, points, neutral_vertices=flat, neutral_landmarks=2 * points)
    neutral = prediction.in_millimetres("m").neutral()
    assert prediction.has_neutral and np.array_equal(neutral.vertices, flat)
    assert np.array_equal(neutral.landmarks, 2000 * points)
    plain = Prediction(np.eye(3), FACES, points)
    assert plain.neutral() is plain and not plain.has_neutral
    for wrong in ({"neutral_vertices": np.eye(4)[:, :3]}, {"neutral_landmarks": points}, {"neutral_vertices": flat}):
        with pytest.raises(ContractError, match="neutral"):
            Prediction(np.eye(3), FACES, points, **wrong)


def test_sample_survives_pickling():
    camera = Camera(np.diag([500.0, 500, 1]), np.eye(3), [0, 0, 800.0], 5, 4)
    sample = pickle.loads(pickle.dumps(Sample("one", "anna", (View(IMAGE, camera=camera),), {"views": 1})))
    assert sample.condition == {"views": 1}
    assert np.array_equal(sample.views[0].camera.project(np.zeros((1, 3))), [[0, 0]])


def test_camera_projects_as_the_closed_form():
    camera = Camera([[100, 0, 50], [0, 200, 40], [0, 0, 1]], np.eye(3), [0, 0, 10.0], 100, 80)
    assert np.allclose(camera.project(np.array([[1.0, 2, 0]])), [[60, 80]])
    assert np.allclose(camera.centre, [0, 0, -10])
    homogeneous = camera.projection @ [1, 2, 0, 1]
    assert np.allclose(homogeneous[:2] / homogeneous[2], [60, 80])


def test_non_finite_is_told_apart():
    with pytest.raises(NonFiniteError):
        Prediction(VERTICES * np.inf, FACES)
