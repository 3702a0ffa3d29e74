"""The adapters: valid predictions for every kind of sample, and errors that say what to do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import HarnessError
from harness.geometry.alignment import fit_similarity
from harness.heads.procedural import procedural_head
from harness.methods.glvd.adapter import Glvd
from harness.methods.lvd.adapter import Lvd
from harness.methods.lvd.descent import DescentAdapter
from harness.methods.mean_face.adapter import MeanFace
from harness.samples import Sample, View
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.render import render
from harness.synthesis.subject import random_subject
from harness.training import export_weights


@pytest.fixture(scope="module")
def views() -> tuple[View, ...]:
    subject = random_subject(999_999)
    cameras = [orbit_camera(yaw, 0, 800, 300, 128, subject.middle) for yaw in (0, 40)]
    pictures = [render(subject, camera, seed=i, antialias=False) for i, camera in enumerate(cameras)]
    scene = np.eye(4)
    scene[:3] *= 150
    scene[:3, 3] = subject.middle
    return tuple(View(p.image, p.mask, p.camera, scene) for p in pictures)


def test_mean_face_is_the_template() -> None:
    adapter = MeanFace()
    adapter.load(torch.device("cpu"))
    (prediction,) = adapter.predict([Sample("a", "a", (View(np.zeros((4, 4, 3), np.uint8)),))])
    assert prediction.vertices is not None and np.array_equal(prediction.vertices, procedural_head().template.numpy())
    assert prediction.landmarks is not None and np.isfinite(prediction.landmarks).all()
    assert not prediction.in_world_frame


@pytest.mark.parametrize("method", [Lvd, Glvd])
def test_predictions_are_valid_for_every_kind_of_sample(method: type[DescentAdapter], views: tuple[View, ...]) -> None:
    torch.manual_seed(0)
    adapter = method(random_weights=True, steps=2)
    adapter.load(torch.device("cpu"))
    photo = View(views[0].image)
    samples = [Sample("two", "a", views), Sample("one", "a", views[:1]), Sample("photo", "a", (photo, photo))]
    missing = Sample("missing", "a", (View(Path("/nowhere/picture.png")),))
    *predictions, failure = adapter.predict([*samples, missing])
    for prediction, sample in zip(predictions, samples, strict=True):
        assert prediction.failure is None
        assert prediction.vertices is not None and prediction.landmarks is not None
        assert prediction.vertices.shape == procedural_head().template.shape
        assert np.isfinite(prediction.landmarks).all()
        assert set(prediction.parameters) == {"shape", "expression", "pose"}
        assert prediction.in_world_frame == (sample.id != "photo")
    assert failure.failure == "bad_input"


@pytest.mark.parametrize("method", [Lvd, Glvd])
def test_shipped_weights_beat_the_mean_face(method: type[DescentAdapter], views: tuple[View, ...]) -> None:
    truth = random_subject(999_999).vertices.astype(np.float64)
    errors = []
    for adapter in (method(), MeanFace()):
        adapter.load(torch.device("cpu"))
        (prediction,) = adapter.predict([Sample("one", "a", views)])
        assert prediction.vertices is not None
        place = fit_similarity(prediction.vertices, truth, scale="none")
        placed = prediction.vertices @ place.rotation.T + place.translation
        errors.append(float(np.linalg.norm(placed - truth, axis=1).mean()))
    assert errors[0] < 0.9 * errors[1]


def test_options_and_files_that_do_not_exist_are_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="fit='flame'"):
        Lvd(fit="flame")
    with pytest.raises(HarnessError, match="random_weights"):
        Glvd(size="paper")
    with pytest.raises(HarnessError, match="harness train method=glvd"):
        Glvd(weights=str(tmp_path / "none.safetensors")).load(torch.device("cpu"))


def test_weights_of_another_head_are_refused(tmp_path: Path) -> None:
    export_weights(torch.nn.Linear(1, 1), tmp_path / "w.safetensors", {"head": "0123"})
    with pytest.raises(HarnessError, match="trained for head 0123"):
        Lvd(weights=str(tmp_path / "w.safetensors")).load(torch.device("cpu"))
