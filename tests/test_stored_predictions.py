"""Predictions from elsewhere: NoW's submission layout and the flat one, and what is said of files that do not fit."""

import logging
import re

import numpy as np
import pytest

from harness import HarnessError
from harness.benchmark import Benchmark
from harness.datasets.now import Now
from harness.geometry.mesh import Mesh, write_mesh
from harness.isolation import calls
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.stored_predictions import stored_method
from tests.datasets.now_layout import FACE, PHOTOS, write_now
from tests.toys import ToyProtocol

IDS = [36, 39, 42, 45, 33, 48, 54]
MESH = Mesh(FACE / 1000, np.array([[0, 1, 4], [2, 3, 4], [4, 5, 6]]))


@pytest.fixture
def bench(tmp_path):
    write_now(tmp_path)
    return Benchmark("now", Now("real", tmp_path), (ToyProtocol(),))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine/a/multiview_neutral").mkdir(parents=True)
    return tmp_path / "mine"


def write(folder, name=PHOTOS[0], mesh=MESH, suffix=".obj", **landmarks):
    """Keyword `npy` or `txt` gives the landmarks in that form."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_mesh(mesh, folder / f"{name}{suffix}")
    if "npy" in landmarks:
        np.save(folder / f"{name}.npy", landmarks["npy"])
    if "txt" in landmarks:
        (folder / f"{name}.txt").write_text("".join(f"{x} {y} {z}\n" for x, y, z in landmarks["txt"]))


def predict(folder, bench, unit="m"):
    adapter = stored_method("mine", folder, unit, bench).build()
    calls.load(adapter, "cpu")
    return calls.predict(adapter, bench.samples(), 0)


@pytest.mark.parametrize(
    "landmarks",
    [
        {"npy": FACE / 1000},
        {"npy": (FACE / 1000)[None]},
        {"npy": (FACE / 1000).astype(np.float32)},
        {"txt": FACE / 1000},
        {"npy": FACE / 1000, "txt": FACE * 9},
    ],
)
@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_nows_own_layout(folder, bench, landmarks, suffix):
    write(folder, suffix=suffix, **landmarks)
    first, *others = predict(folder, bench)
    assert np.allclose(first.vertices, FACE, atol=1e-12) and first.source_unit == "m"
    assert np.allclose(first.landmarks[IDS], FACE, atol=1e-5)
    assert np.isnan(np.delete(first.landmarks, IDS, axis=0)).all()
    assert first.has_neutral and np.array_equal(first.neutral_vertices, first.vertices)
    assert not first.in_world_frame and not first.neutral().in_world_frame
    assert [p.failure for p in others] == ["missing", "missing"]
    assert others[0].detail == f"{folder}: has no a/selfie/IMG_0002.obj, .ply or .npz"


def test_single_precision_survives_the_change_of_unit(folder, bench):
    points = np.random.default_rng(0).normal(0, 0.05, (7, 3)).astype(np.float32)
    write(folder, npy=points)
    back = predict(folder, bench)[0].landmarks[list(NOW_LANDMARKS.values())] / 1000
    assert np.array_equal(back, points)


def test_text_is_read_in_single_precision_as_the_official_program_does(folder, bench):
    points = np.random.default_rng(0).normal(0, 0.05, (7, 3))
    write(folder, txt=points)
    back = predict(folder, bench)[0].landmarks[IDS] / 1000
    assert np.array_equal(back, points.astype(np.float32)) and not np.array_equal(back, points)


def test_obj_and_npy_win(folder, bench):
    write(folder, mesh=Mesh(MESH.vertices * 3, MESH.faces), suffix=".ply")
    write(folder, npy=FACE / 1000, txt=FACE)
    prediction = predict(folder, bench)[0]
    assert np.allclose(prediction.vertices, FACE) and np.allclose(prediction.landmarks[IDS], FACE)


def test_vertex_colours_are_no_obstacle(folder, bench):
    write(folder, npy=FACE / 1000)
    path = folder / f"{PHOTOS[0]}.obj"
    path.write_text(
        "\n".join(f"{line} 0.5 0.1 1" if line[0] == "v" else line for line in path.read_text().splitlines())
    )
    assert np.allclose(predict(folder, bench)[0].vertices, FACE)


def test_flat_form_with_68_landmarks(folder, bench):
    points = np.random.default_rng(0).normal(size=(68, 3))
    write(folder, name=PHOTOS[1].replace("/", "__"), npy=points)
    none, flat, _ = predict(folder, bench, unit="mm")
    assert none.failure == "missing" and np.array_equal(flat.landmarks, points) and flat.has_neutral


@pytest.mark.parametrize(
    ("landmarks", "reason", "words"),
    [
        ({}, "missing", r"mine: has no a/multiview_neutral/IMG_0001\.npy or \.txt beside IMG_0001\.obj"),
        (
            {"npy": FACE[:6]},
            "bad_mesh",
            r"IMG_0001\.npy: landmarks have shape \(6, 3\), expected \(7, 3\) or \(68, 3\)",
        ),
        ({"npy": np.array([{}])}, "bad_mesh", r"IMG_0001\.npy: expected landmarks \(7, 3\)"),
        ({"txt": [("a", "b", "c")]}, "bad_mesh", r"IMG_0001\.txt: expected landmarks \(7, 3\)"),
        ({"npy": np.full((7, 3), np.inf)}, "bad_mesh", r"landmarks: infinite"),
    ],
)
def test_what_does_not_fit_is_named(folder, bench, landmarks, reason, words):
    write(folder, **landmarks)
    prediction = predict(folder, bench)[0]
    assert prediction.failure == reason
    assert re.search(words, prediction.detail)


def test_damaged_mesh(folder, bench):
    write(folder, npy=FACE)
    (folder / f"{PHOTOS[0]}.obj").write_text("v 0 0 0\nf 1 2 3\n")
    prediction = predict(folder, bench)[0]
    assert prediction.failure == "bad_mesh" and "IMG_0001.obj, line 2" in prediction.detail


def test_a_folder_without_any_answer_is_hardly_the_one_meant(folder, bench):
    with pytest.raises(HarnessError, match=r"mine: holds no prediction; expected .* a/multiview_neutral/IMG_0001\.ply"):
        stored_method("mine", folder, "m", bench)
    with pytest.raises(HarnessError, match="no such folder"):
        stored_method("mine", folder / "not", "m", bench)


def test_nothing_is_said_of_neutral_meshes(folder, bench, caplog):
    write(folder, npy=FACE / 1000)
    with caplog.at_level(logging.INFO):
        predict(folder, bench)
    assert "neutral" not in caplog.text
